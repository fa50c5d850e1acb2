"""Models on a server: against real connections on loopback, good and bad ones."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backend_contract import ITEMS, BackendContract, asking, complete, reply
from chat_server import Body, ChatServer, Said, called, completion, refused, serving
from labelwright.models.llm.backends.served import ServedBackend, Server
from labelwright.models.llm.base import Backend, Failure, Message, Request, ToolSpec
from labelwright.models.llm.cache import AnswerCache
from labelwright.models.llm.gateway import Gateway
from labelwright.store.errors import OperatorError, UserError
from pydantic import BaseModel

PICK = ToolSpec("pick", "Pick items.", {"type": "object", "properties": {"k": {"type": "integer"}}})
LONG = "x" * 5_000
TOO_LONG = (
    "This model's maximum context length is 2048 tokens. However, your prompt contains at least "
    "2049 input tokens."
)


def by_length(body: Body) -> Said | Body:
    """A label that depends on the item, later for shorter items; too long ones are refused."""
    item = body["messages"][-1]["content"]
    if len(item) > 4_000:
        return refused(400, TOO_LONG)
    label = ("billing", "bug", "praise")[len(item) % 3]
    return Said(completion(json.dumps({"label": label})), wait=0.02 if len(item) % 2 else 0)


def served(server: ChatServer, **more: Any) -> ServedBackend:
    provider = more.pop("provider", "openai")
    return ServedBackend(Server(provider, "tiny", server.url, "none"), **more)


def ask(server: ChatServer, *requests: Request, **more: Any) -> list[Any]:
    """Ask with a back end that is closed in the end."""
    backend = served(server, **more)

    async def work() -> list[Any]:
        try:
            return list(await backend.complete(requests))
        finally:
            await backend.close()

    return asyncio.run(work())


class TestContract(BackendContract):
    @pytest.fixture
    def made(self) -> Iterator[Backend]:
        with serving(by_length) as server:
            yield served(server)

    def unanswerable(self) -> Request:
        return asking(LONG)

    def expected(self, item: str) -> str | None:
        return json.dumps({"label": ("billing", "bug", "praise")[len(item) % 3]})


def test_a_request_is_sent_as_it_is_meant() -> None:
    request = asking("hi\udcff", temperature=0.7, seed=3, logprobs=True, max_tokens=77)
    with serving(by_length) as server:
        ask(server, request)
    (sent,) = server.asked
    form = sent.pop("response_format")
    assert sent == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "Label the message."},
            {"role": "user", "content": "hi?"},
        ],
        "temperature": 0.7,
        "seed": 3,
        "max_tokens": 77,
        "logprobs": True,
        "top_logprobs": 20,
    }
    assert form["type"] == "json_schema"
    assert form["json_schema"]["strict"] is True
    assert form["json_schema"]["schema"]["required"] == ["label"]
    assert form["json_schema"]["schema"]["additionalProperties"] is False


def test_another_sample_is_another_draw() -> None:
    with serving(by_length) as server:
        ask(server, asking("a", sample=0), asking("a", sample=1))
    assert len({sent["seed"] for sent in server.asked}) == 2


@pytest.mark.parametrize("provider", ["openai", "vllm"])
def test_one_tool_call_is_asked_for_and_read(provider: str) -> None:
    with serving(lambda _: called("pick", '{"k": 3}')) as server:
        (found,) = ask(server, asking("a", schema=None, tools=(PICK,)), provider=provider)
    assert [(call.name, call.arguments) for call in found.calls] == [("pick", '{"k": 3}')]
    assert found.finish == "stop"
    (sent,) = server.asked
    assert sent["tool_choice"] == "required"
    assert sent["parallel_tool_calls"] is False
    (function,) = [tool["function"] for tool in sent["tools"]]
    assert function["parameters"] == PICK.parameters
    assert ("strict" in function) == (provider == "vllm")


def test_log_probabilities_are_read_without_what_the_schema_ruled_out() -> None:
    top = [{"token": "{", "logprob": -0.1}, {"token": "x", "logprob": -9999.0}]
    listed = {"content": [{"token": "{", "logprob": -0.1, "top_logprobs": top}]}
    with serving(lambda _: completion("{}", logprobs=listed)) as server:
        (found,) = ask(server, asking("a", logprobs=True))
    (token,) = found.tokens
    assert (token.text, token.logprob, token.top) == ("{", -0.1, (("{", -0.1),))


@pytest.mark.parametrize(
    ("said", "finish"),
    [
        (completion("a", finish_reason="length"), "length"),
        (completion("a", finish_reason="content_filter"), "refusal"),
        (completion(None, refusal="I would rather not."), "refusal"),
        (completion("a", finish_reason="something new"), "other"),
        (completion("a", finish_reason=None), "other"),
    ],
)
def test_why_an_answer_ended_is_told(said: Body, finish: str) -> None:
    with serving(lambda _: said) as server:
        (found,) = ask(server, asking("a"))
    assert found.finish == finish
    assert found.text


def test_half_a_character_is_no_fault_of_the_whole_answer(tmp_path: Path) -> None:
    top = [{"token": "\ud83d", "logprob": -0.1}]
    listed = {"content": [{"token": "\ud83d", "logprob": -0.1, "top_logprobs": top}]}
    with serving(lambda _: completion("cut \ud83d", logprobs=listed)) as server:
        gateway = Gateway(served(server), cache=AnswerCache(tmp_path / "answers.db"))
        (answer,) = gateway.ask([asking("a", schema=None)])
        gateway.close()
    assert (answer.status, answer.text) == ("ok", "cut ?")
    assert (answer.tokens[0].text, answer.tokens[0].top) == ("?", (("?", -0.1),))


def test_a_server_that_counts_no_tokens_is_taken_to_have_used_the_most() -> None:
    said = completion("é")
    del said["usage"]
    request = asking("hello")
    with serving(lambda _: said) as server:
        backend = served(server)
        (found,) = complete(backend, [request])
        asyncio.run(backend.close())
    assert reply(found).tokens_in == backend.count(request)
    assert reply(found).tokens_out == 2


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (refused(429, "slow down", retry_after="7"), "rate", "slow down"),
        (refused(429, "You exceeded your current quota"), "auth", "quota"),
        (refused(500, "oh no"), "server", "oh no"),
        (refused(503, "loading", retry_after="7"), "server", "loading"),
        (refused(408, "late"), "timeout", "late"),
        (refused(400, TOO_LONG), "context", "2048"),
        (refused(413, "large"), "context", "large"),
        (refused(401, "wrong key"), "auth", "wrong key"),
        (refused(403, "not yours"), "auth", "not yours"),
        (refused(404, "no such model"), "request", "no such model"),
        (refused(422, "what?"), "request", "what?"),
        (Said(b'{"choices": [{"mess'), "server", "no chat completion"),
        (Said(b"<html>a proxy</html>"), "server", "a proxy"),
        (Said({"choices": []}), "server", "no chat completion"),
        (Said([1]), "server", "no chat completion"),
        (Said(b"[" * 100_000), "server", "no chat completion"),
        (Said({"choices": [{"message": None}]}), "server", "no chat completion"),
        (Said(completion(), cut=True), "connection", ""),
    ],
)
def test_every_fault_is_a_failure_of_its_kind(said: Said, kind: str, words: str) -> None:
    with serving(lambda _: said) as server:
        (found,) = ask(server, asking("a"))
    assert isinstance(found, Failure)
    assert (found.kind, words in found.message) == (kind, True)
    assert found.retry_after == (7.0 if "retry-after" in said.headers else None)
    assert len(server.asked) == 1, "the gateway tries again, not the back end"


def test_a_server_that_hangs_is_a_timeout() -> None:
    with serving(lambda _: Said(completion(), wait=2.0)) as server:
        started = time.monotonic()
        (found,) = ask(server, asking("a"), timeout=0.2)
    assert isinstance(found, Failure)
    assert found.kind == "timeout"
    assert time.monotonic() - started < 4


def test_a_server_that_is_not_there_is_a_lost_connection() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        backend = ServedBackend(
            Server("openai", "tiny", f"http://127.0.0.1:{taken.getsockname()[1]}/v1", "none")
        )
        (found,) = complete(backend, [asking("a")])
        with pytest.raises(OperatorError, match="openai:tiny"):
            asyncio.run(backend.models())
        asyncio.run(backend.close())
    assert isinstance(found, Failure)
    assert found.kind == "connection"
    assert "onnect" in found.message


def test_calls_at_once_are_bounded() -> None:
    with serving(lambda _: Said(completion(), wait=0.05)) as server:
        found = ask(server, *(asking(f"{number}") for number in range(12)), concurrency=3)
    assert len(found) == 12
    assert server.most_open == 3


def test_sixty_four_calls_run_at_once() -> None:
    with serving(lambda _: Said(completion(), wait=0.3)) as server:
        found = ask(server, *(asking(f"{number}") for number in range(64)))
    assert all(each.text == "hello" for each in found)
    assert server.most_open > 32


def refuses(field: str, message: str) -> Any:
    """A server that refuses a field, by a message, and is fine without it."""

    def answer(body: Body) -> Said | Body:
        return refused(400, message) if field in body else completion('{"label": "bug"}')

    return answer


def test_a_server_without_json_schema_is_told_the_schema_in_words_from_then_on() -> None:
    with serving(refuses("response_format", "response_format json_schema: not known")) as server:
        backend = served(server)
        first = complete(backend, [asking("a")])
        second = complete(backend, [asking("b")])
        asyncio.run(backend.close())
    assert [reply(each).text for each in first + second] == ['{"label": "bug"}'] * 2
    assert ["response_format" in sent for sent in server.asked] == [True, False, False]
    assert backend.left_out == ["response_format"]
    system = server.asked[-1]["messages"][0]["content"]
    assert system.startswith("Label the message.")
    assert '"enum": ["billing", "bug", "praise"]' in system
    assert server.asked[-1]["messages"][1]["content"] == "b"


def test_a_schema_that_is_too_much_does_not_cost_others_theirs() -> None:
    class Other(BaseModel):
        free: dict[str, int]

    def answer(body: Body) -> Said | Body:
        if body.get("response_format", {}).get("json_schema", {}).get("name") == "Other":
            return refused(400, "Invalid schema for response_format 'Other'")
        return completion("{}")

    with serving(answer) as server:
        ask(server, asking("a", schema=Other), asking("b"))
        ask(server, asking("b"))
    named = [sent.get("response_format", {}).get("json_schema") for sent in server.asked]
    assert [form["name"] for form in named if form].count("Label") == 2
    assert [form["strict"] for form in named if form and form["name"] == "Other"] == [False]


def test_without_a_system_message_the_schema_stands_before_the_first_one() -> None:
    with serving(refuses("response_format", "unknown field response_format")) as server:
        ask(server, Request((Message("user", "text"),), schema=asking("a").schema))
    (message,) = server.asked[-1]["messages"]
    assert message["role"] == "user"
    assert message["content"].endswith("\n\ntext")
    assert "JSON schema" in message["content"]


@pytest.mark.parametrize("field", ["temperature", "seed", "logprobs", "parallel_tool_calls"])
def test_a_field_that_a_model_refuses_is_left_out(field: str) -> None:
    tools = (PICK,) if field == "parallel_tool_calls" else ()
    request = asking("a", logprobs=True, schema=None, tools=tools)
    with serving(refuses(field, f"Unsupported parameter: '{field}'")) as server:
        backend = served(server)
        assert reply(complete(backend, [request])[0]).text
        asyncio.run(backend.close())
    assert backend.left_out == [field]
    assert "top_logprobs" in server.asked[0]
    assert ("top_logprobs" in server.asked[1]) == (field != "logprobs")


def test_a_server_that_cannot_call_tools_is_asked_for_the_call_as_json() -> None:
    def answer(body: Body) -> Said | Body:
        if "tools" in body:
            return refused(400, 'tool_choice="required" requires --tool-call-parser to be set')
        return completion('{"name": "pick", "arguments": {"k": 4}}')

    with serving(answer) as server:
        (found,) = ask(server, asking("a", schema=None, tools=(PICK,)))
    assert [(call.name, json.loads(call.arguments)) for call in found.calls] == [("pick", {"k": 4})]
    sent = server.asked[-1]
    assert '"name": "pick"' in sent["messages"][0]["content"]
    (form,) = sent["response_format"]["json_schema"]["schema"]["anyOf"]
    assert form["properties"]["name"] == {"const": "pick"}
    assert form["properties"]["arguments"] == PICK.parameters


def test_choices_hold_the_answer_of_a_vllm_server() -> None:
    with serving(lambda _: completion("yes")) as server:
        ask(server, asking("a", schema=None, choices=("yes", "no")), provider="vllm")
        ask(server, asking("a", schema=None, choices=("yes", "no")))
    assert [sent.get("structured_outputs") for sent in server.asked] == [
        {"choice": ["yes", "no"]},
        None,
    ]


def test_the_servers_models_are_listed() -> None:
    with serving(by_length) as server:
        backend = served(server)
        assert asyncio.run(backend.models()) == ["tiny"]
        asyncio.run(backend.close())


@pytest.mark.parametrize(
    ("provider", "url", "price"),
    [
        ("openai", None, ("openai", "m")),
        ("openai", "https://openrouter.ai/api/v1", ("openrouter", "m")),
        ("openai", "https://llm.example.org/v1", None),
        ("openai", "http://127.0.0.1:8000/v1", None),
        ("openai", "http://localhost:8000/v1", None),
        ("openai", "http://[::1]:8000/v1", None),
        ("vllm", "https://openrouter.ai/api/v1", None),
    ],
)
def test_who_is_paid_follows_from_the_address(
    provider: Any, url: str | None, price: tuple[str, str] | None
) -> None:
    backend = ServedBackend(Server(provider, "m", url, "k"))
    assert backend.price_of == price
    assert backend.identity == f"{provider}:m"
    assert backend.name == f"{provider}:m" + (f"@{url}" if url else "")


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(UserError, match="'localhost:1' is not a URL"):
        ServedBackend(Server("openai", "m", "localhost:1", "k"))


def test_connections_are_kept_from_one_event_loop_to_the_next() -> None:
    clients = set()

    def answer(body: Body) -> Body:
        return completion()

    with serving(answer) as server:
        real = server.get_request

        def counted() -> Any:
            found = real()
            clients.add(found[1])
            return found

        server.get_request = counted  # type: ignore[method-assign]
        backend = served(server)
        for item in ITEMS:
            complete(backend, [asking(item)])
        asyncio.run(backend.close())
    assert len(clients) == 1
