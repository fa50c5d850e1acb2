"""Models of transformers: real weights, tiny; scores against a plain forward pass."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from backend_contract import BackendContract, Label, asking, complete, reply
from hypothesis import given
from hypothesis import strategies as st
from labelwright.models.llm.backends import hf, hf_model
from labelwright.models.llm.backends.hf import TransformersBackend, chooses
from labelwright.models.llm.backends.vllm_engine import chat_tokens
from labelwright.models.llm.base import Backend, Failure, Message, Request, ToolSpec
from labelwright.store.errors import OperatorError
from pydantic import BaseModel

CHOICES = ("billing", "bug", "praise")
TEXTS = ("card", "the screen of my phone stays black since the update of last week", "thanks!")


class Reasoned(BaseModel):
    rationale: str
    label: Literal["billing", "bug", "praise"]


class MaybeReasoned(BaseModel):
    label: Literal["billing", "bug", "praise"]
    rationale: str | None = None


@pytest.fixture(scope="module")
def backend(tiny: Path) -> Iterator[TransformersBackend]:
    """In float32 on every machine: bfloat16 has three digits, too few to compare sums by."""
    import torch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hf, "compute_dtype", lambda _: torch.float32)
        made = TransformersBackend(str(tiny))
        yield made
        asyncio.run(made.close())


class TestContract(BackendContract):
    @pytest.fixture
    def made(self, tiny: Path) -> Iterator[Backend]:
        return TransformersBackend(str(tiny))

    def unanswerable(self) -> Request:
        return asking("word " * 600)


class TestContractOfChoices(TestContract):
    @pytest.fixture
    def made(self, tiny: Path) -> Iterator[Backend]:
        class Choosing(TransformersBackend):
            async def complete(self, requests: Sequence[Request]) -> Any:
                given = [asking(each.item, choices=CHOICES) for each in requests]
                return await super().complete(given)

        return Choosing(str(tiny))


def plain_score(tiny: Path, request: Request, answer: str, *, end: bool) -> float:
    """Log-probability of an answer after a prompt, by one forward pass over both."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    model = AutoModelForCausalLM.from_pretrained(tiny).eval()
    prompt = chat_tokens(tokenizer, request.messages)
    tokens = tokenizer.encode(answer, add_special_tokens=False)
    tokens += [tokenizer.eos_token_id] if end else []
    with torch.inference_mode():
        logits = model(torch.tensor([[*prompt, *tokens]])).logits[0].log_softmax(-1)
    places = range(len(prompt) - 1, len(prompt) - 1 + len(tokens))
    return float(sum(logits[place, token] for place, token in zip(places, tokens, strict=True)))


def test_choices_are_scored_exactly_whatever_stands_beside_them(
    backend: TransformersBackend, tiny: Path
) -> None:
    requests = [asking(text, schema=None, choices=CHOICES) for text in TEXTS]
    for request, found in zip(requests, complete(backend, requests), strict=True):
        scores = reply(found).choice_logprobs
        expected = [plain_score(tiny, request, choice, end=True) for choice in CHOICES]
        np.testing.assert_allclose(scores, expected, atol=1e-4)
        assert reply(found).text == CHOICES[int(np.argmax(expected))]


def test_a_label_is_chosen_as_its_schema_wants_it(backend: TransformersBackend) -> None:
    for schema in (Label, MaybeReasoned):
        (found,) = complete(backend, [asking("card", schema=schema, choices=CHOICES)])
        scores = reply(found).choice_logprobs
        assert scores is not None
        assert max(scores) < 0
        assert json.loads(reply(found).text) == {"label": CHOICES[int(np.argmax(scores))]}
        assert schema.model_validate_json(reply(found).text)


def test_the_whole_answer_is_what_is_scored(
    backend: TransformersBackend, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asking("card", choices=CHOICES)
    (found,) = complete(backend, [request])
    from labelwright.models.llm.backends.forms import schema_in_words, with_instruction

    told = with_instruction(request.messages, schema_in_words(Label))
    expected = [
        plain_score(tiny, Request(told), json.dumps({"label": choice}), end=False)
        for choice in CHOICES
    ]
    np.testing.assert_allclose(reply(found).choice_logprobs, expected, atol=1e-4)
    monkeypatch.setattr(hf_model, "_LOGITS", 1)
    (split,) = complete(backend, [request])
    np.testing.assert_allclose(reply(split).choice_logprobs, expected, atol=1e-4)


def test_a_label_with_a_rationale_is_written_and_not_chosen(backend: TransformersBackend) -> None:
    request = asking("card", schema=Reasoned, choices=CHOICES, max_tokens=5)
    assert not chooses(request)
    (found,) = complete(backend, [request])
    assert reply(found).choice_logprobs is None


def test_choices_at_a_temperature_are_drawn_in_proportion(backend: TransformersBackend) -> None:
    (sure,) = complete(backend, [asking("card", schema=None, choices=CHOICES)])
    scores = reply(sure).choice_logprobs
    assert scores is not None
    temperature = 4.0
    requests = [
        asking("card", schema=None, choices=CHOICES, temperature=temperature, sample=k)
        for k in range(600)
    ]
    drawn = [reply(found).text for found in complete(backend, requests)]
    weights = np.exp(np.asarray(scores) / temperature)
    shares = [drawn.count(choice) / len(drawn) for choice in CHOICES]
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.08)
    assert drawn == [reply(found).text for found in complete(backend, requests)]


