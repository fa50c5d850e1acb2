"""What is asked of a chat model and what comes back, whatever stands behind it.

A back end turns requests into replies and does nothing else: no retry, no cache, no counting of
money. All of that is the gateway's, so that it is the same for every back end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from ...store.records import canonical_json

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "refusal", "other"]
FailureKind = Literal["rate", "server", "timeout", "connection", "context", "auth", "request"]
RETRIED: frozenset[FailureKind] = frozenset({"rate", "server", "timeout", "connection"})
"""Failures that may pass: those are tried again."""
Status = Literal["ok", "invalid", "refused", "failed", "over_budget"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a chat model sees it: a name, what it is for, and its arguments' JSON schema."""

    name: str
    description: str
    parameters: dict[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Request:
    """One call: what is said, and the form the answer must have.

    At most one of `schema` and `tools` is given. With `schema` the answer is JSON that fits it;
    with `tools` it is exactly one tool call; with neither it is free text.
    """

    messages: tuple[Message, ...]
    schema: type[BaseModel] | None = None
    tools: tuple[ToolSpec, ...] = ()
    choices: tuple[str, ...] = ()
    """Answers among which a back end that can score texts gives each its log-probability."""
    temperature: float = 0.0
    max_tokens: int = 512
    """Most tokens the answer may have; what is cut off there is an invalid answer."""
    seed: int = 0
    sample: int = 0
    """Which of several answers to the same request this is; another number, another draw."""
    logprobs: bool = False
    """Whether the tokens of the answer are wanted with their log-probabilities."""
    item: str = ""
    """The pool text that this is about: what recorded answers are looked up by. Never sent."""

    def body(self) -> dict[str, Any]:
        """Everything that decides the answer, as plain data."""
        return {
            "messages": [[each.role, each.content] for each in self.messages],
            "schema": None if self.schema is None else json_schema(self.schema),
            "tools": [[t.name, t.description, t.parameters] for t in self.tools],
            "choices": list(self.choices),
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "sample": self.sample,
            "logprobs": self.logprobs,
        }

    def key(self, model: str) -> str:
        """SHA-256 (hex) over the model's name and `body`: the same key, the same answer."""
        body = {"model": model, **self.body()}
        return hashlib.sha256(canonical_json(body).encode()).hexdigest()


@lru_cache(maxsize=256)
def json_schema(schema: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a model, made once: it takes longer than all else about a request."""
    return schema.model_json_schema()


@dataclass(frozen=True, slots=True)
class Token:
    """One token of an answer, with the likeliest tokens that could have stood there."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as the model wrote it: the arguments are text until they were checked."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What a back end gave for one request."""

    text: str
    calls: tuple[Call, ...] = ()
    tokens_in: int = 0
    tokens_out: int = 0
    finish: Finish = "stop"
    tokens: tuple[Token, ...] = ()
    choice_logprobs: tuple[float, ...] | None = None
    """Log-probability of each of the request's choices, where the back end scored them."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a back end gave no reply."""

    kind: FailureKind
    message: str
    retry_after: float | None = None
    """Seconds after which the server asked to be tried again."""
    tokens_in: int = 0
    tokens_out: int = 0


@runtime_checkable
class Backend(Protocol):
    """A chat model somewhere: in this process, on a server, in a file."""

    @property
    def name(self) -> str:
        """The string it was loaded from, e.g. `vllm:qwen@http://127.0.0.1:8000/v1`."""
        ...

    @property
    def identity(self) -> str:
        """What decides its answers: provider and model, without the address of a server."""
        ...

    @property
    def price_of(self) -> tuple[str, str] | None:
        """Provider and model to look prices up by; `None` for what costs nothing a token."""
        ...

    @property
    def batch(self) -> int:
        """How many requests `complete` is best given at once: 1 for a server."""
        ...

    @property
    def concurrency(self) -> int:
        """How many calls of `complete` may run at once."""
        ...

    async def complete(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Answer each request, in order.

        A fault of one request is its `Failure`; nothing is raised for it.
        """
        ...

    def count(self, request: Request) -> int:
        """Tokens of the request, never too few: what a call may cost is reckoned from it."""
        ...

    async def close(self) -> None:
        """Give back connections and memory."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway makes of a request: never an exception, always with its cost.

    `status` is `ok` where the answer has the form that was asked for, else `invalid` (it does not
    fit, after being asked again with the error), `refused` (the model declined), `failed` (no
    reply), `over_budget` (the call was not made). Only `ok` answers have `parsed` or `call`.
    """

    key: str
    status: Status
    text: str = ""
    parsed: BaseModel | None = None
    call: Call | None = None
    error: str = ""
    tokens: tuple[Token, ...] = ()
    choice_logprobs: tuple[float, ...] | None = None
    cached: bool = False
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0
    seconds: float = 0.0
    attempts: int = 0
    """Calls made for it, those that failed included; 0 when it came from the cache."""

    @property
    def ok(self) -> bool:
        """Whether the answer can be used."""
        return self.status == "ok"


class Asker(Protocol):
    """What tools and policies ask; the gateway is one."""

    @property
    def name(self) -> str:
        """The model's string, as records name it."""
        ...

    def ask(self, requests: Sequence[Request], *, why: str = "", repairs: int = 1) -> list[Answer]:
        """Answer each request, in order; see `Gateway.ask`.

        Args:
            requests: what is asked.
            why: what for, one word for the ledger and the progress bar: `annotate`, `judge`.
            repairs: how often an answer of the wrong form is sent back with the error.

        Raises:
            OperatorError: the server cannot be reached; what was answered is kept.
        """
        ...
