"""What every back end does, whatever stands behind it: inherited by the tests of each."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal

import pytest
from labelwright.models.llm.base import Backend, Failure, Message, Reply, Request
from pydantic import BaseModel, ConfigDict

ITEMS = ("the card was charged twice", "the screen stays black", "thanks, lovely team")


class Label(BaseModel):
    """A label of three."""

    model_config = ConfigDict(extra="forbid")

    label: Literal["billing", "bug", "praise"]


def asking(item: str, **more: object) -> Request:
    """A request for the label of an item."""
    given: dict[str, object] = {"schema": Label, "max_tokens": 60, **more}
    messages = (Message("system", "Label the message."), Message("user", item))
    return Request(messages, item=item, **given)  # type: ignore[arg-type]


def complete(backend: Backend, requests: Sequence[Request]) -> list[Reply | Failure]:
    """The answers, in an event loop of their own."""
    return asyncio.run(backend.complete(requests))


def reply(found: Reply | Failure) -> Reply:
    assert isinstance(found, Reply), found
    return found


class BackendContract(ABC):
    """Needs a fixture `made`, a back end that answers `asking(item)`, and what it cannot answer."""

    counts = True
    """Whether tokens are counted; recorded answers have none."""

    @pytest.fixture
    def backend(self, made: Backend) -> Iterator[Backend]:
        yield made
        asyncio.run(made.close())

    @abstractmethod
    def unanswerable(self) -> Request:
        """A request that fails by itself, with the others answered."""

    def expected(self, item: str) -> str | None:
        """The text of the answer for an item, where it is known."""
        return None

    def test_it_is_a_backend(self, backend: Backend) -> None:
        assert isinstance(backend, Backend)
        assert backend.name
        assert backend.identity
        assert backend.batch >= 1
        assert backend.concurrency >= 1

    def test_nothing_asked_is_nothing_answered(self, backend: Backend) -> None:
        assert complete(backend, []) == []

    def test_answers_come_in_the_order_of_their_requests(self, backend: Backend) -> None:
        items = [ITEMS[place % 3] for place in (2, 0, 1, 1, 0, 2, 0)]
        together = complete(backend, [asking(item) for item in items])
        texts = {item: reply(complete(backend, [asking(item)])[0]).text for item in ITEMS}
        assert [reply(found).text for found in together] == [texts[item] for item in items]
        for item in ITEMS:
            if self.expected(item) is not None:
                assert texts[item] == self.expected(item)

    def test_one_failure_does_not_spoil_the_others(self, backend: Backend) -> None:
        alone = complete(backend, [asking(ITEMS[0]), asking(ITEMS[1])])
        found = complete(backend, [asking(ITEMS[0]), self.unanswerable(), asking(ITEMS[1])])
        assert isinstance(found[1], Failure)
        assert found[1].message
        assert [reply(found[0]).text, reply(found[2]).text] == [reply(each).text for each in alone]

    def test_tokens_are_counted(self, backend: Backend) -> None:
        request = asking(ITEMS[0])
        found = reply(complete(backend, [request])[0])
        if not self.counts:
            assert (found.tokens_in, found.tokens_out, backend.count(request)) == (0, 0, 0)
            return
        assert found.tokens_in > 0
        assert found.tokens_out > 0
        assert backend.count(request) >= found.tokens_in

    def test_it_serves_one_event_loop_after_another(self, backend: Backend) -> None:
        first, second, third = (complete(backend, [asking(item) for item in ITEMS]) for _ in "123")
        assert [reply(each).text for each in first] == [reply(each).text for each in second]
        assert [reply(each).text for each in first] == [reply(each).text for each in third]

    def test_it_can_be_closed_twice_and_asked_again(self, backend: Backend) -> None:
        before = reply(complete(backend, [asking(ITEMS[0])])[0])
        asyncio.run(backend.close())
        asyncio.run(backend.close())
        assert reply(complete(backend, [asking(ITEMS[0])])[0]).text == before.text
