"""Features of texts and of pairs, and their projection."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.models.learners.pair_terms import SIMILARITY_SCALE, PairTerms
from labelwright.models.learners.terms import DIMENSIONS, cut, make_terms, projection
from labelwright.models.pair_similarity import WIDTH
from labelwright.models.pairs import join_pair, record_text
from sklearn.feature_extraction.text import TfidfVectorizer

WORDS = [f"word{number}" for number in range(400)]


def record(title: str, year: int) -> str:
    return record_text({"title": title, "year": year})


def test_projection_keeps_scalar_products() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 40)) for _ in range(60)]
    features = TfidfVectorizer().fit_transform(texts)
    dense = (features @ projection(features.shape[1])).toarray()
    apart = np.abs(dense @ dense.T - (features @ features.T).toarray())
    assert apart.mean() < 0.1
    assert dense.shape == (60, DIMENSIONS)


def test_projection_of_a_width_is_always_the_same() -> None:
    assert (projection(5_000) != projection(5_000)).nnz == 0
    assert projection(5_000).nnz < 0.03 * 5_000 * DIMENSIONS


def test_long_texts_are_cut() -> None:
    assert [len(text) for text in cut(["a" * 1_000_000, "b"])] == [8_000, 1]
    long = "a" * 1_000_000
    assert cut([join_pair(long, "b" + long)]) == [join_pair(long[:8_000], "b" + long[:7_999])]


def test_texts_without_pairs_are_seen_by_words_and_pieces() -> None:
    terms = make_terms(pairs=False)
    terms.fit(["card bank", "the card"])
    names = set(terms.get_feature_names_out())
    assert {"words__card", "words__card bank", "pieces__ard"} <= names


@pytest.fixture
def fitted() -> PairTerms:
    terms = make_terms(pairs=True)
    texts = [
        join_pair(record("query plans", 1994), record("query plans", 1994)),
        join_pair(record("query plans", 1994), record("web caching", 2001)),
        "match",
    ]
    assert isinstance(terms, PairTerms)
    terms.fit(texts)
    return terms


def test_pair_of_the_same_texts_has_only_what_both_have(fitted: PairTerms) -> None:
    text = record("query plans", 1994)
    words = len(fitted.words_.get_feature_names_out())
    found = fitted.transform([join_pair(text, text)]).toarray()[0]
    assert found[:words].any()
    assert not found[words : 2 * words].any()
    np.testing.assert_allclose(found[2 * words :][:WIDTH], SIMILARITY_SCALE, atol=1e-6)


def test_pair_of_texts_with_nothing_in_common_has_only_what_one_has(fitted: PairTerms) -> None:
    words = len(fitted.words_.get_feature_names_out())
    found = fitted.transform([join_pair("query plans", "web caching")]).toarray()[0]
    assert not found[:words].any()
    assert np.linalg.norm(found[words : 2 * words]) == pytest.approx(1)
    assert not found[2 * words :][:WIDTH].any()


def test_order_of_the_two_texts_does_not_matter(fitted: PairTerms) -> None:
    one, other = record("query plans", 1994), record("web plans", 2001)
    both = fitted.transform([join_pair(one, other), join_pair(other, one)]).toarray()
    np.testing.assert_allclose(both[0], both[1], atol=1e-6)


def test_text_that_is_no_pair_has_no_features(fitted: PairTerms) -> None:
    assert fitted.transform(["query plans", ""]).nnz == 0


def test_fields_are_compared_one_by_one(fitted: PairTerms) -> None:
    assert fitted.fields_ == ["title", "year"]
    pairs = [
        join_pair(record("query plans", 1994), record("query plans", 2001)),
        join_pair(record("query plans", 1994), "title: query plans"),
    ]
    title, lacks, year, no_year = np.split(fitted.transform(pairs).toarray()[:, -10:], [4, 5, 9], 1)
    np.testing.assert_allclose(title, SIMILARITY_SCALE)
    np.testing.assert_array_equal(lacks[:, 0], [0, 0])
    np.testing.assert_array_equal(year, 0)
    np.testing.assert_array_equal(no_year[:, 0], [0, 1])


def test_field_that_hardly_any_pair_has_is_left_out() -> None:
    texts = [join_pair(record("a b", 1), record("a c", 2))] * 20
    terms = PairTerms().fit([*texts, join_pair("isbn: 3", "isbn: 4")])
    assert terms.fields_ == ["title", "year"]


def test_pairs_of_empty_texts_can_be_learned_from() -> None:
    terms = PairTerms().fit([join_pair("", ""), join_pair("", " ")])
    assert np.isfinite(terms.transform([join_pair("", ""), join_pair("a", "")]).toarray()).all()
