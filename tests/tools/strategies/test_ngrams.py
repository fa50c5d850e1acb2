"""The n-gram model of `prune`: its probabilities, and which texts it finds usual."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.tools.strategies.wrappers.ngrams import log_perplexity, word_stream
from labelwright.tools.strategies.wrappers.prune import _mean_apart

Gram = tuple[str, ...]


def levels(grams: list[Gram], order: int) -> list[Counter[Gram]]:
    """Counts of the longest n-grams; below, how many longer ones end in each."""
    found = [Counter(grams)]
    for _ in range(order - 1):
        found.append(Counter(gram[1:] for gram in found[-1]))
    return found


def discount(counts: Counter[Gram]) -> float:
    once, twice = (sum(c == times for c in counts.values()) for times in (1, 2))
    return once / (once + 2 * twice) if once and twice else 0.5


def plain(texts: list[str], order: int) -> list[float]:
    """The same by dictionaries, counted again without each word in turn."""
    grams: list[Gram] = []
    sizes = []
    for text in texts:
        words = [*text.split(), "."]
        padded = ["."] * (order - 1) + words
        grams += [tuple(padded[i : i + order]) for i in range(len(words))]
        sizes.append(len(words))
    kinds = len({gram[-1] for gram in grams})
    discounts = [discount(each) for each in levels(grams, order)]
    surprise = []
    for place, whole in enumerate(grams):
        gram, probability, left = whole, 0.0, 1.0
        others = levels(grams[:place] + grams[place + 1 :], order)
        for counts, off in zip(others, discounts, strict=True):
            after = [n for other, n in counts.items() if other[:-1] == gram[:-1]]
            if after:
                probability += left * max(counts[gram] - off, 0) / sum(after)
                left *= off * len(after) / sum(after)
            gram = gram[1:]
        surprise.append(-np.log(probability + left / (kinds + 1)))
    starts = np.cumsum([0, *sizes[:-1]])
    return (np.add.reduceat(surprise, starts) / sizes).tolist()


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_is_kneser_ney_with_the_own_word_left_out(order: int) -> None:
    rng = np.random.default_rng(order)
    words = list("abcdefg")
    share = [0.3, 0.2, 0.2, 0.1, 0.1, 0.05, 0.05]
    texts = [" ".join(rng.choice(words, rng.integers(1, 7), p=share)) for _ in range(20)]
    np.testing.assert_allclose(log_perplexity(texts, order=order), plain(texts, order), rtol=1e-5)


@given(st.lists(st.text(max_size=20), max_size=12), st.integers(1, 4))
def test_every_text_has_a_finite_perplexity_above_one(texts: list[str], order: int) -> None:
    found = log_perplexity(texts, order=order)
    assert found.shape == (len(texts),)
    assert np.isfinite(found).all()
    assert (found > 0).all()


def test_the_order_of_texts_changes_nothing() -> None:
    texts = [f"item {n % 7} of list {n % 3} {'x' * (n % 5)}" for n in range(40)]
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_allclose(
        log_perplexity([texts[place] for place in order]), log_perplexity(texts)[order], rtol=1e-6
    )


def test_a_text_among_its_like_is_usual_and_one_of_other_words_is_not() -> None:
    texts = [f"please cancel order {n % 4} for me" for n in range(40)]
    found = log_perplexity([*texts, "qqq www eee rrr ttt", "me for 2 order cancel please"])
    assert found[:40].max() < found[41] < found[40]


def test_case_and_punctuation_do_not_matter() -> None:
    found = log_perplexity(["Where is it?", "where is, IT", "no"])
    assert found[0] == found[1]


def test_words_of_a_script_without_spaces_are_its_characters() -> None:
    assert len(word_stream(["你好世界"]).words) == 5
    assert len(word_stream(["สวัสดี abc"]).words) > 3


def test_a_text_starts_where_the_one_before_ends() -> None:
    stream = word_stream(["one two", "", "three"])
    assert stream.starts.tolist() == [0, 3, 5]
    assert np.flatnonzero(stream.words == 0).tolist() == [2, 4, 6]


@given(
    st.lists(st.floats(0, 20, width=32), min_size=1, max_size=20),
    st.lists(st.floats(0, 20, width=32), min_size=1, max_size=20),
)
def test_mean_distance_is_that_of_all_pairs(values: list[float], others: list[float]) -> None:
    one, two = (np.array(each, dtype=np.float32) for each in (values, others))
    expected = np.abs(one[:, None].astype(np.float64) - two).mean(axis=1)
    np.testing.assert_allclose(_mean_apart(one, two), expected, atol=1e-4)
