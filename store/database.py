"""The store of one project: a folder with a SQLite database and the large files beside it.

Everything is written through `Store.transaction`, so that an effect and the record that it
happened are one; everything is read through the small queries below. Rows are never changed:
triggers in the database refuse it.
"""

from __future__ import annotations

import os
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from .errors import OperatorError, UserError
from .records import (
    HUMAN_KINDS,
    LABEL_PURPOSES,
    Annotation,
    AnnotatorKind,
    Answer,
    GivenLabel,
    ModelCall,
    Purpose,
    Question,
    ReviewRequest,
    Totals,
    canonical_json,
)
from .schema import (
    LOGGED,
    annotation_rows,
    answers,
    artefacts,
    calls,
    effects,
    events,
    ledger,
    meta,
    migrate,
    reviews,
)
from .trace import GENESIS, Place, Problem, StoredEvent, stored_event, verify
from .writer import Writer

DATABASE = "labelwright.db"

T = TypeVar("T")


class Store:
    """Reads and writes one project's database."""

    def __init__(self, folder: Path) -> None:
        """Open the database in `folder`; `create` and `open` are the ways to get here."""
        self.folder = folder
        self._engine = _engine(folder / DATABASE, read_only=is_read_only(folder))
        self._writing = self._engine.execution_options(writes=True)
        self._memory: dict[tuple[Any, ...], Any] | None = None

    @classmethod
    def create(cls, folder: Path) -> Store:
        """Make the database in an existing folder and bring it to the newest schema.

        Raises:
            OperatorError: the disk is full or the folder is read-only.
        """
        store = cls(folder)
        store._migrate()
        return store

    @classmethod
    def open(cls, folder: Path) -> Store:
        """Open a project's database, upgrading its schema where it is older.

        A folder that may not be written to is opened for reading: an auditor's copy.

        Raises:
            UserError: the folder holds no project.
            OperatorError: the disk is full, or a run was cut off and the folder is read-only.
        """
        if not (folder / DATABASE).is_file():
            raise UserError(
                f"{str(folder)!r} is not a Labelwright project (no {DATABASE}): start one with "
                "`labelwright run GOAL --data FILE --project DIR`"
            )
        return cls(folder) if is_read_only(folder) else cls.create(folder)

    def _migrate(self) -> None:
        with self._guard(), self._writing.begin() as connection:
            migrate(connection)
            _protect(connection)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def transaction(self, place: Place) -> Iterator[Writer]:
        """One transaction: all of what the writer is given, or nothing.

        Raises:
            OperatorError: the disk is full or the folder is read-only; nothing was written.
        """
        with self._guard(), self._writing.begin() as connection:
            writer = Writer(connection, place)
            yield writer
            writer.close()

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Ask the database each question once inside the block: for many reads and no write."""
        self._memory = {}
        try:
            yield
        finally:
            self._memory = None

    def _once(self, key: tuple[Any, ...], read: Callable[[], T]) -> T:
        if self._memory is None:
            return read()
        if key not in self._memory:
            self._memory[key] = read()
        found: T = self._memory[key]
        return found

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.OperationalError, sqlite3.OperationalError) as error:
            cause = str(getattr(error, "orig", error))
            fix = "free disk space or make it writable"
            if "locked" in cause:
                fix = "wait for the other program that holds it, or close that one"
            raise OperatorError(
                f"the project database {str(self.folder / DATABASE)!r} cannot be written: {cause}; "
                f"{fix}, then run `labelwright resume PROJECT`: nothing is lost"
            ) from error
        except sa.exc.DatabaseError as error:
            # Its subclasses say what a statement did wrong; only the class itself means the file.
            if type(error.orig) is not sqlite3.DatabaseError:
                raise
            raise UserError(
                f"{str(self.folder / DATABASE)!r} is damaged or not a Labelwright database "
                f"({error.orig}): restore the project folder from a copy"
            ) from error

    def rows(self, query: sa.Select[*tuple[Any, ...]]) -> list[dict[str, Any]]:
        """What a query of the tables in `schema` finds, a dictionary a row."""
        with self._guard(), self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def get_meta(self, key: str) -> str | None:
        """A value of the project's small key-value table, or `None`."""
        rows = self.rows(sa.select(meta.c.value).where(meta.c.key == key))
        return str(rows[0]["value"]) if rows else None

    def set_meta(self, key: str, value: str) -> None:
        """Set a value of the project's small key-value table."""
        with self._guard(), self._writing.begin() as connection:
            connection.execute(sa.delete(meta).where(meta.c.key == key))
            connection.execute(meta.insert(), {"key": key, "value": value})

    def effect(self, call: str) -> dict[str, Any] | None:
        """The recorded result of a call, or `None` when it has not happened."""
        rows = self.rows(sa.select(effects.c.result).where(effects.c.call == call))
        return dict(rows[0]["result"]) if rows else None

    def artefact(self, key: str) -> dict[str, Any] | None:
        """The current artefact of a key, or `None`."""
        found = self._once(("artefacts",), self._current_artefacts).get(key)
        return None if found is None else dict(found)

    def _current_artefacts(self) -> dict[str, dict[str, Any]]:
        newest = sa.select(sa.func.max(artefacts.c.id)).group_by(artefacts.c.key)
        query = sa.select(artefacts.c.key, artefacts.c.value).where(artefacts.c.id.in_(newest))
        return {row["key"]: row["value"] for row in self.rows(query)}

    def artefact_history(self, key: str) -> list[dict[str, Any]]:
        """All artefacts of a key, oldest first."""
        query = sa.select(artefacts.c.value).where(artefacts.c.key == key).order_by(artefacts.c.id)
        rows = self._once(("history", key), lambda: self.rows(query))
        return [dict(row["value"]) for row in rows]

    def annotations(
        self,
        *,
        row: int | None = None,
        purposes: Sequence[Purpose] = (),
        kinds: Sequence[AnnotatorKind] = (),
    ) -> list[Annotation]:
        """Annotations in the order they were written, of one item, purpose or kind if given."""
        query = sa.select(annotation_rows).order_by(annotation_rows.c.id)
        if row is not None:
            query = query.where(annotation_rows.c.row == row)
        if purposes:
            query = query.where(annotation_rows.c.purpose.in_(purposes))
        if kinds:
            query = query.where(annotation_rows.c.kind.in_(kinds))
        return [_annotation(found) for found in self.rows(query)]

    def given_labels(self) -> list[GivenLabel]:
        """Every label that people gave or that was accepted without asking, oldest first."""
        return self._once(("given",), self._given_labels)

    def _given_labels(self) -> list[GivenLabel]:
        table = annotation_rows.c
        query = (
            sa.select(table.row, table.label, table.purpose, table.kind, table.review)
            .where(table.purpose.in_(LABEL_PURPOSES), table.label.is_not(None))
            .order_by(table.id)
        )
        return [GivenLabel(**row) for row in self.rows(query)]

    def suggested_labels(self) -> dict[int, str]:
        """Row → the newest label that an annotator suggested."""
        table = annotation_rows.c
        query = sa.select(table.row, table.label).where(
            table.purpose == "suggest", table.label.is_not(None)
        )
        return {row["row"]: row["label"] for row in self.rows(query.order_by(table.id))}

    def human_labels(self, purposes: Sequence[Purpose] = ()) -> dict[int, str]:
        """Row → label as a person gave it (the newest answer), for all or some purposes."""
        return {
            each.row: each.label
            for each in self.given_labels()
            if each.kind in HUMAN_KINDS and (not purposes or each.purpose in purposes)
        }

    def label_counts(self) -> dict[str, int]:
        """How many human labels each label has."""
        counts: dict[str, int] = {}
        for label in self.human_labels().values():
            counts[label] = counts.get(label, 0) + 1
        return counts

    def totals(self) -> Totals:
        """What the ledger adds up to."""
        query = sa.select(ledger.c.what, sa.func.sum(ledger.c.amount).label("sum"))
        rows = self._once(("totals",), lambda: self.rows(query.group_by(ledger.c.what)))
        sums = {row["what"]: float(row["sum"]) for row in rows}
        return Totals(
            human_labels=int(sums.get("human_label", 0)),
            usd=sums.get("usd", 0.0),
            tokens=int(sums.get("tokens_in", 0) + sums.get("tokens_out", 0)),
            seconds=sums.get("seconds", 0.0),
        )

    def model_calls(self, *, key: str | None = None) -> list[ModelCall]:
        """Calls of chat models in the order they were written, all or those of one key."""
        names = [column.name for column in calls.c if column.name not in ("id", "event")]
        query = sa.select(*(calls.c[name] for name in names)).order_by(calls.c.id)
        if key is not None:
            query = query.where(calls.c.key == key)
        found = self.rows(query)
        return [ModelCall(**{**row, "cached": bool(row["cached"])}) for row in found]

    def review(self, review: str) -> ReviewRequest:
        """The review request of an id."""
        (row,) = self.rows(sa.select(reviews).where(reviews.c.id == review))
        return _review(row)

    def reviews(self) -> list[ReviewRequest]:
        """All review requests, oldest first."""
        query = sa.select(reviews).order_by(reviews.c.event)
        return self._once(("reviews",), lambda: [_review(row) for row in self.rows(query)])

    def asked_rows(self) -> set[int]:
        """Rows that were ever put before the reviewer."""
        return {question.row for review in self.reviews() for question in review.questions}

    def answer_log(self, review: str) -> list[Answer]:
        """Everything the reviewer did in a review, in order, answers taken back included."""
        query = sa.select(answers).where(answers.c.review == review).order_by(answers.c.id)
        names = [column.name for column in answers.c if column.name not in ("id", "event")]
        return [Answer(**{name: row[name] for name in names}) for row in self.rows(query)]

    def standing_answers(self, review: str) -> dict[int, Answer]:
        """Row → the answer that stands (the last one, unless it was taken back)."""
        standing: dict[int, Answer] = {}
        for answer in self.answer_log(review):
            if answer.action == "undo":
                standing.pop(answer.row, None)
            else:
                standing[answer.row] = answer
        return standing

    def events(self, *, after: int = 0) -> list[StoredEvent]:
        """Events of the trace with a sequence number above `after`."""
        query = sa.select(events).where(events.c.seq > after).order_by(events.c.seq)
        return [stored_event(row) for row in self.rows(query)]

    def has_event(self, key: str) -> bool:
        """Whether an event of this key was recorded."""
        return bool(self.rows(sa.select(events.c.seq).where(events.c.key == key)))

    def head(self) -> str:
        """The hash of the last event."""
        return self.get_meta("trace_head") or GENESIS

    def verify(self, *, head: str | None = None) -> list[Problem]:
        """Check the trace and the tables against it (see `trace.verify`)."""
        with self._guard(), self._engine.connect() as connection:
            return verify(connection, head=head)

    def cut_after(self, seq: int) -> None:
        """Forget everything after an event: for a fresh copy of a project only (fork)."""
        with self._guard(), self._writing.begin() as connection:
            _unprotect(connection)
            for table in LOGGED.values():
                connection.execute(sa.delete(table).where(table.c.event > seq))
            connection.execute(sa.delete(events).where(events.c.seq > seq))
            head = connection.execute(sa.select(events.c.hash).where(events.c.seq == seq)).scalar()
            connection.execute(sa.delete(meta).where(meta.c.key == "trace_head"))
            connection.execute(meta.insert(), {"key": "trace_head", "value": head or GENESIS})
            _protect(connection)


