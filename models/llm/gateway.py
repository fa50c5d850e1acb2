"""The one gateway to every chat model: cached, tried again, paced, paid for, checked.

A request goes through these steps, each in its own file:

1. `cache`: the same question was answered before, by any project → no call, no cost.
2. `purse`: what the call may cost at worst is more than what is left → it is not made.
3. `pace`: the rate limit; then the back end.
4. A failure that may pass is tried again; every try is recorded as a cost (`account`).
5. `parse`: an answer that does not have the form asked for is sent back once with the error;
   the second one that does not is `invalid`. No value is ever mended.

Nothing a model does raises an exception here. Only a server that is gone does: after that nothing
can be answered, what was answered is recorded and kept, and the run can be resumed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ...store.errors import UserError
from ..progress import NoProgress, Progress, Task
from .account import Account, NoAccount
from .base import Answer, Asker, Backend, Message, Request
from .cache import AnswerCache
from .judging import Judged
from .prices import FREE, FlatPrice, Price, listed_price
from .session import Limits, Outcome, Session

T = TypeVar("T")
SHOWN = 2000
"""Characters of a refused answer that are sent back with the error."""
PATIENCE = 10.0
"""Seconds that calls under way have to end when the person interrupts."""


class Gateway:
    """One back end, with everything around it."""

    def __init__(
        self,
        backend: Backend,
        *,
        cache: AnswerCache | None = None,
        price: Price | None = FREE,
        limits: Limits | None = None,
    ) -> None:
        """Ask `backend`.

        Args:
            backend: the chat model.
            cache: where replies are kept; `None` keeps none.
            price: what its tokens cost; `None` where nobody knows: then tokens are counted, money
                is not, and a limit on money is refused (see `ask`).
            limits: concurrency, rate, tries; by default what the back end says.
        """
        self.backend = backend
        self.price = price
        self._cache = cache
        self._limits = limits or Limits()

    @property
    def name(self) -> str:
        """The model's string, as records name it."""
        return self.backend.name

    def ask(
        self,
        requests: Sequence[Request],
        *,
        why: str = "",
        repairs: int = 1,
        account: Account | None = None,
        progress: Progress | None = None,
    ) -> list[Answer]:
        """Answer each request, in order; equal requests are asked once.

        Args:
            requests: what is asked.
            why: what for, one word for the ledger and the progress bar: `annotate`, `judge`.
            repairs: how often an answer of the wrong form is sent back with the error.
            account: who pays; nobody by default.
            progress: shows a bar, one unit a request.

        Raises:
            OperatorError: the server cannot be reached, refuses the key, or keeps failing.
            UserError: money is limited and the model's price is not known.
        """
        account = account or NoAccount()
        if self.price is None and account.left() is not None:
            raise UserError(
                f"the budget in US dollars cannot be kept: the price of {self.name!r} is not "
                "known; give --price-in and --price-out (US dollars for a million tokens)"
            )
        unique = list(
            {request.key(self.backend.identity): request for request in requests}.values()
        )
        with (progress or NoProgress()).task(why or "asking", len(unique)) as bar:
            session = self._session(account, why, bar)
            found = _in_thread(lambda: session.run(unique, repairs), session.stop)
        return [found[request.key(self.backend.identity)] for request in requests]

    def _session(self, account: Account, why: str, bar: Task) -> Session:
        return Session(
            backend=self.backend,
            cache=self._cache,
            price=self.price or FREE,
            limits=self._limits,
            account=account,
            why=why,
            bar=bar,
            mend=mend,
        )

    def paid_by(self, account: Account, progress: Progress | None = None) -> Asker:
        """This gateway with somebody who pays, as tools are given it."""
        return PaidGateway(self, account, progress or NoProgress())

    def close(self) -> None:
        """Give back the back end's connections and memory, and close the cache."""
        _in_thread(self.backend.close, lambda: None)
        if self._cache is not None:
            self._cache.close()


@dataclass(frozen=True, slots=True)
class PaidGateway:
    """A gateway whose calls are recorded somewhere and held to a budget; an `Asker`."""

    gateway: Gateway
    account: Account
    progress: Progress

    @property
    def name(self) -> str:
        """The model's string, as records name it."""
        return self.gateway.name

    def ask(self, requests: Sequence[Request], *, why: str = "", repairs: int = 1) -> list[Answer]:
        """Answer each request, in order; see `Gateway.ask`."""
        return self.gateway.ask(
            requests, why=why, repairs=repairs, account=self.account, progress=self.progress
        )


def price_for(backend: Backend, per_million_in: float, per_million_out: float) -> Price | None:
    """What a back end's tokens cost: as the person says, else as listed.

    Returns:
        `None` where the model has a price that is not known.
    """
    if per_million_in or per_million_out:
        return FlatPrice(per_million_in, per_million_out)
    return FREE if backend.price_of is None else listed_price(*backend.price_of)


def mend(request: Request, judged: Judged) -> Request:
    """The request to ask after an answer of the wrong form: the same, the answer, the error."""
    wanted = "exactly one valid tool call" if request.tools else "one valid JSON object only"
    return replace(
        request,
        messages=(
            *request.messages,
            Message("assistant", judged.shown[:SHOWN] or "(nothing)"),
            Message("user", f"That answer was refused: {judged.error}\nGive {wanted}."),
        ),
    )


def _in_thread(work: Callable[[], Coroutine[Any, Any, T]], stop: Callable[[], None]) -> T:
    """Run a coroutine in a thread and an event loop of its own.

    The caller may itself be inside an event loop (a notebook), where none can be started. When the
    person interrupts, no call is begun any more and those under way are given a moment to end, so
    that they are in the bill.
    """
    outcome: list[Outcome[T]] = []
    thread = threading.Thread(target=lambda: outcome.append(_caught(work)), daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        stop()
        thread.join(PATIENCE)
        raise
    (done,) = outcome
    return done.get()


def _caught(work: Callable[[], Coroutine[Any, Any, T]]) -> Outcome[T]:
    try:
        return Outcome(value=asyncio.run(work()))
    except BaseException as error:
        return Outcome(error=error)
