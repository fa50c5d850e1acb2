"""Fork: a copy of a project as it was before a decision, with another decision in its place."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import uuid
from pathlib import Path
from typing import Any

from ..agent.legal import check_call
from ..agent.observation import Observation
from ..store.database import DATABASE
from ..store.errors import OperatorError, UserError
from ..store.events import ApprovalEvent, DecisionEvent, RunEvent, SpecEvent
from ..store.files import not_made
from ..store.spec import TaskSpec
from ..store.trace import Place, StoredEvent
from ..tools.registry import checked_args
from .project import RUN, SPEC, TASK_FILE, WAITING, Project


def fork_project(project: Project, at: int, decision: str, to: Path) -> Project:
    """Copy a project up to its decision number `at`, and decide otherwise there.

    The copy keeps the trace up to that point and goes on with a run of its own; the original is
    not touched.

    Args:
        project: where to fork from.
        at: number of the decision to replace, from 1.
        decision: JSON with `tool`, `args` and perhaps `reason`.
        to: folder of the copy; must not exist.

    Raises:
        UserError: no such decision, the new one is not legal there, or the folder exists.
    """
    old = _decision_at(project, at)
    call = _parsed(decision)
    seen = Observation.model_validate(_event(old).observation)
    args = checked_args(call["tool"], call["args"]).model_dump(mode="json")
    check_call(call["tool"], args, seen)
    if to.exists():
        raise UserError(f"the folder {str(to)!r} exists: choose another with --to")
    part = to.with_name(f".{to.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        _copy(project.folder, part)
        _rewind(part, project, old, {**call, "args": args}, seen)
        os.replace(part, to)
    except (OSError, sqlite3.OperationalError, OperatorError) as error:
        raise not_made(to, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Project(to)


def _parsed(decision: str) -> dict[str, Any]:
    example = '{"tool": "select_samples", "args": {"strategy": "random", "k": 20}}'
    try:
        call = json.loads(decision)
    except json.JSONDecodeError as error:
        raise UserError(f"--decision is not JSON ({error}): give it like {example}") from None
    if not isinstance(call, dict) or not isinstance(call.get("tool"), str):
        raise UserError(f"--decision {decision!r} names no tool: give it like {example}")
    args = call.get("args", {})
    if not isinstance(args, dict):
        raise UserError(f"--decision has args {args!r}, which is no object: give it like {example}")
    reason = str(call.get("reason") or "forked by hand")
    return {"tool": call["tool"], "args": args, "reason": reason}


def _decision_at(project: Project, at: int) -> StoredEvent:
    found = [each for each in project.store.events() if isinstance(each.event, DecisionEvent)]
    for each in found:
        if each.place.step == at:
            return each
    raise UserError(
        f"there is no decision {at!r}: this project has decisions 1 to "
        f"{found[-1].place.step if found else 0}; `labelwright audit` lists them"
    )


def _event(stored: StoredEvent) -> DecisionEvent:
    if not isinstance(stored.event, DecisionEvent):
        raise TypeError(f"event {stored.seq} is no decision")
    return stored.event


def _copy(source: Path, target: Path) -> None:
    skipped = shutil.ignore_patterns(f"{DATABASE}*", ".lock", "exports", "report.html", "final")
    shutil.copytree(source, target, ignore=skipped)
    # The database may be in use: the backup interface copies one consistent state of it.
    with sqlite3.connect(source / DATABASE) as old, sqlite3.connect(target / DATABASE) as new:
        old.backup(new)
    old.close()
    new.close()


def _rewind(
    folder: Path,
    original: Project,
    old: StoredEvent,
    call: dict[str, Any],
    seen: Observation,
) -> None:
    """Cut the copy's trace before the old decision and append the new one."""
    copy = Project(folder)
    run = uuid.uuid4().hex
    store, step = copy.store, old.place.step
    store.cut_after(old.seq - 1)
    _restore_spec(copy)
    _drop_later_models(copy)
    store.set_meta(RUN, run)
    store.set_meta(WAITING, "")
    key = f"decision:{step}:0"
    with store.transaction(Place(run, step, "fork")) as writer:
        detail = f"from run {original.run_id}, decision {step}, event {old.seq} {old.hash}"
        writer.event(f"run:forked:{run[:16]}", RunEvent(what="forked", detail=detail))
        writer.effect(key, {**call, "ask": False})
        writer.event(
            key,
            DecisionEvent(
                **call,
                policy="reviewer",
                legal=_event(old).legal,
                observation=seen.model_dump(mode="json"),
            ),
        )
        writer.event(
            f"approval:decision:{step}:0",
            ApprovalEvent(subject=call["tool"], answer="approve", by="reviewer (fork)"),
        )
    _new_thread(folder, run, step, seen.last_result)
    copy.close()


def _restore_spec(copy: Project) -> None:
    """The task spec as it was at the cut: edits that came later are not the fork's."""
    specs = [e.event for e in copy.store.events() if isinstance(e.event, SpecEvent)]
    spec = TaskSpec.checked(specs[-1].spec)
    copy.store.set_meta(SPEC, spec.model_dump_json())
    (copy.folder / TASK_FILE).write_text(spec.to_yaml(), encoding="utf-8")


def _drop_later_models(copy: Project) -> None:
    """Remove the models that only the original went on to train."""
    kept = {Path(str(each["folder"])).name for each in copy.store.artefact_history("model")}
    for path in (copy.folder / "models").glob("*"):
        if path.name not in kept:
            shutil.rmtree(path)


def _new_thread(folder: Path, run: str, step: int, last: dict[str, Any] | None) -> None:
    """Begin the fork's own thread where the decision is due."""
    from langgraph.checkpoint.sqlite import SqliteSaver
    from langgraph.types import Command

    from ..graphs.main import build_graph
    from ..graphs.state import GRAPH_VERSION, State

    connection = sqlite3.connect(folder / DATABASE, check_same_thread=False)
    try:
        graph = build_graph(SqliteSaver(connection))
        state: State = {"run": run, "step": step - 1, "refused": [], "last": last or {}}
        config: Any = {
            "configurable": {"thread_id": run},
            "metadata": {"graph_version": GRAPH_VERSION},
        }
        # As if a node that goes on to `decide` had just ended with this state.
        graph.update_state(config, Command(update=state, goto="decide"), as_node="review")
    finally:
        connection.close()
