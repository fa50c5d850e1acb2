"""Fork: another decision in place of one that was taken, in a copy; the original stays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import harness
import pytest
from labelwright.app.fork import fork_project
from labelwright.app.project import Project
from labelwright.app.runs import Options, create_project, drive
from labelwright.store.events import DecisionEvent, RunEvent, SpecEvent
from labelwright.store.trace import StoredEvent
from support import HashEncoder

Cli = Callable[..., harness.Said]
RANDOM = {"tool": "select_samples", "args": {"strategy": "random", "k": 6}, "reason": "compare"}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished project."""
    base = tmp_path_factory.mktemp("original")
    data = harness.sample(base / "messages.csv")
    given = Options(goal=harness.GOAL, data=str(data), project=base / "project", **harness.OPTIONS)
    project = create_project(given)
    drive(project, encoder=HashEncoder())
    project.close()
    return base / "project"


def events(folder: Path) -> list[StoredEvent]:
    """The trace of a project."""
    project = Project(folder)
    try:
        return project.store.events()
    finally:
        project.close()


def decision_of(folder: Path, tool: str, number: int = 0) -> StoredEvent:
    """The `number`th decision for a tool."""
    found = [
        each
        for each in events(folder)
        if isinstance(each.event, DecisionEvent) and each.event.tool == tool
    ]
    return found[number]


@pytest.fixture(scope="module")
def cut(original: Path) -> StoredEvent:
    """The decision that the forks take otherwise: the selection of the second batch."""
    return decision_of(original, "select_samples")


