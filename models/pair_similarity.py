"""How alike two texts are by the words, pieces of words and numbers they have in common.

No model and no vocabulary: what a word is counts only for whether the other text has it too.
Records, as `pairs.record_text` writes them, are compared field by field as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compute import encodable

MEASURES = 4
"""Numbers for each comparison of two texts; see `overlaps`."""

WIDTH = MEASURES + 1 + 6
"""Numbers for each pair; see `similarities`."""

_FIELD = re.compile(r"([^\W\d][\w -]{0,39}): (.*)")
_NUMBER = re.compile(r"\d+")
_HASHES = 2**18


def similarities(first: Sequence[str], second: Sequence[str]) -> NDArray[np.float32]:
    """(n, `WIDTH`) in [0, 1] of n pairs: how much their two texts have in common.

    The `overlaps` of the whole texts; the shared part of their numbers; then, over the fields
    that both have, the lowest, the second lowest and the mean of the words' Jaccard index, and
    the same of the pieces'. Texts without fields in common count as one field.
    """
    whole = overlaps(first, second)
    numbers = overlaps(
        *([" ".join(_NUMBER.findall(text)) for text in side] for side in (first, second))
    )
    rows, left, right = _fields_in_common(first, second)
    each = overlaps(left, right)
    words, pieces = (_lowest_and_mean(rows, each[:, place], len(first)) for place in (0, 2))
    return np.concatenate([whole, numbers[:, :1], words, pieces], axis=1)


def overlaps(first: Sequence[str], second: Sequence[str]) -> NDArray[np.float32]:
    """(n, `MEASURES`) of n pairs of texts, each in [0, 1]; 0 where a text is empty.

    Of words, and then of three characters within words: how many different ones are in both, as
    a share of those in either (Jaccard index) and of those in the one with fewer.
    """
    if not len(first):
        return np.empty((0, MEASURES), dtype=np.float32)
    columns: list[NDArray[Any]] = []
    for found in _present(first, second):
        shared = _sums(found[0].multiply(found[1]))
        sizes = _sums(found[0]), _sums(found[1])
        columns.append(shared / np.maximum(sizes[0] + sizes[1] - shared, 1))
        columns.append(shared / np.maximum(np.minimum(*sizes), 1))
    return np.stack(columns, axis=1).astype(np.float32)


def fields_of(text: str) -> dict[str, str]:
    """The values of a record's text by the names of their fields, all in lower case."""
    found = (_FIELD.fullmatch(line) for line in text.lower().split("\n"))
    return {match[1]: match[2] for match in found if match}


def _present(first: Sequence[str], second: Sequence[str]) -> Iterator[tuple[Any, Any]]:
    from sklearn.feature_extraction.text import HashingVectorizer

    shared: dict[str, Any] = {
        "binary": True,
        "norm": None,
        "alternate_sign": False,
        "n_features": _HASHES,
        "dtype": np.float32,
    }
    words = HashingVectorizer(token_pattern=r"\w+|[^\w\s]", **shared)
    pieces = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 3), **shared)
    sides = [[encodable(text) for text in side] for side in (first, second)]
    for vectoriser in (words, pieces):
        yield vectoriser.transform(sides[0]), vectoriser.transform(sides[1])


def _sums(matrix: Any) -> NDArray[np.float32]:
    return np.asarray(matrix.sum(axis=1), dtype=np.float32).ravel()


def _fields_in_common(
    first: Sequence[str], second: Sequence[str]
) -> tuple[NDArray[np.int64], list[str], list[str]]:
    rows: list[int] = []
    left: list[str] = []
    right: list[str] = []
    for row, (one, other) in enumerate(zip(first, second, strict=True)):
        mine, theirs = fields_of(one), fields_of(other)
        names = [name for name in mine if name in theirs]
        rows += [row] * max(1, len(names))
        left += [mine[name] for name in names] or [one]
        right += [theirs[name] for name in names] or [other]
    return np.array(rows, dtype=np.int64), left, right


def _lowest_and_mean(
    rows: NDArray[np.int64], values: NDArray[np.float32], count: int
) -> NDArray[np.float32]:
    sizes = np.bincount(rows, minlength=count)
    ordered = values[np.lexsort((values, rows))]
    start = np.cumsum(sizes) - sizes
    lowest = ordered[start]
    second = ordered[start + np.minimum(1, sizes - 1)]
    mean = np.bincount(rows, weights=values, minlength=count) / sizes
    return np.stack([lowest, second, mean], axis=1).astype(np.float32)
