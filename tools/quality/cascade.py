"""A chain of models, cheapest first, each passing on what it is not sure of; people come last.

The level of confidence at which a model's label is taken is learned on gold so that the labels
taken keep a promised risk (Learn-then-Test, as in `acceptance`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError
from ..acceptance import GRID, last_supported


@dataclass(frozen=True, slots=True)
class Cascade:
    """A level of confidence shared by all stages.

    Attributes:
        level: a label is taken from the first stage whose confidence is at least this.
        risk: share of errors among the labels taken that is promised not to be exceeded.
        delta: chance that the promise fails.
        stages: how many models.
        n_accepted: gold items whose label is taken from a model.
        n_errors: wrong ones among them.
        n: gold items.
    """

    level: float
    risk: float
    delta: float
    stages: int
    n_accepted: int
    n_errors: int
    n: int

    def stage(self, confidence: NDArray[np.float64]) -> NDArray[np.int64]:
        """The stage whose label is taken, `stages` for a person: (k, n) to (n,).

        Args:
            confidence: (k, n) calibrated; NaN where a model gave none.

        Raises:
            UserError: another number of stages, or a confidence outside [0, 1].
        """
        found = _checked(confidence)
        if len(found) != self.stages:
            raise UserError(f"confidence of {len(found)!r} stages: give {self.stages!r}")
        return _stage(found, self.level)


def fit_cascade(
    confidence: NDArray[np.float64],
    correct: NDArray[np.bool_],
    *,
    risk: float,
    delta: float,
) -> Cascade | None:
    """The loosest level at which the labels taken keep the risk, or none.

    Fixed-sequence testing over one path of settings, from the strictest level to the loosest, all
    stages sharing it: at each level "more than `risk` of the labels taken are wrong" is tested by
    the exact binomial p-value on gold (see `acceptance.accept_threshold`). As the path was fixed
    before any gold, one delta pays for all stages together. A person's label counts as right.

    Args:
        confidence: (k, n) of gold items drawn at random, calibrated on other items so that one
            level means the same to all stages; NaN where a model gave no label.
        correct: (k, n) whether each stage's label was right.
        risk: errors allowed among the labels taken, in (0, 1).
        delta: chance allowed for breaking the promise, in (0, 1).

    Returns:
        None when no level is supported: then every item goes to a person.

    Raises:
        UserError: shapes or values that do not fit.
    """
    found = _checked(confidence)
    if correct.shape != found.shape:
        raise UserError(
            f"confidence {found.shape!r} and correct {correct.shape!r}: give one of each for "
            "every stage and gold item"
        )
    levels = np.array(GRID)
    taken = np.stack([_stage(found, level) for level in levels])
    rows = np.arange(found.shape[1])
    padded = np.vstack([correct, np.ones((1, found.shape[1]), dtype=bool)])
    accepted = taken < len(found)
    errors = (accepted & ~padded[taken, rows]).sum(axis=1)
    supported = last_supported(accepted.sum(axis=1), errors, gold=len(rows), risk=risk, delta=delta)
    if supported is None:
        return None
    return Cascade(
        float(levels[supported]),
        risk,
        delta,
        len(found),
        int(accepted[supported].sum()),
        int(errors[supported]),
        len(rows),
    )


def _stage(confidence: NDArray[np.float64], level: float) -> NDArray[np.int64]:
    sure = confidence >= level
    found = np.where(sure.any(axis=0), sure.argmax(axis=0), len(confidence))
    return np.asarray(found, dtype=np.int64)


def _checked(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    found = np.asarray(confidence, dtype=np.float64)
    known = ~np.isnan(found)
    if found.ndim != 2 or len(found) < 1 or not ((found[known] >= 0) & (found[known] <= 1)).all():
        raise UserError(
            f"confidence has shape {found.shape!r}, or a value outside [0, 1]: give (stages, "
            "items), NaN where a model gave none"
        )
    return np.where(known, found, -1.0)
