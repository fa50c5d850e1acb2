"""Data sets whose labels are really wrong, with the right ones beside them, and draws of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..models.encoders import Encoder
from ..models.learners import Inputs
from ..models.learners.states import HiddenStates
from ..tools.hidden import PoolHidden

GOLD = 100
# 39%, 62% and 71% right: of 88 recorded models a weak one, the middle, and the best.
MODELS = ("dolphin3", "pixtral-large-2411", "o1-2024-12-17")


@dataclass(frozen=True, slots=True)
class Table:
    """A data set: n texts, their vectors, right labels and the labels that were given (or -1).

    Without an encoder there are no vectors: `bert` needs none.
    """

    texts: list[str]
    vectors: NDArray[np.float32] | None
    gold: NDArray[np.int64]
    given: NDArray[np.int64]
    names: list[str]


@dataclass(frozen=True, slots=True)
class Case:
    """One draw of rows to train on, to test on, and of right labels (may be none).

    `hidden` keeps what a transformer's frozen layers make of the draw's rows: first those to
    train on, then those to test on, then the right ones.
    """

    table: Table
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    extra: NDArray[np.int64]
    hidden: PoolHidden | None = None

    def given(self) -> NDArray[np.int64]:
        """The labels to train with, possibly wrong."""
        return self.table.given[self.train]

    def inputs(self, rows: NDArray[np.int64]) -> Inputs:
        """What a learner sees of some rows of the draw."""
        texts = [self.table.texts[row] for row in rows]
        vectors = self.table.vectors
        return Inputs(texts, None if vectors is None else vectors[rows], self._kept(rows))

    def rows(self) -> NDArray[np.int64]:
        """All rows of the draw, each once, in the order of `hidden`."""
        return np.concatenate([self.train, self.test, self.extra])

    def _kept(self, rows: NDArray[np.int64]) -> HiddenStates | None:
        if self.hidden is None:
            return None
        every = self.rows()
        order = np.argsort(every)
        return self.hidden.of(order[np.searchsorted(every[order], rows)])


def ag_news(data: Path, cache: Path, encoder: Encoder | None) -> tuple[Table, int]:
    """Human-labelled news followed by the test set, and the number of the former."""
    rows: list[dict[str, str]] = []
    labelled: list[int] = []
    for name in ("train_human_noisy.csv", "test.csv"):
        with (data / "ag_news" / name).open(encoding="utf-8", newline="") as file:
            rows.extend(csv.DictReader(file))
        labelled.append(len(rows))
    names = sorted({row["label"] for row in rows})
    given: list[str | None] = [row["human_label"] for row in rows]
    texts, gold = [row["text"] for row in rows], [row["label"] for row in rows]
    table = _table(texts, gold, given, names, cache / "ag_news.npy", encoder)
    return table, labelled[0]


def policy(data: Path, model: str, cache: Path, encoder: Encoder | None) -> Table:
    """Policy texts with what one language model answered, unusable answers being -1."""
    with (data / "recorded" / "policy_en.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    gold = [row["label"] for row in rows]
    given = [row["llm"][model] for row in rows]
    names = sorted(set(gold))
    texts = [row["text"] for row in rows]
    return _table(texts, gold, given, names, cache / "policy.npy", encoder)


def _table(
    texts: list[str],
    gold: list[str],
    given: list[str | None],
    names: list[str],
    cached: Path,
    encoder: Encoder | None,
) -> Table:
    if encoder is not None and not cached.exists():
        np.save(cached, encoder.encode(texts))
    index = {name: place for place, name in enumerate(names)}
    return Table(
        texts,
        None if encoder is None else np.load(cached),
        np.array([index[label] for label in gold]),
        np.array([-1 if label is None else index.get(label, -1) for label in given]),
        names,
    )


def policy_draws(table: Table, seeds: int) -> list[Case]:
    """Half of the rows to train on, where the model gave a usable answer, half to test on."""
    draws = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(table.texts))
        train, test = order[: len(order) // 2], order[len(order) // 2 :]
        train = train[table.given[train] >= 0]
        draws.append(Case(table, train, test, np.empty(0, dtype=np.int64)))
    return draws


def news_draws(table: Table, labelled: int, size: int, seeds: int) -> list[Case]:
    """`size` rows to train on, less the 100 whose right labels are known, and the test set."""
    test = np.arange(labelled, len(table.texts))
    draws = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(labelled)
        draws.append(Case(table, order[GOLD : GOLD + size], test, order[:GOLD]))
    return draws


def cases(
    data: Path, cache: Path, encoder: Encoder | None, seeds: int
) -> dict[str, Callable[[], list[Case]]]:
    """Name to what makes one draw for each seed."""

    def recorded(model: str) -> Callable[[], list[Case]]:
        return lambda: policy_draws(policy(data, model, cache, encoder), seeds)

    def news(size: int) -> Callable[[], list[Case]]:
        return lambda: news_draws(*ag_news(data, cache, encoder), size, seeds)

    found = {f"policy {model}": recorded(model) for model in MODELS}
    return found | {f"ag_news {size}": news(size) for size in (2_000, 10_000)}
