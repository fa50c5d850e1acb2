"""How right the delivered labels are, with an interval that holds at every look.

The pool is split in two. Labels given by a person count as right; the rest, the *machine rows*,
are frozen before the first audit item is drawn. Audit items then come from the machine rows one
by one, without replacement, each with a known probability, and a person says whether the frozen
label is wrong. From those answers follows a confidence sequence: an interval that covers the true
accuracy at all sample sizes at once, so looking after every answer and stopping when it is narrow
enough does not spoil it (an ordinary interval would be spoilt). Where an item may have several
labels, the same holds for a loss e_i from 0 to 1, such as the share of its labels that are wrong:
nothing below needs more than that.

The unknown is the mass of wrong machine labels, m* = sum of pi_i e_i over the machine rows, where
pi_i is the share of the pool that row i stands for and e_i is 1 where its label is wrong. With
q_t(i) the chance that draw t takes row i, and F_t the mass of errors found before draw t,

    X_t = pi(I_t) e(I_t) / q_t(I_t)   has, given the past, the mean   m* - F_t,

whatever the errors are (RiLACS: Waudby-Smith, Stark, Ramdas, "Risk-limiting audits via confidence
sequences", 2021; weighted draws: Shekhar et al., "Risk-limiting financial audits via weighted
sampling without replacement", 2023). A bet on X_t against a supposed mass m is fair exactly when
m is right. The capital of such bets is a non-negative martingale for m = m*, hence exceeds
1/alpha at any time with probability at most alpha (Ville's inequality), and the interval keeps
every m whose capital never did (Waudby-Smith & Ramdas, "Estimating means of bounded random
variables by betting", 2024).

The bets: B_t bounds X_t from above, Y = X_t / B_t, mu = (m - F_t) / B_t, and for another possible
mass m' with p = (m' - F_t) / B_t cut to [0, 1] the factor is

    Y p / mu + (1 - Y) (1 - p) / (1 - mu).

It has mean one when m is right and grows when m' is nearer to the truth. The capital is the
mixture over a fixed grid of m'. For draws with equal chances it is the mixed likelihood ratio; in
all cases it is log-convex in m, so what it keeps is one interval and its ends can be bisected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..store.errors import UserError
from .audit_draw import AuditDraw, before, draw_audit, labels_digest

__all__ = [
    "AuditDraw",
    "Certificate",
    "Interval",
    "certify",
    "draw_audit",
    "fixed_interval",
    "labels_digest",
    "log_capital",
]

METHOD = "betting confidence sequence, sampling without replacement by known probabilities"

_ALTERNATIVES = 48
_GRID = 129
_ZOOMS = 3
_TIMID = 1e-3  # no bet stakes everything: 1 - _TIMID of the most it could
_ROUNDING = 1e-9
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Certificate:
    """The accuracy of all labels of the pool, duplicates counted, with its interval.

    `estimate`, `low` and `high` are about the labels as they were frozen, before the errors that
    the audit found were put right. The `delivered_*` properties are about the labels that the
    user gets, where those are put right: the same numbers plus `corrected`.

    Attributes:
        estimate: accuracy of the frozen labels, in [0, 1].
        low: lower end of the interval.
        high: upper end of the interval.
        level: chance that no interval of the sequence ever misses, for example 0.95.
        n_audited: audit answers used.
        n_errors: labels among them that are wrong, wholly or in part.
        human_share: share of the pool labelled by a person before the audit, counted as right.
        corrected: share of the pool whose wrong label the audit found and put right.
        method: how it was computed, in words.
    """

    estimate: float
    low: float
    high: float
    level: float
    n_audited: int
    n_errors: int
    human_share: float
    corrected: float
    method: str

    @property
    def delivered_estimate(self) -> float:
        """Accuracy once the errors found are put right."""
        return min(1.0, self.estimate + self.corrected)

    @property
    def delivered_low(self) -> float:
        """Lower end once the errors found are put right; valid at every look like `low`."""
        return min(1.0, self.low + self.corrected)

    @property
    def delivered_high(self) -> float:
        """Upper end once the errors found are put right."""
        return min(1.0, self.high + self.corrected)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with a confidence interval: how many, and at which level."""

    estimate: float
    low: float
    high: float
    level: float
    n: int


