"""The hash chain over the events: how it is written down, and how it is checked.

Each event's hash covers its whole content and the hash of the one before it, so an edit, a
removal or a new order breaks the chain at a place that can be named (the construction of
Haber and Stornetta, 1991). Cutting off the end leaves a valid shorter chain: the head that the
store keeps, and the one the user was shown, are compared for that reason.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from .events import EVENT_ADAPTER, Event
from .records import canonical_json
from .schema import LOGGED, events, meta

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the run something happened."""

    run: str
    step: int
    node: str
    attempt: int = 1
    checkpoint: str = ""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its place in the trace."""

    seq: int
    key: str
    time: str
    place: Place
    event: Event
    prev: str
    hash: str

    def as_record(self) -> dict[str, Any]:
        """Plain data, as `audit --json` prints it."""
        return {
            "seq": self.seq,
            "key": self.key,
            "time": self.time,
            "run": self.place.run,
            "step": self.place.step,
            "node": self.place.node,
            "attempt": self.place.attempt,
            "checkpoint": self.place.checkpoint,
            "event": self.event.model_dump(mode="json"),
            "prev": self.prev,
            "hash": self.hash,
        }


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that `verify` found: the event it concerns and what is wrong with it."""

    seq: int
    key: str
    message: str


def event_hash(row: dict[str, Any]) -> str:
    """SHA-256 (hex) over the canonical JSON of an event row without its own hash."""
    content = {name: value for name, value in row.items() if name != "hash"}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def stored_event(row: dict[str, Any]) -> StoredEvent:
    """Read an event row back into its type."""
    return StoredEvent(
        seq=row["seq"],
        key=row["key"],
        time=row["time"],
        place=Place(row["run"], row["step"], row["node"], row["attempt"], row["checkpoint"]),
        event=EVENT_ADAPTER.validate_json(row["body"]),
        prev=row["prev"],
        hash=row["hash"],
    )


def verify(connection: sa.Connection, *, head: str | None = None) -> list[Problem]:
    """Check the chain, its head, and every logged table against it.

    Args:
        connection: an open connection to the project's database.
        head: the hash of the last event as it was shown at the end of a run, if known.

    Returns:
        What is wrong, in the order of the trace; empty when all is as it was written.
    """
    problems: list[Problem] = []
    vouched: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in LOGGED}
    last_seq, last_hash = 0, GENESIS
    seen_heads = {GENESIS}
    for row in connection.execute(sa.select(events).order_by(events.c.seq)).mappings():
        problems += _check_link(dict(row), last_seq, last_hash)
        body = _read_body(row["body"])
        if body is None:
            problems.append(Problem(row["seq"], row["key"], "its content cannot be read"))
        for name, claim in (body or {}).get("wrote", {}).items():
            vouched.setdefault(name, {})[row["seq"]] = claim if isinstance(claim, dict) else {}
        last_seq, last_hash = row["seq"], row["hash"]
        seen_heads.add(last_hash)
    kept = connection.execute(sa.select(meta.c.value).where(meta.c.key == "trace_head")).scalar()
    if (kept or GENESIS) != last_hash:
        problems.append(Problem(last_seq, "", "the end of the trace is missing or was replaced"))
    if head is not None and head not in seen_heads:
        problems.append(Problem(last_seq, "", f"no event has the hash {head!r} that was given"))
    # A copy that can only be read may be of an older schema, with fewer tables.
    there = set(sa.inspect(connection).get_table_names())
    for name, table in LOGGED.items():
        if name in there or vouched[name]:
            problems += _check_table(connection, table, vouched[name])
    return sorted(problems, key=lambda problem: problem.seq)


def _check_link(row: dict[str, Any], last_seq: int, last_hash: str) -> Iterator[Problem]:
    seq, key = row["seq"], row["key"]
    if seq != last_seq + 1:
        yield Problem(seq, key, f"event {last_seq + 1} is missing before it")
    elif row["prev"] != last_hash:
        yield Problem(seq, key, "it does not follow the event before it")
    if _hash_of(row) != row["hash"]:
        yield Problem(seq, key, "its content was changed after it was written")


def _hash_of(row: dict[str, Any]) -> str | None:
    """The hash of an event row; `None` for values that were never written by us."""
    try:
        return event_hash(row)
    except (TypeError, ValueError):
        return None


def _read_body(body: str) -> dict[str, Any] | None:
    try:
        return EVENT_ADAPTER.validate_json(body).model_dump(mode="json")
    except ValueError:
        return None


def _check_table(
    connection: sa.Connection, table: sa.Table, claims: dict[int, dict[str, Any]]
) -> Iterator[Problem]:
    counts: dict[int, int] = {}
    hashers: dict[int, Any] = {seq: hashlib.sha256() for seq in claims}
    for seq, line in _lines(connection, table):
        counts[seq] = counts.get(seq, 0) + 1
        hashers.setdefault(seq, hashlib.sha256()).update(line + b"\n")
    for seq in sorted(counts.keys() | claims.keys()):
        claim, count = claims.get(seq), counts.get(seq, 0)
        if claim is None:
            yield Problem(seq, "", f"{count} rows of {table.name!r} that no event vouches for")
        elif count != claim.get("n"):
            written = claim.get("n")
            yield Problem(seq, "", f"{table.name!r} has {count} rows, {written} were written")
        elif hashers[seq].hexdigest() != claim.get("sha256"):
            yield Problem(seq, "", f"rows of {table.name!r} were changed after they were written")


def _lines(connection: sa.Connection, table: sa.Table) -> Iterator[tuple[int, bytes]]:
    """Event and canonical form of each row; what was never written by us has an empty form."""
    # JSON is read as text: what somebody else put there need not be JSON.
    coded = {column.name for column in table.c if isinstance(column.type, sa.JSON)}
    columns = [
        sa.type_coerce(column, sa.Text).label(column.name) if column.name in coded else column
        for column in table.c
        if column.name == "event" or not _is_serial(column)
    ]
    order = [table.c.event, *table.primary_key.columns]
    for row in connection.execute(sa.select(*columns).order_by(*order)).mappings():
        record = dict(row)
        seq = record.pop("event")
        try:
            for name in coded:
                record[name] = None if record[name] is None else _as_written(record[name])
            line = canonical_json(record).encode()
        except (TypeError, ValueError):
            line = b""
        # No event has the number 0: a row that was moved to none is vouched for by none.
        yield (seq if isinstance(seq, int) else 0), line


def _as_written(text: str) -> Any:
    """The value of a JSON column; spaces or another order in it were not put there by us."""
    value = json.loads(text)
    if canonical_json(value) != text:
        raise ValueError(f"not the canonical form: {text!r}")
    return value


def _is_serial(column: sa.Column[Any]) -> bool:
    return column.primary_key and isinstance(column.type, sa.Integer)
