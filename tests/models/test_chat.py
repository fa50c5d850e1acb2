"""Chat models by one string: a real client against a server on loopback, and the errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from labelwright.agent.llm_policy import LLMPolicy
from labelwright.agent.playbook import PlaybookPolicy
from labelwright.agent.recipes import recipe
from labelwright.models.chat import load_chat_model
from labelwright.store.errors import UserError
from support import seen

CALL = {"strategy": "random", "k": 5, "reason": "no scores yet"}


class _Server(ThreadingHTTPServer):
    """Speaks as much of OpenAI's protocol as a tool call takes, and keeps what it was asked."""

    arguments: str = json.dumps(CALL)

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(json.loads(body))
        function = {"name": "select_samples", "arguments": self.server.arguments}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        }
        answer = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "tiny",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100},
        }
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def policy(name: str) -> LLMPolicy:
    model = load_chat_model(name)
    assert model is not None
    return LLMPolicy(model, name, PlaybookPolicy(recipe("standard")))


@pytest.mark.parametrize("provider", ["openai", "vllm"])
def test_a_served_model_decides_by_a_tool_call(server: _Server, provider: str) -> None:
    decision = policy(f"{provider}:tiny@{server.url}").decide(seen(batch=None), ["select_samples"])
    assert not decision.attempts
    assert (decision.tool, decision.args) == ("select_samples", {"strategy": "random", "k": 5})
    assert decision.reason == "no scores yet"
    assert decision.tokens == {"in": 90, "out": 10}
    (asked,) = server.asked
    assert asked["model"] == "tiny"
    assert asked["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in asked["tools"]] == ["select_samples"]
    assert "reason" in asked["tools"][0]["function"]["parameters"]["required"]


def test_a_served_model_that_talks_nonsense_falls_back(server: _Server) -> None:
    server.arguments = '{"strategy": "random", "k"'
    decision = policy(f"openai:tiny@{server.url}").decide(seen(batch=None), ["select_samples"])
    assert decision.fallback == "3 invalid calls"
    assert len(server.asked) == 3
    assert "refused" in server.asked[-1]["messages"][-1]["content"]


def test_a_server_that_is_not_there_falls_back() -> None:
    model = policy("openai:tiny@http://127.0.0.1:9/v1")
    decision = model.decide(seen(batch=None), ["select_samples"])
    assert "the chat model failed" in decision.fallback


def test_none_is_no_model() -> None:
    assert load_chat_model("none") is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpt", "is not a chat model: use none, openai:MODEL@URL"),
        (":x", "is not a chat model"),
        ("openai:m@localhost:1", "is not a URL"),
        ("anthropic:m@http://h", "only openai:MODEL@URL and vllm:MODEL@URL"),
        ("vllm:m", "only openai:MODEL@URL and vllm:MODEL@URL"),
        ("nobody:m", "nobody"),
    ],
)
def test_strings_that_name_no_model_are_one_line(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_chat_model(name)
    assert "\n" not in str(caught.value)
