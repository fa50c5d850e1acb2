"""A small real model in this process: everything around it works, whatever it is worth."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Literal

import pytest
from labelwright.models.llm.backends.hf import TransformersBackend
from labelwright.models.llm.base import Message, Request
from labelwright.models.llm.cache import AnswerCache
from labelwright.models.llm.gateway import Gateway
from labelwright.tools.generation.terms import terms_of
from pydantic import BaseModel

pytestmark = pytest.mark.live
LABELS = ("positive", "negative")
SYSTEM = Message("system", "Say whether the film review is positive or negative.")
SHOWN = (
    Message("user", "An awful mess."),
    Message("assistant", "negative"),
    Message("user", "A delightful film."),
    Message("assistant", "positive"),
)
OBVIOUS = {
    "I loved every minute of this wonderful film.": "positive",
    "A dreadful, boring film. I hated it.": "negative",
    "Brilliant and moving, the best film of the year!": "positive",
}


class Reasoned(BaseModel):
    rationale: str
    label: Literal["positive", "negative"]


def review(text: str, **more: object) -> Request:
    return Request((SYSTEM, *SHOWN, Message("user", text)), item=text, **more)  # type: ignore[arg-type]


def test_obvious_reviews_get_their_label(smollm: TransformersBackend) -> None:
    answers = Gateway(smollm).ask([review(text, choices=LABELS) for text in OBVIOUS])
    assert [answer.text for answer in answers] == list(OBVIOUS.values())


def test_the_log_probabilities_of_labels_and_tokens_are_a_distribution(
    smollm: TransformersBackend,
) -> None:
    gateway = Gateway(smollm)
    scored, written = gateway.ask(
        [review("Fine.", choices=LABELS), review("Fine.", max_tokens=4, logprobs=True)]
    )
    assert scored.choice_logprobs is not None
    # Each is the probability of one whole answer, and there are others.
    assert 0.01 < sum(map(math.exp, scored.choice_logprobs)) < 1
    assert written.tokens
    for token in written.tokens:
        assert math.fsum(math.exp(p) for _, p in token.top) <= 1.001
        assert token.logprob == pytest.approx(max(p for _, p in token.top))


def test_the_same_question_is_answered_from_the_cache(
    smollm: TransformersBackend, tmp_path: Path
) -> None:
    requests = [review(text, choices=LABELS) for text in OBVIOUS]
    with_cache = Gateway(smollm, cache=AnswerCache(tmp_path / "answers.db"))
    first, again = with_cache.ask(requests), with_cache.ask(requests)
    assert all(answer.tokens_in > 40 and not answer.cached for answer in first)
    assert all(answer.cached and answer.attempts == 0 for answer in again)
    assert [answer.choice_logprobs for answer in again] == [
        answer.choice_logprobs for answer in first
    ]


def test_prose_in_place_of_json_is_asked_again_and_never_made_a_label(
    smollm: TransformersBackend,
) -> None:
    """Which of the two it is depends on rounding, so on the processor; both must hold."""
    text = next(iter(OBVIOUS))
    request = Request((SYSTEM, Message("user", text)), schema=Reasoned, max_tokens=60)
    (answer,) = Gateway(smollm).ask([request])
    if answer.ok:
        assert Reasoned.model_validate(json.loads(answer.text)) == answer.parsed
    else:
        assert (answer.status, answer.parsed, answer.attempts) == ("invalid", None, 2)
        assert "JSON" in answer.error


def test_an_answer_that_is_cut_off_is_invalid_and_both_tries_are_paid(
    smollm: TransformersBackend,
) -> None:
    request = Request((SYSTEM, Message("user", "Fine.")), schema=Reasoned, max_tokens=4)
    (answer,) = Gateway(smollm).ask([request])
    assert (answer.status, answer.tokens_out, answer.usd) == ("invalid", 8, 0.0)
    assert "cut off after 4 tokens" in answer.error


def test_its_licence_says_nothing_against_training_on_what_it_writes(
    smollm: TransformersBackend,
) -> None:
    assert terms_of(smollm.name).restriction == "none"
