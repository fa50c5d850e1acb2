"""The gateway: every answer once, every cent counted, nothing beyond the budget."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Literal

import pytest
from labelwright.models.llm import session
from labelwright.models.llm.account import StoreAccount
from labelwright.models.llm.base import Call, Failure, Message, Reply, Request, ToolSpec
from labelwright.models.llm.cache import AnswerCache
from labelwright.models.llm.gateway import Gateway, price_for
from labelwright.models.llm.prices import FlatPrice, ListedPrice
from labelwright.models.llm.session import Limits
from labelwright.store import writer
from labelwright.store.database import Store
from labelwright.store.errors import OperatorError, UserError
from labelwright.store.records import ModelCall
from labelwright.store.trace import Place
from pydantic import BaseModel
from scripted import ScriptedBackend

PENNY = FlatPrice(1e4, 1e4)
"""A cent a token: sums are easy to follow."""


class Verdict(BaseModel):
    label: Literal["yes", "no"]


def ask(text: str, **changed: object) -> Request:
    return Request((Message("user", text),), schema=Verdict, **changed)  # type: ignore[arg-type]


class Book:
    """An account that remembers."""

    def __init__(self, left: float | None = None) -> None:
        self.calls: list[ModelCall] = []
        self._limit = left

    def left(self) -> float | None:
        return None if self._limit is None else self._limit - self.usd

    def record(self, calls: Sequence[ModelCall]) -> None:
        self.calls += calls

    @property
    def usd(self) -> float:
        return sum(call.usd for call in self.calls)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "wait_after", lambda *_: 0.0)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[AnswerCache]:
    made = AnswerCache(tmp_path / "answers.db")
    yield made
    made.close()


def test_answers_come_in_the_order_of_the_requests() -> None:
    backend = ScriptedBackend(lambda r: {"label": "yes" if "1" in r.messages[0].content else "no"})
    answers = Gateway(backend).ask([ask(f"item {n}") for n in range(30)])
    labels = [answer.parsed.label for answer in answers]  # type: ignore[union-attr]
    assert labels == ["yes" if "1" in str(n) else "no" for n in range(30)]


def test_equal_requests_are_asked_once_and_answered_each() -> None:
    backend = ScriptedBackend(lambda _: {"label": "no"})
    answers = Gateway(backend).ask([ask("same")] * 3)
    assert len(backend.asked) == 1
    assert [answer.ok for answer in answers] == [True] * 3


def test_another_sample_of_the_same_question_is_another_call() -> None:
    backend = ScriptedBackend(lambda _: {"label": "no"})
    Gateway(backend).ask([ask("same", sample=0), ask("same", sample=1)])
    assert len(backend.asked) == 2


def test_a_second_run_makes_no_call_and_costs_nothing(cache: AnswerCache) -> None:
    backend, book = ScriptedBackend(lambda _: {"label": "no"}), Book()
    gateway = Gateway(backend, cache=cache, price=PENNY)
    first = gateway.ask([ask("a"), ask("b")], account=book)
    paid = book.usd
    second = gateway.ask([ask("a"), ask("b")], account=book)
    assert len(backend.asked) == 2
    assert paid > 0
    assert book.usd == paid
    assert [answer.parsed for answer in second] == [answer.parsed for answer in first]
    assert [(answer.cached, answer.usd, answer.attempts) for answer in second] == [(True, 0, 0)] * 2
    assert [call.cached for call in book.calls] == [False, False, True, True]


def test_an_invalid_answer_is_kept_too_and_repaired_the_same_way(cache: AnswerCache) -> None:
    said = iter(["perhaps", {"label": "yes"}])
    backend = ScriptedBackend(lambda _: next(said))
    gateway = Gateway(backend, cache=cache)
    assert gateway.ask([ask("a")])[0].ok
    assert gateway.ask([ask("a")])[0].ok
    assert len(backend.asked) == 2


def test_another_schema_or_parameter_is_another_key() -> None:
    plain = ask("a")
    others = [ask("a", temperature=0.5), ask("a", seed=1), ask("b"), ask("a", max_tokens=9)]
    keys = {each.key("m") for each in (plain, *others)} | {plain.key("n")}
    assert len(keys) == 6
    assert ask("a", item="another item").key("m") == plain.key("m")


def test_an_answer_of_the_wrong_form_goes_back_once_with_its_error() -> None:
    backend, book = ScriptedBackend(lambda _: {"label": "maybe"}), Book()
    (answer,) = Gateway(backend, price=PENNY).ask([ask("a")], account=book)
    assert answer.status == "invalid"
    assert answer.parsed is None
    assert "'maybe'" in answer.error
    assert len(backend.asked) == 2
    again = backend.asked[1].messages
    assert again[1] == Message("assistant", json.dumps({"label": "maybe"}))
    assert "'yes' or 'no'" in again[2].content
    assert answer.usd == pytest.approx(book.usd)
    assert answer.attempts == 2


def test_a_label_look_alike_is_never_mapped_to_the_label() -> None:
    for said in ("YES", "yеs", "yes ", "Yes", "ja", 1, None, ["yes"]):
        backend = ScriptedBackend(lambda _, said=said: {"label": said})  # type: ignore[misc]
        assert Gateway(backend).ask([ask("a")])[0].status == "invalid"


def test_a_refusal_is_a_refusal_and_not_asked_again() -> None:
    backend = ScriptedBackend(lambda _: Reply("I cannot", finish="refusal", tokens_out=2))
    (answer,) = Gateway(backend).ask([ask("a")])
    assert (answer.status, len(backend.asked)) == ("refused", 1)


def test_an_answer_cut_off_says_so_and_asks_for_less() -> None:
    backend = ScriptedBackend(lambda _: Reply('{"label": "y', finish="length", tokens_out=512))
    (answer,) = Gateway(backend).ask([ask("a")])
    assert answer.status == "invalid"
    assert "cut off after 512 tokens" in backend.asked[1].messages[-1].content


def test_an_answer_cut_off_before_its_limit_says_where() -> None:
    backend = ScriptedBackend(lambda _: Reply('{"label": "y', finish="length", tokens_out=96))
    (answer,) = Gateway(backend).ask([ask("a")])
    assert answer.error.startswith("the answer was cut off after 96 tokens")


def test_failures_that_pass_are_tried_again_and_every_try_is_in_the_bill() -> None:
    said: Iterator[Reply | Failure | dict[str, str]] = iter(
        [Failure("rate", "slow down"), Failure("timeout", "late", tokens_in=7), {"label": "no"}]
    )
    backend, book = ScriptedBackend(lambda _: next(said)), Book()
    (answer,) = Gateway(backend, price=PENNY).ask([ask("a")], account=book)
    assert answer.ok
    assert answer.attempts == 3
    assert [call.status for call in book.calls] == ["failed", "failed", "ok"]
    assert answer.tokens_in == 7 + book.calls[2].tokens_in
    assert answer.usd == pytest.approx(book.usd)


def test_a_request_the_server_cannot_take_fails_alone() -> None:
    def script(request: Request) -> Failure | dict[str, str]:
        long = "long" in request.messages[0].content
        return Failure("context", "too long") if long else {"label": "no"}

    answers = Gateway(ScriptedBackend(script)).ask([ask("a"), ask("long"), ask("b")])
    assert [answer.status for answer in answers] == ["ok", "failed", "ok"]
    assert answers[1].error == "context: too long"


@pytest.mark.parametrize("kind", ["connection", "auth"])
def test_a_server_that_is_gone_stops_everything_and_says_how_to_go_on(
    kind: Literal["connection", "auth"], cache: AnswerCache
) -> None:
    seen: list[str] = []

    def script(request: Request) -> Failure | dict[str, str]:
        seen.append(request.messages[0].content)
        return {"label": "no"} if len(seen) <= 10 else Failure(kind, "gone")

    backend, book = ScriptedBackend(script, concurrency=1), Book()
    gateway = Gateway(backend, cache=cache, price=PENNY)
    with pytest.raises(OperatorError, match="resume PROJECT"):
        gateway.ask([ask(f"item {n}") for n in range(40)], account=book)
    assert len(set(seen)) == 11
    assert sum(call.status == "ok" for call in book.calls) == 10
    backend._script = lambda _: {"label": "no"}
    assert all(a.ok for a in gateway.ask([ask(f"item {n}") for n in range(40)], account=book))
    assert sum(call.status == "ok" and not call.cached for call in book.calls) == 40


@pytest.mark.parametrize("kind", ["rate", "server", "timeout"])
def test_a_storm_of_failures_stops_before_all_items_have_failed(
    kind: Literal["rate", "server", "timeout"],
) -> None:
    backend = ScriptedBackend(lambda _: Failure(kind, "storm"))
    with pytest.raises(OperatorError, match="does not answer"):
        Gateway(backend, limits=Limits(tries=2)).ask([ask(f"item {n}") for n in range(100)])
    assert len(backend.asked) < 50


def test_no_call_is_made_whose_worst_case_is_more_than_is_left() -> None:
    backend = ScriptedBackend(lambda _: {"label": "no"})
    book = Book(left=0.5)
    answers = Gateway(backend, price=PENNY).ask([ask("a", max_tokens=60)], account=book)
    assert answers[0].status == "over_budget"
    assert backend.asked == []


def test_the_budget_is_never_overspent_however_many_ask_at_once() -> None:
    backend = ScriptedBackend(lambda _: {"label": "no"}, concurrency=16)
    book = Book(left=2.0)
    requests = [ask(f"item {n}", max_tokens=20) for n in range(200)]
    answers = Gateway(backend, price=PENNY).ask(requests, account=book)
    made = sum(answer.ok for answer in answers)
    assert {answer.status for answer in answers} == {"ok", "over_budget"}
    assert book.usd <= 2.0
    assert book.usd > 2.0 - 0.3
    assert made == len(backend.asked)


def test_a_batch_is_cut_to_what_can_be_paid() -> None:
    backend = ScriptedBackend(lambda _: {"label": "no"}, batch=100, concurrency=1)
    book = Book(left=1.0)
    answers = Gateway(backend, price=PENNY).ask(
        [ask(f"item {n}", max_tokens=20) for n in range(50)], account=book
    )
    assert 0.7 < book.usd <= 1.0
    assert sum(answer.status == "over_budget" for answer in answers) > 0


def test_failed_tries_of_a_batch_that_cannot_be_paid_again_end() -> None:
    backend = ScriptedBackend(
        lambda _: Failure("server", "500", tokens_in=10), batch=4, concurrency=1
    )
    book = Book(left=1.0)
    answers = Gateway(backend, price=PENNY).ask(
        [ask(f"item {n}", max_tokens=15) for n in range(4)], account=book
    )
    assert {answer.status for answer in answers} <= {"over_budget", "failed"}
    assert book.usd <= 1.0


def test_a_budget_without_a_known_price_is_refused() -> None:
    backend = ScriptedBackend(lambda _: {"label": "no"}, price_of=("nobody", "unknown"))
    gateway = Gateway(backend, price=price_for(backend, 0, 0))
    with pytest.raises(UserError, match="--price-in"):
        gateway.ask([ask("a")], account=Book(left=1.0))
    assert gateway.ask([ask("a")], account=Book())[0].ok


def test_prices_are_those_given_else_those_listed_else_nothing_for_a_local_model() -> None:
    local = ScriptedBackend(lambda _: "x")
    known = ScriptedBackend(lambda _: "x", price_of=("openai", "gpt-4o-mini"))
    assert price_for(local, 0, 0) == FlatPrice(0, 0)
    assert price_for(local, 1, 2) == FlatPrice(1, 2)
    assert price_for(known, 0, 0) == ListedPrice("openai", "gpt-4o-mini")


def test_exactly_one_offered_tool_is_called() -> None:
    tools = (ToolSpec("go", "go on", {"type": "object"}),)
    request = Request((Message("user", "?"),), tools=tools)
    for calls, status in (
        ((Call("go", '{"a": 1}'),), "ok"),
        ((), "invalid"),
        ((Call("go", "{}"), Call("go", "{}")), "invalid"),
        ((Call("stop", "{}"),), "invalid"),
        ((Call("go", '{"a": '),), "invalid"),
        ((Call("go", "[1]"),), "invalid"),
    ):
        backend = ScriptedBackend(lambda _, calls=calls: Reply("", calls=calls))  # type: ignore[misc]
        assert Gateway(backend).ask([request], repairs=0)[0].status == status


def test_it_works_inside_a_running_event_loop() -> None:
    async def notebook() -> bool:
        return Gateway(ScriptedBackend(lambda _: {"label": "no"})).ask([ask("a")])[0].ok

    assert asyncio.run(notebook())


def test_calls_stand_in_the_project_with_their_answers_and_the_trace_vouches_for_them(
    tmp_path: Path,
) -> None:
    store = Store.create(tmp_path)
    account = StoreAccount(store, Place("run", 3, "act"), limit=1.0)
    backend = ScriptedBackend(lambda _: {"label": "no"})
    gateway = Gateway(backend, price=FlatPrice(100.0, 100.0))
    answers = gateway.paid_by(account).ask([ask("a"), ask("b")], why="annotate")
    stored = store.model_calls()
    assert {call.key for call in stored} == {answer.key for answer in answers}
    assert {(call.why, call.status, call.text) for call in stored} == {
        ("annotate", "ok", '{"label": "no"}')
    }
    assert store.totals().usd == pytest.approx(sum(answer.usd for answer in answers))
    assert account.left() == pytest.approx(1.0 - store.totals().usd)
    assert store.verify() == []
    store.close()


def test_many_calls_at_once_are_all_recorded(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    account = StoreAccount(store, Place("run", 1, "act"), limit=None)
    backend = ScriptedBackend(lambda _: {"label": "no"}, concurrency=32)
    Gateway(backend).paid_by(account).ask([ask(f"item {n}") for n in range(200)], why="annotate")
    assert len(store.model_calls()) == 200
    assert store.verify() == []
    store.close()


def test_a_file_that_is_no_cache_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    path.write_bytes(b"not a database, but long enough to be read as one" * 30)
    with pytest.raises(OperatorError, match="delete it, name another with --llm-cache"):
        AnswerCache(path)


class Reasoned(BaseModel):
    reason: str


@pytest.mark.parametrize(
    "text", ['{"reason": "half a \\ud83d pair"}', '{"reason": "half a \ud83d pair"}']
)
def test_half_a_surrogate_pair_can_be_stored(tmp_path: Path, text: str) -> None:
    store = Store.create(tmp_path)
    account = StoreAccount(store, Place("run", 1, "act"), limit=None)
    gateway = Gateway(ScriptedBackend(lambda _: Reply(text)))
    request = Request((Message("user", "?"),), schema=Reasoned)
    (answer,) = gateway.paid_by(account).ask([request])
    assert isinstance(answer.parsed, Reasoned)
    assert answer.parsed.reason == "half a ? pair"
    assert answer.parsed.reason.encode()
    assert store.verify() == []
    store.close()


def test_half_a_surrogate_pair_in_a_call_can_be_stored(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    account = StoreAccount(store, Place("run", 1, "act"), limit=None)
    call = Call("go", '{"reason": "\\ud83d"}')
    gateway = Gateway(ScriptedBackend(lambda _: Reply("", calls=(call,))))
    tools = (ToolSpec("go", "go on", {"type": "object"}),)
    (answer,) = gateway.paid_by(account).ask([Request((Message("user", "?"),), tools=tools)])
    assert answer.call is not None
    assert json.loads(answer.call.arguments) == {"reason": "?"}
    assert store.verify() == []
    store.close()


def test_line_ends_within_a_string_are_taken_as_they_are() -> None:
    said = '{"label": "no", "note": "two\nlines"}'
    assert Gateway(ScriptedBackend(lambda _: Reply(said))).ask([ask("a")])[0].ok


def test_a_clock_that_goes_backwards_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Backwards(datetime):
        hours = 0

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Backwards:
            cls.hours += 1
            return cls(2026, 1, 1, tzinfo=tz) - timedelta(hours=cls.hours)  # type: ignore[return-value]

    monkeypatch.setattr(writer, "datetime", Backwards)
    monkeypatch.setattr(time, "time", lambda: -float(Backwards.hours))
    store = Store.create(tmp_path)
    account = StoreAccount(store, Place("run", 1, "act"), limit=1.0)
    backend = ScriptedBackend(lambda _: {"label": "no"})
    gateway = Gateway(backend, price=FlatPrice(100.0, 100.0), limits=Limits(per_second=200))
    answers = gateway.paid_by(account).ask([ask(f"item {n}") for n in range(20)])
    assert all(answer.ok for answer in answers)
    assert all(answer.seconds >= 0 for answer in answers)
    assert store.totals().usd == pytest.approx(sum(answer.usd for answer in answers))
    times = [event.time for event in store.events()]
    assert times == sorted(times, reverse=True)
    assert store.verify() == []
    store.close()


def test_calls_are_spaced_by_the_rate() -> None:
    backend = ScriptedBackend(lambda _: {"label": "no"}, concurrency=16)
    started = time.monotonic()
    Gateway(backend, limits=Limits(per_second=50)).ask([ask(f"item {n}") for n in range(11)])
    assert time.monotonic() - started >= 10 / 50
