"""The two nodes before the cycle: from the goal to a task spec, from a file to a ready pool."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from langgraph.runtime import Runtime
from langgraph.types import Command

from ..agent.playbook import SPARE
from ..agent.recipes import recipe
from ..agent.understand import Request, draft_with_model, spec_from
from ..store.errors import ModelError, OperatorError
from ..store.events import ErrorEvent, GoalEvent, SpecEvent, ToolEvent
from ..store.files import replacing
from ..store.records import Artefact
from ..store.spec import LabelSpec, TaskSpec
from ..tools.base import Outcome, ToolContext
from ..tools.duplicates import duplicate_groups
from ..tools.embed_pool import EmbedArgs, EmbedPool
from ..tools.select_samples import SelectArgs, SelectSamples
from .context import SPEC_KEY, Context, place_of
from .nodes import write_outcome
from .state import State

REQUEST_KEY, NOTES_KEY = "request", "notes"


def understand(state: State, runtime: Runtime[Context]) -> Command[Literal["approve", "prepare"]]:
    """Turn the goal into a task spec, once, and write it where the person can edit it."""
    context = runtime.context
    recorded = context.store.effect("understand")
    if recorded is None:
        recorded = _understand(state, runtime)
    path = context.store.folder / "task.yaml"
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(context.spec.to_yaml(), encoding="utf-8")
    context.on_event("spec", recorded)
    ask = recorded["drafted"] and context.spec.autonomy != "auto"
    if ask or context.spec.autonomy == "ask-all":
        return Command(update={"subject": "spec", "step": 0}, goto="approve")
    return Command(update={"step": 0, "head": context.store.head()}, goto="prepare")


def prepare(state: State, runtime: Runtime[Context]) -> Command[Literal["decide"]]:
    """Find duplicates, embed the pool, and choose a diverse first batch."""
    context = runtime.context
    result = context.store.effect("prepare") or _prepare(state, runtime)
    context.on_event("result", {"tool": "prepare", **result})
    return Command(update={"last": result, "head": context.store.head()}, goto="decide")


def _understand(state: State, runtime: Runtime[Context]) -> dict[str, object]:
    context = runtime.context
    request = Request.model_validate_json(context.store.get_meta(REQUEST_KEY) or "{}")
    labels, guidelines, origin, failure = _draft(context, request)
    spec = spec_from(request, labels, guidelines)
    recorded: dict[str, object] = {
        "drafted": origin != "goal and options",
        "origin": origin,
        "failure": failure,
    }
    # The spec is kept before the effect that says so: run again, it is the same spec.
    context.store.set_meta(SPEC_KEY, spec.model_dump_json())
    with context.store.transaction(place_of(runtime, state["run"], 0, "understand")) as writer:
        writer.event(
            "goal",
            GoalEvent(
                goal=request.goal,
                data=context.settings.data,
                items=len(context.pool),
                data_digest=context.pool.digest,
                notes=(context.store.get_meta(NOTES_KEY) or "").splitlines(),
            ),
        )
        if failure:
            writer.event(
                "error:understand", ErrorEvent(where="understand", message=failure, who="model")
            )
        writer.effect("understand", recorded)
        writer.event("spec", spec_event(spec, origin))
    return recorded


def spec_event(spec: TaskSpec, origin: str) -> SpecEvent:
    """The event that says how a task spec came to be."""
    return SpecEvent(digest=spec.digest, spec=spec.model_dump(mode="json"), origin=origin)


def _draft(context: Context, request: Request) -> tuple[list[LabelSpec], str, str, str]:
    """Labels, guidelines, where they come from, and what failed on the way."""
    given = request.labels, request.guidelines, "goal and options", ""
    asker = context.asker("main", step=0, node="understand", usd=request.budgets.usd)
    if asker is None or _complete(request):
        return given
    try:
        labels, guidelines, _ = draft_with_model(asker, request.goal, request.labels, request.kind)
    except ModelError as error:
        if not request.labels:
            raise OperatorError(
                f"{error}: check the chat model, or name the labels with --labels in a new run"
            ) from error
        return (*given[:3], str(error))
    return labels, request.guidelines or guidelines, f"chat model {context.settings.llm}", ""


def _complete(request: Request) -> bool:
    """Whether the person said what each label means and how to tell them apart."""
    defined = bool(request.labels) and all(label.definition for label in request.labels)
    return defined and bool(request.guidelines)


def _prepare(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    context = runtime.context
    pool = context.pool
    texts = pool.table.column("text").to_pylist()
    pool.write_groups(duplicate_groups(texts, exact=context.spec.marked))
    unique = len(pool.unique_rows)
    tools = context.tool_context(0)
    parts = [EmbedPool().run(tools, EmbedArgs()), _first_batch(tools)]
    largest = float(np.max(pool.weights))
    value = {"items": len(pool), "unique": unique, "largest_group": round(largest * len(pool))}
    result = {**value, "embedded": parts[0].result["embedded"], "first_batch": parts[1].result}
    outcome = Outcome(
        result=result,
        charges=tuple(charge for part in parts for charge in part.charges),
        artefacts=(Artefact("pool", value), *(a for part in parts for a in part.artefacts)),
    )
    seconds = sum(charge.amount for charge in outcome.charges)
    with context.store.transaction(place_of(runtime, state["run"], 0, "prepare")) as writer:
        write_outcome(writer, outcome)
        writer.effect("prepare", result)
        writer.event(
            "tool:prepare",
            ToolEvent(
                tool="prepare", call="prepare", args={}, result=result, seconds=round(seconds, 3)
            ),
        )
    return result


def _first_batch(tools: ToolContext) -> Outcome:
    size = max(1, round(SPARE * tools.plan.batch))
    cold = recipe(tools.settings.recipe).cold
    return SelectSamples().run(tools, SelectArgs(strategy=cold, k=size))
