"""Greedy choice of what covers a sample best: shared by facility location and herding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 512
_FIRST_LOOK = 64


def greedy_cover(
    kernel: NDArray[np.float32], covered: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Greedy maximum of mean_u max_{s in S} kernel(s, u), at least 1 - 1/e of the best possible.

    The bound is that of Nemhauser, Wolsey & Fisher (1978). Gains only fall as S grows, so an item
    is looked at again only while its old gain is still the largest (Minoux 1978): the picks are
    those of the plain greedy algorithm.

    Args:
        kernel: shape (n, r): how well each candidate covers each item u.
        covered: shape (r,): how well each u is covered at the start.
        k: from 0 to n.

    Returns:
        Positions (k,) in the order of choice, equal gains to the smaller one, and gains (k,).
    """
    chosen = np.empty(k, dtype=np.int64)
    gains = np.empty(k, dtype=np.float32)
    best = covered.astype(np.float32)
    bound = _gain(kernel, best, np.arange(len(kernel)))
    looked = np.zeros(len(kernel), dtype=np.int64)
    for place in range(k):
        size = _FIRST_LOOK
        pick = int(np.argmax(bound))
        while looked[pick] < place:
            kept = min(size, len(kernel))
            top = np.argpartition(bound, len(kernel) - kept)[-kept:]
            # The partition may leave out the pick where many bounds are equal.
            stale = np.union1d(top[looked[top] < place], [pick])
            bound[stale] = _gain(kernel, best, stale)
            looked[stale] = place
            pick = int(np.argmax(bound))
            size *= 4
        chosen[place] = pick
        gains[place] = bound[pick]
        np.maximum(best, kernel[pick], out=best)
        bound[pick] = -np.inf
        # Below every other: a taken item is never looked at again.
        looked[pick] = k
    return chosen, gains


def _gain(
    kernel: NDArray[np.float32], best: NDArray[np.float32], rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    found = np.empty(len(rows), dtype=np.float32)
    for top in range(0, len(rows), _BLOCK):
        more = kernel[rows[top : top + _BLOCK]] - best
        found[top : top + _BLOCK] = np.maximum(more, 0.0, out=more).mean(axis=1)
    return found
