"""When a call may begin: the rate limit, and the wait after a failure."""

from __future__ import annotations

import asyncio
import random
import time

FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0


class Pace:
    """At most so many calls a second, evenly spaced; lives in one event loop.

    The clock is the monotonic one: a wall clock that is set back stops nothing.
    """

    def __init__(self, per_second: float) -> None:
        """`per_second` calls; 0 for no limit."""
        self._gap = 1 / per_second if per_second else 0.0
        self._next = time.monotonic()

    async def turn(self) -> None:
        """Wait until the next call may begin."""
        if not self._gap:
            return
        now = time.monotonic()
        start = max(now, self._next)
        self._next = start + self._gap
        await asyncio.sleep(start - now)


def wait_after(attempt: int, retry_after: float | None, key: str) -> float:
    """Seconds to wait before trying again: what the server asked for, else doubling with jitter.

    Args:
        attempt: how many calls failed so far, from 1.
        retry_after: what the server asked for, if it did.
        key: the request's key; the jitter follows from it and the attempt.
    """
    if retry_after is not None:
        return min(max(retry_after, 0.0), LONGEST_WAIT)
    jitter = random.Random(f"{key}:{attempt}").uniform(0.5, 1.0)
    return float(min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)) * jitter)
