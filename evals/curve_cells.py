"""One learning curve: buy labels batch by batch, train after each, and test.

Gold is the annotator. The first batch of every strategy is the same random draw within a seed, so
that strategies differ only by what they do with it; a strategy written `first+then` picks the
first batch with `first` and all others with `then`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..models.learners import Inputs, Learner, Training
from ..store.errors import UserError
from ..tools.strategies import Candidates, Strategy, strategy
from .curve_data import Part, Split

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
    if "probabilities" in cold.needs:
        raise UserError(
            f"strategy {name!r} starts with {first!r}, which needs a model before there is a "
            "label: start with random, k_center, cluster or typiclust"
        )
    return cold, strategy(then)


def draw_curve(given: Split, learner: Learner, name: str, plan: Plan, seed: int) -> list[Point]:
    """Label, train and test until the budget is spent.

    Args:
        given: pool and test set.
        learner: trained anew on all labels after each batch.
        name: see `strategies_of`; or `WHOLE_POOL`, which gives one point.
        plan: budget and batch size.
        seed: of every choice; the same seed gives the same labels and scores.

    Raises:
        UserError: unknown strategy, or a pool smaller than the budget.
    """
    if name == WHOLE_POOL:
        every = np.arange(len(given.pool), dtype=np.int64)
        return [_measure(given, learner, every, seed, select=0.0, score=False)[0]]
    cold, warm = strategies_of(name)
    if len(given.pool) < plan.budget:
        raise UserError(
            f"the pool has {len(given.pool)!r} items and the budget is {plan.budget!r}: "
            "give a smaller budget"
        )
    labelled = np.empty(0, dtype=np.int64)
    probabilities: NDArray[np.float32] | None = None
    points = []
    for number, labels in enumerate(plan.labels()):
        chosen = cold if number == 0 else warm
        started = time.perf_counter()
        candidates = _candidates(given, labelled, probabilities, chosen)
        draw = int(np.random.SeedSequence([seed, 2, number]).generate_state(1)[0])
        batch = chosen.select(candidates, plan.step, seed=draw).rows
        seconds = time.perf_counter() - started
        labelled = np.concatenate([labelled, batch])
        wanted = "probabilities" in warm.needs and labels < plan.budget
        point, probabilities = _measure(
            given, learner, labelled, seed, select=seconds, score=wanted
        )
        points.append(point)
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


def _measure(
    given: Split,
    learner: Learner,
    labelled: NDArray[np.int64],
    seed: int,
    *,
    select: float,
    score: bool,
) -> tuple[Point, NDArray[np.float32] | None]:
    pool = given.pool
    started = time.perf_counter()
    mine = Inputs([pool.texts[row] for row in labelled], pool.vectors[labelled])
    weights = np.ones(len(labelled), dtype=np.float32)
    learner.fit(Training(mine, pool.labels[labelled], weights), seed=seed)
    fitted = time.perf_counter()
    probabilities = learner.predict_proba(_inputs(pool)) if score else None
    scored = time.perf_counter()
    answered = learner.predict_proba(_inputs(given.test)).argmax(axis=1)
    point = Point(
        labels=len(labelled),
        # As many digits as are kept on disk, so that a continued start reports the same.
        accuracy=round(accuracy(given.test.labels, answered), 5),
        macro_f1=round(macro_f1(given.test.labels, answered), 5),
        fit=round(fitted - started, 4),
        score=round(scored - fitted, 4),
        select=round(select, 4),
    )
    return point, probabilities


def _inputs(part: Part) -> Inputs:
    return Inputs(part.texts, part.vectors)


def _candidates(
    given: Split,
    labelled: NDArray[np.int64],
    probabilities: NDArray[np.float32] | None,
    chosen: Strategy,
) -> Candidates:
    rows = np.setdiff1d(np.arange(len(given.pool), dtype=np.int64), labelled)
    known = len(labelled) > 0
    p = probabilities if "probabilities" in chosen.needs else None
    v = given.pool.vectors if "vectors" in chosen.needs else None
    return Candidates(
        rows=rows,
        vectors=None if v is None else v[rows],
        probabilities=None if p is None else p[rows],
        labelled_vectors=v[labelled] if v is not None and known else None,
        labelled_probabilities=p[labelled] if p is not None and known else None,
        classes=len(given.names),
    )
