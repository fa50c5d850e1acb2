"""A chat model that follows a script: for tests in which the answer itself is not under test."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from labelwright.models.llm.base import Failure, Reply, Request

Script = Callable[[Request], Reply | Failure | str | dict[str, Any]]


class ScriptedBackend:
    """Answers each request with what a function says, and remembers what it was asked."""

    def __init__(
        self,
        script: Script,
        *,
        name: str = "scripted:model",
        batch: int = 1,
        concurrency: int = 4,
        price_of: tuple[str, str] | None = None,
    ) -> None:
        self.name = self.identity = name
        self.batch, self.concurrency, self.price_of = batch, concurrency, price_of
        self.asked: list[Request] = []
        self.closed = 0
        self._script = script

    async def complete(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        self.asked.extend(requests)
        return [self._one(request) for request in requests]

    def count(self, request: Request) -> int:
        return sum(len(message.content.split()) for message in request.messages)

    async def close(self) -> None:
        self.closed += 1

    def _one(self, request: Request) -> Reply | Failure:
        said = self._script(request)
        if isinstance(said, Reply | Failure):
            return said
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
        return Reply(text, tokens_in=self.count(request), tokens_out=len(text.split()))
