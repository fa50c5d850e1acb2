"""What is not worth labelling: texts that repeat one another or something kept already.

Three tests, from the cheapest on: the same key (`normalise`), nearly the same meaning (cosine of
embeddings), nearly the same words (ROUGE-L). Each rejection says which test, how close, and to
what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from .duplicates import duplicate_groups, normalise, normalised
from .rouge import RougeIndex, max_rouge_l, rouge_l

__all__ = [
    "Filtered",
    "Rejection",
    "duplicate_groups",
    "filter_near_duplicates",
    "max_rouge_l",
    "nearest",
    "normalise",
    "rouge_l",
]

# 512 x 4,096 float32 is 8 MB.
_ROW_BLOCK = 512
_COLUMN_BLOCK = 4096
# Below what float32 products of unit vectors can tell apart.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected row, why, and the kept row (or earlier pick) that it repeats."""

    row: int
    why: str
    like: int


@dataclass(frozen=True, slots=True)
class Filtered:
    """The rows that stay, in their order, and those that go."""

    kept: NDArray[np.int64]
    rejected: tuple[Rejection, ...]


def filter_near_duplicates(
    rows: NDArray[np.int64],
    texts: Sequence[str],
    vectors: NDArray[np.float32] | None,
    kept_rows: NDArray[np.int64],
    kept_texts: Sequence[str],
    kept_vectors: NDArray[np.float32] | None,
    *,
    cosine: float = 0.95,
    rouge_l: float = 0.85,
) -> Filtered:
    """Drop the rows of a batch that repeat a kept item or an earlier row that stays.

    Rows are judged in their order, so the first of several alike stays. Every row is compared with
    every other, so this is for batches of up to some thousands; a whole pool is for
    `duplicate_groups`. O(n (m + n) d) for the embeddings, in blocks of 8 MB.

    Args:
        rows: the n rows of the batch.
        texts: their texts.
        vectors: their L2-normalised embeddings (n, d), or `None` on both sides to compare words
            only.
        kept_rows: the m rows kept already; may be none.
        kept_texts: their texts.
        kept_vectors: their embeddings (m, d).
        cosine: reject at this cosine or above, in (0, 1].
        rouge_l: reject at this ROUGE-L F1 or above, in (0, 1].

    Returns:
        Kept and rejected rows; each row of the batch is in exactly one.

    Raises:
        UserError: lengths that differ, vectors on one side only, or a threshold out of range.
    """
    for name, value in (("cosine", cosine), ("rouge_l", rouge_l)):
        if not 0.0 < value <= 1.0:
            raise UserError(f"{name} is {value!r}: give a threshold above 0 and at most 1")
    batch = _Side.checked("batch", rows, texts, vectors)
    kept = _Side.checked("kept", kept_rows, kept_texts, kept_vectors)
    if (vectors is None) != (kept_vectors is None):
        raise UserError("vectors are given on one side only: give both, or None for both")
    judge = _Judge(batch, kept, cosine, rouge_l)
    rejected = [why for place in range(len(rows)) if (why := judge.rejection(place)) is not None]
    return Filtered(batch.rows[judge.accepted], tuple(rejected))


@dataclass(frozen=True, slots=True)
class _Side:
    rows: NDArray[np.int64]
    texts: list[str]
    vectors: NDArray[np.float32] | None

    @classmethod
    def checked(
        cls,
        name: str,
        rows: NDArray[np.int64],
        texts: Sequence[str],
        vectors: NDArray[np.float32] | None,
    ) -> _Side:
        lengths = [len(rows), len(texts)] + ([] if vectors is None else [len(vectors)])
        if len(set(lengths)) > 1:
            raise UserError(
                f"the {name} rows, texts and vectors have lengths {lengths!r}: give one each"
            )
        return cls(np.asarray(rows, dtype=np.int64), normalised(texts), vectors)


