"""What a stopping criterion sees and says, and how several are joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from ..store.errors import UserError

Measured: TypeAlias = Literal["gold", "cross_validated", "audit"]


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """What one round came to; what was not measured is `None`.

    `human_labels` is the number used so far. `accuracy` is on gold items, with the ends of its
    interval and the number of items `accuracy_n`; `cross_validated` and `audited` are accuracies
    measured in these other ways. `mean_uncertainty` and `max_uncertainty` are over the pool, by
    the measure `uncertainty_measure`. `kappa` is Cohen's kappa of this round's pool predictions
    with those of the round before, `changed_share` the share of them that differ.
    `expected_error` is the pool's mean of 1 - max p, from probabilities that were `calibrated` on
    gold or not.
    """

    round: int
    human_labels: int
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    accuracy_n: int = 0
    mean_uncertainty: float | None = None
    kappa: float | None = None
    max_uncertainty: float | None = None
    uncertainty_measure: str | None = None
    changed_share: float | None = None
    expected_error: float | None = None
    calibrated: bool = False
    cross_validated: float | None = None
    audited: float | None = None

    def measured(self, of: Measured) -> float | None:
        """The accuracy that was measured in one of the three ways."""
        by = {
            "gold": self.accuracy,
            "cross_validated": self.cross_validated,
            "audit": self.audited,
        }
        return by[of]


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


@dataclass(frozen=True, slots=True)
class KOfN:
    """Stop when at least k of the criteria say so. The signal is the share of those that do."""

    k: int
    criteria: tuple[Criterion, ...]

    def __post_init__(self) -> None:
        """Check the parameters; raises `UserError`."""
        if not 1 <= self.k <= len(self.criteria):
            raise UserError(
                f"k is {self.k!r} of {len(self.criteria)} criteria: give a number from 1 to that"
            )

    def judge(self, history: History) -> Verdict:
        """Whether enough criteria stop; the count, and the reasons of those that decide."""
        verdicts = [one.judge(history) for one in self.criteria]
        stopping = [verdict for verdict in verdicts if verdict.stop]
        stop = len(stopping) >= self.k
        deciding = stopping if stop else [verdict for verdict in verdicts if not verdict.stop]
        count = f"{len(stopping)} of {len(verdicts)} criteria say stop, {self.k} are needed."
        reasons = " ".join(verdict.reason for verdict in deciding)
        return Verdict(stop, len(stopping) / len(verdicts), f"{count} {reasons}")


def any_of(*criteria: Criterion) -> AnyOf:
    """Stop when at least one does; raises `UserError` for none given."""
    return AnyOf(_some(criteria))


def all_of(*criteria: Criterion) -> AllOf:
    """Stop when all do; raises `UserError` for none given."""
    return AllOf(_some(criteria))


def k_of(k: int, *criteria: Criterion) -> KOfN:
    """Stop when at least k of them do; raises `UserError` for k outside 1 to their number."""
    return KOfN(k, _some(criteria))


def _some(criteria: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
    if not criteria:
        raise UserError("no stopping criterion was given: name at least one")
    return criteria


def _joined(stop: bool, deciding: list[Verdict]) -> Verdict:
    signal = deciding[0].signal if len(deciding) == 1 else None
    return Verdict(stop, signal, " ".join(verdict.reason for verdict in deciding))


def check_window(window: int) -> None:
    """Raise `UserError` unless a criterion looks back on at least one round."""
    if window < 1:
        raise UserError(f"window is {window!r}: give a number of rounds of at least 1")


def too_few(have: int, need: int, what: str, how: str = "") -> Verdict:
    """The verdict to go on, as only `have` of the `need` rounds are known."""
    return Verdict(False, None, f"Too early: {have} of {need} rounds {how}with {what}.")
