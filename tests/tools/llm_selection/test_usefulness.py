"""The probability of yes, from whatever log-probabilities an answer has."""

from __future__ import annotations

import math

import pytest
from labelwright.models.llm.base import Answer, Token
from labelwright.tools.llm_selection.usefulness import yes_probability


def said(*top: tuple[str, float], text: str = "yes", before: tuple[Token, ...] = ()) -> Answer:
    logs = tuple((word, math.log(p)) for word, p in top)
    return Answer("key", "ok", text, tokens=(*before, Token(text, logs[0][1], logs)))


def test_spellings_of_a_word_are_added_up() -> None:
    answer = said(("Yes", 0.3), (" yes", 0.3), ("No", 0.2))
    assert yes_probability(answer) == pytest.approx(0.75)


def test_what_stands_before_the_word_is_passed_over() -> None:
    space = Token("\n", math.log(0.9), (("\n", math.log(0.9)), ("yes", math.log(0.1))))
    answer = said(("no", 0.6), ("yes", 0.2), text="no", before=(space,))
    assert yes_probability(answer) == pytest.approx(0.25)


def test_scored_choices_go_before_tokens() -> None:
    answer = Answer("key", "ok", "no", choice_logprobs=(math.log(0.2), math.log(0.6)))
    assert yes_probability(answer) == pytest.approx(0.25)


def test_a_word_that_is_not_listed_is_unknown_unless_it_is_negligible() -> None:
    assert yes_probability(said(("yes", 0.6), ("maybe", 0.3))) is None
    assert yes_probability(said(("yes", 0.99), ("maybe", 0.001))) == 1.0


@pytest.mark.parametrize(
    "answer",
    [
        Answer("key", "ok", "yes"),
        Answer("key", "invalid", "", tokens=(Token("yes", -0.1, (("yes", -0.1), ("no", -3.0))),)),
        Answer("key", "ok", "", choice_logprobs=(-math.inf, -math.inf)),
        said(("perhaps", 0.7), ("never", 0.3)),
    ],
)
def test_without_log_probabilities_of_the_words_there_is_no_value(answer: Answer) -> None:
    assert yes_probability(answer) is None
