"""One learning curve: buy labels batch by batch, train after each, and test.

Gold is the annotator. The first batch of every strategy is the same random draw within a seed, so
that strategies differ only by what they do with it; a strategy written `first+then` picks the
first batch with `first` and all others with `then`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..models.learners import Learner, Training
from ..store.errors import UserError
from ..tools.gains import adapts
from ..tools.llm_selection.adviser import Adviser
from ..tools.select_samples import DRAWS
from ..tools.strategies import Candidates, Selection, Strategy, strategy
from ..tools.strategies.wrappers.gains import gain
from .curve_data import Split

WHOLE_POOL = "all"
"""The strategy of the reference: train once, on every item of the pool."""


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """Which curve: names of data set, learner and strategy, and the seed."""

    data: str
    learner: str
    strategy: str
    seed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How far curves go: `budget` labels in batches of `step`; at most `pool` and `test` items."""

    budget: int = 300
    step: int = 25
    pool: int = 4_000
    test: int = 4_000
    llm: str = "none"
    """The chat model that strategies ask which ask one."""

    def __post_init__(self) -> None:
        for name in ("budget", "step", "pool", "test"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)!r}: give at least 1")
        if self.budget % self.step:
            raise UserError(
                f"budget {self.budget!r} is no multiple of step {self.step!r}: make it one"
            )
        if self.pool < self.budget:
            raise UserError(
                f"a pool of {self.pool!r} items has no {self.budget!r} to label: "
                "give a larger pool or a smaller budget"
            )

    def labels(self) -> list[int]:
        """The numbers of labels at which curves are measured."""
        return list(range(self.step, self.budget + 1, self.step))


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement: after `labels` labels, accuracy and macro-F1 on the test set, 0 to 1.

    `fit`, `score` and `select` are seconds: of training, of predicting the pool for the next
    selection (0 where nothing asks for it) and of choosing the batch that was labelled last.
    """

    labels: int
    accuracy: float
    macro_f1: float
    fit: float
    score: float
    select: float


def strategies_of(name: str) -> tuple[Strategy, Strategy]:
    """The strategy of the first batch and that of all others.

    Args:
        name: a name in the registry, or two with a `+` between them.

    Raises:
        UserError: no such strategy, or a first one that needs a model.
    """
    first, plus, then = name.partition("+")
    if not plus:
        first, then = "random", name
    cold = strategy(first)
    if cold.needs & {"probabilities", "samples"}:
        raise UserError(
            f"strategy {name!r} starts with {first!r}, which needs a model before there is a "
            "label: start with random, k_center, cluster or typiclust"
        )
    return cold, strategy(then)


def draw_curve(
    given: Split,
    learner: Learner,
    name: str,
    plan: Plan,
    seed: int,
    *,
    adviser: Adviser | None = None,
) -> list[Point]:
    """Label, train and test until the budget is spent.

    Args:
        given: pool and test set.
        learner: trained anew on all labels after each batch.
        name: see `strategies_of`; or `WHOLE_POOL`, which gives one point.
        plan: budget and batch size.
        seed: of every choice; the same seed gives the same labels and scores.
        adviser: the chat model of strategies that ask one.

    Raises:
        UserError: unknown strategy, one that asks a chat model where there is none, or a pool
            smaller than the budget.
    """
    if name == WHOLE_POOL:
        every = np.arange(len(given.pool), dtype=np.int64)
        return [_Round(given, learner, every, seed).measure(select=0.0)]
    cold, warm = strategies_of(name)
    if len(given.pool) < plan.budget:
        raise UserError(
            f"the pool has {len(given.pool)!r} items and the budget is {plan.budget!r}: "
            "give a smaller budget"
        )
    now = _Round(given, learner, np.empty(0, dtype=np.int64), seed, adviser)
    points: list[Point] = []
    gains: dict[str, list[float]] = {}
    for number in range(len(plan.labels())):
        chosen = cold if number == 0 else warm
        draw = int(np.random.SeedSequence([seed, 2, number]).generate_state(1)[0])
        candidates = replace(now.candidates(draw), gains=gains)
        started = time.perf_counter()
        chosen_now = chosen.select(candidates, plan.step, seed=draw)
        batch = chosen_now.rows
        seconds = time.perf_counter() - started - now.scoring
        if points:
            points[-1] = replace(points[-1], score=round(now.scoring, 4))
        if adapts(warm):
            _remember(gains, given, now.labelled, chosen_now)
        now = _Round(given, learner, np.concatenate([now.labelled, batch]), seed, adviser)
        points.append(now.measure(select=seconds))
    return points


def accuracy(gold: NDArray[np.int64], answered: NDArray[np.int64]) -> float:
    """The share of equal labels, 0 to 1."""
    return float(np.mean(gold == answered))


def macro_f1(gold: NDArray[np.int64], answered: NDArray[np.int64]) -> float:
    """The mean F1 of the classes that occur in gold or in the answers, 0 to 1.

    F1 of a class is 2 hits / (times in gold + times answered).
    """
    size = int(max(gold.max(), answered.max())) + 1
    hits = np.bincount(gold[gold == answered], minlength=size)
    seen = np.bincount(gold, minlength=size) + np.bincount(answered, minlength=size)
    return float(np.mean(2.0 * hits[seen > 0] / seen[seen > 0]))


def _remember(
    gains: dict[str, list[float]],
    given: Split,
    before: NDArray[np.int64],
    chosen: Selection,
) -> None:
    """Add what the batch gained, as `select_samples` measures it in a run."""
    if len(before) == 0 or chosen.arm is None:
        return
    labels = given.pool.labels
    found = gain(labels[before], labels[chosen.rows], len(given.names))
    gains.setdefault(chosen.arm, []).append(found)


class _Round:
    """What is labelled in one round, and the source of what a strategy then looks at."""

    def __init__(
        self,
        given: Split,
        learner: Learner,
        labelled: NDArray[np.int64],
        seed: int,
        adviser: Adviser | None = None,
    ) -> None:
        self._given = given
        self._adviser = adviser
        self._learner = learner
        self._seed = seed
        self._draw = 0
        self._known = np.zeros(len(given.pool), dtype=bool)
        self._probabilities = np.zeros((len(given.pool), len(given.names)), dtype=np.float32)
        self.labelled = labelled
        self.scoring = 0.0
        """Seconds of the model's work for the strategy: predictions, and draws of them."""

    def measure(self, *, select: float) -> Point:
        """Train on what is labelled, and test."""
        pool, test = self._given.pool, self._given.test
        started = time.perf_counter()
        weights = np.ones(len(self.labelled), dtype=np.float32)
        training = Training(pool.inputs(self.labelled), pool.labels[self.labelled], weights)
        self._learner.fit(training, seed=self._seed)
        fitted = time.perf_counter()
        every = np.arange(len(test), dtype=np.int64)
        answered = self._learner.predict_proba(test.inputs(every)).argmax(axis=1)
        return Point(
            labels=len(self.labelled),
            # As many digits as are kept on disk, so that a continued start reports the same.
            accuracy=round(accuracy(test.labels, answered), 5),
            macro_f1=round(macro_f1(test.labels, answered), 5),
            fit=round(fitted - started, 4),
            score=0.0,
            select=round(select, 4),
        )

    def candidates(self, draw: int) -> Candidates:
        """All that is not labelled; what a strategy needs of it is fetched when it asks."""
        self._draw = draw
        every = np.arange(len(self._given.pool), dtype=np.int64)
        return Candidates(
            rows=np.setdiff1d(every, self.labelled),
            labelled_rows=self.labelled,
            labels=self._given.pool.labels[self.labelled],
            classes=len(self._given.names),
            source=self,
        )

    @property
    def has_model(self) -> bool:
        """See `Source.has_model`."""
        return len(self.labelled) > 0

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Source.vectors`."""
        return self._given.pool.vectors[rows]

    def probabilities(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Source.probabilities`."""
        started = time.perf_counter()
        missing = rows[~self._known[rows]]
        if len(missing):
            found = self._learner.predict_proba(self._given.pool.inputs(missing))
            self._probabilities[missing] = found
            self._known[missing] = True
        self.scoring += time.perf_counter() - started
        return self._probabilities[rows]

    def samples(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Source.samples`."""
        started = time.perf_counter()
        inputs = self._given.pool.inputs(rows)
        found = self._learner.sample_proba(inputs, DRAWS, seed=self._draw)
        self.scoring += time.perf_counter() - started
        return found

    def texts(self, rows: NDArray[np.int64]) -> list[str]:
        """See `Source.texts`."""
        return [self._given.pool.texts[row] for row in rows]

    def label_vectors(self) -> NDArray[np.float32]:
        """See `Source.label_vectors`."""
        return self._given.label_vectors

    def adviser(self) -> Adviser:
        """See `Source.adviser`."""
        if self._adviser is None:
            raise UserError("this strategy asks a chat model: give one with --llm")
        return self._adviser
