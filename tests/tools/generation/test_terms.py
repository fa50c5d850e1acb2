"""What is known of the terms of models, by their string."""

from __future__ import annotations

import pytest
from labelwright.tools.generation.terms import bare_name, terms_of


@pytest.mark.parametrize(
    ("model", "restriction"),
    [
        ("openai:gpt-4o", "competitors"),
        ("openai:o3-mini", "competitors"),
        ("anthropic:claude-sonnet-4-5", "competitors"),
        ("google_genai:gemini-2.5-flash", "competitors"),
        ("hf:openai/gpt-oss-20b", "none"),
        ("vllm:Qwen/Qwen2.5-0.5B-Instruct@http://127.0.0.1:8000/v1", "none"),
        ("vllm:Qwen/Qwen2.5-72B-Instruct", "conditions"),
        ("hf:Qwen/Qwen2.5-3B-Instruct", "conditions"),
        ("hf:Qwen/Qwen3-8B", "none"),
        ("openai:meta-llama/Llama-3.1-8B-Instruct@http://host/v1", "conditions"),
        ("hf:meta-llama/Meta-Llama-3-8B-Instruct", "other_models"),
        ("hf:meta-llama/Llama-2-7b-chat-hf", "other_models"),
        ("hf:google/gemma-3-4b-it", "conditions"),
        ("hf:mistralai/Mixtral-8x7B-Instruct-v0.1", "none"),
    ],
)
def test_known_families(model: str, restriction: str) -> None:
    terms = terms_of(model)
    assert terms.restriction == restriction
    assert terms.source
    assert terms.warns == (restriction != "none")


@pytest.mark.parametrize(
    "model", ["scripted:model", "hf:me/gptish-7b", "vllm:qwen3-max", "hf:someone/my-finetune", ""]
)
def test_an_unknown_model_is_said_to_be_unknown_and_warns(model: str) -> None:
    terms = terms_of(model)
    assert terms.restriction == "unknown"
    assert terms.warns
    assert "read them" in terms.words
    assert terms.source == ""


def test_the_server_is_not_the_model() -> None:
    assert terms_of("openai:Qwen/Qwen3-8B@http://gpt-4.example/v1").restriction == "none"


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("vllm:Qwen/Qwen3-8B@http://127.0.0.1:8000/v1", "qwen3-8b"),
        ("openai:gpt-4o", "gpt-4o"),
        ("replay:answers.jsonl#gpt-4o", "gpt-4o"),
        ("hf:org/Model", "model"),
    ],
)
def test_the_bare_name_has_no_provider_organisation_or_address(model: str, name: str) -> None:
    assert bare_name(model) == name
