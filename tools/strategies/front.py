"""Greedy choice by distance to the nearest pick, looking again only at what may come next."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .geometry import nearest_similarity

# A thousand vectors fit into the cache of one core, where reading them costs little.
_FIRST_WIDTH = 1024
_LAST_WIDTH = 65_536
# Fewer picks than this from one front mean that it was too narrow.
_FEW = 8

# From the largest cosine of some items with a pick, their positions (or a slice of all) and the
# number of picks so far to their scores; never larger for a larger cosine.
Score: TypeAlias = Callable[
    [NDArray[np.float32], NDArray[np.int64] | slice, int], NDArray[np.float32]
]


def take_greedily(
    vectors: NDArray[np.float32], closest: NDArray[np.float32], k: int, score: Score
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Positions of k items, each the best by a score of its largest cosine with the picks before.

    That cosine only grows with the picks, so one from earlier bounds the score from above. Only
    the front, the items of largest bound, is kept up to date; when its best is no better than the
    bound of the others, all are brought up to date in one matrix product and a new front is taken.
    The picks are those of the plain algorithm, in O(n k d) time at worst and O(n d) at best.

    Args:
        vectors: unit vectors (n, d).
        closest: the largest cosine of each with what is covered from the start, (n,); changed.
        k: from 0 to n.
        score: as `Score`; between two numbers of picks the score of an item must lie between its
            scores at both.

    Returns:
        Positions (k,) and the score of each when it was taken (k,). Equal scores go to the smaller
        position.
    """
    chosen = np.empty(k, dtype=np.int64)
    scores = np.empty(k, dtype=np.float32)
    taken = np.zeros(len(vectors), dtype=np.bool_)
    place, width = 0, _FIRST_WIDTH
    while place < k:
        began = place
        now = _masked(score(closest, slice(None), place), taken)
        front, beyond = _front(
            np.maximum(now, _masked(score(closest, slice(None), k - 1), taken)), width
        )
        near, part = closest[front], vectors[front]
        while place < k:
            current = _masked(score(near, front, place), taken[front])
            best = int(np.argmax(current))
            pick, value = int(front[best]), current[best]
            # An equal bound may belong to a smaller position.
            if value <= beyond:
                if place > began:
                    break
                pick = int(np.argmax(now))
                value = now[pick]
            chosen[place], scores[place], taken[pick] = pick, value, True
            np.maximum(near, part @ vectors[pick], out=near)
            place += 1
        if place < k:
            missed = vectors[chosen[began:place]]
            np.maximum(closest, nearest_similarity(vectors, missed), out=closest)
        if place - began < _FEW:
            width = min(4 * width, _LAST_WIDTH)
    return chosen, scores


def _masked(scores: NDArray[np.float32], taken: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.where(taken, np.float32(-np.inf), scores)


def _front(bound: NDArray[np.float32], width: int) -> tuple[NDArray[np.int64], np.float32]:
    """Ascending positions of the `width` largest bounds, and the largest of the others."""
    if width >= len(bound):
        return np.arange(len(bound), dtype=np.int64), np.float32(-np.inf)
    least = np.partition(bound, len(bound) - width - 1)[len(bound) - width - 1]
    # Equal bounds at the edge all stay outside.
    return np.flatnonzero(bound > least), least
