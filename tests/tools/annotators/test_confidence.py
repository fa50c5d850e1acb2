"""Confidence from tokens and votes: right where it is known, absent where it is not."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from annotating import token
from hypothesis import given
from hypothesis import strategies as st
from labelwright.models.llm.base import Token
from labelwright.tools.annotators.confidence import (
    TOLERANCE,
    choice_probabilities,
    count_votes,
    label_probabilities,
)

NAMES = ("billing", "bug", "praise")


def plain(text: str) -> Token:
    return token(text, 1.0)


def test_the_alternatives_at_the_label_are_its_probabilities() -> None:
    tokens = [plain('{"label":'), plain(' "'), token("bug", 0.7, billing=0.2, praise=0.1)]
    found = label_probabilities([*tokens, plain('"}')], NAMES)
    assert found is not None
    assert found.given == "bug"
    assert found.distribution == pytest.approx((0.2, 0.7, 0.1))
    assert found.score == pytest.approx(0.7)


def test_what_is_outside_of_the_set_is_left_out() -> None:
    tokens = [plain('{"label": "'), token("bug", 0.4, praise=0.1, billing=0.0001, other=0.4999)]
    found = label_probabilities([*tokens, plain('"}')], NAMES)
    assert found is not None
    assert found.distribution == pytest.approx((0.0002, 0.8, 0.2), abs=1e-3)


def test_different_beginnings_of_one_label_are_added() -> None:
    tokens = [plain('{"label": "'), token("bu", 0.5, bug=0.3, pra=0.1, praise=0.1), plain('g"}')]
    found = label_probabilities(tokens, NAMES)
    assert found is not None
    assert found.distribution == pytest.approx((0.0, 0.8, 0.2))


def test_labels_that_begin_alike_are_followed_to_where_they_part() -> None:
    tokens = [plain('{"label": "'), token("b", 0.9, praise=0.1), token("ug", 0.75, illing=0.25)]
    found = label_probabilities([*tokens, plain('"}')], NAMES)
    assert found is not None
    assert found.distribution == pytest.approx((0.225, 0.675, 0.1))


def test_a_label_that_is_the_beginning_of_another_ends_at_its_quote() -> None:
    tokens = [plain('{"label": "'), plain("bill"), token('"', 0.6, ing=0.4), plain("}")]
    found = label_probabilities(tokens, ("bill", "billing"))
    assert found is not None
    assert found.given == "bill"
    assert found.distribution == pytest.approx((0.6, 0.4))


def test_what_began_alike_and_was_not_written_is_unknown() -> None:
    tokens = [plain('{"label": "'), token("praise", 0.6, b=0.4), plain('"}')]
    found = label_probabilities(tokens, NAMES)
    assert found is not None
    assert found.distribution is None
    # Both labels with b are other labels: that of the one given is known all the same.
    assert found.score == pytest.approx(0.6)
    assert found.unknown == pytest.approx(0.4)


def test_if_it_may_be_the_labels_own_its_score_is_unknown_too() -> None:
    tokens = [plain('{"label": "'), token("bug", 0.6, b=0.4), plain('"}')]
    found = label_probabilities(tokens, NAMES)
    assert found is not None
    assert found.distribution is None
    assert found.score is None


def test_tokens_may_join_quote_and_label() -> None:
    tokens = [
        plain('{"label":'),
        Token(' "bug', math.log(0.8), ((' "bug', math.log(0.8)), (' "praise', math.log(0.2)))),
        plain('"}'),
    ]
    found = label_probabilities(tokens, NAMES)
    assert found is not None
    assert found.distribution == pytest.approx((0.0, 0.8, 0.2))


def test_without_a_list_the_rest_is_unknown() -> None:
    tokens = [plain('{"label": "'), Token("bug", math.log(0.8)), plain('"}')]
    found = label_probabilities(tokens, NAMES)
    assert found is not None
    assert (found.score, found.distribution) == (None, None)


def test_a_list_that_ends_while_likely_tokens_remain_tells_nothing() -> None:
    short = Token("bug", math.log(0.4), (("bug", math.log(0.4)), ("praise", math.log(0.3))))
    found = label_probabilities([plain('{"label": "'), short, plain('"}')], NAMES)
    assert found is not None
    assert found.distribution is None


def test_a_list_whose_last_is_very_unlikely_leaves_nothing_of_weight() -> None:
    top = (("bug", math.log(0.6)), ("praise", math.log(0.3)), ("Bug", math.log(1e-6)))
    found = label_probabilities(
        [plain('{"label": "'), Token("bug", math.log(0.6), top), plain('"}')], NAMES
    )
    assert found is not None
    assert found.distribution == pytest.approx((0.0, 2 / 3, 1 / 3), abs=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        '{"rationale": "bug"}',
        "bug",
        "",
        '{"label": "Bug"}',
        '{"label": 3}',
        '{"label": "b\\u0075g"}',
    ],
)
def test_without_a_label_in_the_tokens_there_is_no_confidence(text: str) -> None:
    assert label_probabilities([plain(char) for char in text], NAMES) is None


def test_a_field_quoted_in_the_rationale_is_not_taken_for_the_label() -> None:
    rationale = json.dumps({"rationale": 'it says {"label": "praise"}'})[:-1]
    tokens = [plain(rationale), plain(', "label": "'), token("bug", 0.9, praise=0.1), plain('"}')]
    found = label_probabilities(tokens, NAMES)
    assert found is not None
    assert found.given == "bug"
    assert found.distribution == pytest.approx((0.0, 0.9, 0.1))


def test_a_field_in_the_models_thoughts_is_not_taken_for_the_label() -> None:
    tokens = [
        plain('<think>maybe {"label": "praise"}</think>'),
        plain('{"label": "'),
        token("bug", 0.9, praise=0.1),
        plain('"}'),
    ]
    found = label_probabilities(tokens, NAMES)
    assert found is not None
    assert found.given == "bug"


def test_each_of_several_answers_has_its_own_tokens() -> None:
    tokens = [
        plain('{"answers": [{"index": 2, "label": "'),
        token("bug", 0.9, praise=0.1),
        plain('"}, {"index": 1, "label": "'),
        token("praise", 0.6, bug=0.4),
        plain('"}]}'),
    ]
    first = label_probabilities(tokens, NAMES, place=0, of=2)
    second = label_probabilities(tokens, NAMES, place=1, of=2)
    assert first is not None
    assert second is not None
    assert first.distribution == pytest.approx((0.0, 0.9, 0.1))
    assert second.distribution == pytest.approx((0.0, 0.4, 0.6))
    assert label_probabilities(tokens, NAMES, place=0, of=3) is None


@dataclass
class Speller:
    """A language model that answers with labels of known probability, in random pieces."""

    chances: dict[str, float]
    seed: int
    cut: float

    def options(self, said: str) -> dict[str, float]:
        """What may stand next, with its probability: every label is spelled in its own pieces."""
        mass: Counter[str] = Counter()
        for label, chance in self.chances.items():
            spelling = label + '"'
            if spelling.startswith(said):
                for piece, share in self.pieces(spelling[len(said) :], said).items():
                    mass[piece] += chance * self.reached(spelling, said) * share
        total = sum(mass.values())
        return {piece: p / total for piece, p in mass.items() if p > 0}

    def pieces(self, rest: str, said: str) -> dict[str, float]:
        rng = np.random.default_rng([self.seed, *said.encode(), 255, *rest.encode()])
        ends = sorted({1 + int(rng.integers(len(rest))), len(rest)})
        if rng.random() < self.cut:
            ends = ends[:1]
        return dict.fromkeys((rest[:end] for end in ends), 1 / len(ends))

    def reached(self, spelling: str, said: str) -> float:
        """Probability that spelling this label in pieces has a break after `said`."""
        if not said:
            return 1.0
        return sum(
            self.reached(spelling, said[:end])
            * self.pieces(spelling[end:], said[:end]).get(said[end:], 0.0)
            for end in range(len(said))
        )

    def answer(self, rng: np.random.Generator) -> tuple[str, list[Token]]:
        tokens, said = [plain('{"label": "')], ""
        while not said.endswith('"'):
            options = self.options(said)
            drawn = str(rng.choice(list(options), p=list(options.values())))
            top = tuple((text, math.log(p)) for text, p in options.items())
            tokens.append(Token(drawn, math.log(options[drawn]), top))
            said += drawn
        return said[:-1], [*tokens, plain("}")]


@given(
    labels=st.lists(st.text("ab", min_size=1, max_size=5), min_size=2, max_size=5, unique=True),
    seed=st.integers(0, 2**16),
    cut=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_a_distribution_is_that_of_the_model_that_spelled_it_or_absent(
    labels: list[str], seed: int, cut: float
) -> None:
    rng = np.random.default_rng(seed)
    chances = dict(zip(labels, rng.dirichlet(np.ones(len(labels))).tolist(), strict=True))
    label, tokens = Speller(chances, seed, cut).answer(rng)
    found = label_probabilities(tokens, labels)
    assert found is not None
    assert found.given == label
    assert 0.0 <= found.unknown <= 1.0
    if found.distribution is not None:
        assert sum(found.distribution) == pytest.approx(1.0)
        assert found.distribution == pytest.approx(list(chances.values()), abs=2 * TOLERANCE)
    if found.score is not None:
        assert found.score == pytest.approx(chances[label], abs=2 * TOLERANCE)


def test_labels_that_do_not_begin_alike_always_have_a_distribution() -> None:
    chances = {"alpha": 0.5, "beta": 0.3, "gamma": 0.2}
    for seed in range(50):
        rng = np.random.default_rng(seed)
        _, tokens = Speller(chances, seed, 0.5).answer(rng)
        found = label_probabilities(tokens, list(chances))
        assert found is not None
        assert found.distribution == pytest.approx(list(chances.values()))


def test_choices_are_normalised_over_the_set() -> None:
    found = choice_probabilities([math.log(0.02), math.log(0.06), -1000.0], NAMES)
    assert found == pytest.approx([0.25, 0.75, 0.0])
    with pytest.raises(ValueError, match="2 log-probabilities for 3 labels"):
        choice_probabilities([-1.0, -2.0], NAMES)


def test_votes_have_share_disagreement_and_entropy() -> None:
    votes = count_votes(["a", "b", "a", "a"])
    assert votes.share == 0.75
    assert votes.disagreement == 0.5
    p = np.array([0.75, 0.25])
    assert votes.entropy == pytest.approx(-(p * np.log(p)).sum() / math.log(4))


def test_a_member_without_an_answer_lowers_the_share_and_is_no_label() -> None:
    votes = count_votes(["a", None, "a", None])
    assert (votes.share, votes.disagreement, votes.entropy) == (0.5, 0.5, 0.0)


def test_without_answers_nothing_is_said_of_them() -> None:
    votes = count_votes([None, None])
    assert (votes.share, votes.disagreement, votes.entropy) == (0.0, None, None)


def test_members_that_all_differ_have_entropy_one() -> None:
    assert count_votes(["a", "b", "c"]).entropy == pytest.approx(1.0)
