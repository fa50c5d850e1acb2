"""Nodes: what approval leads to, and that nothing happens twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labelwright.agent.playbook import PlaybookPolicy
from labelwright.agent.recipes import recipe
from labelwright.app.options import Options
from labelwright.app.project import Project
from labelwright.app.runs import RunResult, create_project
from labelwright.graphs.context import Context
from labelwright.graphs.finish import finish
from labelwright.graphs.nodes import act, decide
from labelwright.graphs.setup import prepare, understand
from labelwright.graphs.state import ApprovalAnswer, EditedAction, State
from labelwright.store.errors import UserError
from labelwright.store.events import ApprovalEvent, DecisionEvent
from labelwright.tools.base import Workbench
from langgraph.runtime import Runtime
from support import (
    GOAL,
    HashEncoder,
    PlainReviewer,
    ScriptedChat,
    calls,
    decisions,
    follows_playbook,
    knows,
    messages,
    run_rows,
    write_csv,
)

ROWS = messages(30)
Asked = dict[str, Any]


def run_with(folder: Path, answer: Any, **options: Any) -> tuple[RunResult, PlainReviewer, Project]:
    reviewer = PlainReviewer(knows(ROWS), answer)
    given = {"autonomy": "ask-all", "human_labels": 10, **options}
    result = run_rows(folder, ROWS, reviewer=reviewer, **given)
    return result, reviewer, Project(result.project)


def yes(_: Asked) -> ApprovalAnswer:
    return ApprovalAnswer(type="approve", by="ann")


def edit(tool: str, **args: Any) -> ApprovalAnswer:
    return ApprovalAnswer(type="edit", edited_action=EditedAction(name=tool, args=args), by="ann")


def approvals(project: Project) -> list[ApprovalEvent]:
    found = (each.event for each in project.store.events())
    return [event for event in found if isinstance(event, ApprovalEvent)]


def test_ask_all_asks_for_the_spec_and_each_decision(tmp_path: Path) -> None:
    result, reviewer, project = run_with(tmp_path, yes)
    assert result.status == "finished"
    assert [asked["subject"] for asked in reviewer.asked[:2]] == ["spec", "decision"]
    assert [asked["tool"] for asked in reviewer.asked[1:]] == [
        each.tool for each in decisions(project)
    ]
    assert {each.by for each in approvals(project)} == {"ann"}
    project.close()


def test_what_is_asked_comes_with_its_reason(tmp_path: Path) -> None:
    _, reviewer, project = run_with(tmp_path, yes)
    project.close()
    for asked in reviewer.asked[1:]:
        assert asked["reason"]
        assert asked["allowed"] == ["approve", "edit", "reject"]


def test_ask_labels_asks_only_before_handing_over_and_large_reviews(tmp_path: Path) -> None:
    _, reviewer, project = run_with(tmp_path, yes, autonomy="ask-labels")
    for asked in reviewer.asked:
        assert asked["tool"] in ("finish", "request_review")
        assert asked["tool"] == "finish" or asked["args"]["k"] > 3
    assert reviewer.asked[-1]["tool"] == "finish"
    assert len(approvals(project)) == len(decisions(project))
    project.close()


def test_auto_never_asks_and_the_trace_names_the_rule(tmp_path: Path) -> None:
    _, reviewer, project = run_with(tmp_path, yes, autonomy="auto")
    assert reviewer.asked == []
    assert {each.by for each in approvals(project)} == {"rule: full autonomy"}
    project.close()


def test_an_edited_decision_is_what_happens(tmp_path: Path) -> None:
    def answer(asked: Asked) -> ApprovalAnswer:
        first = asked.get("tool") == "filter_samples" and asked["step"] == 1
        return edit("annotate_samples", rationales=False) if first else yes(asked)

    _, _, project = run_with(tmp_path, answer)
    results = [each.event for each in project.store.events() if each.key == "tool:1"]
    assert results[0].tool == "annotate_samples"  # type: ignore[union-attr]
    assert decisions(project)[0].tool == "filter_samples"
    (edited,) = [each for each in approvals(project) if each.answer == "edit"]
    assert edited.edited == {"name": "annotate_samples", "args": {"rationales": False}}
    assert project.verify() == []
    project.close()


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (edit("finish"), "labels are frozen"),
        (edit("filter_samples", cosine=9), "argument 'cosine'"),
        (edit("no_such_tool"), "no tool is called"),
        (edit("request_review", purpose="gold", k=5), "an annotated batch is open"),
    ],
)
def test_an_edit_that_cannot_be_made_is_asked_again_with_the_problem(
    tmp_path: Path, bad: ApprovalAnswer, problem: str
) -> None:
    def answer(asked: Asked) -> ApprovalAnswer | None:
        if asked["subject"] == "spec":
            return yes(asked)
        return bad if not asked["problem"] else None

    result, reviewer, project = run_with(tmp_path, answer)
    first, again = reviewer.asked[1:]
    assert result.status == "paused"
    assert problem in again["problem"]
    assert (again["step"], again["tool"]) == (first["step"], first["tool"])
    assert all(each.answer != "edit" for each in approvals(project))
    project.close()


def test_a_problem_is_shown_once_and_not_with_the_next_decision(tmp_path: Path) -> None:
    def answer(asked: Asked) -> ApprovalAnswer | None:
        if asked["subject"] == "spec" or asked["problem"]:
            return yes(asked)
        return edit("finish") if asked["step"] == 1 else None

    _, reviewer, project = run_with(tmp_path, answer)
    project.close()
    assert [bool(asked.get("problem")) for asked in reviewer.asked] == [False, False, True, False]


def test_a_rejected_decision_is_followed_by_another(tmp_path: Path) -> None:
    def answer(asked: Asked) -> ApprovalAnswer:
        if asked.get("tool") == "filter_samples":
            return ApprovalAnswer(type="reject", message="let them through", by="ann")
        return yes(asked)

    result, _, project = run_with(tmp_path, answer)
    assert result.status == "finished"
    first, second = decisions(project)[:2]
    assert (first.tool, second.tool) == ("filter_samples", "annotate_samples")
    assert "filter_samples" not in second.legal
    assert second.observation["last_result"]["why"] == "let them through"
    assert second.observation["step"] == first.observation["step"] == 1
    assert project.verify() == []
    project.close()


@pytest.mark.parametrize("start", [1, 5, 9])
def test_rejecting_everything_ends_with_a_clear_error(tmp_path: Path, start: int) -> None:
    asked_of: list[str] = []

    def answer(asked: Asked) -> ApprovalAnswer:
        if asked["subject"] == "spec" or asked["step"] < start:
            return yes(asked)
        asked_of.append(asked["tool"])
        return ApprovalAnswer(type="reject", message="no")

    with pytest.raises(UserError, match="refused") as caught:
        run_with(tmp_path, answer)
    assert "\n" not in str(caught.value)
    assert len(asked_of) == len(set(asked_of)) <= 10


def test_a_rejected_spec_is_not_asked_for_ever(tmp_path: Path) -> None:
    result, reviewer, project = run_with(tmp_path, lambda _: ApprovalAnswer(type="reject"))
    assert result.status == "paused"
    assert len(reviewer.asked) == 1
    assert decisions(project) == []
    project.close()


def test_a_response_reaches_the_chat_model(tmp_path: Path) -> None:
    chat = ScriptedChat(replies=[follows_playbook], drafts=[RuntimeError("not today")])

    def answer(asked: Asked) -> ApprovalAnswer | None:
        if asked["subject"] == "spec":
            return yes(asked)
        if asked["step"] == 1:
            assert "respond" in asked["allowed"]
            return ApprovalAnswer(type="respond", message="do think of gold first", by="ann")
        return None

    _, _, project = run_with(tmp_path, answer, chat=chat, policy="llm", llm="scripted:chat")
    project.close()
    assert "do think of gold first" in str(chat.heard[1][-1].content)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[tuple[Project, Runtime[Context]]]:
    """A project before its first node, and what nodes are run with."""
    project = create_project(
        Options(
            goal=GOAL,
            data=str(write_csv(tmp_path / "messages.csv", ROWS)),
            text_columns=("text",),
            id_column="id",
            project=tmp_path / "project",
            human_labels=10,
            learner="linear",
        )
    )
    context = Context(
        store=project.store,
        pool=project.pool,
        settings=project.settings,
        bench=Workbench(HashEncoder),
        policy=PlaybookPolicy(recipe("standard")),
    )
    yield project, Runtime(context=context)
    project.close()


def everything(project: Project) -> tuple[list[str], int, Any]:
    keys = [event.hash for event in project.store.events()]
    return keys, len(project.store.annotations()), project.store.totals()


def after(state: State, command: Any) -> State:
    return {**state, **command.update}


def test_each_node_run_again_changes_nothing(start: tuple[Project, Runtime[Context]]) -> None:
    project, runtime = start
    state: State = {"run": project.run_id}
    for node in (understand, prepare, decide, act, decide, act):
        first = node(state, runtime)
        written = everything(project)
        again = node(state, runtime)
        assert everything(project) == written, node.__name__
        assert (again.update, again.goto) == (first.update, first.goto)
        state = after(state, first)
    assert [each[0] for each in calls(project)] == ["filter_samples", "annotate_samples"]
    assert project.verify() == []


def test_a_tool_that_fails_is_recorded_and_shown_to_the_policy(
    start: tuple[Project, Runtime[Context]],
) -> None:
    project, runtime = start
    state: State = {"run": project.run_id}
    for node in (understand, prepare):
        state = after(state, node(state, runtime))
    wrong: State = {
        **state,
        "step": 1,
        "decision": {"tool": "train_model", "args": {}, "reason": "too early"},
    }
    command = act(wrong, runtime)
    assert "no label to train on" in after(wrong, command)["last"]["error"]
    assert [event.key for event in project.store.events()][-2:] == ["tool:1", "error:1"]
    decided = decide(after(wrong, command), runtime)
    last = [e.event for e in project.store.events() if isinstance(e.event, DecisionEvent)][-1]
    assert "no label to train on" in last.observation["last_result"]["error"]
    assert decided.goto == "act"


def test_finishing_again_changes_nothing(tmp_path: Path) -> None:
    result, _, project = run_with(tmp_path, yes, autonomy="auto")
    context = Context(
        store=project.store,
        pool=project.pool,
        settings=project.settings,
        bench=Workbench(HashEncoder),
        policy=PlaybookPolicy(recipe("standard")),
    )
    written = everything(project)
    state: State = {"run": project.run_id, "step": project.step}
    assert finish(state, Runtime(context=context)) == {"finished": True, "head": result.head}
    assert everything(project) == written
    project.close()