class _Judge:
    """Judges the rows of a batch in order, remembering those it accepted."""

    def __init__(self, batch: _Side, kept: _Side, cosine: float, rouge: float) -> None:
        self.accepted: list[int] = []
        self._batch, self._cosine, self._rouge = batch, cosine, rouge
        self._rows = np.concatenate([kept.rows, batch.rows])
        self._kept = len(kept.rows)
        self._keys = {key: int(row) for key, row in zip(kept.texts, kept.rows, strict=True)}
        self._words = RougeIndex(batch.texts, [*kept.texts, *batch.texts])
        self._known = np.arange(len(self._rows)) < self._kept
        if batch.vectors is not None and kept.vectors is not None:
            self._nearest = nearest(batch.vectors, kept.vectors)
            self._top, self._inside = 0, np.empty((0, 0), dtype=np.float32)

    def rejection(self, place: int) -> Rejection | None:
        """Why this row of the batch goes; `None`, and it is remembered, where it stays.

        Rows must be asked for in order, each once.
        """
        row = int(self._batch.rows[place])
        if place % _ROW_BLOCK == 0 and self._batch.vectors is not None:
            self._enter(place, self._batch.vectors)
        found = self._same(place) or self._near(place) or self._alike(place)
        if found is not None:
            return Rejection(row, *found)
        self._keys[self._batch.texts[place]] = row
        self._known[self._kept + place] = True
        self.accepted.append(place)
        return None

    def _same(self, place: int) -> tuple[str, int] | None:
        like = self._keys.get(self._batch.texts[place])
        return None if like is None else (f"the same text as row {like}", like)

    def _near(self, place: int) -> tuple[str, int] | None:
        if self._batch.vectors is None:
            return None
        score, where = self._nearest[0][place], int(self._nearest[1][place])
        known = self._known[self._kept + self._top : self._kept + place]
        cosines = np.where(known, self._inside[place - self._top, : len(known)], -2.0)
        if cosines.max(initial=-2.0) > score:
            best = int(np.argmax(cosines))
            score, where = cosines[best], self._kept + self._top + best
        if score < self._cosine - _ROUNDING:
            return None
        like = int(self._rows[where])
        return f"cosine {score:.3f} with row {like}, limit {self._cosine:g}", like

    def _enter(self, top: int, vectors: NDArray[np.float32]) -> None:
        """Compare a block with all rows accepted before it, and with itself."""
        block = vectors[top : top + _ROW_BLOCK]
        taken = np.array(self.accepted, dtype=np.int64)
        score, which = nearest(block, vectors[taken])
        better = top + np.flatnonzero(score > self._nearest[0][top : top + _ROW_BLOCK])
        self._nearest[0][better] = score[better - top]
        self._nearest[1][better] = self._kept + taken[which[better - top]]
        self._top, self._inside = top, block @ block.T

    def _alike(self, place: int) -> tuple[str, int] | None:
        score, where = self._words.best(place, floor=self._rouge, allowed=self._known)
        if where < 0:
            return None
        like = int(self._rows[where])
        return f"ROUGE-L {score:.3f} with row {like}, limit {self._rouge:g}", like


def nearest(
    vectors: NDArray[np.float32], others: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Largest cosine of each vector with any of the others, and which; -2 and -1 for no others."""
    best = np.full(len(vectors), -2.0, dtype=np.float32)
    which = np.full(len(vectors), -1, dtype=np.int64)
    for top in range(0, len(vectors), _ROW_BLOCK):
        end = min(top + _ROW_BLOCK, len(vectors))
        for left in range(0, len(others), _COLUMN_BLOCK):
            cosines = vectors[top:end] @ others[left : left + _COLUMN_BLOCK].T
            place = cosines.argmax(axis=1)
            score = cosines[np.arange(end - top), place]
            better = score > best[top:end]
            best[top:end][better] = score[better]
            which[top:end][better] = place[better] + left
    return best, which
