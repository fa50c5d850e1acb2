"""How right sets of labels are: of single decisions, of labels found, and label by label.

The share of sets that are right as a whole is an ordinary accuracy and is measured like one.
What is here looks inside the sets. Truth and answers are zeros and ones, (n, C).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from .certificate import Interval

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """One label, by a person and by the machine, on the same items.

    Attributes:
        label: its name.
        both: items to which both gave it.
        person: items to which only the person did.
        machine: items to which only the machine did.
    """

    label: str
    both: int
    person: int
    machine: int

    @property
    def f1(self) -> float | None:
        """2 both / (2 both + person + machine); `None` where nobody gave the label."""
        given = 2 * self.both + self.person + self.machine
        return None if given == 0 else 2 * self.both / given


def micro_f1(counts: NDArray[np.floating]) -> NDArray[np.float64]:
    """F1 over all decisions: counts (..., C, 3) of both, person, machine, to (...).

    2 tp / (2 tp + fn + fp) with the sums over labels; 1 where no label was given by anybody.
    """
    total = counts.sum(axis=-2)
    return _f1(total[..., 0], total[..., 1] + total[..., 2])


def macro_f1(counts: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean F1 of the labels that somebody gave: counts (..., C, 3) to (...); 1 where there is none.

    A label that neither side gave has no F1 and is left out of the mean.
    """
    wrong = counts[..., 1] + counts[..., 2]
    seen = (counts[..., 0] + wrong) > 0
    sums = np.where(seen, _f1(counts[..., 0], wrong), 0.0).sum(axis=-1)
    return np.where(seen.any(axis=-1), sums / np.maximum(seen.sum(axis=-1), 1), 1.0)


def set_measures(
    answers: NDArray[np.int64], truth: NDArray[np.int64], *, level: float, seed: int
) -> dict[str, Interval]:
    """Micro F1, macro F1 and the share of right decisions, each with a bootstrap interval.

    Percentile intervals over the items (Efron 1979), widened to hold the estimate. They are for
    items drawn evenly and looked at once; with few items, and labels rarely met, they are rough.

    Args:
        answers: (n, C) zeros and ones by the machine, n at least 1.
        truth: (n, C) by a person.
        level: of the intervals, in (0, 1).
        seed: of the resampling.

    Returns:
        `micro_f1`, `macro_f1`, `decisions` (1 minus the Hamming loss).

    Raises:
        UserError: no items, or shapes that differ.
    """
    cells = _cells(answers, truth)
    n = len(cells)
    picks = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    drawn = np.einsum("rn,ncs->rcs", picks.astype(np.float64), cells.astype(np.float64))
    whole = cells.sum(axis=0)
    labels = cells.shape[1]
    right = 1 - cells[:, :, 1:].sum(axis=(1, 2)) / labels
    measured = {
        "micro_f1": (float(micro_f1(whole)), micro_f1(drawn)),
        "macro_f1": (float(macro_f1(whole)), macro_f1(drawn)),
        "decisions": (float(right.mean()), picks @ right / n),
    }
    tails = [(1 - level) / 2, (1 + level) / 2]
    found = {}
    for name, (estimate, resampled) in measured.items():
        low, high = np.quantile(resampled, tails).tolist()
        found[name] = Interval(estimate, min(low, estimate), max(high, estimate), level, n)
    return found


def by_label(
    answers: NDArray[np.int64], truth: NDArray[np.int64], names: list[str]
) -> tuple[LabelAgreement, ...]:
    """Each label by itself, in the order of the names.

    Raises:
        UserError: no items, or shapes that differ.
    """
    counts = _cells(answers, truth).sum(axis=0).tolist()
    return tuple(
        LabelAgreement(name, *(int(n) for n in row))
        for name, row in zip(names, counts, strict=True)
    )


def _cells(answers: NDArray[np.int64], truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n, C, 3): given by both, by the person alone, by the machine alone."""
    if answers.shape != truth.shape or answers.ndim != 2 or len(answers) == 0:
        raise UserError(
            f"sets of shapes {answers.shape!r} and {truth.shape!r}: give the same items and labels"
        )
    has, should = answers > 0, truth > 0
    return np.stack([has & should, should & ~has, has & ~should], axis=2).astype(np.int64)


def _f1(right: NDArray[np.floating], wrong: NDArray[np.floating]) -> NDArray[np.float64]:
    given = 2 * right + wrong
    return np.asarray(np.where(given > 0, 2 * right / np.maximum(given, 1), 1.0), dtype=np.float64)
