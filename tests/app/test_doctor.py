"""`doctor`: every way to name a chat model is listed, and one that is named is tried."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from labelwright.app.doctor import BACKENDS, Finding, _backend, _chat_model
from labelwright.models.chat import FORMS

SERVERS = Path(__file__).parents[1] / "models" / "llm" / "backends"


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.syspath_prepend(SERVERS)
    from chat_server import completion, serving

    with serving(lambda _: completion()) as server:
        yield server.url


def test_every_form_of_a_chat_model_is_listed() -> None:
    listed = ", ".join(form for form, _, _ in BACKENDS)
    for form in (
        "openai:MODEL@URL",
        "vllm:MODEL@URL",
        "vllm:MODEL",
        "hf:MODEL",
        "replay:FILE#NAME",
    ):
        assert form in listed
        assert form in FORMS


@pytest.mark.parametrize(("form", "package", "fix"), [each for each in BACKENDS if each[1]])
def test_a_missing_package_is_one_line_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, form: str, package: str, fix: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    finding = _backend(form, package, fix)
    assert not finding.ok
    assert not finding.needed
    assert "pip install" in finding.detail
    assert "\n" not in finding.detail


def test_a_package_that_is_there_is_named_with_its_version() -> None:
    finding = _backend("hf:MODEL", "transformers", "")
    assert finding.ok
    assert finding.detail.startswith("with transformers ")


def test_a_server_that_has_the_model_is_found(address: str) -> None:
    assert _chat_model(f"vllm:tiny@{address}") == Finding(
        f"--llm vllm:tiny@{address}", True, True, "the server answers and has the model"
    )


def test_a_server_without_the_model_says_what_it_has(address: str) -> None:
    finding = _chat_model(f"vllm:large@{address}")
    assert not finding.ok
    assert finding.detail == "the server has no model 'large'; it has tiny"


def test_a_server_that_is_not_there_says_what_to_start() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        finding = _chat_model(f"vllm:tiny@http://127.0.0.1:{taken.getsockname()[1]}/v1")
    assert not finding.ok
    assert "start the server" in finding.detail


def test_recorded_answers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "recorded.jsonl"
    path.write_text('{"text": "a", "llm": "b"}\n', encoding="utf-8")
    assert _chat_model(f"replay:{path}#llm").ok
    assert "use one of llm" in _chat_model(f"replay:{path}#gpt").detail
