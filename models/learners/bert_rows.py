"""What a transformer is trained on: rows with targets, and how often each is seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .states import HiddenStates
from .weighting import BALANCE, PROTOTYPE_WEIGHT

BATCH_ROWS = 16
_DRAWN_TOGETHER = 4


@dataclass(frozen=True, slots=True)
class Rows:
    """Training rows, aligned.

    Args:
        texts: n texts.
        targets: (n, C) float32 in [0, 1]; each row sums to 1 unless there are several labels.
        weights: (n,) above 0.
        hidden: keeps the states of all texts but the last `unkept`.
        unkept: how many texts at the end are texts of labels; they are never held out.
    """

    texts: list[str]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    hidden: HiddenStates | None = None
    unkept: int = 0

    @property
    def items(self) -> int:
        """How many rows are labelled items, the first ones."""
        return len(self.texts) - self.unkept


def with_label_texts(
    targets: NDArray[np.float32], weights: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Targets and weights of n rows followed by one row for the text of each of C labels."""
    classes = targets.shape[1]
    every = np.concatenate([targets, np.eye(classes, dtype=np.float32)])
    counted = np.concatenate([weights, np.full(classes, PROTOTYPE_WEIGHT, dtype=np.float32)])
    return every, counted.astype(np.float32)


def rarity(targets: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much more each row should count for its labels being rare: (n,), above 0.

    The factor of a label is (mean size / its size) ** BALANCE, its size being its share of the
    summed weights; that of a row is the mean over its labels, and 1 if it has none.
    """
    sizes = weights @ targets
    present = np.maximum(sizes, 1e-6)
    factor = (sizes.mean() / present) ** BALANCE
    total = targets.sum(axis=1)
    mean = np.where(total > 0, targets @ factor / np.maximum(total, 1e-6), 1.0)
    result: NDArray[np.float32] = mean.astype(np.float32)
    return result


def held_out(targets: NDArray[np.float32], share: int, seed: int) -> NDArray[np.bool_]:
    """Every `share`-th row of each label, drawn by the seed: (n,).

    A row of several labels is counted under its first; a label of one row alone is not held out.
    """
    label = targets.argmax(axis=1)
    order = np.random.default_rng(seed).permutation(len(label))
    order = order[np.argsort(label[order], kind="stable")]
    sizes = np.bincount(label, minlength=targets.shape[1])
    starts = np.cumsum(sizes) - sizes
    place = np.arange(len(label)) - starts[label[order]]
    found = np.zeros(len(label), dtype=np.bool_)
    found[order] = place % share == share - 1
    return found


def batches(
    lengths: NDArray[np.int64],
    steps: int,
    seed: int,
    often: NDArray[np.float32] | None = None,
) -> Iterator[NDArray[np.int64]]:
    """`steps` batches of row numbers, longest row first; every row once before any row again.

    A few batches are drawn together and divided by length, so that little is spent on padding.

    Args:
        lengths: (n,) tokens of each row.
        steps: how many batches.
        seed: of the order.
        often: (n,) above 0; rows are drawn with these chances, independently, instead of once
            each.
    """
    generator = np.random.default_rng(seed)
    total = len(lengths)
    size = min(BATCH_ROWS, total)
    chances = None if often is None else often.astype(np.float64) / often.sum(dtype=np.float64)
    queue = np.empty(0, dtype=np.int64)
    done = 0
    while done < steps:
        while len(queue) < size * _DRAWN_TOGETHER:
            more = (
                generator.permutation(total)
                if chances is None
                else generator.choice(total, size=total, p=chances)
            )
            queue = np.concatenate([queue, more])
        drawn, queue = np.split(queue, [size * _DRAWN_TOGETHER])
        parts = np.split(drawn[np.argsort(-lengths[drawn], kind="stable")], _DRAWN_TOGETHER)
        for place in generator.permutation(_DRAWN_TOGETHER)[: steps - done]:
            yield parts[place]
            done += 1
