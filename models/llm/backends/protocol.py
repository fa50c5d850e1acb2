"""OpenAI's chat protocol: what a request is on the wire, and what an answer says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...compute import encodable
from ..base import Call, Failure, Finish, Message, Reply, Request, Token, ToolSpec
from .forms import call_in, call_schema, most_tokens, strict_schema

TOP = 20
"""Likeliest tokens that are asked for at each place: the most that OpenAI and vLLM give."""
_MASKED = -9_000.0
"""vLLM writes -9999 for a token that the schema rules out: JSON has no minus infinity."""
_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "tool_calls": "stop",
    "length": "length",
    "content_filter": "refusal",
}
SHOWN = 200


def messages_field(messages: Sequence[Message]) -> list[dict[str, str]]:
    """The messages, without lone surrogates: UTF-8 cannot carry them."""
    return [{"role": each.role, "content": encodable(each.content)} for each in messages]


def schema_field(request: Request) -> dict[str, Any]:
    """`response_format` for the request's schema, or for one of its tool calls written as JSON."""
    if request.schema is None:
        form = {"name": "call", "schema": call_schema(request.tools), "strict": False}
    else:
        schema, strict = strict_schema(request.schema)
        form = {"name": request.schema.__name__[:64], "schema": schema, "strict": strict}
    return {"type": "json_schema", "json_schema": form}


def tools_field(tools: Sequence[ToolSpec], *, strict: bool) -> list[dict[str, Any]]:
    """The tools as functions.

    Args:
        tools: what may be called.
        strict: hold the arguments to their schema while they are written. vLLM can for any schema
            and does not unless told; OpenAI refuses schemas with optional arguments then.
    """
    more = {"strict": True} if strict else {}
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                **more,
            },
        }
        for tool in tools
    ]


def reply_from(content: bytes, request: Request) -> Reply | Failure:
    """A server's answer as a reply; one that is no chat completion is the server's failure.

    A server that does not say how many tokens it took is taken to have used the most it can have.
    Half a character, as an answer that is cut off may end with, is replaced by a question mark.
    """
    try:
        data = json.loads(content)
        choice = data["choices"][0]
        message = choice["message"]
        usage = data.get("usage") or {}
        refusal = message.get("refusal") or ""
        text = encodable(refusal or message.get("content") or "")
        return Reply(
            text=text,
            calls=_calls(message, text, request),
            tokens_in=usage.get("prompt_tokens", most_tokens(request)),
            tokens_out=usage.get("completion_tokens", len(text.encode("utf-8", "replace"))),
            finish="refusal" if refusal else _FINISH.get(choice.get("finish_reason"), "other"),
            tokens=_tokens(choice),
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        shown = content[:SHOWN].decode("utf-8", "replace")
        return Failure(
            "server", f"no chat completion came back ({type(error).__name__}: {error}): {shown!r}"
        )


def _calls(message: Mapping[str, Any], text: str, request: Request) -> tuple[Call, ...]:
    made = tuple(
        Call(encodable(each["function"]["name"]), encodable(each["function"]["arguments"] or ""))
        for each in message.get("tool_calls") or ()
    )
    # Servers that cannot call tools are asked for the call as JSON, which then is the text.
    return made or (call_in(text) if request.tools else ())


def _tokens(choice: Mapping[str, Any]) -> tuple[Token, ...]:
    listed = (choice.get("logprobs") or {}).get("content") or ()
    return tuple(
        Token(
            encodable(each["token"]),
            each["logprob"],
            tuple(
                (encodable(top["token"]), top["logprob"])
                for top in each.get("top_logprobs") or ()
                if top["logprob"] > _MASKED
            ),
        )
        for each in listed
    )
