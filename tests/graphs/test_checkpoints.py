"""What a paused run keeps: small whatever the pool, the messages and the labels are."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from labelwright.app.project import Project
from labelwright.app.runs import drive
from labelwright.graphs import state as graph_state
from labelwright.graphs.state import ApprovalAnswer, EditedAction
from labelwright.store.database import DATABASE
from labelwright.store.errors import UserError
from support import HashEncoder, PlainReviewer, Row, knows, messages, ran, run_rows

LIMIT = 4096


def sizes(project: Path) -> list[int]:
    """Bytes of each checkpoint with its metadata."""
    connection = sqlite3.connect(project / DATABASE)
    query = "SELECT length(checkpoint) + length(metadata) FROM checkpoints ORDER BY checkpoint_id"
    found = [int(size) for (size,) in connection.execute(query)]
    connection.close()
    return found


def test_checkpoints_stay_small_over_a_whole_run(tmp_path: Path) -> None:
    with ran(tmp_path, messages(100), autonomy="ask-all") as (project, _):
        found = sizes(project.folder)
        assert len(found) > 40
        assert max(found) <= LIMIT


def test_checkpoints_stay_small_with_many_long_labels(tmp_path: Path) -> None:
    names = [f"{'标签' * 40}{number}" for number in range(40)]
    rows = [Row(row.id, row.text, names[n % 40]) for n, row in enumerate(messages(80))]
    labels = ",".join(names)
    with ran(tmp_path, rows, human_labels=45, labels=labels) as (project, _):
        assert max(sizes(project.folder)) <= LIMIT


@pytest.mark.parametrize("kind", ["reject", "edit"])
def test_checkpoints_stay_small_whatever_a_reviewer_writes(tmp_path: Path, kind: str) -> None:
    rows, said = messages(30), "ß" * 20_000

    def answer(payload: dict[str, Any]) -> ApprovalAnswer | None:
        if payload["subject"] == "spec":
            return ApprovalAnswer(type="approve")
        if payload["problem"] or payload["step"] > 1:
            return None
        if kind == "reject" and payload["tool"] != "filter_samples":
            return None
        if kind == "reject":
            return ApprovalAnswer(type="reject", message=said)
        action = EditedAction(name="filter_samples", args={said: 1})
        return ApprovalAnswer(type="edit", edited_action=action)

    reviewer = PlainReviewer(knows(rows), answer)
    result = run_rows(tmp_path, rows, autonomy="ask-all", reviewer=reviewer, human_labels=10)
    assert result.status == "paused"
    assert len(reviewer.asked) == 3
    assert max(sizes(result.project)) <= LIMIT


def paused(folder: Path) -> tuple[Project, PlainReviewer]:
    """A run that waits for approval of its first decision, and who can go on with it."""
    rows = messages(30)
    nobody = PlainReviewer(knows(rows), lambda _asked: None)
    result = run_rows(folder, rows, autonomy="ask-all", reviewer=nobody, human_labels=10)
    assert result.status == "paused"
    return Project(result.project), PlainReviewer(knows(rows))


def test_a_run_of_another_graph_version_is_not_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, reviewer = paused(tmp_path)
    before = [event.hash for event in project.store.events()]
    with monkeypatch.context() as patched:
        patched.setattr(graph_state, "GRAPH_VERSION", "0")
        with pytest.raises(UserError, match=r"graph version '\d+', this one has '0'"):
            drive(project, reviewer=reviewer, encoder=HashEncoder())
    kept = [event.hash for event in project.store.events()]
    assert kept[: len(before)] == before
    assert drive(project, reviewer=reviewer, encoder=HashEncoder()).status == "finished"
    project.close()


def test_a_paused_run_says_what_it_waits_for(tmp_path: Path) -> None:
    project, _ = paused(tmp_path)
    waiting = project.waiting()
    project.close()
    assert waiting is not None
    assert waiting["kind"] == "approval"
