"""Against a real vLLM server, with weights that mean nothing: everything but the answers' sense.

The server is killed by the last test.
"""

from __future__ import annotations

import asyncio
import csv
import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import pytest
from backend_contract import BackendContract, Label, asking, complete, reply
from labelwright.agent import llm_policy
from labelwright.app.cli import main
from labelwright.app.project import Project
from labelwright.models.chat import load_backend
from labelwright.models.llm.base import Backend, Failure, Message, Reply, Request, ToolSpec
from labelwright.models.llm.cache import AnswerCache
from labelwright.models.llm.gateway import Gateway
from labelwright.store.errors import OperatorError
from pydantic import BaseModel, ConfigDict, Field
from running import LENGTH, RunningServer
from support import GOAL, LABELS, decisions, messages, write_csv

pytestmark = pytest.mark.vllm
PICK = ToolSpec(
    "pick",
    "Pick some items.",
    {
        "type": "object",
        "properties": {
            "k": {"type": "integer", "minimum": 1, "maximum": 9},
            "way": {"enum": ["random", "uncertain"]},
        },
        "required": ["k", "way"],
        "additionalProperties": False,
    },
)
STOP = ToolSpec(
    "stop", "Stop.", {"type": "object", "properties": {}, "additionalProperties": False}
)


class Reasoned(BaseModel):
    """A label after its reason."""

    model_config = ConfigDict(extra="forbid")

    rationale: str = Field(max_length=40)
    label: Literal["billing", "bug", "praise"]


def opened(server: RunningServer) -> Backend:
    backend = load_backend(server.name)
    assert backend is not None
    return backend


@pytest.fixture
def gateway(server: RunningServer) -> Iterator[Gateway]:
    made = Gateway(opened(server))
    yield made
    made.close()


class TestContract(BackendContract):
    @pytest.fixture
    def made(self, server: RunningServer) -> Backend:
        return opened(server)

    def unanswerable(self) -> Request:
        return asking("word " * LENGTH)


def test_the_served_model_is_listed(server: RunningServer) -> None:
    backend = opened(server)
    assert asyncio.run(backend.models()) == ["tiny"]  # type: ignore[attr-defined]
    asyncio.run(backend.close())


def test_items_are_annotated_in_the_form_that_was_asked_for(gateway: Gateway) -> None:
    rows = messages(40)
    requests = [asking(row.text, schema=Reasoned, logprobs=True, max_tokens=160) for row in rows]
    answers = gateway.ask(requests, why="annotate")
    assert [answer.status for answer in answers] == ["ok"] * len(rows)
    for answer in answers:
        assert isinstance(answer.parsed, Reasoned)
        written = "".join(token.text for token in answer.tokens)
        assert json.loads(answer.text) == json.loads(written.removesuffix("<|im_end|>"))
        for token in answer.tokens:
            assert token.logprob <= 0
            assert 1 <= len(token.top) <= 20
            assert math.fsum(math.exp(value) for _, value in token.top) <= 1.001
    assert gateway.backend.left_out == []  # type: ignore[attr-defined]


def test_log_probabilities_are_over_what_the_schema_allows(gateway: Gateway) -> None:
    (answer,) = gateway.ask([asking("hello", logprobs=True)])
    branching = [token for token in answer.tokens if len(token.top) > 1]
    assert branching
    for token in answer.tokens:
        if len(token.top) < 20:
            total = math.fsum(math.exp(value) for _, value in token.top)
            assert total == pytest.approx(1, abs=0.01)


def test_one_tool_is_called_with_arguments_that_fit(gateway: Gateway) -> None:
    requests = [
        asking(row.text, schema=None, tools=(PICK, STOP), max_tokens=200) for row in messages(10)
    ]
    for answer in gateway.ask(requests, why="decide"):
        assert answer.ok, answer.error
        assert answer.call is not None
        arguments = json.loads(answer.call.arguments)
        if answer.call.name == "pick":
            assert 1 <= arguments["k"] <= 9
            assert arguments["way"] in ("random", "uncertain")
        else:
            assert (answer.call.name, arguments) == ("stop", {})


def test_a_choice_is_one_of_the_choices(gateway: Gateway) -> None:
    request = asking("Is it so?", schema=None, choices=("yes", "no"), logprobs=True)
    (answer,) = gateway.ask([request])
    assert answer.text in ("yes", "no")
    assert 0 < math.exp(answer.tokens[0].logprob) < 1


