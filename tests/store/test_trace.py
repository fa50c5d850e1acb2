"""The trace: nothing that was written can be changed, removed or added without being found."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from labelwright.store.database import DATABASE, Store
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
from labelwright.store.schema import LOGGED, events
from labelwright.store.trace import GENESIS, Place, Problem, event_hash, verify

EVENTS = 6
TABLES = sorted(LOGGED)
JSON_COLUMNS = {"distribution", "value", "result", "questions"}
SERIAL = {"annotations", "ledger", "artefacts", "answers", "calls"}
"""Tables whose `id` only counts: it says nothing, so it is not vouched for."""


def annotation(row: int) -> Annotation:
    return Annotation(
        row=row,
        item=f"m{row}",
        kind="human",
        annotator="ann",
        version="1",
        purpose="train",
        label="bug",
        confidence=0.5,
        distribution=(0.25, 0.75),
        rationale="why",
        round=1,
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with six events, each with two rows in every table."""
    folder = tmp_path_factory.mktemp("written")
    store = Store.create(folder)
    for n in range(1, EVENTS + 1):
        with store.transaction(Place("run-1", n, "act", 1, f"c{n}")) as writer:
            writer.annotate([annotation(2 * n), annotation(2 * n + 1)])
            writer.charge([Charge("usd", 0.5 * n, "ann"), Charge("seconds", 1.5, "t", "x")])
            writer.keep([Artefact("model", {"n": n}), Artefact("batch", {"rows": [n]})])
            for name in ("b", "a"):
                writer.effect(f"{name}-{n}", {"n": n})
                writer.open_review(
                    ReviewRequest(f"{name}-{n}", "gold", (Question(n, alternatives=("bug",)),), n)
                )
            for row in (1, 2):
                writer.answer(Answer(f"a-{n}", row, "label", "bug", "ann", "human"))
            made = ModelCall("k", "openai:m", "annotate", "ok", False, 5, 1, 0.01, 0.5, "yes")
            writer.calls([made, replace(made, key="l", cached=True)])
            writer.event(f"event:{n}", RunEvent(what="resumed", detail=str(n)))
    store.close()
    return folder


class Tampering:
    """A copy of the written database, open to anybody with an SQLite client."""

    def __init__(self, source: Path) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        original = sqlite3.connect(source / DATABASE)
        original.backup(self._connection)
        original.close()
        for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            self._connection.execute(f"DROP TRIGGER {name}")

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values).fetchall()

    def problems(self, head: str | None = None) -> list[Problem]:
        engine = sa.create_engine(
            "sqlite://", creator=lambda: self._connection, poolclass=sa.pool.StaticPool
        )
        try:
            with engine.connect() as connection:
                return verify(connection, head=head)
        finally:
            engine.dispose()


Tamper = Callable[[], Tampering]


@pytest.fixture
def tamper(written: Path) -> Tamper:
    return lambda: Tampering(written)


def in_place(function: Callable[..., None]) -> Callable[..., None]:
    """A property test that makes its own copy of the database for each example."""
    return settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )(given(st.data())(function))


def other_than(old: Any) -> st.SearchStrategy[Any]:
    """A value of any kind that SQLite can hold, other than the one there is."""
    anything = (
        st.text(max_size=8).filter(lambda text: "\x00" not in text)
        | st.integers(-(2**40), 2**40)
        | st.floats(allow_nan=False)
        | st.binary(max_size=8)
    )
    near = [old + 1, -old - 1] if isinstance(old, int | float) else [f"{old} ", f"x{old}"]
    return (anything | st.sampled_from(near)).filter(lambda new: new != old)


def test_an_untouched_trace_verifies(tamper: Tamper) -> None:
    assert tamper().problems() == []


@in_place
def test_an_edit_of_any_column_of_any_event_is_found(tamper: Tamper, data: st.DataObject) -> None:
    copy = tamper()
    seq = data.draw(st.integers(1, EVENTS))
    column = data.draw(st.sampled_from([column.name for column in events.c]))
    ((old,),) = copy.rows(f"SELECT {column} FROM events WHERE seq = ?", seq)
    new = data.draw(st.integers(-9, 99).filter(lambda n: n != seq)) if column == "seq" else None
    new = data.draw(other_than(old)) if new is None else new
    try:
        copy.rows(f"UPDATE events SET {column} = ? WHERE seq = ?", new, seq)
    except sqlite3.IntegrityError:
        assume(False)
    ((now,),) = copy.rows(
        f"SELECT {column} FROM events WHERE seq = ?", new if column == "seq" else seq
    )
    assume(now != old)
    named = {problem.seq for problem in copy.problems()}
    assert named
    assert column == "seq" or seq in named


@in_place
def test_a_missing_event_is_found(tamper: Tamper, data: st.DataObject) -> None:
    copy, seq = tamper(), data.draw(st.integers(1, EVENTS))
    copy.rows("DELETE FROM events WHERE seq = ?", seq)
    problems = copy.problems()
    assert any(problem.seq in (seq, seq + 1) for problem in problems)


@pytest.mark.parametrize("forget_head", [False, True])
def test_a_cut_off_end_is_found(tamper: Tamper, forget_head: bool) -> None:
    copy = tamper()
    copy.rows("DELETE FROM events WHERE seq = ?", EVENTS)
    for table in TABLES:
        copy.rows(f"DELETE FROM {table} WHERE event = ?", EVENTS)
    if forget_head:
        copy.rows("DELETE FROM meta WHERE key = 'trace_head'")
    assert [(each.seq, each.message) for each in copy.problems()] == [
        (EVENTS - 1, "the end of the trace is missing or was replaced")
    ]


