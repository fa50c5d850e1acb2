"""The nodes of the state machine.

A node runs again from its start when a run is resumed, so each begins by looking whether its
effect was recorded, and writes effect and record in one transaction.
"""

from __future__ import annotations

import time
from typing import Any, Literal

from langgraph.runtime import Runtime
from langgraph.types import Command, interrupt

from ..agent.approval import needs_approval
from ..agent.legal import check_call, legal_tools
from ..agent.observation import Observation, observe
from ..agent.policy import Decision
from ..store.database import Store
from ..store.errors import ModelError, UserError
from ..store.events import ApprovalEvent, DecisionEvent, ErrorEvent, ReviewEvent, ToolEvent
from ..store.records import Annotation, Charge
from ..store.trace import Place
from ..tools.base import Outcome
from ..tools.registry import TOOLS, checked_args
from .context import Context, place_of
from .state import ApprovalAnswer, ReviewAnswer, State

WORDS_LIMIT = 500
"""Bytes of a reason or message that the state keeps; the whole is in the trace."""
LAST_RESULT_LIMIT = 1500
"""Bytes of a tool's result that the state keeps; the whole is in the store."""


def decide(state: State, runtime: Runtime[Context]) -> Command[Literal["approve", "act", "finish"]]:
    """Let the policy choose one legal tool; on to approval where a rule wants a person."""
    context, step = runtime.context, state.get("step", 0) + 1
    key = f"decision:{step}:{len(state.get('refused', []))}"
    recorded = context.store.effect(key)
    if recorded is None:
        recorded = _record_decision(state, runtime, step, key)
    update: State = {
        "step": step,
        "subject": "decision",
        "problem": "",
        "decision": {name: recorded[name] for name in ("tool", "args", "reason")},
        "head": context.store.head(),
    }
    if recorded["ask"]:
        return Command(update=update, goto="approve")
    return Command(update=update, goto="finish" if recorded["tool"] == "finish" else "act")


def approve(
    state: State, runtime: Runtime[Context]
) -> Command[Literal["understand", "prepare", "approve", "decide", "act", "finish"]]:
    """Ask the person about the spec or a decision, and go where the answer says."""
    context, step = runtime.context, state.get("step", 0)
    key = f"approval:{state['subject']}:{step}:{len(state.get('refused', []))}"
    recorded = context.store.effect(key)
    if recorded is None:
        question = {"kind": "approval", "key": key, **_question(state, context)}
        answer: ApprovalAnswer = interrupt(question, response_schema=ApprovalAnswer)
        recorded = answer.model_dump(mode="json")
        problem = _problem(state, context, recorded, question["allowed"])
        if problem:
            return Command(update={"problem": _cut(problem)}, goto="approve")
        place = place_of(runtime, state["run"], step, "approve")
        record_approval(context.store, place, key, _subject(state), answer)
    return _after_approval(state, context, recorded)


def record_approval(
    store: Store, place: Place, key: str, subject: str, answer: ApprovalAnswer
) -> None:
    """Write an answer to an approval, so that it is never asked again."""
    recorded = answer.model_dump(mode="json")
    with store.transaction(place) as writer:
        writer.effect(key, recorded)
        writer.event(
            key,
            ApprovalEvent(
                subject=subject,
                answer=answer.type,
                by=answer.by,
                message=answer.message,
                edited=recorded["edited_action"],
            ),
        )


def act(state: State, runtime: Runtime[Context]) -> Command[Literal["review", "decide"]]:
    """Run the decided tool, once and only once."""
    context, step = runtime.context, state["step"]
    call = context.tool_context(step).call
    recorded = context.store.effect(call)
    if recorded is None:
        recorded = _run_tool(state, runtime)
    context.on_event("result", {"tool": state["decision"]["tool"], **recorded["result"]})
    update: State = {
        "last": _small(recorded["result"]),
        "head": context.store.head(),
        "refused": [],
    }
    if recorded["review"]:
        return Command(update={**update, "review": recorded["review"]}, goto="review")
    return Command(update=update, goto="decide")


