"""Whether a reply has the form that was asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from pydantic import BaseModel

from .base import Call, Reply, Request, Status
from .parse import Unusable, one_call, parse_schema, whole


@dataclass(frozen=True, slots=True)
class Judged:
    """A reply, and what became of it."""

    reply: Reply
    status: Status
    parsed: BaseModel | None = None
    call: Call | None = None
    error: str = ""

    @property
    def shown(self) -> str:
        """The answer as text: a tool call is shown as the model wrote it."""
        calls = [{"tool": call.name, "arguments": call.arguments} for call in self.reply.calls]
        return self.reply.text or (json.dumps(calls) if calls else "")


def judge(request: Request, reply: Reply) -> Judged:
    """Read a reply as the request wants it."""
    reply = replace(reply, text=str(whole(reply.text)))
    if reply.finish == "refusal":
        return Judged(reply, "refused", error=f"the model declined: {reply.text[:200]!r}")
    try:
        if request.tools:
            return Judged(reply, "ok", call=one_call(reply, request.tools))
        if request.schema is not None:
            return Judged(reply, "ok", parsed=parse_schema(reply.text, request.schema))
    except Unusable as error:
        return Judged(reply, "invalid", error=_cut_off(request, reply) + str(error))
    if reply.finish == "length" or not reply.text.strip():
        said = _cut_off(request, reply) or "the answer is empty"
        return Judged(reply, "invalid", error=said.rstrip(": "))
    return Judged(reply, "ok")


def _cut_off(request: Request, reply: Reply) -> str:
    if reply.finish != "length":
        return ""
    # A back end may end an answer before the limit, where it only repeats itself.
    tokens = reply.tokens_out or request.max_tokens
    return f"the answer was cut off after {tokens} tokens, be shorter: "