def test_the_same_seed_draws_the_same_and_another_sample_another(gateway: Gateway) -> None:
    drawn = [
        asking("hello", schema=None, temperature=1.0, max_tokens=12, sample=sample)
        for sample in range(4)
    ]
    backend = gateway.backend
    first, again = ([reply(each).text for each in complete(backend, drawn)] for _ in range(2))
    assert first == again
    assert len(set(first)) > 1


def test_sixty_four_requests_run_at_once(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are open at the same time; the server's own gauge is too slow to show it."""
    backend = opened(server)
    complete_one, now, most = backend.complete, 0, 0

    async def counted(requests: Sequence[Request]) -> list[Reply | Failure]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            return await complete_one(requests)
        finally:
            now -= 1

    monkeypatch.setattr(backend, "complete", counted)
    gateway = Gateway(backend)
    requests = [
        asking(f"text {number}", schema=None, max_tokens=100, temperature=1.0)
        for number in range(64)
    ]
    answers = gateway.ask(requests)
    gateway.close()
    assert most == 64
    assert {answer.status for answer in answers} <= {"ok", "invalid"}
    assert all(answer.tokens_out > 0 for answer in answers)


def test_a_request_past_the_context_length_says_so(gateway: Gateway) -> None:
    long, short = gateway.ask([asking("word " * LENGTH), asking("hello")])
    assert (long.status, long.parsed, long.attempts) == ("failed", None, 1)
    assert "context" in long.error
    assert str(LENGTH) in long.error
    assert short.ok


def test_a_model_that_is_not_served_says_so(server: RunningServer) -> None:
    backend = load_backend(f"vllm:other@{server.url}")
    assert backend is not None
    (found,) = complete(backend, [asking("hello")])
    asyncio.run(backend.close())
    assert isinstance(found, Failure)
    assert (found.kind, "other" in found.message) == ("request", True)


def test_a_whole_run_is_decided_by_the_model(
    server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its calls are of the right form and senseless; it goes round in circles until it is ended."""
    monkeypatch.setattr(llm_policy, "MAX_STEPS", 25)
    data = write_csv(tmp_path / "messages.csv", messages(120))
    project = tmp_path / "project"
    command = ["run", GOAL, "--data", str(data), "--project", str(project)]
    command += ["--text-column", "text", "--gold-column", "label", "--reviewer", "simulated"]
    command += ["--llm", server.name, "--policy", "llm", "--labels", ",".join(LABELS)]
    command += ["--human-labels", "40", "--learner", "linear", "--autonomy", "auto", "--seed", "1"]
    monkeypatch.setattr("sys.argv", ["labelwright", *command, "--llm-cache", "none", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    opened_project = Project(project)
    made = decisions(opened_project)
    opened_project.close()
    by_model = [each for each in made if not each.fallback]
    assert by_model, "no decision was the model's own"
    assert all(each.policy == f"llm:{server.name}" and each.reason for each in by_model)
    with (project / "exports" / "labels.csv").open(encoding="utf-8", newline="") as file:
        assert {row["label"] for row in csv.DictReader(file)} <= set(LABELS)


def test_a_server_that_is_killed_is_one_clear_error_and_its_answers_are_kept(
    server: RunningServer, tmp_path: Path
) -> None:
    cache = AnswerCache(tmp_path / "answers.db")
    gateway = Gateway(opened(server), cache=cache)
    early = [asking(f"early {number}") for number in range(8)]
    known = gateway.ask(early)
    late = [
        Request((Message("user", f"late {number}"),), max_tokens=4_000, temperature=1.0)
        for number in range(64)
    ]
    killer = threading.Timer(1.0, server.kill)
    killer.start()
    started = time.monotonic()
    with pytest.raises(OperatorError, match="does not answer") as caught:
        gateway.ask(late)
    killer.join()
    assert "labelwright resume" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - started < 120
    again = gateway.ask(early)
    assert all(answer.cached for answer in again)
    assert [answer.parsed for answer in again] == [answer.parsed for answer in known]
    with pytest.raises(OperatorError, match="start the server"):
        gateway.ask([asking("later", schema=Label)])
    gateway.close()