def certify(
    errors: ArrayLike,
    draw: AuditDraw,
    *,
    labels: str,
    used_in_training: ArrayLike,
    level: float = 0.95,
    corrected: ArrayLike | None = None,
) -> Certificate:
    """Estimate the accuracy of all labels from the audit answers so far.

    The estimate of the error mass is the mean of the terms F_t + X_t, each of which is unbiased
    given the past (Des Raj 1956), cut to the interval; before the first answer it is the middle of
    what is possible and says nothing. The interval is the betting
    confidence sequence of the module's docstring and is valid at every look; over repeated looks
    it only narrows.

    Args:
        errors: (j,) for the first j draws in their order, whether the frozen label was wrong; or
            how wrong it was, from 0 to 1, for the certificate of 1 minus that loss.
        draw: the draws, at least j of them.
        labels: `labels_digest` of the machine rows as they are now, the corrections of the audit
            left out; it must be what it was at the draw.
        used_in_training: rows that any model, threshold or calibration learned from.
        level: 1 - alpha, in (0, 1).
        corrected: (j,) which of the wrong labels are put right before delivery; all when none is
            given. False for an item that counts as wrong because nobody could answer.

    Raises:
        UserError: more answers than draws, `corrected` of another length, an item without a known
            probability, labels changed after the draw, an audit item used in training, or `level`
            out of range.
    """
    wrong = _losses(errors)
    _check_sample(wrong, draw, labels, np.asarray(used_in_training, dtype=np.int64))
    if not 0 < level < 1:
        raise UserError(f"level is {level!r}: give a number between 0 and 1, for example 0.95")
    n = len(wrong)
    put_right = wrong if corrected is None else wrong * _flags(corrected, n)
    low, high = _error_mass_interval(wrong, draw, 1 - level)
    estimate = min(max(_error_mass(wrong, draw), low), high)
    return Certificate(
        estimate=1 - estimate,
        low=1 - high,
        high=1 - low,
        level=level,
        n_audited=n,
        n_errors=int((wrong > 0).sum()),
        human_share=1 - draw.machine_mass,
        corrected=float((draw.weights[:n] * put_right).sum()),
        method=METHOD,
    )


def fixed_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """Exact interval for a share from `n` independent items (Clopper & Pearson 1934).

    Valid for one look at a sample whose size was fixed beforehand: for metrics on gold items, not
    for audits that stop when the result pleases.

    Raises:
        UserError: `successes` not in 0..n, n below 1, or `level` out of range.
    """
    if not (n >= 1 and 0 <= successes <= n and 0 < level < 1):
        raise UserError(
            f"successes={successes!r}, n={n!r}, level={level!r}: give 0 <= successes <= n, "
            "n >= 1 and 0 < level < 1"
        )
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return Interval(successes / n, low, high, level, n)


