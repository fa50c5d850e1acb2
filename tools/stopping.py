"""When to stop: small criteria over the history of rounds, and ways to join them.

A criterion never stops on what it does not know: with too few rounds, or no measurement, its
verdict is to go on, and the reason says what is missing. Here are those that need labels, a budget
or agreement of models; `stopping_signals` has those that need none of these, `stopping_cost` the
one that weighs gain against price. All can be imported from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from .stopping_base import (
    AllOf,
    AnyOf,
    Criterion,
    History,
    KOfN,
    Measured,
    RoundRecord,
    Verdict,
    all_of,
    any_of,
    check_window,
    k_of,
    too_few,
)
from .stopping_cost import CostOptimum
from .stopping_signals import ClassificationChange, ExpectedError, UncertaintyNoLongerFalls

__all__ = [
    "AllOf",
    "AnyOf",
    "BudgetSpent",
    "ClassificationChange",
    "CostOptimum",
    "Criterion",
    "ExpectedError",
    "History",
    "KOfN",
    "Plateau",
    "RoundRecord",
    "StablePredictions",
    "TargetReached",
    "UncertaintyNoLongerFalls",
    "Verdict",
    "all_of",
    "any_of",
    "cohen_kappa",
    "k_of",
]


@dataclass(frozen=True, slots=True)
class BudgetSpent:
    """Stop when a budget has nothing left. The signal is what is left of the first such budget."""

    def judge(self, history: History) -> Verdict:
        """Whether any limited budget is at or below zero."""
        limits = (
            ("human labels", history.human_labels_left),
            ("US dollars", history.usd_left),
            ("minutes", history.minutes_left),
        )
        known = [(name, float(left)) for name, left in limits if left is not None]
        spent = [(name, left) for name, left in known if left <= 0]
        if spent:
            names = " and ".join(name for name, _ in spent)
            return Verdict(True, spent[0][1], f"The budget of {names} is spent.")
        if not known:
            return Verdict(False, None, "No budget was set.")
        left = ", ".join(f"{amount:g} {name}" for name, amount in known)
        return Verdict(False, None, f"Still left: {left}.")


@dataclass(frozen=True, slots=True)
class Plateau:
    """Stop when accuracy has ceased to grow.

    The best accuracy of the last `window` measured rounds is at most `epsilon` above the best of
    all measured rounds before. Rounds without a measurement do not count. `of` says which
    accuracy: on gold items, cross-validated on the training labels (which active learning makes
    harder than the pool, so only its change means something), or audited. The signal is that gain.
    """

    window: int = 3
    epsilon: float = 0.005
    of: Measured = "gold"

    def __post_init__(self) -> None:
        """Check the parameters; raises `UserError`."""
        check_window(self.window)
        if not 0.0 <= self.epsilon < 1.0:
            raise UserError(f"epsilon is {self.epsilon!r}: give a gain from 0 to below 1")
        if self.of not in get_args(Measured):
            raise UserError(f"of is {self.of!r}: use one of {', '.join(get_args(Measured))}")

    def judge(self, history: History) -> Verdict:
        """Whether the last rounds brought no more than epsilon."""
        known = [one.measured(self.of) for one in history.rounds]
        measured = [value for value in known if value is not None]
        kind = "" if self.of == "gold" else f"{self.of.replace('_', '-')} "
        if len(measured) <= self.window:
            return too_few(len(measured), self.window + 1, f"a measured {kind}accuracy")
        gain = max(measured[-self.window :]) - max(measured[: -self.window])
        stop = gain <= self.epsilon
        return Verdict(
            stop,
            gain,
            f"The best {kind}accuracy of the last {self.window} rounds is {gain:+.4f} against the "
            f"best before; a plateau is at most {self.epsilon:+g}.",
        )


@dataclass(frozen=True, slots=True)
class StablePredictions:
    """Stop when successive models say the same (Bloodgood & Vijay-Shanker 2009).

    The mean Cohen's kappa of the last `window` rounds, each with the round before, is at least
    `threshold`; the defaults are the paper's. It needs no labels, and says that more labels change
    little, not that the model is right. The signal is that mean.
    """

    window: int = 3
    threshold: float = 0.99

    def __post_init__(self) -> None:
        """Check the parameters; raises `UserError`."""
        check_window(self.window)
        if not 0.0 < self.threshold <= 1.0:
            raise UserError(f"threshold is {self.threshold!r}: give a kappa above 0, at most 1")

    def judge(self, history: History) -> Verdict:
        """Whether the mean agreement of the last rounds reaches the threshold."""
        recent = [one.kappa for one in history.rounds[-self.window :]]
        known = [kappa for kappa in recent if kappa is not None]
        if len(known) < self.window:
            return too_few(len(known), self.window, "a measured agreement", "in a row ")
        mean = sum(known) / self.window
        return Verdict(
            mean >= self.threshold,
            mean,
            f"Predictions of the last {self.window} rounds agree with the round before at a mean "
            f"kappa of {mean:.4f}; stable is at least {self.threshold:g}.",
        )


@dataclass(frozen=True, slots=True)
class TargetReached:
    """Stop when the last measured accuracy reaches the target.

    `by="low"` asks it of the lower end of the interval, which guards against a lucky sample;
    `by="estimate"` of the estimate itself. The signal is the number that was compared.
    """

    target: float
    by: Literal["low", "estimate"] = "low"

    def __post_init__(self) -> None:
        """Check the parameters; raises `UserError`."""
        if not 0.0 < self.target <= 1.0:
            raise UserError(f"target is {self.target!r}: give an accuracy above 0 and at most 1")
        if self.by not in ("low", "estimate"):
            raise UserError(f"by is {self.by!r}: use 'low' or 'estimate'")

    def judge(self, history: History) -> Verdict:
        """Whether the newest measurement is good enough."""
        what = "lower bound of accuracy" if self.by == "low" else "accuracy"
        for one in reversed(history.rounds):
            value = one.accuracy_low if self.by == "low" else one.accuracy
            if value is not None:
                stop = value >= self.target
                relation = "reaches" if stop else "is below"
                return Verdict(
                    stop,
                    value,
                    f"The {what} after round {one.round}, {value:.4f} on {one.accuracy_n} items, "
                    f"{relation} the target of {self.target:g}.",
                )
        return Verdict(False, None, f"No round has a measured {what} yet.")


def cohen_kappa(a: NDArray[np.integer], b: NDArray[np.integer], n_classes: int) -> float:
    """Agreement of two labellings beyond chance (Cohen 1960): (p_o - p_e) / (1 - p_e).

    Args:
        a: class indices, shape (n,), n >= 1.
        b: class indices, shape (n,).
        n_classes: how many classes there are, at least 1.

    Returns:
        A number in [-1, 1]; 1 where both gave every item the same single class, which leaves the
        formula at 0/0.

    Raises:
        UserError: no items, shapes that differ, or an index outside 0 to n_classes - 1.
    """
    if a.shape != b.shape or a.ndim != 1 or len(a) == 0:
        raise UserError(f"labels of shapes {a.shape!r} and {b.shape!r}: give two rows of n >= 1")
    for labels in (a, b):
        if labels.min() < 0 or labels.max() >= n_classes:
            outside = int(labels.min() if labels.min() < 0 else labels.max())
            raise UserError(f"class {outside!r} is outside 0 to {n_classes - 1}: check n_classes")
    observed = float(np.mean(a == b))
    shares = [np.bincount(labels, minlength=n_classes) / len(a) for labels in (a, b)]
    expected = float(shares[0] @ shares[1])
    if expected >= 1.0:
        return 1.0
    return (observed - expected) / (1.0 - expected)
