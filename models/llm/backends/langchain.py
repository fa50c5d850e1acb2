"""Any chat model of LangChain: those that `init_chat_model` knows, and a person's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ...compute import encodable
from ..base import Call, Failure, Finish, Message, Reply, Request, ToolSpec
from .failures import failure_of
from .forms import draw_seed, most_tokens, schema_in_words, strict_schema, with_instruction
from .providers import is_provider, provider_at

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

CONCURRENCY = 16
_ANSWER = "answer"
_SETTINGS = {
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens", "max_output_tokens", "num_predict", "max_new_tokens"),
    "seed": ("seed",),
}
"""How providers' models name what a request sets."""
_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "end_turn": "stop",
    "tool_calls": "stop",
    "tool_use": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "refusal",
    "refusal": "refusal",
    "safety": "refusal",
    "prohibited_content": "refusal",
}


class LangChainBackend:
    """Asks a LangChain chat model.

    A schema is asked for as a call of the one tool `answer`, which every provider with tools
    understands; a model without tools is asked in words. Temperature, answer length and seed are
    set on a copy of the model where it has such fields; a model without them keeps its own.

    Calls are made in threads and not in an event loop: LangChain shares asynchronous connections
    between all models of a process, and those die with the loop that opened them.
    """

    batch = 1

    def __init__(
        self,
        model: BaseChatModel,
        name: str = "",
        *,
        price_of: tuple[str, str] | None = None,
        concurrency: int = CONCURRENCY,
    ) -> None:
        """Ask `model`.

        Args:
            model: any chat model.
            name: the string it was loaded from; by default its type and the model's name.
            price_of: provider and model to look prices up by.
            concurrency: calls at once, at least 1.
        """
        self.name = name or _own_name(model)
        self.identity = self.name
        self.price_of = price_of
        self.concurrency = concurrency
        self._model = model
        self._threads: ThreadPoolExecutor | None = None
        self._calls_tools = True

    async def complete(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Answer each request, in order; see `Backend.complete`."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.concurrency, "labelwright-langchain")
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(self._threads, self._one, request) for request in requests]
        return list(await asyncio.gather(*calls))

    def count(self, request: Request) -> int:
        """Tokens of the request, reckoned from its bytes: never too few."""
        return most_tokens(request)

    async def close(self) -> None:
        """End the threads; the model's own connections are its own to close."""
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)

    def _one(self, request: Request) -> Reply | Failure:
        try:
            return self._asked(request)
        except Exception as error:
            return failure_of(error)

    def _asked(self, request: Request) -> Reply | Failure:
        model = _with_settings(self._model, request)
        tools = request.tools or _answer_tool(request)
        if tools and self._calls_tools:
            try:
                bound = model.bind_tools([_function(tool) for tool in tools], tool_choice="any")
            except NotImplementedError:
                self._calls_tools = False
            else:
                return _reply(bound.invoke(_messages(request.messages)), request)
        if request.tools:
            return Failure("request", f"{self.name!r} cannot call tools: use another chat model")
        messages = request.messages
        if request.schema is not None:
            messages = with_instruction(messages, schema_in_words(request.schema))
        return _reply(model.invoke(_messages(messages)), request)


def priced_as(model: BaseChatModel) -> tuple[str, str] | None:
    """Provider and model that a chat model's calls are paid by; `None` where nobody is paid.

    The model says itself whom it asks. Providers without a price list, such as Ollama or a class
    of one's own, are taken to cost nothing a token.
    """
    said = model._get_ls_params()
    provider, name = said.get("ls_provider"), said.get("ls_model_name")
    url = getattr(model, "openai_api_base", None)
    if isinstance(url, str):
        provider = provider_at(url)
    if not provider or not name or not is_provider(provider):
        return None
    return provider, name


def _own_name(model: BaseChatModel) -> str:
    for field in ("model_name", "model", "model_id"):
        found = getattr(model, field, None)
        if isinstance(found, str) and found:
            return f"{type(model).__name__}:{found}"
    return type(model).__name__


def _with_settings(model: BaseChatModel, request: Request) -> BaseChatModel:
    """A copy that answers as the request wants; it shares the client."""
    wanted = {
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "seed": draw_seed(request),
    }
    known = type(model).model_fields
    found = {
        field: wanted[setting]
        for setting, fields in _SETTINGS.items()
        for field in fields
        if field in known
    }
    return model.model_copy(update=found) if found else model


def _answer_tool(request: Request) -> tuple[ToolSpec, ...]:
    if request.schema is None:
        return ()
    schema, _ = strict_schema(request.schema)
    return (ToolSpec(_ANSWER, "Give the answer in the form that is asked for.", schema),)


def _function(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _messages(messages: Sequence[Message]) -> list[BaseMessage]:
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    kinds: dict[str, type[BaseMessage]] = {
        "system": SystemMessage,
        "user": HumanMessage,
        "assistant": AIMessage,
    }
    return [kinds[each.role](content=each.content) for each in messages]


def _reply(answer: AIMessage, request: Request) -> Reply:
    calls = tuple(
        Call(encodable(call["name"]), encodable(json.dumps(call["args"], ensure_ascii=False)))
        for call in answer.tool_calls
    ) + tuple(
        Call(encodable(broken["name"] or ""), encodable(broken["args"] or ""))
        for broken in answer.invalid_tool_calls
    )
    text = encodable(str(answer.text))
    if request.schema is not None and calls:
        text, calls = calls[0].arguments, ()
    usage = answer.usage_metadata
    return Reply(
        text=text,
        calls=calls,
        tokens_in=usage["input_tokens"] if usage else most_tokens(request),
        tokens_out=usage["output_tokens"] if usage else _bytes(text, calls),
        finish=_finish(answer),
    )


def _bytes(text: str, calls: Sequence[Call]) -> int:
    """Tokens of an answer whose provider does not count them: at most one a byte."""
    written = [text, *(call.arguments for call in calls)]
    return sum(len(each.encode("utf-8", "replace")) for each in written)


def _finish(answer: AIMessage) -> Finish:
    for field in ("finish_reason", "stop_reason", "done_reason"):
        said = answer.response_metadata.get(field)
        if isinstance(said, str):
            return _FINISH.get(said.lower(), "other")
    return "stop"
