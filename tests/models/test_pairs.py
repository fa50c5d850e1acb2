"""Pairs as one text, records as lines, and what a pair's vector says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.models.encoders import Encoder
from labelwright.models.pairs import (
    SEPARATOR,
    PairEncoder,
    is_pair,
    join_pair,
    readable,
    record_text,
    split_pair,
)

SIMPLE = st.text().filter(lambda text: SEPARATOR not in text)


@given(SIMPLE, SIMPLE)
def test_pair_comes_apart_as_it_was_joined(first: str, second: str) -> None:
    assert is_pair(join_pair(first, second))
    assert split_pair(join_pair(first, second)) == (first, second)


@given(st.text(), st.text())
def test_pair_has_one_separator_whatever_its_texts(first: str, second: str) -> None:
    assert join_pair(first, second).count(SEPARATOR) == 1


def test_plain_text_is_no_pair() -> None:
    assert not is_pair("card bank")
    assert split_pair("card bank") == ("card bank", "")
    assert readable("card bank") == "card bank"


def test_record_has_a_line_for_each_value() -> None:
    record = {"title": "Query\nplans ", "year": 1994, "price": 0, "sold": False}
    assert record_text(record) == "title: Query plans\nyear: 1994\nprice: 0\nsold: False"


@pytest.mark.parametrize("value", [None, "", "  ", math.nan])
def test_record_leaves_out_what_has_no_value(value: object) -> None:
    assert record_text({"title": "a", "venue": value}) == "title: a"


@pytest.fixture(scope="module")
def encoder(tiny: Encoder) -> PairEncoder:
    return PairEncoder(tiny)


PAIRS = [
    join_pair("my card was lost", "my card was lost"),
    join_pair("my card was lost", "the app is slow"),
    join_pair("", ""),
]


def test_vectors_of_pairs_have_length_one(encoder: PairEncoder) -> None:
    found = encoder.encode(PAIRS)
    assert found.shape == (3, encoder.dim)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_text_that_is_no_pair_has_the_zero_vector(encoder: PairEncoder) -> None:
    found = encoder.encode(["match", *PAIRS])
    assert not found[0].any()
    np.testing.assert_allclose(found[1:], encoder.encode(PAIRS), atol=0.01)


def test_no_pairs_have_no_vectors(encoder: PairEncoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_order_of_the_two_texts_does_not_matter(encoder: PairEncoder) -> None:
    swapped = [join_pair(*reversed(split_pair(pair))) for pair in PAIRS]
    np.testing.assert_allclose(encoder.encode(PAIRS), encoder.encode(swapped), atol=0.01)


def test_pair_of_the_same_texts_differs_in_nothing(encoder: PairEncoder, tiny: Encoder) -> None:
    found = encoder.encode(PAIRS)
    assert not found[0, : tiny.dim].any()
    assert found[1, : tiny.dim].any()


def test_numbers_change_the_vector_of_a_pair(encoder: PairEncoder) -> None:
    # The tiny transformer knows no digit: only the similarities can tell.
    same = join_pair("paid 12", "paid 12")
    other = join_pair("paid 12", "paid 13")
    found = encoder.encode([same, other])
    assert np.abs(found[0] - found[1]).max() > 0.05


def test_megabytes_are_cut(encoder: PairEncoder) -> None:
    long = "card " * 200_000
    found = encoder.encode([join_pair(long, long), join_pair(long[:8_000], long[:8_000])])
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_digest_is_that_of_the_encoder_for_pairs(encoder: PairEncoder, tiny: Encoder) -> None:
    assert encoder.digest == PairEncoder(tiny).digest
    assert encoder.digest != tiny.digest
    assert len(encoder.digest) == 16
    assert encoder.name == tiny.name
    assert encoder.texts is tiny
