"""Chains of tags against all chains counted one by one, and words against hand-made cases."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.models.learners.tagging.chain import Steps, decode, possible_steps
from labelwright.models.learners.tagging.chain_training import (
    Columns,
    Examples,
    _Problem,
    fit_chain,
    parts_of_tags,
)
from labelwright.models.learners.tagging.words import spans_from, tag_names, tags_of, words_of
from labelwright.store.spans import Span

LENGTHS = (3, 1, 0, 4)
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64)


def random_steps(rng: np.random.Generator, types: int) -> Steps:
    steps = possible_steps(types)
    size = 2 * types + 1
    return Steps(steps.between + rng.normal(size=(size, size)), steps.first + rng.normal(size=size))


@pytest.mark.parametrize("types", [1, 2])
def test_decoding_agrees_with_counting_all_chains(types: int) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(sum(LENGTHS), 2 * types + 1))
    steps = random_steps(rng, types)
    found = decode(scores, OFFSETS, steps)
    for text, length in enumerate(LENGTHS):
        begin = OFFSETS[text]
        chains = list(product(range(2 * types + 1), repeat=length))
        sums = np.array(
            [
                sum(scores[begin + t, tag] for t, tag in enumerate(chain))
                + (steps.first[chain[0]] if chain else 0.0)
                + sum(steps.between[a, b] for a, b in pairwise(chain))
                for chain in chains
            ]
        )
        chances = np.exp(sums) / np.exp(sums).sum()
        best = int(chances.argmax())
        assert tuple(found.tags[begin : begin + length]) == chains[best]
        assert found.log_p[text] == pytest.approx(np.log(chances[best]), abs=1e-9)
        for kind in range(types):
            has = [bool({1 + 2 * kind, 2 + 2 * kind} & set(chain)) for chain in chains]
            assert found.occurs[text, kind] == pytest.approx(chances[has].sum(), abs=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_no_chain_goes_on_with_what_was_not_begun(seed: int) -> None:
    scores = np.random.default_rng(seed).normal(scale=9.0, size=(sum(LENGTHS), 5))
    tags = decode(scores, OFFSETS, possible_steps(2)).tags
    for begin, end in pairwise(OFFSETS):
        before = 0
        for tag in tags[begin:end]:
            assert tag not in (2, 4) or before in (tag - 1, tag)
            before = tag


def test_extreme_scores_stay_finite() -> None:
    scores = np.full((4, 3), -1e4)
    scores[:, 1] = 1e4
    found = decode(scores, np.array([0, 4]), possible_steps(1))
    assert found.tags.tolist() == [1, 1, 1, 1]
    assert found.log_p[0] == 0.0
    assert found.occurs[0, 0] == 1.0


def test_the_slope_is_that_of_the_loss() -> None:
    rng = np.random.default_rng(1)
    examples = Examples(
        Columns(rng.normal(size=(8, 3))),
        np.array([0, 1, 2, 3, 0, 1, 2, 0]),
        OFFSETS,
        np.array([1.0, 2.0, 1.0, 0.5]),
    )
    problem = _Problem(examples, 2, np.full(3, 0.3))
    at = rng.normal(size=problem.size)
    _, slope = problem.value_and_slope(at)
    for place in range(problem.size):
        step = 1e-5 * np.eye(problem.size)[place]
        above, below = problem.value_and_slope(at + step)[0], problem.value_and_slope(at - step)[0]
        assert slope[place] == pytest.approx((above - below) / 2e-5, abs=1e-6)


def test_a_chain_learns_steps_as_well_as_words() -> None:
    # The second word looks alike in both texts; what came before decides.
    features = Columns(np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 1.0]]))
    tags = np.array([1, 2, 0, 0])
    offsets = np.array([0, 2, 4])
    chain, _, _ = fit_chain(Examples(features, tags, offsets, np.ones(2)), 1, np.full(2, 1e-3))
    assert decode(chain.scores(features), offsets, chain.steps).tags.tolist() == tags.tolist()


def test_types_share_the_parts_of_their_tags() -> None:
    parts = parts_of_tags(2)
    assert not parts[:, 0].any()
    assert (parts[:, 1] * parts[:, 3]).sum() == 2  # inside at all, and beginning
    assert (parts[:, 1] * parts[:, 2]).sum() == 2  # inside at all, and the type
    assert (parts[:, 1] * parts[:, 4]).sum() == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ada's x-ray, 3.5", ["Ada", "'", "s", "x", "-", "ray", ",", "3", ".", "5"]),
        ("kọ́ ẹ̀kọ́", ["kọ́", "ẹ̀kọ́"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("東京 Tokyo", ["東", "京", "Tokyo"]),
        ("東京Tower", ["東", "京", "Tower"]),
        ("", []),
        (" \n", []),
    ],
)
def test_words_are_what_a_reader_takes_for_one(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in words_of(text)] == words


@given(st.text())
def test_words_cover_all_but_space_once_and_in_order(text: str) -> None:
    ranges = words_of(text)
    assert all(start < end for start, end in ranges)
    assert all(a[1] <= b[0] for a, b in pairwise(ranges))
    covered = {place for start, end in ranges for place in range(start, end)}
    assert all(place in covered for place, char in enumerate(text) if not char.isspace())


def test_spans_that_follow_words_come_back_from_their_tags() -> None:
    text, names = "Ada Lovelace met Rome Paris", tag_names(["person", "place"])
    spans = (
        Span(0, 12, "person", "Ada Lovelace"),
        Span(17, 21, "place", "Rome"),
        Span(22, 27, "place", "Paris"),
    )
    words = words_of(text)
    tags = tags_of(spans, words, names)
    assert [names[tag] for tag in tags] == ["B-person", "I-person", "O", "B-place", "B-place"]
    assert spans_from(tags, words, names, text) == spans


def test_part_of_a_word_counts_for_the_word() -> None:
    text, names = "the cardbox", tag_names(["thing"])
    words = words_of(text)
    tags = tags_of((Span(4, 8, "thing", "card"),), words, names)
    assert spans_from(tags, words, names, text) == (Span(4, 11, "thing", "cardbox"),)
