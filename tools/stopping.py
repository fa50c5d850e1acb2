"""When to stop: small criteria over the history of rounds, and `any_of` / `all_of` to join them.

A criterion never stops on what it does not know: with too few rounds, or no measurement, its
verdict is to go on, and the reason says what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """What one round came to.

    `human_labels` is the number used so far. `accuracy` is on gold items, with the ends of its
    interval and the number of items `accuracy_n`. `mean_uncertainty` is over the pool. `kappa` is
    Cohen's kappa of this round's pool predictions with those of the round before. What was not
    measured is `None`.
    """

    round: int
    human_labels: int
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    accuracy_n: int = 0
    mean_uncertainty: float | None = None
    kappa: float | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The rounds so far, oldest first, and what is left of each budget.

    `None` means that there is no such limit; a run in which nothing costs money has no money
    limit, or a limit of 0 would stop it before it began.
    """

    rounds: tuple[RoundRecord, ...] = ()
    human_labels_left: int | None = None
    usd_left: float | None = None
    minutes_left: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to stop, the number that it hangs on (if one), and why, in a sentence."""

    stop: bool
    signal: float | None
    reason: str


class Criterion(Protocol):
    """A stopping criterion."""

    def judge(self, history: History) -> Verdict:
        """Whether to stop after this history."""
        ...


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
    all measured rounds before. Rounds without a measurement do not count. The signal is that gain.
    """

    window: int = 3
    epsilon: float = 0.005

    def __post_init__(self) -> None:
        """Check the parameters; raises `UserError`."""
        _check_window(self.window)
        if not 0.0 <= self.epsilon < 1.0:
            raise UserError(f"epsilon is {self.epsilon!r}: give a gain from 0 to below 1")

    def judge(self, history: History) -> Verdict:
        """Whether the last rounds brought no more than epsilon."""
        measured = [one.accuracy for one in history.rounds if one.accuracy is not None]
        if len(measured) <= self.window:
            return _too_few(len(measured), self.window + 1, "a measured accuracy")
        gain = max(measured[-self.window :]) - max(measured[: -self.window])
        stop = gain <= self.epsilon
        return Verdict(
            stop,
            gain,
            f"The best accuracy of the last {self.window} rounds is {gain:+.4f} against the best "
            f"before; a plateau is at most {self.epsilon:+g}.",
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
        _check_window(self.window)
        if not 0.0 < self.threshold <= 1.0:
            raise UserError(f"threshold is {self.threshold!r}: give a kappa above 0, at most 1")

    def judge(self, history: History) -> Verdict:
        """Whether the mean agreement of the last rounds reaches the threshold."""
        recent = [one.kappa for one in history.rounds[-self.window :]]
        known = [kappa for kappa in recent if kappa is not None]
        if len(known) < self.window:
            return _too_few(len(known), self.window, "a measured agreement", "in a row ")
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


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Stop when at least one criterion says so."""

    criteria: tuple[Criterion, ...]

    def judge(self, history: History) -> Verdict:
        """Whether any criterion stops; the reasons of those that decide, joined."""
        verdicts = [one.judge(history) for one in self.criteria]
        stopping = [verdict for verdict in verdicts if verdict.stop]
        return _joined(bool(stopping), stopping or verdicts)


@dataclass(frozen=True, slots=True)
class AllOf:
    """Stop when every criterion says so."""

    criteria: tuple[Criterion, ...]

    def judge(self, history: History) -> Verdict:
        """Whether all criteria stop; the reasons of those that decide, joined."""
        verdicts = [one.judge(history) for one in self.criteria]
        holding = [verdict for verdict in verdicts if not verdict.stop]
        return _joined(not holding, holding or verdicts)


def any_of(*criteria: Criterion) -> AnyOf:
    """Stop when at least one does; raises `UserError` for none given."""
    return AnyOf(_some(criteria))


def all_of(*criteria: Criterion) -> AllOf:
    """Stop when all do; raises `UserError` for none given."""
    return AllOf(_some(criteria))


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


def _some(criteria: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
    if not criteria:
        raise UserError("no stopping criterion was given: name at least one")
    return criteria


def _joined(stop: bool, deciding: list[Verdict]) -> Verdict:
    signal = deciding[0].signal if len(deciding) == 1 else None
    return Verdict(stop, signal, " ".join(verdict.reason for verdict in deciding))


def _check_window(window: int) -> None:
    if window < 1:
        raise UserError(f"window is {window!r}: give a number of rounds of at least 1")


def _too_few(have: int, need: int, what: str, how: str = "") -> Verdict:
    return Verdict(False, None, f"Too early: {have} of {need} rounds {how}with {what}.")
