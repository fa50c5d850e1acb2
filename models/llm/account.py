"""Who pays for calls: where they are recorded, and how much money is left for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ...store.database import Store
from ...store.events import CallsEvent
from ...store.records import Charge, ModelCall
from ...store.trace import Place


class Account(Protocol):
    """Takes the bill."""

    def left(self) -> float | None:
        """US dollars that may still be spent; `None` for no limit."""
        ...

    def record(self, calls: Sequence[ModelCall]) -> None:
        """Write down calls that were made, before anybody uses their answers."""
        ...


class NoAccount:
    """Nothing is written down and nothing is limited: for scripts and benchmarks."""

    def left(self) -> float | None:
        """No limit."""
        return None

    def record(self, calls: Sequence[ModelCall]) -> None:
        """Take note of nothing."""


@dataclass(frozen=True, slots=True)
class StoreAccount:
    """Writes calls into a project, and charges its budget.

    Calls are written while the tool that asked still works: killed in the middle, the run has
    the money it spent in its bill, and its answers in the cache.
    """

    store: Store
    place: Place
    limit: float | None
    """US dollars that the whole run may cost, human labels included."""

    def left(self) -> float | None:
        """What is left of the limit by the ledger; never below 0."""
        if self.limit is None:
            return None
        return max(0.0, self.limit - self.store.totals().usd)

    def record(self, calls: Sequence[ModelCall]) -> None:
        """One transaction: the raw answers, the ledger, and the event that vouches for both."""
        for model, why in dict.fromkeys((call.model, call.why) for call in calls):
            part = [call for call in calls if (call.model, call.why) == (model, why)]
            head = self.store.head()[:16]
            event = _event(part, model, why)
            with self.store.transaction(self.place) as writer:
                writer.calls(part)
                writer.charge(charge for charge in _charges(event) if charge.amount)
                writer.event(f"calls:{self.place.step}:{head}", event)


def _event(calls: Sequence[ModelCall], model: str, why: str) -> CallsEvent:
    return CallsEvent(
        model=model,
        why=why,
        made=sum(not call.cached for call in calls),
        cached=sum(call.cached for call in calls),
        unusable=sum(call.status != "ok" for call in calls),
        tokens_in=sum(call.tokens_in for call in calls),
        tokens_out=sum(call.tokens_out for call in calls),
        usd=sum(call.usd for call in calls),
        seconds=round(sum(call.seconds for call in calls), 6),
    )


def _charges(event: CallsEvent) -> list[Charge]:
    return [
        Charge("tokens_in", event.tokens_in, event.model, event.why),
        Charge("tokens_out", event.tokens_out, event.model, event.why),
        Charge("usd", event.usd, event.model, event.why),
    ]
