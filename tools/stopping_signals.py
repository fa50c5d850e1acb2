"""Stopping criteria that need no labels: they look at the model's predictions of the pool alone.

They tell when more labels change little. None of them tells that the model is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..store.errors import UserError
from .stopping_base import History, RoundRecord, Verdict, check_window, too_few


@dataclass(frozen=True, slots=True)
class UncertaintyNoLongerFalls:
    """Stop when the pool's uncertainty has ceased to fall (Vlachos 2008, in spirit).

    The lowest value of the last `window` rounds is at most `epsilon` below the lowest of all
    rounds before. `of="both"` asks it of the mean and of the maximum over the pool; on large
    pools the maximum stays near 1 and the mean decides. Only rounds with the newest round's
    measure are compared. The signal is the fall, the larger one for both.
    """

    window: int = 3
    epsilon: float = 0.005
    of: Literal["mean", "max", "both"] = "both"

    def __post_init__(self) -> None:
        """Check the parameters; raises `UserError`."""
        check_window(self.window)
        if not 0.0 <= self.epsilon < 1.0:
            raise UserError(f"epsilon is {self.epsilon!r}: give a fall from 0 to below 1")
        if self.of not in ("mean", "max", "both"):
            raise UserError(f"of is {self.of!r}: use 'mean', 'max' or 'both'")

    def judge(self, history: History) -> Verdict:
        """Whether the last rounds lowered uncertainty by no more than epsilon."""
        kinds = ("mean", "max") if self.of == "both" else (self.of,)
        comparable = _comparable(history.rounds)
        rows = [[_uncertainty(one, kind) for one in comparable] for kind in kinds]
        # A round counts where every kind that is asked for was measured.
        known = [[value for value in each if value is not None] for each in zip(*rows, strict=True)]
        series = [each for each in known if len(each) == len(kinds)]
        if len(series) <= self.window:
            what = f"a measured {' and '.join(kinds)} uncertainty by the same measure"
            return too_few(len(series), self.window + 1, what)
        falls = [
            min(before) - min(recent)
            for before, recent in zip(
                zip(*series[: -self.window], strict=True),
                zip(*series[-self.window :], strict=True),
                strict=True,
            )
        ]
        shown = " and ".join(
            f"{kind} uncertainty by {fall:+.4f}" for kind, fall in zip(kinds, falls, strict=True)
        )
        return Verdict(
            max(falls) <= self.epsilon,
            max(falls),
            f"The last {self.window} rounds lowered {shown} against the lowest before; no longer "
            f"falling is at most {self.epsilon:+g}.",
        )


@dataclass(frozen=True, slots=True)
class ClassificationChange:
    """Stop when new labels change no prediction (Zhu, Wang & Hovy 2008).

    The share of the pool whose predicted class differs from the round before is at most `share`
    in each of the last `window` rounds; the paper asks that none changes. The signal is the
    largest of these shares.
    """

    window: int = 1
    share: float = 0.0

    def __post_init__(self) -> None:
        """Check the parameters; raises `UserError`."""
        check_window(self.window)
        if not 0.0 <= self.share < 1.0:
            raise UserError(f"share is {self.share!r}: give a share from 0 to below 1")

    def judge(self, history: History) -> Verdict:
        """Whether the last rounds changed no more than the share."""
        recent = [one.changed_share for one in history.rounds[-self.window :]]
        known = [share for share in recent if share is not None]
        if len(known) < self.window:
            return too_few(len(known), self.window, "a measured change of labels", "in a row ")
        largest = max(known)
        return Verdict(
            largest <= self.share,
            largest,
            f"At most {largest:.4%} of the predicted labels changed in a round of the last "
            f"{self.window}; to stop, at most {self.share:.4%} may.",
        )


@dataclass(frozen=True, slots=True)
class ExpectedError:
    """Stop when the model expects few errors of itself (Zhu, Wang & Hovy 2008).

    The pool's mean of 1 - max p in the newest round is at most `threshold`. That is the model's
    own opinion: worth something where its probabilities were calibrated on gold, and the reason
    says whether they were. The signal is that mean.
    """

    threshold: float = 0.01

    def __post_init__(self) -> None:
        """Check the parameters; raises `UserError`."""
        if not 0.0 < self.threshold < 1.0:
            raise UserError(f"threshold is {self.threshold!r}: give a share between 0 and 1")

    def judge(self, history: History) -> Verdict:
        """Whether the newest round's expected error is low enough."""
        newest = history.rounds[-1] if history.rounds else None
        if newest is None or newest.expected_error is None:
            return Verdict(False, None, "The newest round has no measured expected error.")
        kind = "calibrated" if newest.calibrated else "uncalibrated"
        stop = newest.expected_error <= self.threshold
        relation = "at most" if stop else "above"
        return Verdict(
            stop,
            newest.expected_error,
            f"By its own {kind} probabilities the model errs on {newest.expected_error:.4f} of the "
            f"pool, {relation} {self.threshold:g}.",
        )


def _comparable(rounds: tuple[RoundRecord, ...]) -> list[RoundRecord]:
    """The rounds whose uncertainty was measured as that of the newest."""
    measured = [one for one in rounds if one.mean_uncertainty is not None]
    return [one for one in measured if one.uncertainty_measure == measured[-1].uncertainty_measure]


def _uncertainty(one: RoundRecord, kind: str) -> float | None:
    return one.mean_uncertainty if kind == "mean" else one.max_uncertainty
