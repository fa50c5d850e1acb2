"""The hash chain over the events: how it is written down, and how it is checked.

Each event's hash covers its whole content and the hash of the one before it, so an edit, a
removal or a new order breaks the chain at a place that can be named (the construction of
Haber and Stornetta, 1991). Cutting off the end leaves a valid shorter chain: the head that the
store keeps, and the one the user was shown, are compared for that reason.
"""

from __future__ import annotations

import hashlib
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
            vouched.setdefault(name, {})[row["seq"]] = claim
        last_seq, last_hash = row["seq"], row["hash"]
        seen_heads.add(last_hash)
    kept = connection.execute(sa.select(meta.c.value).where(meta.c.key == "trace_head")).scalar()
    if kept is not None and kept != last_hash:
        problems.append(Problem(last_seq, "", "the end of the trace is missing or was replaced"))
    if head is not None and head not in seen_heads:
        problems.append(Problem(last_seq, "", f"no event has the hash {head!r} that was given"))
    for name, table in LOGGED.items():
        problems += _check_table(connection, table, vouched[name])
    return sorted(problems, key=lambda problem: problem.seq)


def _check_link(row: dict[str, Any], last_seq: int, last_hash: str) -> Iterator[Problem]:
    seq, key = row["seq"], row["key"]
    if seq != last_seq + 1:
        yield Problem(seq, key, f"event {last_seq + 1} is missing before it")
    elif row["prev"] != last_hash:
        yield Problem(seq, key, "it does not follow the event before it")
    if event_hash(row) != row["hash"]:
        yield Problem(seq, key, "its content was changed after it was written")


def _read_body(body: str) -> dict[str, Any] | None:
    try:
        return EVENT_ADAPTER.validate_json(body).model_dump(mode="json")
    except ValueError:
        return None


def _check_table(
    connection: sa.Connection, table: sa.Table, claims: dict[int, dict[str, Any]]
) -> Iterator[Problem]:
    columns = [
        column for column in table.c if column.name not in ("event",) and not _is_serial(column)
    ]
    order = [table.c.event, *table.primary_key.columns] if _has_serial(table) else [table.c.event]
    query = sa.select(table.c.event, *columns).order_by(*order)
    counts: dict[int, int] = {}
    hashers: dict[int, Any] = {}
    for row in connection.execute(query).mappings():
        record = dict(row)
        seq = record.pop("event")
        counts[seq] = counts.get(seq, 0) + 1
        hasher = hashers.setdefault(seq, hashlib.sha256())
        hasher.update(canonical_json(record).encode() + b"\n")
    for seq in sorted(counts.keys() | claims.keys()):
        claim = claims.get(seq)
        if claim is None:
            yield Problem(
                seq, "", f"{counts[seq]} rows of {table.name!r} that no event vouches for"
            )
        elif counts.get(seq, 0) != claim["n"]:
            yield Problem(
                seq, "", f"{table.name!r} has {counts.get(seq, 0)} rows, {claim['n']} were written"
            )
        elif hashers[seq].hexdigest() != claim["sha256"]:
            yield Problem(seq, "", f"rows of {table.name!r} were changed after they were written")


def _is_serial(column: sa.Column[Any]) -> bool:
    return column.primary_key and isinstance(column.type, sa.Integer)


def _has_serial(table: sa.Table) -> bool:
    return any(_is_serial(column) for column in table.primary_key.columns)
