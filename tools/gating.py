"""Whether generated items help: two models, compared on the same gold items.

Gold then has a say in which of two models is taken, so its accuracy afterwards is a little too
good for the one taken; the certificate, from audit items, is not touched by that.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError

_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on n gold items.

    Args:
        n: how many gold items.
        without: accuracy of the model that learned from labelled items only.
        with_generated: accuracy of the one that also learned from generated items.
        fixed: items that only the second gets right.
        broken: items that only the first gets right.
        difference: `with_generated` - `without`.
        low, high: paired interval of the difference.
        level: of the interval.
        loss_without, loss_with: mean negative log-likelihood of the right label.
    """

    n: int
    without: float
    with_generated: float
    fixed: int
    broken: int
    difference: float
    low: float
    high: float
    level: float
    loss_without: float
    loss_with: float

    @property
    def helps(self) -> bool:
        """Whether the second gets more right, at no greater loss.

        A tie is no reason to train on texts that nobody checked. Where generated items did harm,
        this rule let less of it through than one that takes ties (`docs/results/generation.md`).
        """
        return self.fixed > self.broken and self.loss_with <= self.loss_without

    def as_record(self) -> dict[str, Any]:
        """Plain data, rounded to four places."""
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def compare(
    truth: NDArray[np.int64],
    without: NDArray[np.float32],
    with_generated: NDArray[np.float32],
    level: float,
) -> Comparison:
    """Compare two models' probabilities (n, C) on items with label indices `truth` (n,).

    Raises:
        UserError: no items.
    """
    n = len(truth)
    if n == 0:
        raise UserError("there are no gold items to compare on: request a review with purpose gold")
    first, second = (found.argmax(axis=1) == truth for found in (without, with_generated))
    fixed, broken = int((second & ~first).sum()), int((first & ~second).sum())
    low, high = paired_interval(fixed, broken, n, level)
    return Comparison(
        n=n,
        without=float(first.mean()),
        with_generated=float(second.mean()),
        fixed=fixed,
        broken=broken,
        difference=(fixed - broken) / n,
        low=low,
        high=high,
        level=level,
        loss_without=_loss(truth, without),
        loss_with=_loss(truth, with_generated),
    )


def paired_interval(fixed: int, broken: int, n: int, level: float) -> tuple[float, float]:
    """Interval for the difference of two accuracies on the same n items.

    The adjusted Wald interval of Bonett & Price (2012), which adds one to both kinds of discordant
    pairs: with p = (fixed + 1) / (n + 2) and q = (broken + 1) / (n + 2) it is
    p - q ± z sqrt((p + q - (p - q)^2) / (n + 2)), cut to [-1, 1].

    Raises:
        UserError: counts that do not fit n, or a level outside (0, 1).
    """
    if min(fixed, broken) < 0 or fixed + broken > n or not 0 < level < 1:
        raise UserError(
            f"{fixed!r} fixed and {broken!r} broken of {n!r} at level {level!r} make no interval"
        )
    p, q = (fixed + 1) / (n + 2), (broken + 1) / (n + 2)
    z = NormalDist().inv_cdf((1 + level) / 2)
    half = z * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    return max(-1.0, p - q - half), min(1.0, p - q + half)


def _loss(truth: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    right = probabilities[np.arange(len(truth)), truth].astype(np.float64)
    return float(-np.log(np.maximum(right, _LEAST)).mean())
