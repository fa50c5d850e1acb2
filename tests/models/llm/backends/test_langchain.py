"""LangChain's chat models: a model that follows a script, and a real client on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from backend_contract import ITEMS, BackendContract, asking, complete, reply
from chat_server import called, completion, refused, serving
from labelwright.models.llm.backends.langchain import LangChainBackend, priced_as
from labelwright.models.llm.base import Backend, Failure, Message, Request, ToolSpec
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import Field

PICK = ToolSpec("pick", "Pick items.", {"type": "object", "properties": {"k": {"type": "integer"}}})


class Speaking(BaseChatModel):
    """Answers in words by a function of the last message; has no tools."""

    says: Callable[[str], AIMessage]
    temperature: float = 1.0
    num_predict: int = 0
    seen: list[tuple[float, int, list[BaseMessage]]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "speaking"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.seen.append((self.temperature, self.num_predict, messages))
        return ChatResult(generations=[ChatGeneration(message=self.says(str(messages[-1].text)))])


class Calling(Speaking):
    """Has tools; keeps what it was bound to."""

    bound: list[tuple[Any, Any]] = Field(default_factory=list)

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any
    ) -> Runnable[Any, AIMessage]:
        self.bound.append((tools, tool_choice))
        return self


def labelled(item: str) -> AIMessage:
    if item == "too long":
        raise ValueError("This model's maximum context length is 10 tokens")
    return AIMessage(json.dumps({"label": ("billing", "bug", "praise")[len(item) % 3]}))


def answers(**fields: Any) -> AIMessage:
    call = {"name": "answer", "args": {"label": "bug"}, "id": "1", "type": "tool_call"}
    return AIMessage("", **{"tool_calls": [call], **fields})


class TestContract(BackendContract):
    @pytest.fixture
    def made(self) -> Iterator[Backend]:
        return LangChainBackend(Speaking(says=labelled))

    def unanswerable(self) -> Request:
        return asking("too long")


class TestContractOfAClient(BackendContract):
    """OpenAI's client of LangChain, whose connections would die with their event loop."""

    @pytest.fixture
    def made(self) -> Iterator[Backend]:
        from langchain_openai import ChatOpenAI

        def answer(body: dict[str, Any]) -> Any:
            item = body["messages"][-1]["content"]
            if item == "too long":
                return refused(400, "This model's maximum context length is 10 tokens")
            return called("answer", str(labelled(item).text))

        with serving(answer) as server:
            model = ChatOpenAI(model="tiny", base_url=server.url, api_key="none", max_retries=0)  # type: ignore[arg-type]
            yield LangChainBackend(model)

    def unanswerable(self) -> Request:
        return asking("too long")


def ask(model: BaseChatModel, *requests: Request) -> list[Any]:
    backend = LangChainBackend(model)
    found = complete(backend, requests)
    asyncio.run(backend.close())
    return list(found)


def test_a_schema_is_asked_for_as_a_call_of_one_tool() -> None:
    model = Calling(says=lambda _: answers())
    (found,) = ask(model, asking("a"))
    assert json.loads(found.text) == {"label": "bug"}
    assert found.calls == ()
    (((tool,), choice),) = model.bound
    assert choice == "any"
    assert tool["function"]["name"] == "answer"
    assert tool["function"]["parameters"]["required"] == ["label"]


def test_a_schema_answered_in_words_is_passed_on() -> None:
    (found,) = ask(Calling(says=labelled), asking(ITEMS[0]))
    assert found.text == labelled(ITEMS[0]).text


def test_broken_arguments_are_passed_on_as_they_came() -> None:
    broken = {"name": "answer", "args": '{"label": "b', "id": "1", "error": "cut"}
    said = answers(tool_calls=[], invalid_tool_calls=[{**broken, "type": "invalid_tool_call"}])
    (found,) = ask(Calling(says=lambda _: said), asking("a"))
    assert found.text == '{"label": "b'


def test_a_model_without_tools_is_told_the_schema_in_words() -> None:
    model = Speaking(says=labelled)
    ask(model, asking("a"), asking("b"))
    for _, _, messages in model.seen:
        assert "JSON schema" in str(messages[0].text)
    assert [str(messages[1].text) for _, _, messages in model.seen] == ["a", "b"]


def test_tool_calls_are_read() -> None:
    call = {"name": "pick", "args": {"k": 3}, "id": "1", "type": "tool_call"}
    model = Calling(says=lambda _: AIMessage("", tool_calls=[call]))
    (found,) = ask(model, asking("a", schema=None, tools=(PICK,)))
    assert [(each.name, each.arguments) for each in found.calls] == [("pick", '{"k": 3}')]
    assert model.bound[0][0][0]["function"]["parameters"] == PICK.parameters


