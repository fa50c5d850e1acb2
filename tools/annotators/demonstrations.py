"""Which labelled items are shown with an item, the most similar last.

Models lean towards what they read last (Zhao et al. 2021, "Calibrate before use", on recency bias),
so the nearest demonstration stands next to the item. The item itself and its exact duplicates are
never shown with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, Literal

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError
from ..duplicates import normalised
from ..strategies.coverage import greedy_cover
from .bank import Bank
from .items import Item, V
from .prompting import Shown
from .tasks import Task

DemoKind = Literal["fixed", "nearest", "nearest_per_class", "cover"]
_BLOCK = 1024
_Order = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Demonstrations(Generic[V]):
    """How demonstrations are chosen from a bank. None at all: give no `Demonstrations`.

    - `fixed`: the same for all items, drawn by the seed, the values in turn.
    - `nearest`: the `number` of highest cosine similarity (k-NN; LLMaAA, Zhang et al. 2023).
    - `nearest_per_class`: the nearest of each value in turn, so that none outnumbers the others
      by more than one where the bank has enough.
    - `cover`: the same for all items, those that together are most similar to the whole bank
      (facility location, greedily).

    For clean-only demonstrations give `bank.clean(...)`.

    Args:
        bank: what may be shown.
        kind: see above; all but `fixed` need vectors.
        number: how many are shown, at least 1; fewer where the bank has fewer.
        seed: for `fixed`.

    Raises:
        UserError: `number` below 1, or a kind that needs vectors where the bank has none.
    """

    bank: Bank[V]
    kind: DemoKind = "nearest"
    number: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.number < 1:
            raise UserError(f"number is {self.number!r}: show at least 1 demonstration, or none")
        if self.kind != "fixed" and self.bank.vectors is None and len(self.bank):
            raise UserError(f"{self.kind!r} demonstrations need the vectors of the bank's items")

    def choose(
        self, task: Task[V], items: Sequence[Item], vectors: NDArray[np.float32] | None = None
    ) -> list[tuple[Shown[V], ...]]:
        """The demonstrations of each item, in the order in which they are shown.

        Args:
            task: tells which values are the same.
            items: n items.
            vectors: their unit vectors, (n, d); needed by all kinds but `fixed`.

        Raises:
            UserError: the vectors are missing or do not fit.
        """
        if not len(self.bank):
            return [()] * len(items)
        similarity = self._similarity(items, vectors)
        orders = self._ranked(task, similarity, len(items))
        keys = normalised([item.shown for item in items])
        found = []
        for row, (item, key) in enumerate(zip(items, keys, strict=True)):
            other = (
                int(place)
                for place in orders(row)
                if self.bank.keys[place] != key and self.bank.shown[place].item.id != item.id
            )
            own = self._last(list(islice(other, self.number)), similarity, row)
            found.append(tuple(self.bank.shown[place] for place in own))
        return found

    def together(
        self, items: Sequence[Item], chosen: Sequence[Sequence[Shown[V]]]
    ) -> tuple[Shown[V], ...]:
        """The demonstrations of items that share a message, no more than for one of them.

        Each item's nearest, then each one's second, until there are enough; none is one of the
        items or a duplicate of one.

        Args:
            items: those in the message.
            chosen: what `choose` gave for each.
        """
        ids = {item.id for item in items}
        keys = set(normalised([item.shown for item in items]))
        ranked = [
            shown[-rank]
            for rank in range(1, self.number + 1)
            for shown in chosen
            if rank <= len(shown)
        ]
        same = normalised([each.item.shown for each in ranked])
        found = {
            each.item.id: each
            for each, key in zip(ranked, same, strict=True)
            if each.item.id not in ids and key not in keys
        }
        # The nearest stand last, as for one item.
        return tuple(list(found.values())[: self.number][::-1])

    def _similarity(
        self, items: Sequence[Item], vectors: NDArray[np.float32] | None
    ) -> NDArray[np.float32] | None:
        if self.kind == "fixed":
            return None
        bank = self.bank.vectors
        assert bank is not None
        if vectors is None or vectors.shape != (len(items), bank.shape[1]):
            shape = None if vectors is None else vectors.shape
            raise UserError(
                f"{self.kind!r} demonstrations need unit vectors of shape "
                f"{(len(items), bank.shape[1])!r}, got {shape!r}"
            )
        blocks = [vectors[top : top + _BLOCK] @ bank.T for top in range(0, len(vectors), _BLOCK)]
        return np.concatenate(blocks) if blocks else np.empty((0, len(bank)), dtype=np.float32)

    def _ranked(
        self, task: Task[V], similarity: NDArray[np.float32] | None, n: int
    ) -> Callable[[int], _Order]:
        """For an item's row, places in the bank, those to be shown first."""
        values = [task.written(each.value) for each in self.bank.shown]
        if self.kind == "fixed":
            drawn = np.random.default_rng(self.seed).permutation(len(self.bank))
            same = in_turn(drawn, values)
            return lambda _: same
        assert similarity is not None
        if self.kind == "cover":
            assert self.bank.vectors is not None
            # As many more as an item may have duplicates among them.
            wanted = min(len(self.bank), self.number + _copies(self.bank.keys))
            covered, _ = cover(self.bank.vectors, wanted)
            return lambda _: covered
        if self.kind == "nearest":
            return lambda row: _falling(similarity[row])
        return lambda row: in_turn(_falling(similarity[row]), values)

    @staticmethod
    def _last(
        places: Sequence[int], similarity: NDArray[np.float32] | None, row: int
    ) -> Sequence[int]:
        if similarity is None:
            return places
        return sorted(places, key=lambda place: (similarity[row, place], -place))


def in_turn(order: _Order, values: Sequence[str]) -> _Order:
    """The same places, one of each value in turn, each value's in their order.

    The values come in the order of their first place.
    """
    turn = np.empty(len(order), dtype=np.int64)
    seen: dict[str, int] = {}
    for rank, place in enumerate(order):
        value = values[place]
        seen[value] = seen.get(value, 0) + 1
        turn[rank] = seen[value]
    # Stable: within a turn the order stays.
    return order[np.argsort(turn, kind="stable")]


def cover(vectors: NDArray[np.float32], k: int) -> tuple[_Order, NDArray[np.float32]]:
    """K items that together are most similar to all: see `strategies.coverage.greedy_cover`."""
    kernel = (vectors @ vectors.T).astype(np.float32)
    return greedy_cover(kernel, np.zeros(len(vectors), dtype=np.float32), k)


def _falling(similarity: NDArray[np.float32]) -> _Order:
    """Places by falling similarity, equal ones by rising place."""
    return np.asarray(np.argsort(-similarity, kind="stable"), dtype=np.int64)


def _copies(keys: Sequence[str]) -> int:
    counts: dict[str, int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    return max(counts.values(), default=0)