def test_what_is_written_does_not_depend_on_padding(backend: TransformersBackend) -> None:
    requests = [asking(text, schema=None, max_tokens=12) for text in TEXTS]
    together = [reply(found).text for found in complete(backend, requests)]
    alone = [reply(complete(backend, [request])[0]).text for request in requests]
    assert together == alone


def test_written_tokens_come_with_their_log_probabilities(backend: TransformersBackend) -> None:
    request = asking("card", schema=None, max_tokens=6, logprobs=True)
    (found,) = complete(backend, [request])
    tokens = reply(found).tokens
    assert len(tokens) == reply(found).tokens_out
    for token in tokens:
        assert len(token.top) == 20
        assert token.top[0] == (token.text, pytest.approx(token.logprob))
        assert math.fsum(math.exp(value) for _, value in token.top) <= 1 + 1e-5
    (plain,) = complete(backend, [asking("card", schema=None, max_tokens=6)])
    assert reply(plain).text == reply(found).text
    assert reply(plain).tokens == ()


def test_the_same_seed_writes_the_same_and_another_sample_another(
    backend: TransformersBackend,
) -> None:
    import torch

    request = asking("card", schema=None, max_tokens=8, temperature=1.0, seed=5)
    again = asking("card", schema=None, max_tokens=8, temperature=1.0, seed=5, sample=1)
    before = torch.random.get_rng_state()
    first, other = complete(backend, [request, again])
    assert reply(first).text == reply(complete(backend, [request])[0]).text
    assert reply(first).text != reply(other).text
    assert torch.equal(before, torch.random.get_rng_state())


def test_what_is_drawn_does_not_depend_on_the_requests_beside_it(
    backend: TransformersBackend,
) -> None:
    requests = [
        asking(text, schema=None, max_tokens=8, temperature=1.5, seed=seed)
        for text, seed in zip(TEXTS, (3, 4, 5), strict=True)
    ]
    together = [reply(found).text for found in complete(backend, requests)]
    assert together == [reply(complete(backend, [each])[0]).text for each in requests]


def test_tokens_are_drawn_in_proportion(backend: TransformersBackend) -> None:
    (likely,) = complete(backend, [asking("card", schema=None, max_tokens=1, logprobs=True)])
    (token,) = reply(likely).tokens
    requests = [
        asking("card", schema=None, max_tokens=1, temperature=1.0, sample=k, logprobs=True)
        for k in range(400)
    ]
    drawn = [reply(found).tokens[0].text for found in complete(backend, requests)]
    share = drawn.count(token.text) / len(drawn)
    assert share == pytest.approx(math.exp(token.logprob), abs=0.08)
    assert len(set(drawn)) > 3


