"""The deciding agent over a server: from the tools that are offered to the call that is made."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from chat_server import Body, Said, called, serving
from labelwright.agent.llm_policy import LLMPolicy
from labelwright.agent.playbook import PlaybookPolicy
from labelwright.agent.recipes import recipe
from labelwright.models.chat import load_backend
from labelwright.models.llm.gateway import Gateway
from labelwright.models.llm.session import Limits
from support import seen

CALL = {"strategy": "random", "k": 5, "reason": "no scores yet"}


@contextmanager
def deciding(name: str) -> Iterator[LLMPolicy]:
    backend = load_backend(name)
    assert backend is not None
    gateway = Gateway(backend, limits=Limits(tries=1))
    yield LLMPolicy(lambda _: gateway, name, PlaybookPolicy(recipe("standard")))
    gateway.close()


@pytest.mark.parametrize("provider", ["openai", "vllm"])
@pytest.mark.parametrize("has_tools", [True, False])
def test_a_served_model_decides_by_a_tool_call(provider: str, has_tools: bool) -> None:
    def answer(body: Body) -> Said | Body:
        if has_tools:
            return called("select_samples", json.dumps(CALL))
        if "tools" in body:
            return Said({"error": {"message": "tool_choice needs --tool-call-parser"}}, 400)
        text = json.dumps({"name": "select_samples", "arguments": CALL})
        return {
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 90, "completion_tokens": 10},
        }

    with serving(answer) as server, deciding(f"{provider}:tiny@{server.url}") as policy:
        decision = policy.decide(seen(batch=None), ["select_samples"])
    assert not decision.attempts
    assert (decision.tool, decision.args["strategy"], decision.args["k"]) == (
        "select_samples",
        "random",
        5,
    )
    assert decision.reason == "no scores yet"
    if has_tools:
        (asked,) = server.asked
        assert asked["tool_choice"] == "required"
        (tool,) = asked["tools"]
        assert tool["function"]["name"] == "select_samples"
        assert "reason" in tool["function"]["parameters"]["required"]


def test_a_served_model_that_talks_nonsense_falls_back() -> None:
    broken = called("select_samples", '{"strategy": "random", "k"')
    with serving(lambda _: broken) as server, deciding(f"openai:tiny@{server.url}") as policy:
        decision = policy.decide(seen(batch=None), ["select_samples"])
    assert decision.fallback == "3 invalid calls"
    assert len(server.asked) == 3
    assert "refused" in server.asked[-1]["messages"][-1]["content"]


def test_a_server_that_is_not_there_falls_back() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        name = f"openai:tiny@http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with deciding(name) as policy:
            decision = policy.decide(seen(batch=None), ["select_samples"])
    assert "does not answer" in decision.fallback
    assert "start the server" in decision.fallback
