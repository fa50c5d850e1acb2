"""How a form is asked for: JSON schemas as servers take them, and in words where they do not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from ..base import Call, Message, Request, ToolSpec

_PER_MESSAGE = 32
"""Tokens that a chat template may put around a message: role names, marks, dates."""
_PER_FORM = 512
"""Tokens that a server may put around schemas and tools to explain them to the model."""
_LARGEST_SEED = 2**31


@lru_cache(maxsize=256)
def strict_schema(schema: type[BaseModel]) -> tuple[dict[str, Any], bool]:
    """The JSON schema of a model, and whether it is one that strict servers take.

    Strict means that every object names all of its properties, needs each of them and allows no
    others. That is made so here; only objects with free keys stay what they are and are not
    strict. A property with a default is asked for all the same. Made once for a model: leave it
    as it is.
    """
    found = schema.model_json_schema()
    return found, _tighten(found)


def _tighten(node: Any) -> bool:
    if isinstance(node, list):
        return all([_tighten(each) for each in node])
    if not isinstance(node, dict):
        return True
    strict = True
    if node.get("type") == "object":
        strict = not isinstance(node.get("additionalProperties"), dict)
        if "properties" in node:
            node["required"] = list(node["properties"])
            node.setdefault("additionalProperties", False)
            for each in node["properties"].values():
                each.pop("default", None)
    return all([_tighten(each) for each in node.values()]) and strict


def with_instruction(messages: Sequence[Message], instruction: str) -> tuple[Message, ...]:
    """The messages with an instruction added where instructions stand.

    That is the system message, or before the first message where there is none, since some chat
    templates refuse a system message. It never comes after text of the pool.
    """
    first, *rest = messages
    order = (first.content, instruction) if first.role == "system" else (instruction, first.content)
    return (Message(first.role, "\n\n".join(order)), *rest)


@lru_cache(maxsize=256)
def schema_in_words(schema: type[BaseModel]) -> str:
    """An instruction that asks for JSON of this schema."""
    shown = json.dumps(strict_schema(schema)[0], ensure_ascii=False)
    return (
        f"Answer with one JSON object that fits this JSON schema, and with nothing else:\n{shown}"
    )


def tools_in_words(tools: Sequence[ToolSpec]) -> str:
    """An instruction that asks for one tool call, written as JSON."""
    shown = [
        {"name": tool.name, "description": tool.description, "arguments": tool.parameters}
        for tool in tools
    ]
    return (
        "Call exactly one of these tools. Answer with one JSON object that has the tool's `name` "
        "and its `arguments`, which fit the JSON schema given for them, and with nothing else:\n"
        + "\n".join(json.dumps(each, ensure_ascii=False) for each in shown)
    )


def call_schema(tools: Sequence[ToolSpec]) -> dict[str, Any]:
    """The JSON schema of a call of one of the tools, written as `tools_in_words` asks."""
    definitions: dict[str, Any] = {}
    forms = []
    for tool in tools:
        arguments = dict(tool.parameters)
        definitions |= arguments.pop("$defs", {})
        forms.append(
            {
                "type": "object",
                "properties": {"name": {"const": tool.name}, "arguments": arguments},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    return {"anyOf": forms, **({"$defs": definitions} if definitions else {})}


def call_in(text: str) -> tuple[Call, ...]:
    """The call that a model wrote as JSON; none where the text is no such call."""
    start = text.find("{")
    try:
        found, _ = json.JSONDecoder().raw_decode(text[start:] if start >= 0 else "")
    except (json.JSONDecodeError, RecursionError):
        return ()
    if not isinstance(found.get("name"), str):
        return ()
    return (Call(found["name"], json.dumps(found.get("arguments", {}), ensure_ascii=False)),)


def draw_seed(request: Request) -> int:
    """The seed of a request's draw: another for each sample."""
    return (request.seed + 1_000_003 * request.sample) % _LARGEST_SEED


def most_tokens(request: Request) -> int:
    """Tokens of a request without its tokeniser: never too few, for English four times too many.

    A token stands for at least one byte of UTF-8 in every tokeniser that works on bytes; what a
    server puts around messages, schemas and tools is added.
    """
    forms = [] if request.schema is None else [schema_in_words(request.schema)]
    forms += [tools_in_words(request.tools)] if request.tools else []
    contents = [message.content for message in request.messages]
    size = sum(len(text.encode("utf-8", "replace")) for text in [*contents, *forms])
    return size + _PER_MESSAGE * len(contents) + _PER_FORM * len(forms)
