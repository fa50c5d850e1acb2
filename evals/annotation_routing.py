"""How many labels by people each way of asking needs until all labels together are right enough.

Every arm begins with the same gold items, drawn at random and counted as labels by people; they
choose the committee where it is chosen. Then ten items at a time go to people, who are right. The
rest of the items keep a machine's label:

- random audit: the committee's most frequent label, people take items at random;
- vote share: the same label, people take the items with the smallest share;
- random, learning: people take items at random, `Combiner` learns from them for the rest;
- routing: `route` sends people the items where the combiner expects most error, and it learns.

Final accuracy is over all items. What an arm needs is read off its curve of final accuracy: no
arm sees the gold of an item that was not labelled by a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..tools.quality.aggregation import smoothed_share
from ..tools.quality.combining import STRENGTH, Combiner, fit_combiner
from ..tools.quality.routing import Option, route
from .annotation_data import Record, committee
from .annotation_tables import mean, spread, table

GOLD = 20
BATCH = 10
HUMAN_PRICE = 0.10
ARMS = ("random audit", "vote share", "random, learning", "routing")


@dataclass(frozen=True, slots=True)
class Panel:
    """Which models vote.

    Attributes:
        name: in the table.
        size: of the committee; 0 for all models.
        chosen: whether gold chooses it, or it is drawn at random.
    """

    name: str
    size: int
    chosen: bool


PANELS = (
    Panel("1 model, drawn", 1, False),
    Panel("3 models, drawn", 3, False),
    Panel("7 models, drawn", 7, False),
    Panel("3 models, chosen", 3, True),
    Panel("7 models, chosen", 7, True),
    Panel("all models", 0, False),
)


@dataclass(frozen=True, slots=True)
class Point:
    """Where a curve is after some labels by people.

    Attributes:
        people: labels by people so far.
        accuracy: of all labels together.
        expected: what the arm itself expects that to be; NaN where it expects nothing.
    """

    people: int
    accuracy: float
    expected: float


class Setting:
    """One draw: gold, committee, and what every arm knows."""

    def __init__(self, record: Record, texts: NDArray[np.float32], panel: Panel, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.record, self.seed = record, seed
        order = rng.permutation(len(record.gold))
        self.gold_rows, self.order = order[:GOLD], order
        chosen = self.gold_rows if panel.chosen else None
        columns = committee(record, panel.size or record.votes.shape[1], rng, chosen)
        votes = record.votes[:, columns]
        self.prior = smoothed_share(votes, record.classes)
        self.features = np.hstack([self.prior, texts.astype(np.float64)])
        self._fitted: Combiner | None = None
        self.base = float((self.prior.argmax(axis=1) == record.gold).mean())

    def curve(self, arm: str, until: float, strength: float = STRENGTH) -> Iterator[Point]:
        """Ask people, ten items at a time, until the labels are right enough."""
        record = self.record
        rng = np.random.default_rng(self.seed + 1_000)
        asked = np.zeros(len(record.gold), dtype=np.bool_)
        asked[self.gold_rows] = True
        self._fitted = None
        while True:
            said = self._said(arm, asked, strength)
            right = (said.argmax(axis=1) == record.gold) | asked
            doubt = np.where(asked, 0.0, 1 - said.max(axis=1))
            learns = arm in ("random, learning", "routing")
            expected = 1 - doubt.mean() if learns else float("nan")
            yield Point(int(asked.sum()), float(right.mean()), float(expected))
            if right.mean() >= until or asked.all():
                return
            asked[self._next(arm, doubt, asked, rng)] = True

    def _said(self, arm: str, asked: NDArray[np.bool_], strength: float) -> NDArray[np.float64]:
        if arm in ("random audit", "vote share"):
            return self.prior
        gold = self.record.gold[asked]
        self._fitted = fit_combiner(
            self.prior[asked], self.features[asked], gold, strength=strength, start=self._fitted
        )
        return self._fitted.predict(self.prior, self.features)

    def _next(
        self,
        arm: str,
        doubt: NDArray[np.float64],
        asked: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> NDArray[np.int64]:
        """The next ten items for people."""
        if arm.startswith("random"):
            return self.order[~asked[self.order]][:BATCH]
        # Among items of equal doubt, chance decides and not the order of the file.
        jitter = np.where(asked, 0.0, np.clip(doubt + 1e-6 * rng.random(len(doubt)), 0, 1))
        plan = route(_options(jitter), error_cost=1e9, people=BATCH)
        return plan.rows("human")


def needed(
    record: Record,
    texts: NDArray[np.float32],
    targets: Sequence[float],
    seeds: int,
    panels: Sequence[Panel] = PANELS,
) -> str:
    """Labels by people until each target, for each committee and arm."""
    rows: list[list[str]] = []
    for panel in panels:
        settings = [Setting(record, texts, panel, seed) for seed in range(seeds)]
        curves = {arm: [list(s.curve(arm, max(targets))) for s in settings] for arm in ARMS}
        rows.extend(_line(panel, target, settings, curves) for target in targets)
    head = ("committee", "its accuracy", "target", *ARMS, "routing / random audit")
    return table((*head, "routing / random, learning"), rows)


def stopped(
    record: Record,
    texts: NDArray[np.float32],
    targets: Sequence[float],
    seeds: int,
    panel: Panel,
) -> str:
    """Routing that stops when it expects the target itself, without seeing the truth."""
    rows = []
    for target in targets:
        found = [_stop(Setting(record, texts, panel, seed), target) for seed in range(seeds)]
        people, accuracy = np.array(found).T
        rows.append(
            [
                f"{target:.0%}",
                spread(people, 0),
                spread(accuracy),
                f"{(accuracy >= target).sum()} of {seeds}",
            ]
        )
    return table(("target", "labels by people", "final accuracy", "draws at the target"), rows)


def strengths(
    record: Record, texts: NDArray[np.float32], target: float, seeds: int, panel: Panel
) -> str:
    """How much the one number that was chosen by hand matters."""
    rows = []
    for strength in (0.1, 0.2, 0.5, 1.0, 2.0):
        found = [
            list(Setting(record, texts, panel, seed).curve("routing", target, strength))[-1].people
            for seed in range(seeds)
        ]
        rows.append([strength, spread(found, 0)])
    return table(("strength", "labels by people"), rows)


def _options(doubt: NDArray[np.float64]) -> list[Option]:
    return [Option("machine", 0.0, doubt), Option("human", HUMAN_PRICE, np.zeros(len(doubt)))]


def _stop(setting: Setting, target: float) -> tuple[int, float]:
    for point in setting.curve("routing", 1.0):
        if point.expected >= target:
            return point.people, point.accuracy
    return point.people, point.accuracy


def _line(
    panel: Panel,
    target: float,
    settings: list[Setting],
    curves: dict[str, list[list[Point]]],
) -> list[str]:
    need = {arm: np.array([_need(curve, target) for curve in curves[arm]]) for arm in ARMS}
    return [
        panel.name,
        mean([each.base for each in settings]),
        f"{target:.0%}",
        *(spread(need[arm], 0) for arm in ARMS),
        _ratio(need["routing"], need["random audit"]),
        _ratio(need["routing"], need["random, learning"]),
    ]


def _need(curve: list[Point], target: float) -> int:
    return next(point.people for point in curve if point.accuracy >= target)


def _ratio(some: NDArray[np.int64], other: NDArray[np.int64]) -> str:
    """Ratio of the means, with a bootstrap interval over the draws."""
    picks = np.random.default_rng(0).integers(0, len(some), size=(2000, len(some)))
    drawn = some[picks].mean(axis=1) / other[picks].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{some.mean() / other.mean():.2f} ({low:.2f}–{high:.2f})"