def review(state: State, runtime: Runtime[Context]) -> Command[Literal["review", "decide"]]:
    """Wait for the person's answers, then turn them into annotations."""
    context, review_id = runtime.context, state["review"]
    key = f"review:{review_id}"
    recorded = context.store.effect(key)
    if recorded is None:
        request = context.store.review(review_id)
        answer: ReviewAnswer = interrupt(
            {
                "kind": "review",
                "review": review_id,
                "purpose": request.purpose,
                "questions": len(request.questions),
            },
            response_schema=ReviewAnswer,
        )
        standing = context.store.standing_answers(review_id)
        if any(question.row not in standing for question in request.questions):
            return Command(goto="review")
        recorded = _collect(state, runtime, answer)
    context.on_event("reviewed", recorded)
    return Command(
        update={"review": "", "last": recorded, "head": context.store.head()}, goto="decide"
    )


def _record_decision(
    state: State, runtime: Runtime[Context], step: int, key: str
) -> dict[str, Any]:
    context = runtime.context
    seen = _observe(state, context, step)
    legal = [name for name in legal_tools(seen) if name not in state.get("refused", [])]
    if not legal:
        raise UserError(
            "nothing can be done: no tool is legal (every question was skipped, or every "
            "decision refused); answer some questions or raise the budget in task.yaml"
        )
    decision = context.policy.decide(seen, legal)
    _refuse_repeat(state, decision)
    verdict = needs_approval(context.spec.autonomy, decision, seen)
    recorded = {
        "tool": decision.tool,
        "args": decision.args,
        "reason": _cut(decision.reason),
        "ask": verdict.ask,
    }
    place = place_of(runtime, state["run"], step, "decide")
    with context.store.transaction(place) as writer:
        writer.effect(key, recorded)
        writer.event(
            key,
            DecisionEvent(
                tool=decision.tool,
                args=decision.args,
                reason=decision.reason,
                policy=decision.policy,
                legal=legal,
                observation=seen.model_dump(mode="json"),
                fallback=decision.fallback,
                attempts=decision.attempts,
            ),
        )
        if not verdict.ask:
            writer.event(
                f"approval:decision:{step}:{len(state.get('refused', []))}",
                ApprovalEvent(subject=decision.tool, answer="approve", by=f"rule: {verdict.rule}"),
            )
    context.on_event("decision", {"step": step, **decision.model_dump(mode="json")})
    return recorded


def _refuse_repeat(state: State, decision: Decision) -> None:
    """Rules that repeat a call which just failed would repeat it for ever."""
    last = state.get("last", {})
    before = state.get("decision", {})
    same = (before.get("tool"), before.get("args")) == (decision.tool, decision.args)
    if same and "error" in last and decision.policy == "playbook":
        raise UserError(f"{decision.tool} cannot go on: {last['error']}")


def _observe(state: State, context: Context, step: int) -> Observation:
    last = state.get("last")
    return observe(
        context.store,
        context.pool,
        context.spec,
        settings=context.settings,
        step=step,
        last_result=last,
    )


def _question(state: State, context: Context) -> dict[str, Any]:
    """What the person is shown; small, since it is kept in the checkpoint."""
    allowed = ["approve", "edit", "reject"]
    if state["subject"] == "spec":
        return {"subject": "spec", "allowed": ["approve", "reject"]}
    if context.policy.name != "playbook":
        allowed.append("respond")
    asked = {"subject": "decision", "step": state["step"], "allowed": allowed}
    return {**asked, "problem": state.get("problem", ""), **state["decision"]}


def _subject(state: State) -> str:
    return "spec" if state["subject"] == "spec" else str(state["decision"]["tool"])


def _after_approval(
    state: State, context: Context, answer: dict[str, Any]
) -> Command[Literal["understand", "prepare", "approve", "decide", "act", "finish"]]:
    head, refused = context.store.head(), state.get("refused", [])
    if state["subject"] == "spec":
        if answer["type"] == "approve":
            return Command(update={"head": head, "refused": []}, goto="prepare")
        return Command(update={"head": head, "refused": [*refused, "spec"]}, goto="understand")
    decision = state["decision"]
    if answer["type"] == "reject":
        last = {"rejected": decision["tool"], "why": _cut(answer["message"])}
        back: State = {"refused": [*refused, decision["tool"]], "last": last, "head": head}
        return Command(update={**back, "step": state["step"] - 1}, goto="decide")
    if answer["type"] == "respond":
        said: State = {"last": {"reviewer_says": _cut(answer["message"])}, "head": head}
        return Command(update=said, goto="decide")
    if answer["type"] == "edit":
        action = answer["edited_action"]
        args = checked_args(action["name"], action["args"]).model_dump(mode="json")
        decision = {"tool": action["name"], "args": args, "reason": "edited by the reviewer"}
    goto: Literal["finish", "act"] = "finish" if decision["tool"] == "finish" else "act"
    return Command(update={"decision": decision, "head": head}, goto=goto)


