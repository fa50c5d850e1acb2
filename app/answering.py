"""Between a run's questions and whoever answers them, while it runs or while it is paused."""

from __future__ import annotations

import time
from typing import Any

from ..models.progress import Progress
from ..store.trace import Place
from .project import Project
from .reviewers import Desk, NobodyReviews, Reviewer, SimulatedReviewer


def make_reviewer(project: Project, progress: Progress, name: str | None = None) -> Reviewer:
    """The reviewer of a name, by default the one in the project's settings."""
    settings = project.settings
    kind = name or settings.reviewer
    if kind == "simulated":
        return SimulatedReviewer(
            project.folder,
            error_rate=settings.reviewer_error_rate,
            seed=settings.seed,
            progress=progress,
        )
    if kind == "none":
        return NobodyReviews()
    from .terminal import TerminalReviewer

    return TerminalReviewer()


def answer_and_keep(project: Project, reviewer: Reviewer) -> bool:
    """Let a reviewer answer what a paused run waits for, without running it on.

    Returns:
        Whether everything asked was answered.

    Raises:
        UserError: another process holds the project, or the call that the reviewer wants in
            place of the agent's is not legal; nothing was kept then.
    """
    with project.locked():
        asked = project.waiting()
        if asked is None or project.finished:
            return True
        said = answer(project, reviewer, asked)
        if said is not None and asked["kind"] == "approval" and not _kept(project, asked):
            from ..graphs.nodes import record_approval
            from ..graphs.state import ApprovalAnswer

            subject = "spec" if asked["subject"] == "spec" else asked["tool"]
            place = Place(project.run_id, project.step, "app")
            given = ApprovalAnswer.model_validate(said)
            if given.edited_action is not None:
                _check_edit(project, given.edited_action.name, given.edited_action.args)
            record_approval(project.store, place, asked["key"], subject, given)
        return said is not None


def _check_edit(project: Project, tool: str, args: dict[str, Any]) -> None:
    """Hold the reviewer's own call to the rules of the policy's, as the graph does."""
    from ..agent.legal import check_call
    from ..agent.observation import observe
    from ..tools.registry import checked_args

    checked = checked_args(tool, args).model_dump(mode="json")
    spec, settings = project.spec, project.settings
    if spec is not None:
        seen = observe(
            project.store,
            project.pool,
            spec,
            settings=settings,
            step=project.step,
            last_result=None,
        )
        check_call(tool, checked, seen)


def answer(project: Project, reviewer: Reviewer, asked: dict[str, Any]) -> dict[str, Any] | None:
    """The reviewer's answer in the form the graph takes it; `None` to pause."""
    spec, place = project.spec, Place(project.run_id, project.step, "app")
    if spec is None:
        raise RuntimeError("a question was asked before the goal was understood")
    if asked["kind"] == "review":
        request = project.store.review(asked["review"])
        desk = Desk(project.store, project.pool, spec, request, place, reviewer.name, reviewer.kind)
        started = time.perf_counter()
        if not reviewer.review(desk) or desk.open_questions():
            return None
        seconds = round(time.perf_counter() - started, 1)
        return {"type": "respond", "review": request.id, "seconds": seconds}
    recorded = _kept(project, asked)
    if recorded is not None:
        return recorded
    given = reviewer.approve(asked, spec)
    return None if given is None else given.model_dump(mode="json")


def _kept(project: Project, asked: dict[str, Any]) -> dict[str, Any] | None:
    """An answer to an approval that was given and kept while the run was paused."""
    return project.store.effect(asked["key"])