def test_a_trace_cut_off_with_its_head_is_found_by_the_head_that_was_shown(
    tamper: Tamper, written: Path
) -> None:
    store = Store(written)
    shown = store.head()
    store.close()
    copy = tamper()
    for table in (*TABLES, "events"):
        name = "seq" if table == "events" else "event"
        copy.rows(f"DELETE FROM {table} WHERE {name} = ?", EVENTS)
    copy.rows("UPDATE meta SET value = (SELECT hash FROM events WHERE seq = ?)", EVENTS - 1)
    (problem,) = copy.problems(head=shown)
    assert shown in problem.message


def test_the_head_of_an_earlier_moment_is_still_good(tamper: Tamper, written: Path) -> None:
    store = Store(written)
    earlier = store.events()[2].hash
    store.close()
    assert tamper().problems(head=earlier) == []
    assert tamper().problems(head=GENESIS) == []
    assert len(tamper().problems(head="f" * 64)) == 1


@in_place
def test_two_swapped_events_are_found(tamper: Tamper, data: st.DataObject) -> None:
    copy = tamper()
    pair = st.lists(st.integers(1, EVENTS), min_size=2, max_size=2, unique=True)
    one, two = data.draw(pair)
    for old, new in ((one, -1), (two, one), (-1, two)):
        copy.rows("UPDATE events SET seq = ? WHERE seq = ?", new, old)
    named = {problem.seq for problem in copy.problems()}
    assert {one, two} <= named


def test_an_event_with_a_hash_made_to_fit_is_found_by_the_next(tamper: Tamper) -> None:
    copy = tamper()
    names = [column.name for column in events.c]
    (values,) = copy.rows(f"SELECT {', '.join(names)} FROM events WHERE seq = 3")
    row = {**dict(zip(names, values, strict=True)), "node": "another"}
    copy.rows("UPDATE events SET node = 'another', hash = ? WHERE seq = 3", event_hash(row))
    assert [(each.seq, each.message) for each in copy.problems()] == [
        (4, "it does not follow the event before it")
    ]


def _changed_json(old: str, data: st.DataObject) -> str:
    value = json.loads(old)
    new = data.draw(st.sampled_from([[], {}, {"n": 99}, [9.5], None, "x", [value]]))
    assume(new != value)
    return json.dumps(new)


@in_place
def test_an_edit_of_any_row_of_any_table_is_found(tamper: Tamper, data: st.DataObject) -> None:
    copy = tamper()
    table = data.draw(st.sampled_from(TABLES))
    columns = [column.name for column in LOGGED[table].c]
    column = data.draw(
        st.sampled_from([name for name in columns if name != "id" or table not in SERIAL])
    )
    found = copy.rows(f"SELECT rowid, event, {column} FROM {table}")
    rowid, seq, old = data.draw(st.sampled_from(found))
    if column in JSON_COLUMNS and data.draw(st.booleans()):
        new: Any = _changed_json(old, data)
    else:
        new = data.draw(other_than(old))
    try:
        copy.rows(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", new, rowid)
    except sqlite3.IntegrityError:
        assume(False)
    ((now,),) = copy.rows(f"SELECT {column} FROM {table} WHERE rowid = ?", rowid)
    assume(now != old)
    problems = copy.problems()
    assert any(problem.seq == seq and table in problem.message for problem in problems)


@in_place
def test_a_removed_row_is_found(tamper: Tamper, data: st.DataObject) -> None:
    copy, table = tamper(), data.draw(st.sampled_from(TABLES))
    rowid, seq = data.draw(st.sampled_from(copy.rows(f"SELECT rowid, event FROM {table}")))
    copy.rows(f"DELETE FROM {table} WHERE rowid = ?", rowid)
    assert [(each.seq, each.message) for each in copy.problems()] == [
        (seq, f"{table!r} has 1 rows, 2 were written")
    ]


@in_place
def test_an_added_row_is_found(tamper: Tamper, data: st.DataObject) -> None:
    copy, table = tamper(), data.draw(st.sampled_from(TABLES))
    seq = data.draw(st.integers(1, EVENTS + 3))
    names = [column.name for column in LOGGED[table].c]
    (values,) = copy.rows(f"SELECT {', '.join(names)} FROM {table} LIMIT 1")
    row = {**dict(zip(names, values, strict=True)), "event": seq}
    row |= {"id": None} if table in SERIAL else {"id" if table == "reviews" else "call": "new"}
    marks = ", ".join("?" for _ in row)
    copy.rows(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())
    problems = copy.problems()
    assert [problem.seq for problem in problems] == [seq]
    assert table in problems[0].message


def test_rows_moved_to_another_order_are_found(tamper: Tamper) -> None:
    copy = tamper()
    copy.rows("UPDATE annotations SET id = -id")
    assert {problem.seq for problem in copy.problems()} == set(range(1, EVENTS + 1))


def test_what_was_read_back_is_what_was_recorded(written: Path) -> None:
    store = Store(written)
    first = store.events()[0]
    store.close()
    assert first.place == Place("run-1", 1, "act", 1, "c1")
    assert (first.seq, first.key, first.prev) == (1, "event:1", GENESIS)
    assert first.event.wrote["annotations"]["n"] == 2
    record = json.loads(json.dumps(first.as_record()))
    assert record["event"]["type"] == "run"
    assert record["hash"] == first.hash