def _problem(state: State, context: Context, answer: dict[str, Any], allowed: list[str]) -> str:
    """Why an answer cannot be taken: an edited call is held to the same rules as the policy's."""
    if answer["type"] not in allowed:
        return f"{answer['type']!r} is no answer to this: use one of {', '.join(allowed)}"
    action = answer["edited_action"]
    if action is None:
        return ""
    try:
        args = checked_args(action["name"], action["args"]).model_dump(mode="json")
        check_call(action["name"], args, _observe(state, context, state["step"]))
    except UserError as error:
        return str(error)
    return ""


def _run_tool(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    context, step, decision = runtime.context, state["step"], state["decision"]
    tools = context.tool_context(step)
    started = time.perf_counter()
    failed: ErrorEvent | None = None
    try:
        args = checked_args(decision["tool"], decision["args"])
        outcome = TOOLS[decision["tool"]].run(tools, args)
    except (UserError, ModelError) as error:
        who: Literal["user", "model"] = "user" if isinstance(error, UserError) else "model"
        failed = ErrorEvent(where=decision["tool"], message=str(error), who=who)
        outcome = Outcome(result={"error": str(error)})
    recorded = {"result": outcome.result, "review": outcome.review.id if outcome.review else ""}
    with context.store.transaction(place_of(runtime, state["run"], step, "act")) as writer:
        write_outcome(writer, outcome)
        writer.effect(tools.call, recorded)
        writer.event(
            f"tool:{step}",
            ToolEvent(
                tool=decision["tool"],
                call=tools.call,
                args=decision["args"],
                result=outcome.result,
                seconds=round(time.perf_counter() - started, 3),
            ),
        )
        for metric in outcome.metrics:
            writer.event(f"metric:{step}:{metric.name}", metric)
        if failed:
            writer.event(f"error:{step}", failed)
    return recorded


def write_outcome(writer: Any, outcome: Outcome) -> None:
    """Put everything a tool wants remembered into a transaction."""
    writer.annotate(outcome.annotations)
    writer.charge(outcome.charges)
    writer.keep(outcome.artefacts)
    if outcome.review:
        writer.open_review(outcome.review)


def _collect(state: State, runtime: Runtime[Context], answer: ReviewAnswer) -> dict[str, Any]:
    context, review_id = runtime.context, state["review"]
    request = context.store.review(review_id)
    standing = context.store.standing_answers(review_id)
    suggested = {q.row: q.suggestion for q in request.questions if q.suggestion is not None}
    ids = dict(zip(standing, context.pool.ids(list(standing)), strict=True))
    annotations = [
        Annotation(
            row=row,
            item=ids[row],
            kind=given.kind,
            annotator=given.reviewer,
            version="1",
            purpose=request.purpose,
            label=given.label,
            usd=context.settings.label_price if given.label is not None else 0.0,
            round=request.round,
            review=review_id,
        )
        for row, given in sorted(standing.items())
    ]
    labelled = [each for each in annotations if each.label is not None]
    by = annotations[0].annotator
    result: dict[str, Any] = {
        "purpose": request.purpose,
        "answered": len(labelled),
        "skipped": len(annotations) - len(labelled),
        "agreed": sum(suggested.get(each.row) == each.label for each in labelled),
        "suggested": len(suggested),
    }
    charges = [
        Charge("human_label", len(labelled), by, request.purpose),
        Charge("usd", len(labelled) * context.settings.label_price, by, "human labels"),
        Charge("seconds", answer.seconds, by, "reviewing"),
    ]
    key = f"review:{review_id}"
    with context.store.transaction(
        place_of(runtime, state["run"], state["step"], "review")
    ) as writer:
        writer.annotate(annotations)
        writer.charge(charge for charge in charges if charge.amount)
        writer.effect(key, result)
        writer.event(key, ReviewEvent(review=review_id, **result))
    return result


def _cut(words: str) -> str:
    return words.encode()[:WORDS_LIMIT].decode(errors="ignore")


def _small(result: dict[str, Any]) -> dict[str, Any]:
    """A result that fits into the state; what is too large is named and left to the store."""
    small: dict[str, Any] = {}
    room = LAST_RESULT_LIMIT
    for name, value in result.items():
        size = len(str(value).encode())
        small[name] = value if size <= room else f"({size} bytes, see the trace)"
        room -= min(size, room)
    return small
