"""Texts as weights of words and pieces of words, and those projected onto few dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..compute import MAX_CHARS
from ..pairs import is_pair, join_pair, split_pair

MAX_FEATURES = 60_000
DIMENSIONS = 256


def make_terms(*, pairs: bool) -> Any:
    """What makes features of texts, or of pairs of texts; yet to be fitted.

    Of texts: TF-IDF of words (1 to 2) and of characters within words (3 to 5). Of pairs: see
    `PairTerms`.
    """
    if pairs:
        from .pair_terms import PairTerms

        return PairTerms()
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    shared = {"sublinear_tf": True, "max_features": MAX_FEATURES, "dtype": np.float32}
    # Single characters count as words: a label may be "+" and a text "?".
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", **shared)
    pieces = TfidfVectorizer(ngram_range=(3, 5), analyzer="char_wb", **shared)
    return FeatureUnion([("words", words), ("pieces", pieces)])


def cut(texts: Sequence[str]) -> list[str]:
    """The texts, each as far as it is read: a megabyte would cost minutes of n-grams.

    Of a pair both texts are cut, each by itself.
    """
    return [
        join_pair(*(part[:MAX_CHARS] for part in split_pair(text)))
        if is_pair(text)
        else text[:MAX_CHARS]
        for text in texts
    ]


def projection(width: int) -> Any:
    """A matrix (width, `DIMENSIONS`) that keeps scalar products about as they are.

    Very sparse random projection: Li, Hastie and Church 2006, Very Sparse Random Projections,
    section 2, with s = sqrt(width): a value is +1 or -1 with probability 1 / 2s each, else 0,
    all divided by sqrt(`DIMENSIONS` / s). The same for the same width, whatever the seed.

    Args:
        width: how many features there are.
    """
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(width)
    scarcity = max(1.0, float(np.sqrt(width)))
    filled = rng.binomial(width * DIMENSIONS, 1.0 / scarcity)
    places = np.unique(rng.integers(0, width * DIMENSIONS, size=filled))
    signs = rng.integers(0, 2, size=len(places)) * 2 - 1
    values = (signs * np.sqrt(scarcity / DIMENSIONS)).astype(np.float32)
    where = np.divmod(places, DIMENSIONS)
    return csr_matrix((values, where), shape=(width, DIMENSIONS))
