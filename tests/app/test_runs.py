"""The whole job from Python: `run`, `create_project`, `drive`, `answer_and_keep`, `Project`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import harness
import pytest
from labelwright.app.answering import answer_and_keep
from labelwright.app.options import Options
from labelwright.app.project import Project
from labelwright.app.reviewers import Desk, NobodyReviews, SimulatedReviewer
from labelwright.app.runs import RunResult, create_project, drive, run
from labelwright.graphs.state import ApprovalAnswer, EditedAction
from labelwright.models.progress import NoProgress, Task
from labelwright.store.errors import UserError
from labelwright.store.events import ApprovalEvent, RunEvent
from labelwright.store.spec import TaskSpec
from support import HashEncoder, final_labels

SMALL = {**harness.OPTIONS, "human_labels": 20}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 40 messages."""
    return harness.sample(tmp_path_factory.mktemp("data") / "messages.csv", 40)


def go(data: Path, folder: Path, **changed: Any) -> RunResult:
    """A run on the small file."""
    given: dict[str, Any] = {**SMALL, "encoder": HashEncoder(), "project": folder, **changed}
    return run(harness.GOAL, data, **given)


@contextmanager
def made(data: Path, folder: Path, **changed: Any) -> Iterator[Project]:
    """A project that has not begun."""
    given: dict[str, Any] = {**SMALL, **changed}
    with closing(
        create_project(Options(goal=harness.GOAL, data=str(data), project=folder, **given))
    ) as project:
        yield project


class Notes:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.bars: dict[str, list[int]] = {}

    def __call__(self, what: str, detail: dict[str, Any]) -> None:
        self.told.append((what, detail))

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Task]:
        """A bar whose steps are added up."""
        bar = self.bars.setdefault(title, [0, 0])
        bar[1] += total
        notes = self.bars

        class Bar:
            def advance(self, units: int = 1) -> None:
                notes[title][0] += units

        yield Bar()


def test_a_run_returns_what_it_came_to(data: Path, tmp_path: Path) -> None:
    result = go(data, tmp_path / "project")
    assert (result.status, result.exit_code, result.waiting) == ("finished", 0, None)
    assert result.totals.human_labels == 20
    assert result.totals.usd == 5.0
    with closing(Project(tmp_path / "project")) as project:
        assert result.head == project.store.head()
        assert project.verify(result.head) == []
        assert project.labels().num_rows == 40
        assert project.finished


def test_a_run_leaves_no_database_open(data: Path, tmp_path: Path) -> None:
    go(data, tmp_path / "project", reviewer="none")
    names = {path.name for path in (tmp_path / "project").iterdir()}
    assert "labelwright.db" in names
    assert not names & {"labelwright.db-wal", "labelwright.db-shm"}


