"""How usual each text of a collection is, by an n-gram model of the others.

Interpolated Kneser-Ney smoothing (Kneser & Ney 1995; Chen & Goodman 1999, equation 4.37) with
leaving-one-out (Ney, Essen & Kneser 1995): each word is judged by counts without its own
occurrence, so that a model trained on the very texts it judges does not find them all usual. All
steps are over columns of words; no text is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Scripts that write no spaces: each character is a word.
_UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"
_BETWEEN = r"[^\p{L}\p{M}\p{N}]+"


@dataclass(frozen=True, slots=True)
class Stream:
    """All words of n texts, one after another, an end mark after each text.

    `words` (N,) are word indices, 0 the end mark; `starts` (n,) where each text begins.
    """

    words: NDArray[np.int64]
    starts: NDArray[np.int64]


def word_stream(texts: Sequence[str]) -> Stream:
    """Lower-cased words of texts; punctuation only separates."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = pc.utf8_lower(pa.array(texts, type=pa.large_string()))
    column = pc.replace_substring_regex(column, pattern=_UNSPACED, replacement=r" \1 ")
    column = pc.replace_substring_regex(column, pattern=_BETWEEN, replacement=" ")
    lists = pc.split_pattern(pc.utf8_trim_whitespace(column), pattern=" ")
    coded = pc.list_flatten(lists).dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64) + 1
    ends = np.cumsum(pc.list_value_length(lists).to_numpy(zero_copy_only=False)).astype(np.int64)
    words = np.insert(codes, ends, 0)
    lengths = np.diff(ends, prepend=0) + 1
    return Stream(words, np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64))


def log_perplexity(texts: Sequence[str], *, order: int = 3) -> NDArray[np.float32]:
    """Mean negative log probability of a word, in nats, of each text by a model of all the others.

    Args:
        texts: n texts; words are lower-cased runs of letters and digits, or single characters in
            scripts without spaces.
        order: the number of words of the longest n-gram, at least 1.

    Returns:
        Shape (n,): the log of the perplexity, above 0. O(N) time and about 150 bytes for each of
        N words.
    """
    if len(texts) == 0:
        return np.empty(0, dtype=np.float32)
    stream = word_stream(texts)
    lengths = np.diff(stream.starts, append=len(stream.words))
    surprise = -np.log(_probabilities(_grams(stream, lengths, order)))
    return (np.add.reduceat(surprise, stream.starts) / lengths).astype(np.float32)


def _grams(
    stream: Stream, lengths: NDArray[np.int64], order: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """For each order from 1, the index of the n-gram that ends at each word, and of its history.

    Before the first word of a text stand end marks, so that no n-gram reaches into another text.
    """
    words = stream.words
    since = np.arange(len(words)) - np.repeat(stream.starts, lengths)
    history = np.zeros(len(words), dtype=np.int64)
    found = [(words, history)]
    for reach in range(1, order):
        before = np.where(since >= reach, np.roll(words, reach), 0)
        history = _indexed(history, before)
        found.append((_indexed(history, words), history))
    return found


def _indexed(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Equal pairs get equal numbers, from 0, without gaps."""
    import pyarrow as pa

    pairs = pa.array(first * (second.max() + 1) + second)
    indices: NDArray[np.int64] = pairs.dictionary_encode().indices.to_numpy().astype(np.int64)
    return indices


def _probabilities(
    grams: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> NDArray[np.float64]:
    """Probability of each word given its history, without its own occurrence, in (0, 1].

    From the longest n-grams down: p_n = max(c - D, 0) / t + (D k / t) p_(n-1), with c the count
    of the n-gram, t that of its history and k the kinds of word seen after it; below the longest,
    c is the number of longer n-grams that end in it. Below the shortest, all words are even.
    """
    size = len(grams[0][0])
    weight, gone = np.ones(size), np.ones(size)
    found, left = np.zeros(size), np.ones(size)
    for gram, history in reversed(grams):
        count = np.bincount(gram, weights=weight).astype(np.float64)
        one_each = _one_of_each(gram)
        kinds = np.bincount(history[one_each])[history]
        discount = _discount(count)
        own = count[gram] - gone
        # Left out with its last occurrence, an n-gram is no kind any more, nor is what it ends in.
        last = own == 0
        total = np.bincount(history, weights=weight)[history] - gone
        share = np.divide(1.0, total, out=np.zeros(size), where=total > 0)
        found += left * share * np.maximum(own - discount, 0.0)
        left *= np.where(total > 0, discount * (kinds - last) * share, 1.0)
        weight = np.zeros(size)
        weight[one_each] = 1.0
        gone = last.astype(np.float64)
    words = grams[0][0].max() + 1
    # One more for a word never seen.
    probability: NDArray[np.float64] = found + left / (words + 1)
    return probability


def _one_of_each(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """A place of each value, from 0 without gaps."""
    place = np.empty(values.max() + 1, dtype=np.int64)
    place[values] = np.arange(len(values))
    return place


def _discount(count: NDArray[np.float64]) -> float:
    """D = n1 / (n1 + 2 n2), after Ney, Essen & Kneser (1994); a half where either is absent."""
    once, twice = int((count == 1).sum()), int((count == 2).sum())
    return once / (once + 2 * twice) if once and twice else 0.5
