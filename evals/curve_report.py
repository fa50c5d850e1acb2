"""What learning curves come to: areas, accuracies, and labels needed, each against random.

All differences and ratios are taken within a seed, where strategies share the first batch, and
then averaged; `±` is the standard deviation over seeds. Pool and test set of a data set are the
same for all seeds, so it tells of the first batch and of random choices, not of other data.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .curve_cells import WHOLE_POOL, Cell, Plan, Point
from .curve_data import SOURCES
from .curve_table import Curves

BASELINE = "random"
MARKS = (50, 100, 200, 500)
_NONE = "–"


def area(points: Sequence[Point]) -> float:
    """Mean accuracy over the numbers of labels, by the trapezoid rule; 0 to 1."""
    x = np.array([point.labels for point in points], dtype=np.float64)
    y = np.array([point.accuracy for point in points])
    if len(points) == 1:
        return float(y[0])
    return float(np.trapezoid(y, x) / (x[-1] - x[0]))


def labels_to(points: Sequence[Point], target: float) -> float | None:
    """Labels at which a curve first reaches an accuracy, linear between measurements.

    Args:
        points: in order of labels.
        target: an accuracy.

    Returns:
        The number, or `None` where the curve never gets there. A curve that starts above the
        target has that of its first measurement.
    """
    before: Point | None = None
    for point in points:
        if point.accuracy >= target:
            if before is None:
                return float(point.labels)
            share = (target - before.accuracy) / (point.accuracy - before.accuracy)
            return before.labels + share * (point.labels - before.labels)
        before = point
    return None


def report(curves: Curves, plan: Plan) -> str:
    """A Markdown page: a summary over data sets, then one table for each data set and learner.

    Args:
        curves: as drawn; strategies without a random curve of the same seed get no comparison.
        plan: the one they were drawn with.
    """
    pages = [
        f"Up to {plan.budget} labels in batches of {plan.step}; pools of at most {plan.pool:,} "
        f"items, test sets of at most {plan.test:,}.\n"
    ]
    for learner in sorted({cell.learner for cell in curves}):
        pages.append(f"## {learner}\n\n{_overview(curves, learner, plan)}")
        found = {cell.data for cell in curves if cell.learner == learner}
        pages += [_table(curves, data, learner, plan) for data in SOURCES if data in found]
    return "\n".join(pages)


def seeds_of(curves: Curves, data: str, learner: str, strategy: str) -> dict[int, list[Point]]:
    """The curves of one strategy by seed, in order."""
    wanted = (data, learner, strategy)
    return {
        cell.seed: points
        for cell, points in sorted(curves.items())
        if (cell.data, cell.learner, cell.strategy) == wanted
    }


def strategies_in(curves: Curves, learner: str, data: str | None = None) -> list[str]:
    """The strategies that have curves: the baseline first, the others by name."""
    found = {
        cell.strategy
        for cell in curves
        if cell.learner == learner and data in (None, cell.data) and cell.strategy != WHOLE_POOL
    }
    return sorted(found, key=lambda name: (name != BASELINE, name))


def ratio_to_random(
    curves: Curves, data: str, learner: str, strategy: str, share: float, budget: int
) -> tuple[str, float, list[float]]:
    """Labels that a strategy needs, as a share of those that random needs.

    Args:
        curves: all of them.
        data: data set.
        learner: its learner.
        strategy: the one compared.
        share: of the accuracy with the whole pool labelled, in (0, 1].
        budget: the length of the curves; counts for a random curve that gets there no sooner.

    Returns:
        `=`, `≤` (in some seed random did not get there within the budget), `≥` (the strategy
        did not in some), or `–` for no statement; the mean ratio; and the ratio of each seed.
    """
    mine = _needs(curves, data, learner, strategy, share)
    base = _needs(curves, data, learner, BASELINE, share)
    shared = sorted(mine.keys() & base.keys())
    pairs = [(mine[seed], base[seed]) for seed in shared]
    if not pairs:
        return _NONE, float("nan"), []
    lacking = any(own is None for own, _ in pairs)
    beyond = any(other is None for _, other in pairs)
    if lacking and beyond:
        return _NONE, float("nan"), []
    sign = "≥" if lacking else "≤" if beyond else "="
    ratios = [(own or budget) / (other or budget) for own, other in pairs]
    return sign, float(np.mean(ratios)), ratios


def _needs(
    curves: Curves, data: str, learner: str, strategy: str, share: float
) -> dict[int, float | None]:
    """Labels to a share of the accuracy with everything labelled, by seed."""
    found = {}
    for seed, points in seeds_of(curves, data, learner, strategy).items():
        whole = curves.get(Cell(data, learner, WHOLE_POOL, seed))
        if whole:
            found[seed] = labels_to(points, share * whole[0].accuracy)
    return found


def _gains(curves: Curves, data: str, learner: str, strategy: str) -> list[float]:
    """Area less that of random, for each seed that has both."""
    base = seeds_of(curves, data, learner, BASELINE)
    mine = seeds_of(curves, data, learner, strategy)
    return [area(points) - area(base[seed]) for seed, points in mine.items() if seed in base]


def _overview(curves: Curves, learner: str, plan: Plan) -> str:
    lines = [
        "| strategy | area less random's, mean over data sets | better in every seed | worse in "
        "every seed | 90% of full with at most half of random's labels | with fewer | 95%: at "
        "most half | fewer |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for strategy in strategies_in(curves, learner):
        drawn = {name: _gains(curves, name, learner, strategy) for name in SOURCES}
        gains = {name: each for name, each in drawn.items() if each}
        if strategy == BASELINE or not gains:
            continue
        of = f" of {len(gains)}"
        cells = [
            strategy,
            f"{100 * np.mean([np.mean(each) for each in gains.values()]):+.2f}",
            f"{sum(min(each) > 0 for each in gains.values())}{of}",
            f"{sum(max(each) < 0 for each in gains.values())}{of}",
        ]
        for share in (0.90, 0.95):
            found = [
                ratio_to_random(curves, name, learner, strategy, share, plan.budget)
                for name in gains
            ]
            known = [ratio for sign, ratio, _ in found if sign in ("=", "≤")]
            cells.append(f"{sum(ratio <= 0.5 for ratio in known)}{of}")
            cells.append(f"{sum(ratio < 1.0 for ratio in known)}{of}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _table(curves: Curves, data: str, learner: str, plan: Plan) -> str:
    marks = [mark for mark in MARKS if mark in plan.labels()]
    heads = [
        "strategy",
        "area",
        "less random's",
        *(f"at {mark}" for mark in marks),
        f"macro-F1 at {plan.budget}",
        "labels to 90%",
        "ratio",
        "labels to 95%",
        "ratio",
        "fit s",
        "score s",
        "select s",
    ]
    whole = [points[0].accuracy for points in seeds_of(curves, data, learner, WHOLE_POOL).values()]
    lines = [
        f"### {SOURCES[data].title}, {learner}\n",
        f"With the whole pool labelled: accuracy {_percent(whole)}.\n",
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
    ]
    lines += [
        _row(curves, data, learner, strategy, marks, plan)
        for strategy in strategies_in(curves, learner, data)
    ]
    picture = f"![{SOURCES[data].title}, {learner}]({data}-{learner}.svg)"
    return "\n".join([*lines, "", picture, ""])


def _row(
    curves: Curves, data: str, learner: str, strategy: str, marks: Sequence[int], plan: Plan
) -> str:
    found = list(seeds_of(curves, data, learner, strategy).values())
    gains = _gains(curves, data, learner, strategy)
    at = {mark: [_at(points, mark) for points in found] for mark in marks}
    cells = [
        strategy,
        _percent([area(points) for points in found]),
        _NONE if strategy == BASELINE or not gains else _percent(gains, signed=True),
        *(_percent(at[mark]) for mark in marks),
        _percent([points[-1].macro_f1 for points in found]),
        *_needed(curves, data, learner, strategy, 0.90, plan),
        *_needed(curves, data, learner, strategy, 0.95, plan),
        *(
            f"{np.median([getattr(point, name) for points in found for point in points]):.3f}"
            for name in ("fit", "score", "select")
        ),
    ]
    return "| " + " | ".join(cells) + " |"


def _needed(
    curves: Curves, data: str, learner: str, strategy: str, share: float, plan: Plan
) -> tuple[str, str]:
    needs = list(_needs(curves, data, learner, strategy, share).values())
    reached = [each for each in needs if each is not None]
    if not needs:
        return _NONE, _NONE
    if len(reached) == len(needs):
        labels = f"{np.mean(reached):.0f} ± {_sd(reached):.0f}"
    else:
        labels = f"> {plan.budget} in {len(needs) - len(reached)} of {len(needs)}"
    if strategy == BASELINE:
        return labels, _NONE
    sign, mean, ratios = ratio_to_random(curves, data, learner, strategy, share, plan.budget)
    if sign == _NONE:
        return labels, _NONE
    bound = "" if sign == "=" else f"{sign} "
    return labels, f"{bound}{mean:.2f} ± {_sd(ratios):.2f}"


def _at(points: Sequence[Point], labels: int) -> float:
    return next(point.accuracy for point in points if point.labels == labels)


def _percent(values: Sequence[float], *, signed: bool = False) -> str:
    if not values:
        return _NONE
    mean = 100 * float(np.mean(values))
    return f"{mean:{'+' if signed else ''}.1f} ± {100 * _sd(values):.1f}"


def _sd(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
