"""What two texts have in common, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.models.pair_similarity import (
    MEASURES,
    WIDTH,
    fields_of,
    overlaps,
    similarities,
)


def test_words_in_both_are_counted_of_all_and_of_the_fewer() -> None:
    found = overlaps(["the red car"], ["The blue car is fast"])[0]
    assert found[0] == pytest.approx(2 / 6)
    assert found[1] == pytest.approx(2 / 3)


def test_pieces_in_both_are_counted() -> None:
    # " ab", "abc", "bc " and " ab", "abd", "bd ".
    found = overlaps(["abc"], ["abd"])[0]
    assert found[2] == pytest.approx(1 / 5)
    assert found[3] == pytest.approx(1 / 3)


def test_numbers_are_compared_by_themselves() -> None:
    found = similarities(["about 12 of 30 pages", "no 5"], ["page 30, 12", "no 6"])[:, MEASURES]
    np.testing.assert_allclose(found, [1, 0])


def test_fields_of_a_record_are_its_lines() -> None:
    found = fields_of("Title: Query: plans\nyear: 1994\nno field\n 3: 4\nprice (eur): 5")
    assert found == {"title": "query: plans", "year": "1994"}


def test_two_lowest_and_mean_are_over_the_fields_that_both_have() -> None:
    first = "title: a b\nvenue: x\nyear: 1\nisbn: 3"
    second = "title: a c\nvenue: x\nyear: 2"
    words = similarities([first], [second])[0, MEASURES + 1 : MEASURES + 4]
    np.testing.assert_allclose(words, [0, 1 / 3, (1 / 3 + 1 + 0) / 3], atol=1e-6)


def test_texts_without_common_fields_count_as_one() -> None:
    found = similarities(["a b", "x: a"], ["a c", "y: a"])
    np.testing.assert_allclose(found[:, MEASURES + 1 : MEASURES + 4], found[:, [0, 0, 0]])


def test_no_pairs_have_no_similarities() -> None:
    assert similarities([], []).shape == (0, WIDTH)


TEXT = st.text(st.sampled_from("ab1: \n\ud800é"), max_size=12)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=5))
def test_similarities_are_symmetric_shares(pairs: list[tuple[str, str]]) -> None:
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    found = similarities(first, second)
    assert found.shape == (len(pairs), WIDTH)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_array_equal(found, similarities(second, first))


@given(st.lists(TEXT, min_size=2, max_size=5))
def test_a_pair_is_seen_alike_whatever_stands_beside_it(texts: list[str]) -> None:
    every = similarities(texts, texts[::-1])
    np.testing.assert_array_equal(every[:1], similarities(texts[:1], texts[-1:]))
