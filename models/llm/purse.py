"""The hard budget: what a call may cost at worst is set aside before it is made."""

from __future__ import annotations

import asyncio


class Purse:
    """Money for the calls of one batch of requests; lives in one event loop."""

    def __init__(self, left: float | None) -> None:
        """`left` US dollars; `None` for no limit."""
        self._left = left
        self._held = 0.0
        self._returned = asyncio.Condition()

    async def hold(self, usd: float) -> bool:
        """Set money aside for a call, waiting for calls under way that may give some back.

        Returns:
            Whether it is there: `False` means that the call must not be made.
        """
        if self._left is None:
            return True
        async with self._returned:
            while usd > self._left - self._held:
                if self._held <= 0 or usd > self._left:
                    return False
                await self._returned.wait()
            self._held += usd
            return True

    async def hold_now(self, usd: float) -> bool:
        """Set money aside if it is there at once; see `hold`."""
        async with self._returned:
            if self._left is not None and usd > self._left - self._held:
                return False
            self._held += usd
            return True

    async def settle(self, held: float, spent: float) -> None:
        """Take what a call really cost out of what was set aside for it."""
        if self._left is None:
            return
        async with self._returned:
            self._held = max(0.0, self._held - held)
            self._left -= spent
            self._returned.notify_all()
