"""ROUGE-L between texts: exact, and fast enough to compare a batch with a whole pool.

ROUGE-L F1 (Lin 2004, section 3, with beta = 1) of token sequences a and b is
2 LCS(a, b) / (|a| + |b|). The longest common subsequence is never longer than the overlap of the
two multisets of tokens, and that is one sparse matrix product for all pairs at once: only pairs
whose bound still beats the best found are compared token by token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from .duplicates import normalise, normalised

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    Sparse: TypeAlias = csr_array[np.int32, tuple[int, int]]

# Query-by-reference cells of one bound matrix: at most 12 bytes each, 48 MB.
_CELLS = 4_000_000
# Pairs compared between two looks at the bound.
_STEP = 64
# Characters are what the compiled LCS compares fastest, so every token becomes one; the
# surrogates, which are not characters, are stepped over.
_FIRST_SURROGATE, _SURROGATES = 0xD800, 0x800


def rouge_l(a: str, b: str) -> float:
    """ROUGE-L F1 of two texts over their normalised words (see `normalise`).

    Returns:
        2 LCS / (|a| + |b|), in [0, 1]; 0 when either has no words.
    """
    from rapidfuzz.distance import LCSseq

    left, right = normalise(a).split(), normalise(b).split()
    if not left or not right:
        return 0.0
    return 2.0 * LCSseq.similarity(left, right) / (len(left) + len(right))


def max_rouge_l(
    queries: Sequence[str], references: Sequence[str], *, floor: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """For each query, the largest ROUGE-L F1 with any reference, and which one.

    Args:
        queries: q texts.
        references: r texts; may be none.
        floor: in [0, 1]; best scores under it are of no interest and are reported as 0, which
            spares most of the work.

    Returns:
        Scores (q,) in [0, 1] and places (q,) in `references`, the first of equals; 0 and -1
        where no reference shares a word or none reaches `floor`.

    Raises:
        UserError: `floor` outside [0, 1].
    """
    if not 0.0 <= floor <= 1.0:
        raise UserError(f"floor is {floor!r}: give a number from 0 to 1")
    index = RougeIndex(queries, references)
    found = [index.best(query, floor=floor) for query in range(len(queries))]
    scores = np.array([score for score, _ in found], dtype=np.float32)
    return scores, np.array([place for _, place in found], dtype=np.int64)


class RougeIndex:
    """Queries and references encoded once, to look up the best reference of one query at a time.

    Looking queries up in ascending order is fast; any order is right.
    """

    def __init__(self, queries: Sequence[str], references: Sequence[str]) -> None:
        tokens = _tokens(normalised(queries), normalised(references))
        texts, split = len(tokens.lengths), len(queries)
        strings = _strings(tokens.ids, tokens.owner, texts)
        counts = _counts(tokens.ids, tokens.owner, texts)
        self._queries, self._references = strings[:split], strings[split:]
        self._lengths = tokens.lengths[:split], tokens.lengths[split:]
        self._counts = counts[:split], counts[split:].T.tocsr()
        self._step = max(1, _CELLS // max(len(references), 1))
        self._top, self._overlaps = 0, self._counts[0][:0]

    def best(
        self, query: int, *, floor: float = 0.0, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[float, int]:
        """The largest ROUGE-L F1 of one query with any reference, and the place of that one.

        Args:
            query: its place among the queries.
            floor: scores under it are reported as none found.
            allowed: shape (r,), the references to look at; all when absent.

        Returns:
            Score in [0, 1] and place, the first of equals; 0 and -1 where none is found.
        """
        places, overlap = self._overlap(query)
        bound = 2.0 * overlap / (self._lengths[0][query] + self._lengths[1][places])
        worth = bound >= floor if allowed is None else (bound >= floor) & allowed[places]
        places, bound = places[worth], bound[worth]
        order = np.lexsort((places, -bound))
        best, found = 0.0, -1
        for start in range(0, len(order), _STEP):
            part = order[start : start + _STEP]
            if bound[part[0]] < best:
                break
            scores = self._scores(query, places[part])
            top = float(scores.max())
            place = int(places[part[scores == top]].min())
            if top >= floor and (top > best or (top == best and 0 <= place < found)):
                best, found = top, place
        return best, found

    def _overlap(self, query: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """References that share a token with the query, and how many each, from a cached block."""
        if not self._top <= query < self._top + self._overlaps.shape[0]:
            self._top = query
            self._overlaps = self._counts[0][query : query + self._step] @ self._counts[1]
        row = query - self._top
        span = slice(self._overlaps.indptr[row], self._overlaps.indptr[row + 1])
        return (
            self._overlaps.indices[span].astype(np.int64),
            self._overlaps.data[span].astype(np.int64),
        )

    def _scores(self, query: int, places: NDArray[np.int64]) -> NDArray[np.float64]:
        from rapidfuzz.distance import LCSseq
        from rapidfuzz.process import cdist

        texts = [self._references[place] for place in places]
        common = cdist([self._queries[query]], texts, scorer=LCSseq.similarity, dtype=np.int32)[0]
        totals = self._lengths[0][query] + self._lengths[1][places]
        return np.asarray(2.0 * common / totals, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Those words of several texts that a query has: `ids`, `owner` (t,); all words: `lengths`.

    A word that no query has cannot be in a common subsequence: it counts as length only.
    """

    ids: NDArray[np.int64]
    owner: NDArray[np.int64]
    lengths: NDArray[np.int64]


def _tokens(queries: list[str], references: list[str]) -> _Tokens:
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = [*queries, *references]
    known = pa.array(sorted({word for key in queries for word in key.split()}), pa.large_string())
    # Keys have single spaces, so words are one more than spaces, but for a text with none.
    lengths = np.array([key.count(" ") + 1 if key else 0 for key in keys], dtype=np.int64)
    words = pa.array(" ".join(keys).split(), type=pa.large_string())
    found = pc.index_in(words, value_set=known)
    kept = found.is_valid().to_numpy(zero_copy_only=False)
    owner = np.repeat(np.arange(len(keys), dtype=np.int64), lengths)[kept]
    return _Tokens(found.drop_null().to_numpy().astype(np.int64), owner, lengths)


def _strings(ids: NDArray[np.int64], owner: NDArray[np.int64], texts: int) -> list[str]:
    """One string a text, one character a token."""
    codes = np.where(ids < _FIRST_SURROGATE, ids, ids + _SURROGATES).astype("<u4")
    flat = codes.tobytes().decode("utf-32-le")
    ends = np.cumsum(np.bincount(owner, minlength=texts)).tolist()
    return [flat[start:end] for start, end in pairwise([0, *ends])]


def _counts(ids: NDArray[np.int64], owner: NDArray[np.int64], texts: int) -> Sparse:
    """Binary features (token, which time in this text): their product is the overlap."""
    from scipy.sparse import csr_array

    width = int(ids.max(initial=0)) + 1
    # Owners ascend already, so one stable sort of the joint key puts equal tokens side by side.
    key = np.sort(owner * width + ids, kind="stable")
    owner, ids = key // width, key % width
    new = np.flatnonzero(np.diff(key, prepend=-1))
    time = np.arange(len(key)) - np.repeat(new, np.diff(np.append(new, len(key))))
    # Only features that occur get a column: a text of one word a million times has a million.
    columns, feature = np.unique(time * width + ids, return_inverse=True)
    ones = np.ones(len(key), dtype=np.int32)
    return csr_array((ones, (owner, feature)), shape=(texts, len(columns)))
