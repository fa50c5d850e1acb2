"""Items whose labels would change the model most, each in another direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..uncertainty import check_label_probabilities, check_probabilities
from .base import Candidates, Need, Selection, prepare, spread

_ROW_BLOCK = 4096
# Rejected draws before all bounds are brought up to date: about as much work as that is.
_FEWEST_DRAWS = 8
_ITEMS_A_DRAW = 256


@dataclass(frozen=True, slots=True)
class Badge:
    """BADGE (Ash 2020): k-means++ draws among the gradients of the last layer.

    After Ash et al., "Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds"
    (2020). The gradient of the loss at the likeliest class is the outer product of
    a = p - onehot(argmax p) and the vector h, so the squared distance of two of them is
    |a|^2 |h|^2 + |b|^2 |g|^2 - 2 (a.b)(h.g), and the product of C d numbers is never made. With
    several labels an item, a = p - [p >= 1/2]. Each pick is drawn in proportion to its squared
    distance from the picks before it (Arthur & Vassilvitskii 2007), the first in proportion to
    |a|^2 |h|^2; that distance is the utility of a pick. Where all distance is gone, the rest is
    drawn evenly with utility 0.

    A distance only falls as picks are added, so an old one bounds it: a draw by the bounds that is
    accepted with probability distance / bound is a draw by distance. O(n C) memory beside the
    vectors, O(n (C + d)) time when most draws are accepted and O(k n (C + d)) at worst.
    """

    name: str = "badge"
    needs: frozenset[Need] = frozenset({"vectors", "probabilities"})

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Draw gradients far apart; see `Strategy.select` for arguments and errors."""
        ordered = prepare(candidates, k, self)
        assert ordered.vectors is not None
        assert ordered.probabilities is not None
        if ordered.multi_label:
            p = check_label_probabilities(ordered.probabilities)
            gradient = p - (p >= np.float32(0.5))
        else:
            gradient = check_probabilities(ordered.probabilities).copy()
            gradient[np.arange(len(gradient)), np.argmax(gradient, axis=1)] -= 1.0
        chosen, utilities = _far_apart(
            ordered.vectors, gradient, min(k, len(ordered)), np.random.default_rng(seed)
        )
        return Selection(
            ordered.rows[chosen],
            utilities,
            f"{len(chosen)} of {len(ordered)} items drawn so that the gradients which their labels "
            f"would give are large and unlike one another; squared distance from the picks before "
            f"{spread(utilities)}.",
        )


def _far_apart(
    vectors: NDArray[np.float32], gradient: NDArray[np.float32], k: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    chosen = np.empty(k, dtype=np.int64)
    utilities = np.zeros(k, dtype=np.float32)
    if k == 0:
        return chosen, utilities
    distances = _Distances(vectors, gradient)
    patience = max(_FEWEST_DRAWS, len(vectors) // _ITEMS_A_DRAW)
    for place in range(k):
        pick = distances.draw(rng, patience)
        if pick is None:
            left = np.setdiff1d(np.arange(len(vectors)), chosen[:place])
            chosen[place:] = rng.permutation(left)[: k - place]
            break
        chosen[place], utilities[place] = pick, distances.mass.values[pick]
        distances.add(pick)
    return chosen, utilities


class _Mass:
    """Non-negative float32 numbers (n,) that items are drawn in proportion to, and changed."""

    def __init__(self, values: NDArray[np.float32]) -> None:
        self.values = values
        # As many blocks as each has numbers, so that a draw looks at 2 sqrt(n) of them.
        self._size = max(1, int(np.sqrt(len(values))))
        self._sums = np.add.reduceat(
            values, np.arange(0, len(values), self._size), dtype=np.float64
        )

    def change(self, item: int, value: np.float32) -> None:
        """Give an item another number."""
        block = item // self._size
        self.values[item] = value
        part = self.values[block * self._size : (block + 1) * self._size]
        self._sums[block] = part.sum(dtype=np.float64)

    def draw(self, rng: np.random.Generator) -> int | None:
        """An item, or none when all numbers are 0."""
        edges = np.cumsum(self._sums)
        if edges[-1] <= 0.0:
            return None
        # The first position whose mass is above the draw has a number above 0.
        block = int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))
        block = min(block, int(np.flatnonzero(self._sums)[-1]))
        first = block * self._size
        inside = np.cumsum(self.values[first : first + self._size], dtype=np.float64)
        place = int(np.searchsorted(inside, rng.random() * inside[-1], side="right"))
        last = int(np.flatnonzero(self.values[first : first + self._size])[-1])
        return first + min(place, last)


class _Distances:
    """Bounds of the squared distances of gradients from the picks, exact where it matters."""

    def __init__(self, vectors: NDArray[np.float32], gradient: NDArray[np.float32]) -> None:
        self._vectors, self._gradient = vectors, gradient
        self._squares = np.einsum("ij,ij->i", gradient, gradient)
        self._squares *= np.einsum("ij,ij->i", vectors, vectors)
        # Before the first pick: the distance from no gradient at all. It is not kept as a centre.
        self.mass = _Mass(self._squares.copy())
        self._picks = np.empty(0, dtype=np.int64)
        self._known = np.zeros(len(vectors), dtype=np.int64)

    def draw(self, rng: np.random.Generator, patience: int) -> int | None:
        """An item in proportion to its distance, or none when all distance is gone."""
        for _ in range(patience):
            item = self.mass.draw(rng)
            if item is None:
                return None
            bound = self.mass.values[item]
            if self._known[item] == len(self._picks):
                return item
            apart = self._apart(slice(item, item + 1), self._picks[self._known[item] :])[0]
            self._known[item] = len(self._picks)
            if apart < bound:
                self.mass.change(item, apart)
                if rng.random() * bound >= apart:
                    continue
            return item
        self._renew()
        return self.mass.draw(rng)

    def add(self, pick: int) -> None:
        """Take a pick into account."""
        self._picks = np.append(self._picks, pick)
        if len(self._picks) == 1:
            # No distance from a gradient bounds those from another.
            self.mass = _Mass(np.full(len(self._squares), np.float32(np.inf)))
            self._renew()
        self.mass.change(pick, np.float32(0.0))
        self._known[pick] = len(self._picks)

    def _renew(self) -> None:
        values = self.mass.values
        for top in range(0, len(values), _ROW_BLOCK):
            part = slice(top, top + _ROW_BLOCK)
            missed = self._picks[self._known[part].min() :]
            if len(missed):
                np.minimum(values[part], self._apart(part, missed), out=values[part])
        values[self._picks] = 0.0
        self._known[:] = len(self._picks)
        self.mass = _Mass(values)

    def _apart(self, items: slice, picks: NDArray[np.int64]) -> NDArray[np.float32]:
        """The smallest squared distance of some items from some picks."""
        apart = self._vectors[items] @ self._vectors[picks].T
        apart *= self._gradient[items] @ self._gradient[picks].T
        apart *= -2.0
        apart += self._squares[picks]
        found: NDArray[np.float32] = apart.min(axis=1) + self._squares[items]
        return np.maximum(found, 0.0, out=found)
