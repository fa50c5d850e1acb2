"""Models on a server that speaks OpenAI's protocol: vLLM, llama.cpp, Ollama, OpenAI itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ....store.errors import OperatorError, UserError
from ..base import Failure, Message, Reply, Request
from .failures import failure_of
from .forms import draw_seed, most_tokens, schema_in_words, tools_in_words, with_instruction
from .loop import OwnLoop
from .protocol import TOP, messages_field, reply_from, schema_field, tools_field
from .providers import provider_at

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CONCURRENCY = 64
TIMEOUT = 300.0
"""Seconds that a call may take: a server with a full queue answers late and not never."""
CONNECT_TIMEOUT = 10.0
_OPTIONAL = ("parallel_tool_calls", "seed", "temperature", "logprobs", "structured_outputs")
"""Fields without which a call still makes sense, for servers and models that refuse them."""
_FORM_WORDS = ("response_format", "json_schema", "json schema", "guided", "structured output")


@dataclass(frozen=True, slots=True)
class Server:
    """Where a model is served."""

    provider: Literal["openai", "vllm"]
    model: str
    url: str | None
    """Its address up to and with `/v1`; `None` is OpenAI itself."""
    key: str


class ServedBackend:
    """Asks a server, many calls at once over connections that are kept.

    A field that the server refuses (see `left_out`) is not sent again: without `response_format`
    the schema goes into the prompt, without `tools` the call is asked for as JSON.
    """

    batch = 1

    def __init__(
        self, server: Server, *, timeout: float = TIMEOUT, concurrency: int = CONCURRENCY
    ) -> None:
        """Ask `server`; nothing is connected yet.

        Args:
            server: where and what.
            timeout: seconds for one call.
            concurrency: calls at once, at least 1.

        Raises:
            UserError: the package `openai` is missing, or the address is none.
        """
        _check(server)
        self.identity = f"{server.provider}:{server.model}"
        self.name = self.identity + ("" if server.url is None else f"@{server.url}")
        self.concurrency = concurrency
        self._server = server
        self._timeout = timeout
        self._own = OwnLoop()
        self._client: AsyncOpenAI | None = None
        self._free = asyncio.Semaphore(concurrency)
        self._left_out: set[tuple[str, object]] = set()

    @property
    def price_of(self) -> tuple[str, str] | None:
        """OpenAI and the providers whose address is known cost; other servers are one's own."""
        if self._server.provider == "vllm":
            return None
        if self._server.url is None:
            return "openai", self._server.model
        provider = provider_at(self._server.url)
        return None if provider is None else (provider, self._server.model)

    @property
    def left_out(self) -> list[str]:
        """Fields that the server refused and that it is no longer sent."""
        return sorted({field for field, _ in self._left_out})

    async def complete(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Answer each request, in order; see `Backend.complete`."""
        return await self._own.run(self._all(requests))

    def count(self, request: Request) -> int:
        """Tokens of the request, reckoned from its bytes: never too few."""
        return most_tokens(request)

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        await self._own.stop(None if client is None else client.close())

    async def models(self) -> list[str]:
        """Names of the models that the server has.

        Raises:
            OperatorError: it cannot be reached, or refuses the key.
        """
        try:
            return await self._own.run(self._listed())
        except Exception as error:
            raise OperatorError(
                f"{self.name!r} does not answer ({failure_of(error).message}): start the server, "
                "mend its address, or set the key that it wants in OPENAI_API_KEY"
            ) from error

    async def _listed(self) -> list[str]:
        page = await self._connected().models.list(timeout=CONNECT_TIMEOUT)
        return [each.id for each in page.data]

    async def _all(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        return list(await asyncio.gather(*(self._one(request) for request in requests)))

    async def _one(self, request: Request) -> Reply | Failure:
        async with self._free:
            while True:
                body = self._body(request)
                try:
                    content = await self._post(body)
                except Exception as error:
                    failure = failure_of(error)
                    if not self._learns(request, body, failure):
                        return failure
                else:
                    return reply_from(content, request)

    async def _post(self, body: dict[str, Any]) -> bytes:
        """What the server answers, unparsed: its client builds objects for every likely token."""
        create = self._connected().chat.completions.with_raw_response.create
        answer = await create(**body)
        content: bytes = answer.http_response.content
        return content

    def _connected(self) -> AsyncOpenAI:
        if self._client is None:
            from openai import AsyncOpenAI, Timeout

            self._client = AsyncOpenAI(
                base_url=self._server.url,
                api_key=self._server.key,
                max_retries=0,
                timeout=Timeout(self._timeout, connect=min(CONNECT_TIMEOUT, self._timeout)),
            )
        return self._client

    def _body(self, request: Request) -> dict[str, Any]:
        """The arguments of the client's call."""
        limit = "max_completion_tokens" if self._server.url is None else "max_tokens"
        body: dict[str, Any] = {
            "model": self._server.model,
            "temperature": request.temperature,
            "seed": draw_seed(request),
            limit: request.max_tokens,
        }
        if request.logprobs:
            body |= {"logprobs": True, "top_logprobs": TOP}
        form, messages = self._form(request)
        body |= form
        for field, _ in self._left_out:
            if field in _OPTIONAL:
                body.pop(field, None)
        if "logprobs" not in body:
            body.pop("top_logprobs", None)
        if "structured_outputs" in body:
            body["extra_body"] = {"structured_outputs": body.pop("structured_outputs")}
        return body | {"messages": messages_field(messages)}

    def _form(self, request: Request) -> tuple[dict[str, Any], Sequence[Message]]:
        """The fields that ask for the answer's form, and the messages, which say it if need be."""
        messages: Sequence[Message] = request.messages
        if request.tools:
            if ("tools", None) not in self._left_out:
                strict = self._server.provider == "vllm"
                tools = tools_field(request.tools, strict=strict)
                form = {"tools": tools, "tool_choice": "required", "parallel_tool_calls": False}
                return form, messages
            messages = with_instruction(messages, tools_in_words(request.tools))
        if request.schema is None and not request.tools:
            if request.choices and self._server.provider == "vllm":
                return {"structured_outputs": {"choice": list(request.choices)}}, messages
            return {}, messages
        if ("response_format", request.schema) not in self._left_out:
            return {"response_format": schema_field(request)}, messages
        if request.schema is not None:
            messages = with_instruction(messages, schema_in_words(request.schema))
        return {}, messages

    def _learns(self, request: Request, body: Mapping[str, Any], failure: Failure) -> bool:
        """Whether a refusal was about a field that can be left out, which it is from now on."""
        if failure.kind != "request":
            return False
        words = failure.message.lower()
        if "response_format" in body and any(each in words for each in _FORM_WORDS):
            # By schema, because one can be too much for a server that takes others.
            self._left_out.add(("response_format", request.schema))
            return True
        sent = {*body, *body.get("extra_body", ())}
        for field in _OPTIONAL:
            if field in sent and field in words:
                self._left_out.add((field, None))
                return True
        if "tools" in body and "tool" in words:
            self._left_out.add(("tools", None))
            return True
        return False


def _check(server: Server) -> None:
    try:
        import openai  # noqa: F401
    except ImportError:
        raise UserError(
            "a server needs the package openai: `pip install 'labelwright[llm]'`"
        ) from None
    if server.url is not None and not server.url.startswith(("http://", "https://")):
        raise UserError(
            f"--llm: {server.url!r} is not a URL: begin it with http:// or https://, as in "
            f"{server.provider}:{server.model}@http://127.0.0.1:8000/v1"
        )
