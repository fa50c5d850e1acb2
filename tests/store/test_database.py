"""The store: one transaction, rows that stay, and what the queries say."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labelwright.store.database import DATABASE, Store
from labelwright.store.errors import OperatorError, UserError
from labelwright.store.events import RunEvent
from labelwright.store.records import (
    Annotation,
    Answer,
    Artefact,
    Charge,
    ModelCall,
    Question,
    ReviewRequest,
)
from labelwright.store.schema import LOGGED
from labelwright.store.trace import Place
from sqlalchemy.exc import IntegrityError

PLACE = Place("run-1", 1, "act")
STARTED = RunEvent(what="started")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.create(tmp_path)
    yield store
    store.close()


def given(row: int, label: str | None, **fields: Any) -> Annotation:
    values: dict[str, Any] = {
        "item": f"m{row}",
        "kind": "human",
        "annotator": "ann",
        "version": "1",
        "purpose": "train",
        **fields,
    }
    return Annotation(row=row, label=label, **values)


def write(store: Store, key: str, *annotations: Annotation) -> None:
    with store.transaction(PLACE) as writer:
        writer.annotate(annotations)
        writer.event(key, STARTED)


def fill(store: Store) -> None:
    """One row in every logged table."""
    with store.transaction(PLACE) as writer:
        writer.annotate([given(0, "bug")])
        writer.charge([Charge("usd", 0.5, "ann")])
        writer.keep([Artefact("model", {"name": "a"})])
        writer.effect("step-0001", {"done": True})
        writer.open_review(ReviewRequest("gold-1", "gold", (Question(3),), 1))
        writer.answer(Answer("gold-1", 3, "label", "bug", "ann", "human"))
        writer.calls([ModelCall("k", "openai:m", "annotate", "ok", True, 0, 0, 0.0, 0.0, "yes")])
        writer.event("all", STARTED)


class _StopHere(Exception):
    pass


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    def fails() -> None:
        with store.transaction(PLACE) as writer:
            writer.annotate([given(0, "bug")])
            writer.effect("step-0001", {})
            writer.event("one", STARTED)
            raise _StopHere

    with pytest.raises(_StopHere):
        fails()
    assert store.annotations() == []
    assert store.effect("step-0001") is None
    assert store.events() == []
    assert store.head() == "0" * 64
    write(store, "one", given(0, "bug"))
    assert len(store.annotations()) == 1


def test_rows_without_an_event_are_refused_and_not_written(store: Store) -> None:
    with (
        pytest.raises(RuntimeError, match="without an event"),
        store.transaction(PLACE) as writer,
    ):
        writer.annotate([given(0, "bug")])
    assert store.annotations() == []


def test_the_same_effect_twice_is_refused_with_all_that_came_along(store: Store) -> None:
    with store.transaction(PLACE) as writer:
        writer.effect("step-0001", {"n": 1})
        writer.event("first", STARTED)

    def again() -> None:
        with store.transaction(PLACE) as writer:
            writer.annotate([given(0, "bug")])
            writer.effect("step-0001", {"n": 2})
            writer.event("second", STARTED)

    with pytest.raises(IntegrityError):
        again()
    assert store.effect("step-0001") == {"n": 1}
    assert store.annotations() == []
    assert store.verify() == []


def test_the_same_event_key_twice_is_refused(store: Store) -> None:
    write(store, "one", given(0, "bug"))
    with pytest.raises(IntegrityError):
        write(store, "one", given(1, "bug"))
    assert len(store.annotations()) == 1


@pytest.mark.parametrize("table", [*LOGGED, "events"])
@pytest.mark.parametrize("verb", ["update", "delete"])
def test_rows_can_be_neither_changed_nor_deleted(
    store: Store, tmp_path: Path, table: str, verb: str
) -> None:
    fill(store)
    column = "time" if table == "events" else "event"
    statement = f"UPDATE {table} SET {column} = 9" if verb == "update" else f"DELETE FROM {table}"
    connection = sqlite3.connect(tmp_path / DATABASE)
    with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
        connection.execute(statement)
    connection.close()
    assert store.verify() == []


def test_opening_a_folder_without_a_project_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a Labelwright project .*labelwright run"):
        Store.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_table_is_an_operators_error(store: Store, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.execute("DROP TABLE ledger")
    connection.commit()
    connection.close()
    with pytest.raises(OperatorError, match=r"no such table: ledger.*nothing is lost"):
        store.totals()


def test_annotations_come_back_as_they_were_written(store: Store) -> None:
    full = given(
        2,
        "bug",
        confidence=0.25,
        distribution=(0.5, 0.25, 0.25),
        rationale="says crash — «так»",
        usd=0.125,
        round=3,
        review="train-1",
    )
    refused = given(1, None)
    write(store, "one", full, refused)
    assert store.annotations() == [full, refused]
    assert store.annotations(row=1) == [refused]
    assert store.annotations(purposes=("gold",)) == []
    assert store.annotations(kinds=("human",)) == [full, refused]


def test_an_absent_confidence_stays_absent(store: Store) -> None:
    write(store, "one", given(0, "bug"))
    (found,) = store.annotations()
    assert found.confidence is None
    assert found.distribution is None


def test_the_newest_human_label_counts(store: Store) -> None:
    write(store, "one", given(0, "bug"), given(1, "bug"), given(2, "praise", kind="simulated"))
    write(store, "two", given(0, "billing", purpose="audit"), given(1, None))
    assert store.human_labels() == {0: "billing", 1: "bug", 2: "praise"}
    assert store.human_labels(("audit",)) == {0: "billing"}
    assert store.label_counts() == {"billing": 1, "bug": 1, "praise": 1}


def test_a_machines_answers_are_no_human_labels(store: Store) -> None:
    write(store, "one", given(0, "bug", kind="embedded", purpose="accept"))
    write(store, "two", given(1, "bug", kind="learner", purpose="final"))
    assert store.human_labels() == {}
    assert store.label_counts() == {}


def test_totals_add_up_the_ledger(store: Store) -> None:
    nothing = store.totals()
    with store.transaction(PLACE) as writer:
        writer.charge([Charge("usd", 0.5, "a"), Charge("human_label", 3, "a")])
        writer.charge([Charge("tokens_in", 10, "m"), Charge("tokens_out", 5, "m")])
        writer.charge([Charge("usd", 0.25, "b"), Charge("seconds", 2.5, "t")])
        writer.event("one", STARTED)
    totals = store.totals()
    assert (nothing.human_labels, nothing.usd, nothing.tokens, nothing.seconds) == (0, 0, 0, 0)
    assert (totals.human_labels, totals.usd, totals.tokens, totals.seconds) == (3, 0.75, 15, 2.5)


def test_the_newest_artefact_is_current_and_the_older_stay(store: Store) -> None:
    for number in (1, 2):
        with store.transaction(PLACE) as writer:
            writer.keep([Artefact("model", {"n": number}), Artefact("other", {"n": -number})])
            writer.event(f"e{number}", STARTED)
    assert store.artefact("model") == {"n": 2}
    assert store.artefact_history("model") == [{"n": 1}, {"n": 2}]
    assert store.artefact("none") is None


def test_a_read_inside_remembering_is_fresh_in_the_next_block(store: Store) -> None:
    with store.remembering():
        assert store.artefact("model") is None
    with store.transaction(PLACE) as writer:
        writer.keep([Artefact("model", {"n": 1})])
        writer.event("one", STARTED)
    with store.remembering():
        assert store.artefact("model") == {"n": 1}


def _answers(store: Store, *said: tuple[int, str, str | None]) -> None:
    for number, (row, action, label) in enumerate(said):
        with store.transaction(PLACE) as writer:
            writer.answer(Answer("gold-1", row, action, label, "ann", "human"))  # type: ignore[arg-type]
            writer.event(f"answer:{number}", STARTED)


def test_the_last_answer_to_a_row_stands_and_undo_takes_it_back(store: Store) -> None:
    _answers(
        store,
        (1, "label", "bug"),
        (2, "label", "bug"),
        (1, "label", "praise"),
        (3, "skip", None),
        (2, "undo", None),
    )
    standing = store.standing_answers("gold-1")
    assert {row: answer.label for row, answer in standing.items()} == {1: "praise", 3: None}
    assert len(store.answer_log("gold-1")) == 5
    assert store.standing_answers("another") == {}


def test_an_undone_row_can_be_answered_again(store: Store) -> None:
    _answers(store, (1, "label", "bug"), (1, "undo", None), (1, "label", "praise"))
    assert store.standing_answers("gold-1")[1].label == "praise"


def test_a_review_comes_back_as_it_was_opened(store: Store) -> None:
    request = ReviewRequest(
        "train-1", "train", (Question(4, "bug", 0.5, "why", ("praise",)), Question(9)), 2
    )
    with store.transaction(PLACE) as writer:
        writer.open_review(request)
        writer.event("one", STARTED)
    assert store.review("train-1") == request
    assert store.reviews() == [request]
    assert store.asked_rows() == {4, 9}


def test_meta_is_replaced_and_outlives_the_connection(store: Store, tmp_path: Path) -> None:
    store.set_meta("run", "a")
    store.set_meta("run", "b")
    store.close()
    again = Store.open(tmp_path)
    assert again.get_meta("run") == "b"
    assert again.get_meta("none") is None
    again.close()


def test_cut_after_forgets_what_came_later_and_the_rest_verifies(store: Store) -> None:
    write(store, "one", given(0, "bug"))
    write(store, "two", given(1, "bug"))
    head = store.events()[0].hash
    write(store, "three", given(2, "bug"))
    store.cut_after(1)
    assert [event.key for event in store.events()] == ["one"]
    assert [each.row for each in store.annotations()] == [0]
    assert store.head() == head
    assert store.verify() == []
    write(store, "two again", given(5, "bug"))
    assert store.verify() == []


def test_after_cut_after_rows_are_protected_again(store: Store, tmp_path: Path) -> None:
    fill(store)
    store.cut_after(1)
    connection = sqlite3.connect(tmp_path / DATABASE)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM annotations")
    connection.close()


def test_cutting_everything_leaves_an_empty_trace(store: Store) -> None:
    fill(store)
    store.cut_after(0)
    assert store.events() == []
    assert store.verify() == []
    assert store.effect("step-0001") is None


def test_events_after_a_number(store: Store) -> None:
    for key in ("one", "two", "three"):
        write(store, key)
    assert [event.key for event in store.events(after=1)] == ["two", "three"]
    assert store.has_event("two")
    assert not store.has_event("four")
