"""What each kind of confidence is worth: accuracy, calibration error, accuracy over coverage.

Gold is drawn at random and paid for: 50 items choose the committee (where it is chosen), another
100 calibrate. Everything is measured on the items that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..tools.calibration import choose, expected_calibration_error, fit_isotonic
from ..tools.quality.aggregation import (
    Aggregate,
    Votes,
    dawid_skene,
    gold_accuracy,
    majority,
    smoothed_share,
    weighted,
)
from ..tools.quality.reliability import accuracy_coverage_area
from .annotation_data import Record, committee
from .annotation_tables import spread, table

CHOOSING = 50
CALIBRATING = 100
SIZES = (3, 5, 7)
HEAD = (
    "labels by",
    "confidence",
    "accuracy",
    "area under accuracy–coverage",
    "ECE as it is",
    "ECE, temperature",
    "ECE, isotonic",
)


@dataclass(frozen=True, slots=True)
class Split:
    """One draw: gold that chooses, gold that calibrates, and the items to measure on."""

    choosing: NDArray[np.int64]
    calibrating: NDArray[np.int64]
    rest: NDArray[np.int64]
    rng: np.random.Generator


@dataclass(slots=True)
class Measured:
    """One line of the table, one number a draw; NaN where there is no confidence."""

    accuracy: list[float]
    area: list[float]
    errors: list[tuple[float, float, float]]


def split(record: Record, seed: int) -> Split:
    """A draw of gold."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(record.gold))
    first, second = CHOOSING, CHOOSING + CALIBRATING
    return Split(order[:first], order[first:second], order[second:], rng)


def confidence_table(record: Record, seeds: int) -> str:
    """Every kind of confidence that the record supports, over draws of gold and committee."""
    found: dict[tuple[str, str], Measured] = {}
    for seed in range(seeds):
        for kind, distribution in _kinds(record, split(record, seed)):
            measured = found.setdefault(kind, Measured([], [], []))
            _measure(record, split(record, seed), distribution, measured, kind[1] != "none")
    return table(HEAD, [_line(kind, measured) for kind, measured in found.items()])


def _kinds(record: Record, draw: Split) -> Iterator[tuple[tuple[str, str], NDArray[np.float64]]]:
    """Who labels, its kind of confidence, and the distribution of every item."""
    one = committee(record, 1, draw.rng, draw.choosing)
    yield ("1 model, chosen", "none"), smoothed_share(record.votes[:, one], record.classes)
    for size in SIZES:
        columns = committee(record, size, draw.rng)
        name = f"{size} models, drawn"
        yield (name, "vote share"), _share(record.votes[:, columns], record.classes)
    chosen = committee(record, max(SIZES), draw.rng, draw.choosing)
    for size in SIZES:
        votes = record.votes[:, chosen[:size]]
        yield (f"{size} models, chosen", "vote share"), _share(votes, record.classes)
    votes = record.votes[:, chosen]
    for name, method in _posteriors(record, draw, chosen).items():
        yield (f"{max(SIZES)} models, chosen", name), method(votes).distribution
    everyone = f"all {record.votes.shape[1]} models"
    yield (everyone, "vote share"), _share(record.votes, record.classes)


def _posteriors(
    record: Record, draw: Split, columns: NDArray[np.int64]
) -> dict[str, Callable[[Votes], Aggregate]]:
    accuracy = gold_accuracy(
        record.votes[np.ix_(draw.choosing, columns)], record.gold[draw.choosing], record.classes
    )
    return {
        "log-odds weights": lambda votes: weighted(votes, record.classes, accuracy),
        "Dawid–Skene": lambda votes: dawid_skene(votes, record.classes),
    }


def _share(votes: Votes, classes: int) -> NDArray[np.float64]:
    return majority(votes, classes).distribution


def _measure(
    record: Record,
    draw: Split,
    distribution: NDArray[np.float64],
    into: Measured,
    confident: bool,
) -> None:
    """Add what one draw came to. An item without any answer is wrong, with confidence 0."""
    known = np.isfinite(distribution[:, 0])
    label = np.where(known, np.nan_to_num(distribution).argmax(axis=1), -1)
    top = np.where(known, np.nan_to_num(distribution).max(axis=1), 0.0)
    rest = draw.rest
    right = np.zeros(len(label), dtype=np.bool_)
    right[label == record.gold] = True
    into.accuracy.append(float(right[rest].mean()))
    if not confident:
        return
    into.area.append(accuracy_coverage_area(top[rest], right[rest]))
    rows = draw.calibrating[known[draw.calibrating]]
    held = rest[known[rest]]
    # A temperature cannot move a share of 0; a tenth of the even distribution lets it.
    soft = 0.9 * distribution + 0.1 / record.classes
    calibrator, _ = choose(soft[rows], record.gold[rows], seed=0)
    curve = fit_isotonic(top[rows], right[rows])
    isotonic = np.interp(top[held], curve.knots, curve.values)
    into.errors.append(
        (
            expected_calibration_error(top[held], right[held]),
            expected_calibration_error(calibrator.confidence(soft[held]), right[held]),
            expected_calibration_error(isotonic, right[held]),
        )
    )


def _line(kind: tuple[str, str], measured: Measured) -> list[str]:
    errors = np.array(measured.errors) if measured.errors else np.full((1, 3), np.nan)
    return [
        *kind,
        spread(measured.accuracy),
        spread(measured.area),
        *(spread(errors[:, place]) for place in range(3)),
    ]