def log_capital(
    errors: ArrayLike, draw: AuditDraw, masses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log capital of the bets against each supposed error mass, after every answer.

    Args:
        errors: (j,) answers of the first j draws, each from 0 to 1.
        draw: the draws, at least j.
        masses: (g,) supposed error masses.

    Returns:
        (j + 1, g): row t after t answers, the first all zero; infinite from where the answers
        have made the mass impossible.
    """
    wrong = _losses(errors)
    others = _alternatives(draw)[:, None]
    log_shares = np.full((len(others), len(masses)), -np.log(len(others)))
    capital = np.zeros((len(wrong) + 1, len(masses)))
    found = before(draw.weights[: len(wrong)] * wrong)
    for t in range(len(wrong)):
        bound, left, weight = draw.bounds[t], draw.remaining[t], draw.weights[t]
        y = min(wrong[t] * weight / draw.probabilities[t] / bound, 1.0)
        most = left / bound
        p = np.clip((others - found[t]) / bound, _TIMID * most, (1 - _TIMID) * most)
        log_shares += np.log(_factor(y, p, (masses - found[t]) / bound))
        capital[t + 1] = np.logaddexp.reduce(log_shares, axis=0)
        low = found[t] + wrong[t] * weight
        high = low + left - weight
        capital[t + 1, (masses < low - _ROUNDING) | (masses > high + _ROUNDING)] = np.inf
    return capital


def _factor(y: float, p: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """The growth of the capital: y in [0, 1], p (a, 1) and mean (g,) give (a, g)."""
    hit = y * p / np.maximum(mean, _ROUNDING)
    miss = (1 - y) * (1 - p) / np.maximum(1 - mean, _ROUNDING)
    # At the edges 0 / 0 and rounding must not refute: what is impossible is marked elsewhere.
    return np.asarray(np.clip(hit + miss, _TINY, 1 / _TINY), dtype=np.float64)


def _alternatives(draw: AuditDraw) -> NDArray[np.float64]:
    """The (a,) masses that the capital is spread over evenly, fixed before any answer.

    Three in four are quantiles of Beta(1, 6), as errors are mostly few; the rest cover everything.
    """
    u = (np.arange(_ALTERNATIVES) + 0.5) / _ALTERNATIVES
    few = 1 - (1 - u) ** (1 / 6)
    return np.asarray(draw.machine_mass * np.concatenate([few, u[1::3]]), dtype=np.float64)


def _error_mass(wrong: NDArray[np.float64], draw: AuditDraw) -> float:
    n = len(wrong)
    if n == 0:
        return draw.machine_mass / 2
    masses = draw.weights[:n] * wrong
    return float(np.mean(before(masses) + masses / draw.probabilities[:n]))


def _error_mass_interval(
    wrong: NDArray[np.float64], draw: AuditDraw, alpha: float
) -> tuple[float, float]:
    """The ends of the set of masses whose capital never reached 1 / alpha."""
    n = len(wrong)
    found = float((draw.weights[:n] * wrong).sum())
    rest = max(draw.machine_mass - float(draw.weights[:n].sum()), 0.0)
    if n == draw.machine_rows:
        return found, found
    limit = -np.log(alpha)

    def highest(masses: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(log_capital(wrong, draw, masses).max(axis=0), dtype=np.float64)

    masses = np.linspace(found, found + rest, _GRID)
    capital = highest(masses)
    inside = np.flatnonzero(capital < limit)
    # An empty set (of probability alpha at most) still reports the mass that came nearest.
    first, last = (inside[0], inside[-1]) if len(inside) else (capital.argmin(),) * 2
    ends = [float(masses[first]), float(masses[last])]
    for side, (inner, outer) in enumerate(((first, first - 1), (last, last + 1))):
        if 0 <= outer < _GRID:
            ends[side] = _close_in(highest, limit, float(masses[outer]), float(masses[inner]))
    return ends[0], ends[1]


def _close_in(
    highest: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    limit: float,
    refuted: float,
    kept: float,
) -> float:
    """Narrow the bracket of one end; the refuted side of it is returned, so never too narrow."""
    for _ in range(_ZOOMS):
        masses = np.linspace(refuted, kept, 17)
        inside = highest(masses[1:-1]) < limit
        step = int(inside.argmax()) if inside.any() else 15
        refuted, kept = float(masses[step]), float(masses[step + 1])
    return refuted


def _losses(errors: ArrayLike) -> NDArray[np.float64]:
    losses = np.asarray(errors, dtype=np.float64)
    if not ((losses >= 0) & (losses <= 1)).all():
        raise UserError("an audit answer is outside [0, 1]: give how wrong each label was")
    return losses


def _flags(corrected: ArrayLike, n: int) -> NDArray[np.bool_]:
    flags = np.asarray(corrected, dtype=bool)
    if flags.shape != (n,):
        raise UserError(
            f"corrected has the shape {flags.shape!r}: give one for each of {n!r} answers"
        )
    return flags


def _check_sample(
    wrong: NDArray[np.float64], draw: AuditDraw, labels: str, used: NDArray[np.int64]
) -> None:
    n = len(wrong)
    if wrong.ndim != 1 or n > len(draw):
        raise UserError(
            f"{wrong.size!r} answers for {len(draw)!r} draws: give one answer a draw, in order"
        )
    chances = draw.probabilities[:n]
    if not ((chances > 0) & (chances <= 1 + 1e-9)).all():
        raise UserError(
            f"draw {int(np.argmin((chances > 0) & (chances <= 1 + 1e-9)))!r} has no known "
            "probability: only items from draw_audit can certify"
        )
    overlap = draw.rows[:n][np.isin(draw.rows[:n], used)]
    if len(overlap):
        raise UserError(
            f"audit row {int(overlap[0])!r} ({len(overlap)!r} in all) was used in training: an "
            "item that a model learned from cannot certify it; draw a new audit"
        )
    if labels != draw.labels:
        raise UserError(
            f"the machine labels are not the ones that were drawn from (digest {labels[:12]!r}, "
            f"then {draw.labels[:12]!r}): labels must stay frozen; draw a new audit"
        )
