"""From what a model wrote to what was asked for: strict about values, lenient about wrapping.

A fence around the JSON or words before it are taken off, since they carry no meaning. A value is
never mended: a label that is not one of the labels is an error, and goes back to the model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from pydantic import BaseModel, ValidationError

from .base import Call, Reply, ToolSpec

_FENCE = re.compile(r"^```[a-zA-Z]*\s*\n(.*?)\n?```\s*$", re.DOTALL)
_THINKING = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
SHOWN = 200
"""Characters of a bad value that an error repeats."""


class Unusable(Exception):
    """An answer without the form that was asked for; the message says what is wrong with it."""


def parse_schema(text: str, schema: type[BaseModel]) -> BaseModel:
    """The JSON object in `text`, validated.

    Raises:
        Unusable: no JSON object, JSON that is cut off, or one that does not fit.
    """
    found = json_in(text)
    try:
        return schema.model_validate(found, strict=None)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        given = repr(first.get("input"))[:SHOWN]
        raise Unusable(f"{where}: {first['msg']} (got {given})") from None


def json_in(text: str) -> object:
    """The JSON object that a text holds, fences and leading words taken off.

    Raises:
        Unusable: there is none, or several; it is cut off; a field is there twice.
    """
    bare = _THINKING.sub("", text).strip()
    fenced = _FENCE.match(bare)
    bare = fenced.group(1) if fenced else bare
    start = bare.find("{")
    if start < 0:
        raise Unusable(f"no JSON object in the answer {bare[:SHOWN]!r}")
    try:
        found, end = _DECODER.raw_decode(bare, start)
    except json.JSONDecodeError as error:
        raise Unusable(f"the JSON is broken or cut off: {error}") from None
    except RecursionError:
        raise Unusable("the JSON is nested too deeply") from None
    if "{" in bare[end:]:
        raise Unusable("there is more than one JSON object in the answer: give one, nothing else")
    return whole(found)


def whole(value: object) -> object:
    """A JSON value whose strings can be stored: half a surrogate pair becomes a question mark."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {whole(name): whole(each) for name, each in value.items()}
    return [whole(each) for each in value] if isinstance(value, list) else value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object whose fields each occur once: of two values, nobody knows which is meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unusable(f"the field {twice!r} is there twice: give it once")
    return found


# Line ends within strings are bad JSON and do no harm: models under a grammar write them.
_DECODER = json.JSONDecoder(object_pairs_hook=_once, strict=False)


def one_call(reply: Reply, tools: Sequence[ToolSpec]) -> Call:
    """The one tool call of a reply, its name and the form of its arguments checked.

    Raises:
        Unusable: none or several, a tool that was not offered, arguments that are no JSON object.
    """
    if len(reply.calls) != 1:
        raise Unusable(f"{len(reply.calls)} calls were made: call exactly one tool")
    (call,) = reply.calls
    names = [tool.name for tool in tools]
    if call.name not in names:
        raise Unusable(f"the tool {call.name!r} is not offered now: use one of {', '.join(names)}")
    try:
        arguments = json.loads(call.arguments or "{}")
    except json.JSONDecodeError as error:
        raise Unusable(f"the call's arguments are not valid JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise Unusable("the call's arguments are no JSON object")
    return Call(call.name, json.dumps(whole(arguments), ensure_ascii=False))
