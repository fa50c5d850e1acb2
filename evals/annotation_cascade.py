"""Cascades with a promised risk: how much each stage takes, and how often the promise is broken.

The first stage is three fast models, the second seven of any speed; both are chosen on the same
50 gold items. Another 100 calibrate each stage (a rising curve over the share of the votes), and
another 150 set the level. The promise is then checked on all items that are left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..tools.calibration import fit_isotonic
from ..tools.quality.aggregation import majority
from ..tools.quality.cascade import Cascade, fit_cascade
from .annotation_data import Record, committee
from .annotation_tables import mean, spread, table

CHOOSING, CALIBRATING, TESTING = 50, 100, 150
STAGES = (3, 7)
DELTA = 0.1


@dataclass(frozen=True, slots=True)
class Stages:
    """One draw of gold: both stages' labels and calibrated confidence of all items."""

    confidence: NDArray[np.float64]
    right: NDArray[np.bool_]
    testing: NDArray[np.int64]
    rest: NDArray[np.int64]


def cascade_table(record: Record, risks: tuple[float, ...], seeds: int) -> str:
    """What the cascade does at each risk."""
    draws = [_stages(record, seed) for seed in range(seeds)]
    rows = []
    for risk in risks:
        alone = [_level(draw, risk, stages=(1,)) for draw in draws]
        both = [_level(draw, risk, stages=(0, 1)) for draw in draws]
        rows.append(_line(record, risk, "7 models", draws, alone, (1,)))
        rows.append(_line(record, risk, "3 fast models, then 7", draws, both, (0, 1)))
    head = ("data", "risk promised", "stages", "no level found", "taken by 3", "taken by 7")
    return table((*head, "people", "errors among taken", "promise broken"), rows)


def _stages(record: Record, seed: int) -> Stages:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(record.gold))
    ends = np.cumsum([CHOOSING, CALIBRATING, TESTING])
    choosing, calibrating, testing, rest = np.split(order, ends)
    known = np.nan_to_num(record.seconds, nan=np.inf)
    fast = np.flatnonzero(known <= np.quantile(known, 0.25))
    confidence, right = [], []
    for size, among in zip(STAGES, (fast, None), strict=True):
        columns = committee(record, size, rng, choosing, among)
        votes = majority(record.votes[:, columns], record.classes)
        correct = votes.labels == record.gold
        given = votes.confidence[calibrating]
        held = ~np.isnan(given)
        curve = fit_isotonic(given[held], correct[calibrating][held])
        confidence.append(np.interp(votes.confidence, curve.knots, curve.values))
        right.append(correct)
    return Stages(np.array(confidence), np.array(right), testing, rest)


def _level(draw: Stages, risk: float, stages: tuple[int, ...]) -> Cascade | None:
    which = np.ix_(np.array(stages), draw.testing)
    return fit_cascade(draw.confidence[which], draw.right[which], risk=risk, delta=DELTA)


def _line(
    record: Record,
    risk: float,
    name: str,
    draws: list[Stages],
    found: list[Cascade | None],
    stages: tuple[int, ...],
) -> list[str]:
    taken = np.full((len(draws), 3), np.nan)
    errors = np.full(len(draws), np.nan)
    for place, (draw, level) in enumerate(zip(draws, found, strict=True)):
        if level is None:
            taken[place] = (0.0, 0.0, 1.0)
            continue
        stage = level.stage(draw.confidence[np.ix_(np.array(stages), draw.rest)])
        who = np.array([*stages, 2])[stage]
        taken[place] = np.bincount(who, minlength=3) / len(who)
        right = draw.right[np.minimum(who, 1), draw.rest]
        errors[place] = 1 - right[who < 2].mean() if (who < 2).any() else 0.0
    broken = int((np.nan_to_num(errors) > risk).sum())
    return [
        record.name,
        f"{risk:.0%}",
        name,
        f"{sum(level is None for level in found)} of {len(found)}",
        *(mean(taken[:, place], 2) for place in range(3)),
        spread(errors),
        f"{broken} of {len(found)}",
    ]