def test_an_answer_that_goes_round_in_a_circle_is_cut_off(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asking("card", schema=None, max_tokens=30)
    (whole,) = complete(backend, [request])
    assert reply(whole).tokens_out > 8
    # A single token always repeats itself.
    monkeypatch.setattr(hf_model, "_CIRCLING", 1)
    monkeypatch.setattr(hf_model, "_TIMES", 1)
    monkeypatch.setattr(hf_model, "_LOOK", 8)
    for found in complete(backend, [request, asking("thanks", schema=None, max_tokens=30)]):
        assert (reply(found).tokens_out, reply(found).finish) == (8, "length")


@pytest.mark.parametrize(
    ("period", "length", "seen"),
    [(1, 96, True), (7, 96, True), (7, 64, False), (64, 192, True), (64, 160, False)],
)
def test_a_circle_is_three_times_the_same_and_long(period: int, length: int, seen: bool) -> None:
    import torch

    rows = [[5, 6, *(k % period for k in range(length))], [5, 6, *range(length)]]
    loops = hf_model._Loops(2)
    assert loops(torch.tensor(rows), None).tolist() == [seen, False]
    assert loops.cut == ({0: length} if seen else {})


def test_a_prompt_past_the_models_length_is_a_failure(backend: TransformersBackend) -> None:
    long = "word " * 600
    for choices in ((), CHOICES):
        (found,) = complete(backend, [asking(long, schema=None, choices=choices)])
        assert isinstance(found, Failure)
        assert (found.kind, "the model takes 512" in found.message) == ("context", True)


def test_an_answer_ends_where_the_models_length_ends(backend: TransformersBackend) -> None:
    request = asking("word " * 150, schema=None, max_tokens=500)
    room = 512 - backend.count(request)
    (found,) = complete(backend, [request])
    assert 0 < reply(found).tokens_out <= room
    assert reply(found).finish == ("length" if reply(found).tokens_out == room else "stop")


def test_tools_are_described_and_a_call_is_read(backend: TransformersBackend) -> None:
    tool = ToolSpec("pick", "Pick.", {"type": "object", "properties": {}})
    plain = asking("a", schema=None)
    request = asking("a", schema=None, tools=(tool,), max_tokens=4)
    assert backend.count(request) > backend.count(plain) + 20
    (found,) = complete(backend, [request])
    assert reply(found).calls == ()


def test_a_model_without_a_chat_template_reads_plain_text(tiny: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.chat_template = None
    tokens = chat_tokens(tokenizer, (Message("system", "Label."), Message("user", "card")))
    assert tokenizer.decode(tokens) == "Label.\n\ncard\n\n"


def test_a_batch_that_is_too_much_for_the_memory_is_halved(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    real = hf_model.score_answers
    sizes = []

    def limited(ready: Any, prompts: Any, answers: Any, shared: Any) -> Any:
        sizes.append(len(prompts))
        if len(prompts) > 1:
            raise torch.OutOfMemoryError("too much")
        return real(ready, prompts, answers, shared)

    requests = [asking(text, schema=None, choices=CHOICES) for text in TEXTS]
    expected = complete(backend, requests)
    monkeypatch.setattr(hf_model, "score_answers", limited)
    assert [reply(each).text for each in complete(backend, requests)] == [
        reply(each).text for each in expected
    ]
    assert sizes == [3, 1, 2, 1, 1]


@pytest.mark.parametrize("schema", [None, Label])
def test_what_prompts_begin_with_is_read_once_and_changes_no_score(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch, schema: type[BaseModel] | None
) -> None:
    reads: list[int] = []
    real = hf_model.read_shared

    def counted(ready: Any, prompts: Any) -> Any:
        found = real(ready, prompts)
        reads.append(found.length)
        return found

    monkeypatch.setattr(hf_model, "read_shared", counted)
    requests = [asking(text, schema=schema, choices=CHOICES) for text in TEXTS]
    together = [reply(found).choice_logprobs for found in complete(backend, requests)]
    assert reads.pop() > 16
    alone = [reply(complete(backend, [each])[0]).choice_logprobs for each in requests]
    assert reads == [0, 0, 0]
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_what_prompts_begin_with_changes_nothing_that_is_written(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [asking(text, schema=None, max_tokens=12, logprobs=True) for text in TEXTS]
    shared = [reply(found) for found in complete(backend, requests)]
    monkeypatch.setattr(hf_model, "_WORTH", 10_000)
    for one, found in zip(shared, complete(backend, requests), strict=True):
        other = reply(found)
        assert (one.text, one.tokens_in, one.tokens_out) == (
            other.text,
            other.tokens_in,
            other.tokens_out,
        )
        np.testing.assert_allclose(
            [token.logprob for token in one.tokens],
            [token.logprob for token in other.tokens],
            atol=1e-4,
        )


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), min_size=1, max_size=6))
def test_the_shared_beginning_is_the_longest_that_all_have(rows: list[list[int]]) -> None:
    n = hf_model.shared_length(rows)
    assert len({tuple(row[:n]) for row in rows}) == 1
    longer = {tuple(row[: n + 1]) for row in rows}
    assert len(longer) > 1 or n == min(map(len, rows))


def test_a_model_that_keeps_more_than_keys_and_values_reads_whole_prompts(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [[*range(1, 30), 40], [*range(1, 30), 41]]
    ready = backend._ready()
    assert hf_model.read_shared(ready, prompts).length == 29
    monkeypatch.setattr(hf_model, "_PLAIN", frozenset())
    assert hf_model.read_shared(ready, prompts) is hf_model.NOTHING


def test_equal_prompts_keep_a_token_of_their_own(backend: TransformersBackend) -> None:
    requests = [asking("the same", schema=None, choices=CHOICES, sample=k) for k in range(2)]
    one, other = (reply(found).choice_logprobs for found in complete(backend, requests))
    assert one == pytest.approx(other, abs=1e-5)
    (alone,) = complete(backend, requests[:1])
    assert reply(alone).choice_logprobs == pytest.approx(one, abs=1e-4)


def test_a_model_that_is_not_there_says_what_to_name(tmp_path: Path) -> None:
    backend = TransformersBackend(str(tmp_path / "nothing"))
    with pytest.raises(OperatorError, match="name a folder or a model on the hub"):
        complete(backend, [asking("a")])
