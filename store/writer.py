"""What one transaction writes: rows, and the events that vouch for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from .events import Event
from .records import (
    Annotation,
    Answer,
    Artefact,
    Charge,
    ModelCall,
    ReviewRequest,
    canonical_json,
    digest_of,
)
from .schema import LOGGED, events, meta
from .trace import GENESIS, Place, event_hash


class Writer:
    """Collects rows and writes them under the next event; made by `Store.transaction`."""

    def __init__(self, connection: sa.Connection, place: Place) -> None:
        """Write through `connection`, at `place` in the run."""
        self._connection = connection
        self._place = place
        self._pending: dict[str, list[dict[str, Any]]] = {}

    def annotate(self, annotations: Iterable[Annotation]) -> None:
        """Add annotations; they are written with the next event."""
        self._add("annotations", (annotation.as_record() for annotation in annotations))

    def charge(self, charges: Iterable[Charge]) -> None:
        """Add lines to the ledger."""
        self._add("ledger", (charge.as_record() for charge in charges))

    def keep(self, artefacts: Iterable[Artefact]) -> None:
        """Add artefacts; each becomes the current one of its key."""
        self._add("artefacts", (artefact.as_record() for artefact in artefacts))

    def effect(self, call: str, result: Mapping[str, Any]) -> None:
        """Record that a call happened and what it returned, so that it never happens again."""
        self._add("effects", [{"call": call, "result": dict(result)}])

    def open_review(self, request: ReviewRequest) -> None:
        """Add a batch of questions for the reviewer."""
        self._add("reviews", [request.as_record()])

    def answer(self, answer: Answer) -> None:
        """Add one answer of the reviewer."""
        self._add("answers", [answer.as_record()])

    def calls(self, calls: Iterable[ModelCall]) -> None:
        """Add calls of a chat model, with the raw answers."""
        self._add("calls", (call.as_record() for call in calls))

    def event(self, key: str, event: Event) -> str:
        """Append an event under a unique key, with all rows added since the last one.

        Returns:
            The event's hash, the new head of the trace.
        """
        last = self._connection.execute(
            sa.select(events.c.seq, events.c.hash).order_by(events.c.seq.desc()).limit(1)
        ).first()
        seq, prev = (last.seq + 1, last.hash) if last else (1, GENESIS)
        row = {
            "seq": seq,
            "key": key,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "run": self._place.run,
            "step": self._place.step,
            "node": self._place.node,
            "attempt": self._place.attempt,
            "checkpoint": self._place.checkpoint,
            "body": canonical_json(self._vouched(event).model_dump(mode="json")),
            "prev": prev,
        }
        row["hash"] = event_hash(row)
        self._flush(seq)
        self._connection.execute(events.insert(), row)
        self._connection.execute(sa.delete(meta).where(meta.c.key == "trace_head"))
        self._connection.execute(meta.insert(), {"key": "trace_head", "value": row["hash"]})
        return str(row["hash"])

    def close(self) -> None:
        """Check that no row is left without an event."""
        if self._pending:
            raise RuntimeError(f"rows without an event: {sorted(self._pending)}")

    def _add(self, table: str, records: Iterable[dict[str, Any]]) -> None:
        rows = list(records)
        if rows:
            self._pending.setdefault(table, []).extend(rows)

    def _vouched(self, event: Event) -> Event:
        if not self._pending:
            return event
        wrote = {
            name: {"n": len(rows), "sha256": digest_of(_hashed(name, rows))}
            for name, rows in sorted(self._pending.items())
        }
        return event.model_copy(update={"wrote": wrote})

    def _flush(self, seq: int) -> None:
        for name, rows in self._pending.items():
            self._connection.execute(LOGGED[name].insert(), [{**row, "event": seq} for row in rows])
        self._pending = {}


def _hashed(table: str, rows: Sequence[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """The rows in the order in which `verify` will read them back."""
    (key,) = LOGGED[table].primary_key.columns
    # Where the database counts the rows up, their order is that in which they were added.
    return rows if key.name not in rows[0] else sorted(rows, key=lambda row: str(row[key.name]))
