"""Chat models that choose, rate and judge by simple rules, behind the real gateway."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from labelwright.models.llm.base import Answer, Asker, Reply, Request, Token
from labelwright.models.llm.gateway import Gateway
from labelwright.models.llm.judging import judge
from labelwright.tools.base import ToolContext
from labelwright.tools.llm_selection.adviser import Adviser
from scripted import Script, ScriptedBackend

LEVELS = ("easy", "moderate", "challenging", "hard")


def adviser(script: Script | None = None) -> Adviser:
    """An adviser that follows a script through the gateway; by default `sensible`, without it."""
    behind = asker(script) if script else Direct(sensible)
    return Adviser(behind, "Sort the messages", ("billing: money", "bug"))


class Direct:
    """Asks a script with no gateway between: for contracts that ask thousands of times."""

    name = "scripted:model"

    def __init__(self, script: Script) -> None:
        self._backend = ScriptedBackend(script)

    def ask(self, requests: Sequence[Request], *, why: str = "") -> list[Answer]:
        """Answer each request as the gateway would the first time."""
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Answer:
        reply = self._backend._one(request)
        assert isinstance(reply, Reply)
        found = judge(request, reply)
        return Answer("key", found.status, reply.text, found.parsed, tokens=reply.tokens)


def asker(script: Script) -> Asker:
    """The gateway around a model that follows a script."""
    return Gateway(ScriptedBackend(script))


def with_askers(context: ToolContext, **askers: Asker) -> ToolContext:
    """The same context with chat models by role; the main one judges where no judge is given."""
    return replace(context, asker=lambda role: askers.get(role) or askers["main"])


def listed(request: Request) -> list[dict[str, Any]]:
    """The items that a prompt shows, read from within its fence."""
    inside = request.messages[-1].content.split("<items>\n")[-1].split("\n</items>")[0]
    return [json.loads(line) for line in inside.splitlines()]


def count_wanted(request: Request) -> int:
    """How many items a picking prompt asks for."""
    (found,) = re.findall(r"exactly (\d+) items", request.messages[0].content)
    return int(found)


def sensible(request: Request) -> Reply | dict[str, Any]:
    """Answers every selection prompt in the right form; what it says depends on the texts alone."""
    name = None if request.schema is None else request.schema.__name__
    items = listed(request)
    codes = [zlib.crc32(each["text"].encode()) for each in items]
    if name in ("Indices", "ReasonedIndices"):
        best = sorted(zip(codes, [each["index"] for each in items], strict=True))
        chosen = [index for _, index in best[: count_wanted(request)]]
        thoughts = {"thoughts": "a mixed list"} if name == "ReasonedIndices" else {}
        return {**thoughts, "indices": chosen}
    if name == "Scores":
        rows = zip(items, codes, strict=True)
        return {"items": [{"index": each["index"], "score": 1 + code % 10} for each, code in rows]}
    if name == "Difficulties":
        rows = zip(items, codes, strict=True)
        return {
            "items": [{"index": each["index"], "level": LEVELS[code % 4]} for each, code in rows]
        }
    return yes_or_no(0.05 + 0.9 * (codes[0] % 1000) / 1000)


def yes_or_no(yes: float) -> Reply:
    """The answer to a yes-or-no question of a model that gives log-probabilities."""
    top = ((" Yes", math.log(yes)), ("no", math.log(1 - yes)))
    token = Token(" Yes", math.log(yes), top)
    return Reply("Yes", tokens_in=9, tokens_out=1, tokens=(token,))
