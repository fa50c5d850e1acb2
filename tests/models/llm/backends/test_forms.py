"""How a form is asked for: schemas that strict servers take, words where there are none."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.models.llm.backends.forms import (
    call_in,
    call_schema,
    draw_seed,
    most_tokens,
    strict_schema,
    tools_in_words,
    with_instruction,
)
from labelwright.models.llm.base import Call, Message, Request, ToolSpec
from pydantic import BaseModel

NUMBER = {"type": "object", "properties": {"k": {"type": "integer"}}}
TOOLS = (ToolSpec("pick", "Pick.", NUMBER), ToolSpec("stop", "Stop.", {"type": "object"}))


class Span(BaseModel):
    quote: str
    type: Literal["PER", "LOC"] = "PER"


class Spans(BaseModel):
    spans: list[Span]
    note: str | None = None


class Free(BaseModel):
    shares: dict[str, float]


def test_every_object_of_a_strict_schema_names_and_needs_all_it_has() -> None:
    schema, strict = strict_schema(Spans)
    assert strict
    for each in (schema, schema["$defs"]["Span"]):
        assert each["required"] == list(each["properties"])
        assert each["additionalProperties"] is False
        assert all("default" not in field for field in each["properties"].values())


def test_free_keys_are_kept_and_are_not_strict() -> None:
    schema, strict = strict_schema(Free)
    assert not strict
    assert schema["properties"]["shares"]["additionalProperties"] == {"type": "number"}


def test_asking_for_a_schema_leaves_the_models_own_alone() -> None:
    strict_schema(Spans)
    assert Spans.model_json_schema()["required"] == ["spans"]


@pytest.mark.parametrize("role", ["system", "user"])
def test_an_instruction_never_comes_after_text_of_the_pool(role: str) -> None:
    messages = [Message("user", "pool text")]
    if role == "system":
        messages.insert(0, Message("system", "rules"))
    told = with_instruction(messages, "form")
    assert len(told) == len(messages)
    assert told[-1].content.endswith("pool text")
    whole = "\n".join(each.content for each in told)
    assert whole.index("form") < whole.index("pool text")


def test_a_call_written_as_json_is_read() -> None:
    assert call_in('{"name": "pick", "arguments": {"k": 3}}') == (Call("pick", '{"k": 3}'),)
    assert call_in('I will: {"name": "stop"} now') == (Call("stop", "{}"),)


@pytest.mark.parametrize("text", ["", "no", "{", '{"k": 3}', '{"name": 3}', "[1]", '{"name"}'])
def test_what_is_no_call_is_none(text: str) -> None:
    assert call_in(text) == ()


@given(st.text())
def test_no_text_breaks_the_reading_of_a_call(text: str) -> None:
    assert isinstance(call_in(text), tuple)
    assert isinstance(call_in("{" + text), tuple)


def test_the_schema_of_a_call_allows_each_tool_with_its_own_arguments() -> None:
    shared = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {}}}
    schema = call_schema((*TOOLS, ToolSpec("other", "Other.", shared)))
    assert [each["properties"]["name"]["const"] for each in schema["anyOf"]] == [
        "pick",
        "stop",
        "other",
    ]
    assert schema["anyOf"][0]["properties"]["arguments"] == NUMBER
    assert schema["$defs"] == {"A": {}}
    assert "$defs" not in schema["anyOf"][2]["properties"]["arguments"]
    assert "$defs" in shared, "the tool itself stays as it is"


def test_tools_in_words_name_each_tool_with_its_arguments() -> None:
    lines = [json.loads(line) for line in tools_in_words(TOOLS).splitlines()[1:]]
    assert [each["name"] for each in lines] == ["pick", "stop"]
    assert lines[0]["arguments"] == NUMBER


@given(st.integers(0, 2**40), st.integers(0, 100))
def test_seeds_of_draws_differ_by_sample_and_fit_a_server(seed: int, sample: int) -> None:
    message = (Message("user", "a"),)
    first = draw_seed(Request(message, seed=seed, sample=sample))
    assert 0 <= first < 2**31
    assert first != draw_seed(Request(message, seed=seed, sample=sample + 1))


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_a_request_has_at_most_so_many_tokens_as_bytes_and_marks(texts: list[str]) -> None:
    messages = tuple(Message("user", text) for text in texts)
    plain = most_tokens(Request(messages))
    assert plain >= sum(len(text.encode("utf-8", "replace")) for text in texts) + len(texts)
    assert most_tokens(Request(messages, schema=Spans)) > plain
    assert most_tokens(Request(messages, tools=TOOLS)) > plain
