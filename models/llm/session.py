"""One batch of requests on its way through the gateway: the asynchronous part."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar, cast

from ...store.errors import LabelwrightError, OperatorError
from ...store.records import ModelCall
from ..progress import Task
from .account import Account
from .base import RETRIED, Answer, Backend, Failure, Reply, Request, Status
from .cache import AnswerCache
from .judging import Judged, judge
from .pace import Pace, wait_after
from .prices import Price
from .purse import Purse

T = TypeVar("T")
STORM = 8
"""Requests that fail for good one after another, with no success between, before all stop."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard a server may be pressed."""

    concurrency: int = 0
    """Calls at once; 0 for what the back end says."""
    per_second: float = 0.0
    """Calls begun in a second; 0 for no limit."""
    tries: int = 5
    """Calls for one request before it has failed."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What a coroutine came to in its thread: a value, or the error to raise here."""

    value: T | None = None
    error: BaseException | None = None

    def get(self) -> T:
        """The value; the error is raised."""
        if self.error is not None:
            raise self.error
        return cast(T, self.value)


@dataclass(slots=True)
class _Spent:
    """What the calls for one request came to."""

    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request under way."""

    key: str
    request: Request
    worst: float
    """US dollars that one call for it costs at most."""
    spent: _Spent = field(default_factory=_Spent)


class Session:
    """Answers one batch of requests; made for it, used once."""

    def __init__(
        self,
        *,
        backend: Backend,
        cache: AnswerCache | None,
        price: Price,
        limits: Limits,
        account: Account,
        why: str,
        bar: Task,
        mend: Callable[[Request, Judged], Request],
    ) -> None:
        """See `Gateway`; `mend` makes the request that follows an answer of the wrong form."""
        self._backend, self._cache, self._price, self._limits = backend, cache, price, limits
        self._account, self._why, self._bar, self._mend = account, why, bar, mend
        self._judged: dict[str, Judged] = {}
        self._answers: dict[str, Answer] = {}
        self._unwritten: list[tuple[ModelCall, Reply | None]] = []
        self._failed_in_a_row = 0
        self._fatal: LabelwrightError | None = None
        self._stopped = False

    def stop(self) -> None:
        """Begin no further call."""
        self._stopped = True

    async def run(self, requests: Sequence[Request], repairs: int) -> dict[str, Answer]:
        """The answer to each request by its key; all keys differ."""
        left = self._account.left()
        self._limited = left is not None
        self._pace, self._purse = Pace(self._limits.per_second), Purse(left)
        self._writing = asyncio.Lock()
        await self._answer(requests)
        for _ in range(repairs):
            await self._repair(requests)
        return self._answers

    async def _repair(self, requests: Sequence[Request]) -> None:
        """Ask again, with the error, what was answered in the wrong form."""
        again: dict[str, Request] = {}
        for request in requests:
            key = self._key(request)
            if self._answers[key].status == "invalid":
                again[key] = self._mend(request, self._judged[key])
        if not again:
            return
        before = {key: self._answers[key] for key in again}
        await self._answer(list(again.values()), counted=False)
        for key, request in again.items():
            second = self._answers.pop(self._key(request))
            self._judged[key] = self._judged.get(self._key(request), self._judged[key])
            self._answers[key] = _joined(key, before[key], second)

    async def _answer(self, requests: Sequence[Request], *, counted: bool = True) -> None:
        """Answer each request once: from the cache, else by a call."""
        keys = {self._key(request): request for request in requests}
        kept = {} if self._cache is None else self._cache.get(list(keys))
        for key, reply in kept.items():
            self._judged[key] = judge(keys[key], reply)
        await self._write([(self._cached(key), None) for key in kept])
        for key in kept:
            self._answers[key] = self._made(key, _Spent(), cached=True)
        if counted:
            self._bar.advance(len(kept))
        queue = deque(
            _Asked(key, request, self._worst(request))
            for key, request in keys.items()
            if key not in kept
        )
        workers = self._limits.concurrency or self._backend.concurrency
        size = max(1, self._backend.batch)
        needed = min(workers, -(-len(queue) // size))
        await asyncio.gather(*(self._work(queue, size, counted) for _ in range(needed)))
        if self._fatal is not None:
            raise self._fatal
        if self._stopped:
            raise OperatorError("the calls were stopped: what was answered is kept")

    async def _work(self, queue: deque[_Asked], size: int, counted: bool) -> None:
        """Take requests from the queue until it is empty, or until nothing can be answered."""
        while queue and self._fatal is None and not self._stopped:
            chunk: list[_Asked] = []
            taken = 0
            while queue and len(chunk) < size and await self._afford(queue, chunk):
                taken += 1
            if chunk:
                await self._settle(chunk)
            if counted:
                self._bar.advance(taken)

    async def _afford(self, queue: deque[_Asked], chunk: list[_Asked]) -> bool:
        """Move the next request into the chunk if its worst case can be paid.

        Returns:
            `False` where the chunk must be settled first, since it holds the money.
        """
        asked = queue.popleft()
        if chunk and not await self._purse.hold_now(asked.worst):
            queue.appendleft(asked)
            return False
        if chunk or await self._purse.hold(asked.worst):
            chunk.append(asked)
            return True
        self._refuse(asked)
        return True

    def _refuse(self, asked: _Asked) -> None:
        """The call, or another try of it, cannot be paid."""
        self._answers[asked.key] = _answer(
            asked,
            "over_budget",
            f"a call may cost {asked.worst:.6f} US dollars, more than is left",
        )

    async def _settle(self, chunk: list[_Asked]) -> None:
        """Call for a chunk until each request has its reply or has failed for good."""
        left = chunk
        while left:
            await self._pace.turn()
            started = time.monotonic()
            found = await self._backend.complete([asked.request for asked in left])
            seconds = (time.monotonic() - started) / len(left)
            outcomes = list(zip(left, found, strict=True))
            records = [self._billed(asked, got, seconds) for asked, got in outcomes]
            costs = [record.usd for record, _ in records]
            await self._write(records)
            left = []
            waits = [0.0]
            for (asked, got), usd in zip(outcomes, costs, strict=True):
                await self._purse.settle(asked.worst, usd)
                if isinstance(got, Failure) and self._may(asked, got):
                    waits.append(wait_after(asked.spent.attempts, got.retry_after, asked.key))
                    left.append(asked)
                else:
                    self._finish(asked, got)
            await asyncio.sleep(max(waits))
            left = await self._payable(left)

    async def _payable(self, again: list[_Asked]) -> list[_Asked]:
        """Those whose next try can be paid; its money is set aside."""
        found: list[_Asked] = []
        for asked in again:
            # To wait while holding money for others of the same chunk would be for ever.
            hold = self._purse.hold_now if found else self._purse.hold
            if await hold(asked.worst):
                found.append(asked)
            else:
                self._refuse(asked)
        return found

    def _may(self, asked: _Asked, failure: Failure) -> bool:
        """Whether a failed request is tried again."""
        going = self._fatal is None and not self._stopped
        return going and failure.kind in RETRIED and asked.spent.attempts < self._limits.tries

    def _finish(self, asked: _Asked, got: Reply | Failure) -> None:
        if isinstance(got, Reply):
            self._failed_in_a_row = 0
            self._answers[asked.key] = self._made(asked.key, asked.spent, cached=False)
            return
        self._failed_in_a_row += got.kind in RETRIED
        if got.kind in ("auth", "connection") or self._failed_in_a_row >= STORM:
            self._fatal = self._fatal or _gone(self._backend.name, got)
        self._answers[asked.key] = _answer(asked, "failed", f"{got.kind}: {got.message}")

    def _billed(
        self, asked: _Asked, got: Reply | Failure, seconds: float
    ) -> tuple[ModelCall, Reply | None]:
        """The record of one call, added to what its request has cost so far."""
        usd = self._price.usd(got.tokens_in, got.tokens_out)
        spent = asked.spent
        spent.tokens_in += got.tokens_in
        spent.tokens_out += got.tokens_out
        spent.usd += usd
        spent.seconds += seconds
        spent.attempts += 1
        if isinstance(got, Failure):
            status, text, error = "failed", "", f"{got.kind}: {got.message}"
        else:
            judged = self._judged[asked.key] = judge(asked.request, got)
            status, text, error = judged.status, judged.shown, judged.error
        call = ModelCall(
            key=asked.key,
            model=self._backend.name,
            why=self._why,
            status=status,
            cached=False,
            tokens_in=got.tokens_in,
            tokens_out=got.tokens_out,
            usd=usd,
            seconds=round(seconds, 6),
            text=text,
            error=error,
        )
        return call, got if isinstance(got, Reply) else None

    def _cached(self, key: str) -> ModelCall:
        judged = self._judged[key]
        return ModelCall(
            key=key,
            model=self._backend.name,
            why=self._why,
            status=judged.status,
            cached=True,
            tokens_in=0,
            tokens_out=0,
            usd=0.0,
            seconds=0.0,
            text=judged.shown,
            error=judged.error,
        )

    async def _write(self, calls: list[tuple[ModelCall, Reply | None]]) -> None:
        """Record calls, then keep their replies; whoever comes first writes for all that wait.

        In this order: killed between the two, a call is paid for twice and billed twice, where
        the other order would leave one out of the bill.
        """
        self._unwritten += calls
        async with self._writing:
            batch, self._unwritten = self._unwritten, []
            if batch:
                await asyncio.to_thread(self._keep, batch)

    def _keep(self, batch: list[tuple[ModelCall, Reply | None]]) -> None:
        self._account.record([call for call, _ in batch])
        if self._cache is not None:
            self._cache.put((call.key, reply) for call, reply in batch if reply is not None)

    def _made(self, key: str, spent: _Spent, *, cached: bool) -> Answer:
        judged = self._judged[key]
        return Answer(
            key=key,
            status=judged.status,
            text=judged.reply.text,
            parsed=judged.parsed,
            call=judged.call,
            error=judged.error,
            tokens=judged.reply.tokens,
            choice_logprobs=judged.reply.choice_logprobs,
            cached=cached,
            tokens_in=spent.tokens_in,
            tokens_out=spent.tokens_out,
            usd=spent.usd,
            seconds=spent.seconds,
            attempts=spent.attempts,
        )

    def _worst(self, request: Request) -> float:
        if not self._limited:
            return 0.0
        return self._price.usd(self._backend.count(request), request.max_tokens)

    def _key(self, request: Request) -> str:
        return request.key(self._backend.identity)


def _answer(asked: _Asked, status: Status, error: str) -> Answer:
    """An answer without content, with what was paid for it."""
    spent = asked.spent
    return Answer(
        key=asked.key,
        status=status,
        error=error,
        tokens_in=spent.tokens_in,
        tokens_out=spent.tokens_out,
        usd=spent.usd,
        seconds=spent.seconds,
        attempts=spent.attempts,
    )


def _joined(key: str, first: Answer, second: Answer) -> Answer:
    """The answer after a repair, with the cost of both."""
    if second.status in ("over_budget", "failed"):
        second = replace(second, status="invalid", error=f"{first.error}; then {second.error}")
    return replace(
        second,
        key=key if not second.ok else second.key,
        cached=first.cached and second.cached,
        tokens_in=first.tokens_in + second.tokens_in,
        tokens_out=first.tokens_out + second.tokens_out,
        usd=first.usd + second.usd,
        seconds=first.seconds + second.seconds,
        attempts=first.attempts + second.attempts,
    )


def _gone(name: str, failure: Failure) -> OperatorError:
    how = {
        "auth": "set the key that the server wants (OPENAI_API_KEY, ANTHROPIC_API_KEY, …)",
        "connection": "start the server or mend its address",
    }.get(failure.kind, "wait until it is well, or lower --llm-concurrency and --llm-rate")
    return OperatorError(
        f"the chat model {name!r} does not answer ({failure.kind}: {failure.message}): {how}, "
        "then run `labelwright resume PROJECT`; what was answered is kept and not paid for again"
    )