def test_the_same_seed_gives_the_same_run_and_another_does_not(data: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        go(data, tmp_path / name, seed=seed)
    first, second, third = (harness.fingerprint(tmp_path / name) for name in "abc")
    assert first == second
    assert first["labels"] != third["labels"]


def test_what_happens_is_told_and_bars_come_to_their_ends(data: Path, tmp_path: Path) -> None:
    notes = Notes()
    go(data, tmp_path / "project", on_event=notes, progress=notes)
    kinds = [what for what, _ in notes.told]
    assert (kinds[0], kinds[-1]) == ("spec", "finished")
    assert {"decision", "result", "reviewed"} < set(kinds)
    assert kinds.count("decision") == max(d["step"] for w, d in notes.told if w == "decision")
    assert {"Embedding", "Scoring"} <= set(notes.bars)
    assert all(done == total for done, total in notes.bars.values()), notes.bars


def test_driving_a_finished_project_changes_nothing(data: Path, tmp_path: Path) -> None:
    first = go(data, tmp_path / "project")
    with closing(Project(tmp_path / "project")) as project:
        assert drive(project, encoder=HashEncoder()) == first


def test_a_project_folder_is_named_after_the_data_when_none_is_given(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = []
    for _ in range(3):
        given = Options(goal=harness.GOAL, data=str(data), **SMALL)
        with closing(create_project(given)) as project:
            names.append(project.folder.name)
    assert names == ["labelwright-messages", "labelwright-messages-2", "labelwright-messages-3"]


def test_the_name_of_the_data_cannot_lead_out_of_the_folder(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "..odd name;$(x).csv"
    shutil.copy(data, odd)
    monkeypatch.chdir(tmp_path)
    with closing(create_project(Options(goal=harness.GOAL, data=str(odd), **SMALL))) as project:
        assert project.folder == Path("labelwright-project")


def test_settings_and_spec_can_be_read_from_the_project(data: Path, tmp_path: Path) -> None:
    with made(data, tmp_path / "project", target_accuracy=0.8, usd=20.0) as project:
        assert project.spec is None
        assert drive(project, encoder=HashEncoder()).status == "finished"
        assert project.spec is not None
        assert project.spec == TaskSpec.read(tmp_path / "project" / "task.yaml")
        assert (project.spec.target_accuracy, project.spec.budgets.usd) == (0.8, 20.0)
        assert (project.settings.learner, project.settings.seed) == ("linear", 3)
        assert project.settings.label_price == 0.25


def test_a_money_budget_cannot_be_overspent(data: Path, tmp_path: Path) -> None:
    result = go(data, tmp_path / "project", usd=3.0)
    assert result.totals.usd <= 3.0
    assert result.status == "finished"


def test_labels_before_the_end_are_refused(data: Path, tmp_path: Path) -> None:
    result = go(data, tmp_path / "project", reviewer="none")
    assert (result.status, result.exit_code) == ("paused", 10)
    assert result.waiting is not None
    with (
        closing(Project(tmp_path / "project")) as project,
        pytest.raises(UserError, match="is not finished"),
    ):
        project.labels()


# --- reviewers that fail ------------------------------------------------------------------------


class Unsteady(SimulatedReviewer):
    """Gives a few answers and then fails as it is told."""

    def __init__(self, folder: Path, after: int, failure: BaseException) -> None:
        super().__init__(folder, error_rate=0.1, seed=3, progress=NoProgress())
        self._after, self._failure = after, failure

    def review(self, desk: Desk) -> bool:
        """Answer one by one, as the simulated reviewer would."""
        for question in desk.open_questions():
            if self._after == 0:
                raise self._failure
            self._after -= 1
            label = self._label(question.row, desk.labels)
            assert label is not None
            desk.answer(question, label)
        return True


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), ConnectionError("lost"), MemoryError()])
def test_answers_given_before_a_failure_are_kept(
    failure: BaseException, data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    with made(data, folder) as project:
        with pytest.raises(type(failure)):
            drive(project, reviewer=Unsteady(folder, 4, failure), encoder=HashEncoder())
        (review,) = project.store.reviews()
        assert len(project.store.standing_answers(review.id)) == 4
    with closing(Project(folder)) as project:
        assert drive(project, encoder=HashEncoder()).status == "finished"
    assert harness.asked_twice(folder) == []
    go(data, tmp_path / "straight")
    assert harness.fingerprint(folder) == harness.fingerprint(tmp_path / "straight")


def test_a_failing_listener_stops_the_run_and_it_goes_on(data: Path, tmp_path: Path) -> None:
    def fail(what: str, detail: dict[str, Any]) -> None:
        if detail.get("tool") == "train_model":
            raise RuntimeError("the screen is gone")

    folder = tmp_path / "project"
    with made(data, folder) as project:
        with pytest.raises(RuntimeError, match="the screen is gone"):
            drive(project, encoder=HashEncoder(), on_event=fail)
        assert drive(project, encoder=HashEncoder()).status == "finished"
    assert harness.fingerprint(folder)["problems"] == []


# --- answering without running ------------------------------------------------------------------


def waiting_for_approval(data: Path, folder: Path) -> None:
    """Make a project that waits for a word on a request for labels."""
    go(data, folder, autonomy="ask-labels", reviewer=OnlyReviews(folder))


class OnlyReviews(SimulatedReviewer):
    """Answers questions and leaves approvals to somebody else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def approve(self, payload: dict[str, Any], spec: TaskSpec) -> ApprovalAnswer | None:
        """Pause."""
        return None


class Edits(NobodyReviews):
    """Wants another call than the agent's."""

    def __init__(self, tool: str, **args: Any) -> None:
        self._action = EditedAction(name=tool, args=args)

    def approve(self, payload: dict[str, Any], spec: TaskSpec) -> ApprovalAnswer | None:
        """Give the edited call."""
        return ApprovalAnswer(type="edit", edited_action=self._action, by="tester")


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (Edits("finish"), "not legal now"),
        (Edits("request_review", purpose="train", k=999), "more than the 20 labels left"),
        (Edits("request_review", purpose="audit", k=3), "not legal now"),
        (Edits("make_coffee"), "no tool is called"),
        (Edits("request_review", purpose="train", k="many"), "argument 'k'"),
    ],
)
def test_a_kept_edit_is_held_to_the_rules(
    edit: Edits, says: str, data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    waiting_for_approval(data, folder)
    with closing(Project(folder)) as project:
        head = project.store.head()
        with pytest.raises(UserError, match=says):
            answer_and_keep(project, edit)
        assert project.store.head() == head


def test_a_kept_edit_is_carried_out(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    waiting_for_approval(data, folder)
    with closing(Project(folder)) as project:
        assert answer_and_keep(project, Edits("request_review", purpose="train", k=3))
        assert answer_and_keep(project, Edits("request_review", purpose="train", k=5))
        result = drive(project, reviewer=NobodyReviews(), encoder=HashEncoder())
        assert result.waiting is not None
        assert (result.waiting["kind"], result.waiting["questions"]) == ("review", 3)
        given = [e.event for e in project.store.events() if isinstance(e.event, ApprovalEvent)]
        assert [each.by for each in given if each.answer == "edit"] == ["tester"]


def test_nothing_to_answer_is_all_answered(data: Path, tmp_path: Path) -> None:
    with made(data, tmp_path / "project") as project:
        assert answer_and_keep(project, NobodyReviews())
        drive(project, encoder=HashEncoder())
        assert answer_and_keep(project, NobodyReviews())


def test_pauses_and_resumes_are_in_the_trace(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    go(data, folder, reviewer="none")
    with closing(Project(folder)) as project:
        drive(project, reviewer=NobodyReviews(), encoder=HashEncoder())
        simulated = SimulatedReviewer(folder, error_rate=0.0, seed=3, progress=NoProgress())
        drive(project, reviewer=simulated, encoder=HashEncoder())
        told = [e.event.what for e in project.store.events() if isinstance(e.event, RunEvent)]
    assert told == ["started", "paused", "resumed", "paused", "resumed", "finished"]


def test_two_projects_in_one_process_do_not_touch(data: Path, tmp_path: Path) -> None:
    with made(data, tmp_path / "a") as one, made(data, tmp_path / "b") as other:
        drive(one, reviewer=NobodyReviews(), encoder=HashEncoder())
        drive(other, encoder=HashEncoder())
        drive(one, encoder=HashEncoder())
        assert final_labels(one) == final_labels(other)


def test_one_project_twice_in_one_process_is_refused(data: Path, tmp_path: Path) -> None:
    with (
        made(data, tmp_path / "a") as one,
        closing(Project(tmp_path / "a")) as same,
        one.locked(),
        pytest.raises(UserError, match="in use by process"),
    ):
        drive(same, encoder=HashEncoder())
