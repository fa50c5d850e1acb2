"""An event loop of its own, so that a client outlives the loops it is called from.

Connections belong to the loop that opened them. The gateway starts a loop for each batch of
questions; a client that lived in those would lose its connections, or find them closed, from one
batch to the next.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class OwnLoop:
    """Runs coroutines in a thread that is started by the first one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for `work`, from any event loop; cancelled with whoever waits."""
        loop = self._running()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))

    async def stop(self, last: Coroutine[Any, Any, None] | None = None) -> None:
        """Run `last` and end the thread; the next `run` starts another."""
        if self._loop is None or self._thread is None:
            if last is not None:
                last.close()
            return
        if last is not None:
            await self.run(last)
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                # A daemon, because a program that forgets to close a client must still end.
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name="labelwright-client", daemon=True
                )
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