@pytest.fixture(scope="module")
def forked(original: Path, cut: StoredEvent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fork that ran to its end."""
    to = tmp_path_factory.mktemp("forked") / "project"
    with closing(Project(original)) as project:
        fork = fork_project(project, cut.place.step, json.dumps(RANDOM), to)
    with closing(fork):
        assert drive(fork, encoder=HashEncoder()).status == "finished"
    return to


def fork(original: Path, at: StoredEvent, to: Path, decision: Any = RANDOM) -> list[str]:
    """The command that forks."""
    text = decision if isinstance(decision, str) else json.dumps(decision)
    step = str(at.place.step)
    return ["fork", str(original), "--at", step, "--decision", text, "--to", str(to)]


def test_a_fork_finishes_verifies_and_keeps_the_trace_up_to_the_cut(
    original: Path, cut: StoredEvent, forked: Path
) -> None:
    before, after = events(original), events(forked)
    kept = cut.seq - 1
    assert after[:kept] == before[:kept]
    noted, decided = after[kept], after[kept + 1]
    assert isinstance(noted.event, RunEvent)
    assert noted.event.what == "forked"
    assert cut.hash in noted.event.detail
    assert isinstance(decided.event, DecisionEvent)
    assert (decided.event.tool, decided.event.args) == ("select_samples", RANDOM["args"])
    assert decided.event.reason == "compare"
    assert decided.place.step == cut.place.step
    found = harness.fingerprint(forked)
    assert found["problems"] == []
    assert len(found["labels"]) == 120
    assert found["human_labels"] <= 40
    assert harness.asked_twice(forked) == []


def test_the_new_decision_is_carried_out_once_and_the_old_one_is_gone(
    cut: StoredEvent, forked: Path
) -> None:
    step = cut.place.step
    there = [each for each in events(forked) if each.place.step == step]
    ran = [each.event for each in there if each.key == f"tool:{step}"]
    assert [event.args for event in ran] == [RANDOM["args"]]  # type: ignore[union-attr]
    assert ran[0].result["strategy"] == "random"  # type: ignore[union-attr]
    decided = [each for each in there if isinstance(each.event, DecisionEvent)]
    assert len(decided) == 1


def test_the_original_is_not_touched(
    original: Path, cut: StoredEvent, tmp_path: Path, cli: Cli
) -> None:
    before = harness.contents(original)
    said = cli(*fork(original, cut, tmp_path / "fork"), "--json")
    assert (said.code, said.json["status"]) == (0, "finished")
    assert said.json["project"] == str(tmp_path / "fork")
    assert harness.contents(original) == before


def test_a_fork_has_a_run_of_its_own_and_can_be_forked(
    original: Path, forked: Path, cut: StoredEvent, tmp_path: Path, cli: Cli
) -> None:
    runs = {events(original)[-1].place.run, events(forked)[-1].place.run}
    assert len(runs) == 2
    again = tmp_path / "again"
    other = {"tool": "select_samples", "args": {"strategy": "random", "k": 4}}
    assert cli(*fork(forked, cut, again, other)).code == 0
    assert harness.fingerprint(again)["problems"] == []
    runs.add(events(again)[-1].place.run)
    assert len(runs) == 3


@pytest.mark.parametrize("tool", ["request_review", "finish"])
def test_decisions_that_review_or_finish_can_be_forked(
    tool: str, original: Path, tmp_path: Path, cli: Cli
) -> None:
    at = decision_of(original, tool)
    assert isinstance(at.event, DecisionEvent)
    args = at.event.args if tool == "finish" else {**at.event.args, "k": 3}
    assert cli(*fork(original, at, tmp_path / "fork", {"tool": tool, "args": args})).code == 0
    found = harness.fingerprint(tmp_path / "fork")
    assert (found["problems"], len(found["labels"])) == ([], 120)
    assert harness.asked_twice(tmp_path / "fork") == []


def test_the_first_decision_of_all_can_be_forked(original: Path, tmp_path: Path, cli: Cli) -> None:
    first = next(each for each in events(original) if isinstance(each.event, DecisionEvent))
    assert isinstance(first.event, DecisionEvent)
    same = {"tool": first.event.tool, "args": first.event.args}
    assert cli(*fork(original, first, tmp_path / "fork", same)).code == 0
    assert harness.fingerprint(tmp_path / "fork") == harness.fingerprint(original)


def test_a_fork_waits_for_a_person_and_is_resumed(
    original: Path, cut: StoredEvent, tmp_path: Path, cli: Cli
) -> None:
    to = tmp_path / "fork"
    said = cli(*fork(original, cut, to), "--reviewer", "none")
    assert said.code == 10
    assert cli("status", str(to), "--json").json["finished"] is False
    assert cli("resume", str(to)).code == 0
    assert harness.fingerprint(to)["problems"] == []


def test_the_fork_has_the_task_spec_of_the_cut(tmp_path: Path, cli: Cli) -> None:
    folder = tmp_path / "project"
    data = harness.sample(tmp_path / "messages.csv")
    assert cli(*harness.arguments(data, folder, reviewer="none")).code == 10
    at = next(each for each in events(folder) if isinstance(each.event, DecisionEvent))
    path = folder / "task.yaml"
    path.write_text(path.read_text().replace("guidelines: ''", "guidelines: later words"))
    assert cli("resume", str(folder)).code == 10
    assert any(
        isinstance(each.event, SpecEvent) and each.event.origin == "edited by hand"
        for each in events(folder)
    )
    assert isinstance(at.event, DecisionEvent)
    same = {"tool": at.event.tool, "args": at.event.args}
    assert cli(*fork(folder, at, tmp_path / "fork", same), "--reviewer", "none").code == 10
    assert "later words" not in (tmp_path / "fork" / "task.yaml").read_text()
    project = Project(tmp_path / "fork")
    assert project.spec is not None
    assert project.spec.guidelines == ""
    project.close()


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        ("{not json", "--decision is not JSON"),
        ("[1]", "names no tool"),
        ('{"args": {}}', "names no tool"),
        ('{"tool": "drop_tables"}', "drop_tables"),
        ('{"tool": "finish"}', "not legal now"),
        ('{"tool": "select_samples", "args": {"strategy": "psychic", "k": 3}}', "strategy"),
        ('{"tool": "select_samples", "args": {"strategy": "random", "k": 0}}', "k"),
        ('{"tool": "select_samples", "args": 7}', "args"),
        ('{"tool": "request_review", "args": {"purpose": "audit", "k": 3}}', "not legal now"),
    ],
)
def test_a_decision_that_cannot_be_is_refused(
    decision: str, says: str, original: Path, cut: StoredEvent, tmp_path: Path, cli: Cli
) -> None:
    before = harness.contents(original)
    said = cli(*fork(original, cut, tmp_path / "fork", decision))
    assert said.code == 2
    assert says in said.error_line
    assert list(tmp_path.iterdir()) == []
    assert harness.contents(original) == before


@pytest.mark.parametrize("at", [0, 999])
def test_an_unknown_decision_is_refused(at: int, original: Path, tmp_path: Path, cli: Cli) -> None:
    to = tmp_path / "fork"
    args = ["--at", str(at), "--decision", json.dumps(RANDOM), "--to", str(to)]
    said = cli("fork", str(original), *args)
    assert said.code == 2
    assert f"no decision {at}" in said.error_line
    assert "labelwright audit" in said.error_line
    assert not to.exists()


def test_an_existing_folder_is_refused(
    original: Path, cut: StoredEvent, tmp_path: Path, cli: Cli
) -> None:
    to = tmp_path / "fork"
    to.mkdir()
    (to / "mine.txt").write_text("keep")
    said = cli(*fork(original, cut, to))
    assert said.code == 2
    assert "choose another with --to" in said.error_line
    assert harness.contents(to).keys() == {"mine.txt"}
    shutil.rmtree(to)
