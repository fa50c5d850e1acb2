"""The desk that answers go over, and the simulated reviewer, on a real store and pool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from labelwright.app.reviewers import Desk, NobodyReviews, SimulatedReviewer
from labelwright.models.progress import NoProgress
from labelwright.store.database import Store
from labelwright.store.errors import UserError
from labelwright.store.events import AnswerEvent, RunEvent
from labelwright.store.pool import Pool
from labelwright.store.records import Question, ReviewRequest
from labelwright.store.spec import TaskSpec
from labelwright.store.trace import Place

MakeDesk = Callable[..., Desk]
PLACE = Place("r1", 1, "review")
SPEC = TaskSpec.checked(
    {
        "goal": "Sort messages",
        "labels": [{"name": "billing"}, {"name": "bug"}, {"name": "other"}],
        "text_columns": ["text"],
    }
)


@pytest.fixture
def make_desk(tmp_path: Path) -> MakeDesk:
    """A project with as many items as gold labels, and a review of all of them."""

    def make(gold: list[str | None]) -> Desk:
        n = len(gold)
        ids, texts = [f"m{i}" for i in range(n)], [f"text {i}" for i in range(n)]
        Pool.write(tmp_path, pa.array(ids), pa.array(texts), pa.array(gold, pa.string()))
        request = ReviewRequest("v1", "gold", tuple(Question(row) for row in range(n)), 1)
        store = Store.create(tmp_path)
        with store.transaction(PLACE) as writer:
            writer.open_review(request)
            writer.event("start", RunEvent(what="started"))
        return Desk(store, Pool(tmp_path), SPEC, request, PLACE, "ann", "human")

    return make


def simulated(folder: Path, error_rate: float, seed: int = 0) -> SimulatedReviewer:
    return SimulatedReviewer(folder, error_rate=error_rate, seed=seed, progress=NoProgress())


def given(desk: Desk) -> dict[int, str | None]:
    return {row: each.label for row, each in desk.store.standing_answers("v1").items()}


def test_an_answer_is_stored_with_its_trace_event(make_desk: MakeDesk) -> None:
    desk = make_desk(["bug", "bug"])
    desk.answer(desk.open_questions()[1], "billing")
    event = desk.store.events()[-1].event
    assert isinstance(event, AnswerEvent)
    assert (event.item, event.action, event.label, event.by) == ("m1", "label", "billing", "ann")
    assert given(desk) == {1: "billing"}
    assert desk.store.verify() == []


def test_a_label_outside_the_task_is_refused_and_nothing_written(make_desk: MakeDesk) -> None:
    desk = make_desk(["bug"])
    with pytest.raises(UserError, match="'Bug' is not a label: use one of billing, bug, other"):
        desk.answer(desk.open_questions()[0], "Bug")
    assert desk.store.answer_log("v1") == []


def test_a_skipped_question_is_not_open_any_more(make_desk: MakeDesk) -> None:
    desk = make_desk(["bug", "bug"])
    desk.skip(desk.request.questions[0])
    assert [each.row for each in desk.open_questions()] == [1]
    assert given(desk) == {0: None}


def test_undo_takes_back_in_reverse_order_of_answering(make_desk: MakeDesk) -> None:
    desk = make_desk(["bug", "bug", "bug"])
    for row in (2, 0):
        desk.answer(desk.request.questions[row], "bug")
    undone = [desk.undo(), desk.undo(), desk.undo()]
    assert [each and each.row for each in undone] == [0, 2, None]
    assert len(desk.open_questions()) == 3
    assert [each.action for each in desk.store.answer_log("v1")] == ["label"] * 2 + ["undo"] * 2
    assert desk.store.verify() == []


def test_an_answer_given_again_is_the_last_one_to_be_taken_back(make_desk: MakeDesk) -> None:
    desk = make_desk(["bug", "bug"])
    first, second = desk.request.questions
    desk.answer(first, "bug")
    desk.answer(second, "bug")
    desk.answer(first, "other")
    assert [each.row for each in desk.answered()] == [1, 0]
    assert desk.undo() == first


def test_a_desk_opened_again_knows_what_was_answered(make_desk: MakeDesk) -> None:
    desk = make_desk(["bug", "bug"])
    desk.answer(desk.request.questions[0], "bug")
    desk.store.close()
    store = Store.open(desk.store.folder)
    again = Desk(store, desk.pool, SPEC, store.review("v1"), PLACE, "bob", "human")
    assert [each.row for each in again.open_questions()] == [1]
    assert again.undo() == desk.request.questions[0]


def test_the_simulated_reviewer_gives_gold_and_skips_where_there_is_none(
    make_desk: MakeDesk,
) -> None:
    desk = make_desk(["bug", None, "other"])
    assert simulated(desk.store.folder, 0.0).review(desk)
    assert given(desk) == {0: "bug", 1: None, 2: "other"}
    assert desk.store.verify() == []


def test_the_simulated_reviewer_errs_at_the_rate_it_was_given(make_desk: MakeDesk) -> None:
    desk = make_desk(["bug"] * 200)
    simulated(desk.store.folder, 0.25).review(desk)
    wrong = [label for label in given(desk).values() if label != "bug"]
    # 200 draws of 0.25: mean 50, standard deviation 6.1; five of them on either side.
    assert 20 <= len(wrong) <= 80
    assert set(wrong) == {"billing", "other"}


def test_an_error_rate_of_one_is_never_right(make_desk: MakeDesk) -> None:
    desk = make_desk(["bug"] * 20)
    simulated(desk.store.folder, 1.0).review(desk)
    assert "bug" not in given(desk).values()


def test_the_same_seed_gives_the_same_answer_after_undo(make_desk: MakeDesk) -> None:
    desk = make_desk(["bug"] * 30)
    reviewer = simulated(desk.store.folder, 0.5, seed=3)
    reviewer.review(desk)
    before = given(desk)
    for _ in range(10):
        desk.undo()
    reviewer.review(desk)
    assert given(desk) == before
    other = simulated(desk.store.folder, 0.5, seed=4)
    while desk.undo():
        pass
    other.review(desk)
    assert given(desk) != before


def test_the_simulated_reviewer_needs_gold_labels(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--gold-column"):
        simulated(tmp_path, 0.0)


def test_nobody_pauses_until_all_is_answered(make_desk: MakeDesk) -> None:
    desk = make_desk(["bug"])
    assert not NobodyReviews().review(desk)
    assert NobodyReviews().approve({}, SPEC) is None
    desk.skip(desk.request.questions[0])
    assert NobodyReviews().review(desk)