def is_read_only(folder: Path) -> bool:
    """Whether a project's database is there and cannot be written to."""
    path = folder / DATABASE
    return path.exists() and not (os.access(path, os.W_OK) and os.access(folder, os.W_OK))


def _engine(path: Path, *, read_only: bool) -> sa.Engine:
    if read_only:
        return _reading_engine(path)
    url = sa.URL.create("sqlite", database=str(path))
    engine = sa.create_engine(url, connect_args={"timeout": 30}, json_serializer=canonical_json)

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        # Transactions are begun by hand below: the driver's own begin comes too late to lock.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A transaction that will write takes the lock at once: the checkpointer writes to the same
        # file, and a reader that turns writer behind its back would fail without waiting.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _reading_engine(path: Path) -> sa.Engine:
    """Read a database in a folder where SQLite cannot make the files that it shares."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        raise OperatorError(
            f"the project {str(path.parent)!r} is read-only and its run was cut off in the middle: "
            "copy the folder to a place that can be written to, and look at the copy"
        )
    quoted = urllib.parse.quote(str(path.resolve()))
    return sa.create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            f"file:{quoted}?immutable=1", uri=True, check_same_thread=False
        ),
        poolclass=sa.pool.QueuePool,
    )


def _protect(connection: sa.Connection) -> None:
    for name in [*LOGGED, "events"]:
        for verb in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER IF NOT EXISTS keep_{name}_{verb.lower()} BEFORE {verb} ON {name} "
                f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
            )


def _unprotect(connection: sa.Connection) -> None:
    for name in [*LOGGED, "events"]:
        for verb in ("update", "delete"):
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS keep_{name}_{verb}")


def _annotation(row: dict[str, Any]) -> Annotation:
    distribution = row["distribution"]
    names = (column.name for column in annotation_rows.c if column.name not in ("id", "event"))
    fields = {name: row[name] for name in names}
    return Annotation(
        **{**fields, "distribution": None if distribution is None else tuple(distribution)}
    )


def _review(row: dict[str, Any]) -> ReviewRequest:
    questions = tuple(
        Question(**{**question, "alternatives": tuple(question["alternatives"])})
        for question in row["questions"]
    )
    return ReviewRequest(row["id"], row["purpose"], questions, row["round"])