def test_tools_for_a_model_that_has_none_are_a_failure() -> None:
    (found,) = ask(Speaking(says=labelled), asking("a", schema=None, tools=(PICK,)))
    assert isinstance(found, Failure)
    assert (found.kind, "cannot call tools" in found.message) == ("request", True)


def test_temperature_and_length_are_set_on_a_copy() -> None:
    model = Speaking(says=labelled)
    ask(model, asking("a", temperature=0.5, max_tokens=9), asking("b", temperature=0.0))
    assert {(temperature, length) for temperature, length, _ in model.seen} == {(0.5, 9), (0.0, 60)}
    assert (model.temperature, model.num_predict) == (1.0, 0)


def test_the_providers_count_of_tokens_is_taken() -> None:
    usage = {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17}
    (found,) = ask(Calling(says=lambda _: answers(usage_metadata=usage)), asking("a"))
    assert (found.tokens_in, found.tokens_out) == (12, 5)


@pytest.mark.parametrize(
    ("said", "finish"),
    [
        ({"finish_reason": "length"}, "length"),
        ({"stop_reason": "max_tokens"}, "length"),
        ({"finish_reason": "MAX_TOKENS"}, "length"),
        ({"stop_reason": "refusal"}, "refusal"),
        ({"finish_reason": "SAFETY"}, "refusal"),
        ({"stop_reason": "end_turn"}, "stop"),
        ({"finish_reason": "new"}, "other"),
        ({}, "stop"),
    ],
)
def test_why_an_answer_ended_is_told(said: dict[str, str], finish: str) -> None:
    (found,) = ask(Calling(says=lambda _: answers(response_metadata=said)), asking("a"))
    assert found.finish == finish


def test_every_role_is_sent_as_itself() -> None:
    model = Speaking(says=labelled)
    messages = (Message("system", "s"), Message("user", "u"), Message("assistant", "a"))
    ask(model, Request((*messages, Message("user", "again"))))
    assert [each.type for each in model.seen[0][2]] == ["system", "human", "ai", "human"]


class Overloaded(Exception):
    """An error as providers' clients make them."""

    status_code = 529

    class response:  # noqa: N801
        headers = {"retry-after": "2.5"}  # noqa: RUF012


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Overloaded("busy"), "server"),
        (TimeoutError("late"), "timeout"),
        (ConnectionResetError("gone"), "connection"),
        (KeyError("what"), "request"),
    ],
)
def test_an_error_is_a_failure_of_its_kind(error: Exception, kind: str) -> None:
    def fail(_: str) -> AIMessage:
        raise error

    (found,) = ask(Speaking(says=fail), asking("a"))
    assert isinstance(found, Failure)
    assert found.kind == kind
    assert found.retry_after == (2.5 if kind == "server" else None)


def test_a_model_of_ones_own_is_called_by_its_type_and_name() -> None:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="tiny", base_url="http://127.0.0.1:9/v1", api_key="none")  # type: ignore[arg-type]
    assert LangChainBackend(model).name == "ChatOpenAI:tiny"
    assert LangChainBackend(Speaking(says=labelled)).identity == "Speaking"
    assert LangChainBackend(model, "openai:x").identity == "openai:x"


@pytest.mark.parametrize(
    ("url", "price"),
    [
        (None, ("openai", "gpt-4o-mini")),
        ("https://openrouter.ai/api/v1", ("openrouter", "gpt-4o-mini")),
        ("http://127.0.0.1:9/v1", None),
        ("https://llm.example.org/v1", None),
    ],
)
def test_who_is_paid_for_a_model_of_ones_own_is_asked_of_the_model(
    url: str | None, price: tuple[str, str] | None
) -> None:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="gpt-4o-mini", base_url=url, api_key="none")  # type: ignore[arg-type]
    assert priced_as(model) == price
    assert priced_as(Speaking(says=labelled)) is None


def test_answers_of_a_real_client_are_read() -> None:
    from langchain_openai import ChatOpenAI

    with serving(lambda _: completion("free text", finish_reason="length")) as server:
        model = ChatOpenAI(model="tiny", base_url=server.url, api_key="none")  # type: ignore[arg-type]
        (found,) = ask(model, asking("a", schema=None, max_tokens=7, temperature=0.25))
        assert reply(found).text == "free text"
        assert (found.tokens_in, found.tokens_out, found.finish) == (90, 10, "length")
        (sent,) = server.asked
        assert sent["temperature"] == 0.25
        assert sent["max_completion_tokens"] == 7
