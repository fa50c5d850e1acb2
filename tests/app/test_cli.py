"""The command line: exit codes, pausing and going on, what scripts read."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import harness
import pytest
from labelwright.store.files import ProjectLock

Cli = Callable[..., harness.Said]
HEAVY = ("torch", "langgraph", "numpy", "sklearn", "pyarrow", "transformers", "pandas")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A file of 120 messages."""
    return harness.sample(tmp_path / "messages.csv")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, harness.Said]:
    """A project that the real command line took from a goal to its end, and what that said."""
    base = tmp_path_factory.mktemp("finished")
    args = harness.arguments(harness.sample(base / "messages.csv"), base / "project")
    child = harness.start(*args, "--json")
    out, err = child.communicate(timeout=300)
    return base / "project", harness.Said(child.returncode, out, err)


def test_importing_the_command_line_imports_nothing_heavy() -> None:
    script = (
        f"import sys; import labelwright.app.cli; print([m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_run_and_project_come_from_the_package() -> None:
    script = "from labelwright.app import run, Project, RunResult; "
    script += "print(callable(run), Project.__name__, RunResult.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True Project RunResult\n"


@pytest.mark.slow
def test_the_real_encoder_through_the_real_command(tmp_path: Path) -> None:
    data = harness.sample(tmp_path / "messages.csv", 60)
    args = harness.arguments(data, tmp_path / "project", human_labels=30)
    done = subprocess.run(
        [sys.executable, "-m", "labelwright.app.cli", *args, "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["status"], found["totals"]["human_labels"]) == ("finished", 30)
    assert "Traceback" not in done.stderr


# --- what scripts read --------------------------------------------------------------------------


def test_json_prints_exactly_one_object(finished: tuple[Path, harness.Said]) -> None:
    folder, said = finished
    assert said.code == 0, said
    assert said.out.count("\n") == 1
    found = said.json
    assert found["status"] == "finished"
    assert found["project"] == str(folder)
    assert found["waiting"] is None
    assert found["totals"]["human_labels"] == 40
    assert found["certificate"]["delivered_low"] <= found["certificate"]["delivered_high"]
    assert len(found["head"]) == 64
    for name in found["files"]:
        assert (folder / name).exists(), name
    assert {"exports/labels.csv", "models/final", "report.html"} <= set(found["files"])


def test_without_json_the_outcome_is_on_standard_output(tmp_path: Path, cli: Cli) -> None:
    data = harness.sample(tmp_path / "messages.csv", 40)
    said = cli(*harness.arguments(data, tmp_path / "project", human_labels=20))
    assert (said.code, said.err) == (0, "")
    for name in ("labelled data", "classifier", "report", "accuracy", "human labels", "trace head"):
        assert name in said.out


def test_status_as_json(finished: tuple[Path, harness.Said], cli: Cli) -> None:
    folder, _ = finished
    said = cli("status", str(folder), "--json")
    assert (said.code, said.err) == (0, "")
    found = said.json
    assert (found["finished"], found["running"], found["waiting"]) == (True, False, None)
    assert (found["items"], found["human_labels"], found["human_labels_budget"]) == (120, 40, 40)
    assert found["usd"] == 10.0
    assert found["certificate"]["n_audited"] > 0


def test_resume_of_a_finished_project_changes_nothing(
    finished: tuple[Path, harness.Said], cli: Cli
) -> None:
    folder, said = finished
    before = harness.contents(folder)
    again = cli("resume", str(folder), "--json")
    assert again.code == 0
    assert again.json["head"] == said.json["head"]
    after = harness.contents(folder)
    assert {name for name in after if before.get(name) != after[name]} <= {".lock"}


def test_audit_verify_knows_the_head_that_was_shown(
    finished: tuple[Path, harness.Said], cli: Cli
) -> None:
    folder, said = finished
    assert cli("audit", str(folder), "--verify", "--head", said.json["head"]).code == 0
    wrong = cli("audit", str(folder), "--verify", "--head", "f" * 64)
    assert wrong.code == 1
    assert "f" * 64 in wrong.out


def test_audit_as_json_is_one_event_a_line(finished: tuple[Path, harness.Said], cli: Cli) -> None:
    said = cli("audit", str(finished[0]), "--json")
    found = [json.loads(line) for line in said.out.splitlines()]
    assert [event["seq"] for event in found] == list(range(1, len(found) + 1))


def test_export_of_one_format_to_another_folder(
    finished: tuple[Path, harness.Said], tmp_path: Path, cli: Cli
) -> None:
    to = tmp_path / "elsewhere"
    said = cli("export", str(finished[0]), "--format", "csv", "--to", str(to))
    assert (said.code, said.out) == (0, f"{to / 'labels.csv'}\n")
    assert [path.name for path in to.iterdir()] == ["labels.csv"]
    with (to / "labels.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 120


def test_export_before_the_end_says_what_to_do(data: Path, tmp_path: Path, cli: Cli) -> None:
    folder = tmp_path / "project"
    assert cli(*harness.arguments(data, folder, reviewer="none")).code == 10
    said = cli("export", str(folder), "--to", str(tmp_path / "elsewhere"))
    assert said.code == 2
    assert "labelwright resume" in said.error_line
    assert not (tmp_path / "elsewhere").exists()


# --- pausing and going on -----------------------------------------------------------------------


def test_nobody_to_ask_pauses_with_10_and_says_how_to_go_on(
    data: Path, tmp_path: Path, cli: Cli
) -> None:
    folder = tmp_path / "project"
    said = cli(*harness.arguments(data, folder, reviewer="none"))
    assert (said.code, said.err) == (10, "")
    assert f"labelwright review {folder}" in said.out
    waiting = cli("status", str(folder), "--json").json["waiting"]
    assert (waiting["kind"], waiting["purpose"]) == ("review", "train")
    again = cli("resume", str(folder), "--json")
    assert (again.code, again.json["status"]) == (10, "paused")
    assert again.json["waiting"] == waiting


def test_a_paused_project_goes_on_elsewhere(data: Path, tmp_path: Path, cli: Cli) -> None:
    here, there = tmp_path / "here", tmp_path / "moved" / "there"
    straight = tmp_path / "straight"
    assert cli(*harness.arguments(data, here, reviewer="none")).code == 10
    there.parent.mkdir()
    here.rename(there)
    data.rename(tmp_path / "gone.csv")
    assert cli("resume", str(there), "--reviewer", "simulated").code == 0
    assert cli(*harness.arguments(tmp_path / "gone.csv", straight)).code == 0
    assert harness.fingerprint(there) == harness.fingerprint(straight)


def test_reviewing_by_lines_and_resuming_to_the_end(tmp_path: Path, cli: Cli) -> None:
    data = harness.sample(tmp_path / "messages.csv", 40)
    folder = tmp_path / "project"
    made = cli(*harness.arguments(data, folder, reviewer="none", human_labels=20, autonomy="auto"))
    assert made.code == 10
    half = cli("review", str(folder), stdin="1\n2\n")
    assert half.code == 10
    assert "kept" in half.out
    reviewed = 0
    for _ in range(30):
        said = cli("review", str(folder), stdin="1\n" * 60)
        assert said.code == 0, said
        reviewed += 1
        if cli("resume", str(folder)).code == 0:
            break
    assert reviewed >= 2
    found = harness.fingerprint(folder)
    assert (found["human_labels"], found["problems"]) == (20, [])
    assert harness.asked_twice(folder) == []


def test_an_answer_kept_by_review_is_not_asked_again(tmp_path: Path, cli: Cli) -> None:
    data = harness.sample(tmp_path / "messages.csv", 40)
    folder = tmp_path / "project"
    given = {"reviewer": "none", "human_labels": 20, "autonomy": "ask-all"}
    assert cli(*harness.arguments(data, folder, **given)).code == 10
    assert cli("status", str(folder), "--json").json["waiting"]["subject"] == "spec"
    assert cli("review", str(folder), stdin="y\n").code == 0
    again = cli("review", str(folder), stdin="n\n")
    assert again.code == 0
    assert cli("resume", str(folder)).code == 10
    assert cli("status", str(folder), "--json").json["waiting"]["subject"] == "decision"


def test_ctrl_c_stops_with_10_and_resume_goes_on(
    data: Path, tmp_path: Path, finished: tuple[Path, harness.Said], cli: Cli
) -> None:
    folder = tmp_path / "project"
    child = harness.start(*harness.arguments(data, folder))
    deadline = time.monotonic() + 120
    while harness.events(folder) < 8:
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 10, err
    assert f"labelwright resume {folder}" in out
    assert "Traceback" not in err
    assert not ProjectLock.held(folder)
    assert cli("resume", str(folder)).code == 0
    assert harness.fingerprint(folder) == harness.fingerprint(finished[0])


# --- task.yaml by hand --------------------------------------------------------------------------


@pytest.fixture
def paused(data: Path, tmp_path: Path, cli: Cli) -> Path:
    """A project that waits for its first answers."""
    folder = tmp_path / "project"
    assert cli(*harness.arguments(data, folder, reviewer="none")).code == 10
    return folder


def test_edits_of_the_task_are_adopted_and_in_the_trace(paused: Path, cli: Cli) -> None:
    path = paused / "task.yaml"
    text = path.read_text(encoding="utf-8")
    changed = text.replace("human_labels: 40", "human_labels: 30")
    changed = changed.replace("guidelines: ''", "guidelines: Refunds are returns – always.")
    assert changed.count("30") > text.count("30")
    path.write_text(changed, encoding="utf-8")
    assert cli("resume", str(paused), "--reviewer", "simulated").code == 0
    specs = [
        json.loads(line)["event"]
        for line in cli("audit", str(paused), "--json").out.splitlines()
        if json.loads(line)["event"]["type"] == "spec"
    ]
    assert [each["origin"] for each in specs][1:] == ["edited by hand"]
    assert specs[1]["spec"]["guidelines"] == "Refunds are returns – always."
    assert harness.fingerprint(paused)["human_labels"] == 30
    assert cli("audit", str(paused), "--verify").code == 0


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("human_labels: 40", "human_labels: many", "budgets.human_labels"),
        ("human_labels: 40", "human_label: 40", "budgets.human_label"),
        ("autonomy: ask-labels", "autonomy: none", "autonomy"),
        ("confidence_level: 0.95", "confidence_level: 7", "confidence_level"),
        ("- name: delivery", "- name: returns", "the same"),
        ("goal: ", "goal: [", "not valid YAML"),
        ("version: 1", "version: 2", "version"),
    ],
)
def test_edits_that_cannot_be_are_refused_and_may_be_taken_back(
    old: str, new: str, says: str, paused: Path, cli: Cli
) -> None:
    path = paused / "task.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    said = cli("resume", str(paused))
    assert said.code == 2
    assert "task.yaml" in said.error_line
    assert says in said.error_line
    path.write_text(text, encoding="utf-8")
    assert cli("resume", str(paused)).code == 10


def test_a_task_that_is_no_text_is_refused(paused: Path, cli: Cli) -> None:
    (paused / "task.yaml").write_bytes(b"goal: caf\xe9\n")
    said = cli("resume", str(paused))
    assert said.code == 2
    assert "task.yaml" in said.error_line
    assert "UTF-8" in said.error_line


def test_a_label_that_was_given_cannot_be_taken_away(paused: Path, cli: Cli) -> None:
    assert cli("resume", str(paused), "--reviewer", "simulated").code == 0
    path = paused / "task.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("name: account", "name: profile"), encoding="utf-8")
    said = cli("resume", str(paused))
    assert said.code == 2
    assert "start a new project" in said.error_line
