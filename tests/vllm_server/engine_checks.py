"""vLLM in this process: run in vLLM's own environment by `test_engine.py`, which hands it MODEL.

It is a file of tests that the project's own environment does not collect, since vLLM is not there.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import Iterator

import pytest
from backend_contract import BackendContract, asking, complete, reply
from labelwright.models.llm.backends.vllm_engine import EngineBackend
from labelwright.models.llm.base import Backend, Failure, Request, ToolSpec
from labelwright.models.llm.gateway import Gateway

LENGTH = 512
PICK = ToolSpec(
    "pick",
    "Pick some items.",
    {
        "type": "object",
        "properties": {"way": {"enum": ["random", "uncertain"]}},
        "required": ["way"],
        "additionalProperties": False,
    },
)
STOP = ToolSpec("stop", "Stop.", {"type": "object", "properties": {}})


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineBackend]:
    """One for all tests: loading takes most of the time."""
    made = EngineBackend(
        os.environ["MODEL"], dtype="float32", enforce_eager=True, max_model_len=LENGTH
    )
    yield made
    asyncio.run(made.close())


class TestContract(BackendContract):
    @pytest.fixture
    def backend(self, engine: EngineBackend) -> Backend:
        return engine

    def unanswerable(self) -> Request:
        return asking("word " * LENGTH)

    test_it_can_be_closed_twice_and_asked_again = None  # type: ignore[assignment]
    """Loading again takes too long; that it closes is seen by this file coming to its end."""


def test_annotations_have_their_form_and_log_probabilities(engine: EngineBackend) -> None:
    requests = [asking(f"message {number}", logprobs=True) for number in range(40)]
    answers = Gateway(engine).ask(requests)
    assert {answer.status for answer in answers} == {"ok"}
    for answer in answers:
        written = "".join(token.text for token in answer.tokens)
        assert json.loads(written.removesuffix("<|im_end|>")) == json.loads(answer.text)
        for token in answer.tokens:
            if len(token.top) < 20:
                total = math.fsum(math.exp(value) for _, value in token.top)
                assert total == pytest.approx(1, abs=0.01)


def test_tools_are_called_in_their_form(engine: EngineBackend) -> None:
    requests = [asking(f"m {k}", schema=None, tools=(PICK, STOP)) for k in range(8)]
    for answer in Gateway(engine).ask(requests):
        assert answer.ok, answer.error
        assert answer.call is not None
        assert answer.call.name in ("pick", "stop")


def test_a_request_past_the_context_length_says_so(engine: EngineBackend) -> None:
    (found,) = complete(engine, [asking("word " * LENGTH)])
    assert isinstance(found, Failure)
    assert (found.kind, f"the model takes {LENGTH}" in found.message) == ("context", True)


def test_a_long_seeded_draw_does_not_break_the_engine(engine: EngineBackend) -> None:
    requests = [
        asking("word " * 80 + str(k), schema=None, temperature=1.0, sample=k) for k in range(32)
    ]
    first = [reply(each).text for each in complete(engine, requests)]
    assert first == [reply(each).text for each in complete(engine, requests)]
    assert len(set(first)) > 1


def test_a_choice_is_one_of_the_choices(engine: EngineBackend) -> None:
    (found,) = complete(engine, [asking("Is it so?", schema=None, choices=("yes", "no"))])
    assert reply(found).text in ("yes", "no")
