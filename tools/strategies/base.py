"""What a strategy sees, what it gives back, and the checks that all of them share.

A strategy is a small frozen object with `name`, `needs` and `select`. It never sees a gold label.
Before anything else it calls `prepare`, which fetches what the strategy needs, checks it and puts
the candidates in the order of their pool rows: so no strategy depends on the order in which
candidates arrive, and a wrapper that narrows them first has only the rest predicted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError
from ..llm_selection.adviser import Adviser
from .checks import check_rows, check_shapes, check_unit

Need: TypeAlias = Literal[
    "vectors", "probabilities", "samples", "texts", "label_vectors", "adviser"
]
_FIXES: dict[Need, str] = {
    "vectors": "embed the pool",
    "probabilities": "train a model and score the pool",
    "samples": "train a model and draw samples of its predictions",
    "texts": "give the texts of the candidates",
    "label_vectors": "embed the label descriptions",
    "adviser": "give a chat model to ask (--llm)",
}

_NO_ROWS = np.empty(0, dtype=np.int64)


class Source(Protocol):
    """Where `prepare` fetches what a strategy needs, for the rows that it really looks at."""

    @property
    def has_model(self) -> bool:
        """Whether there is a model: without one, asking for what it says is an error."""
        ...

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """L2-normalised vectors (n, d) of pool rows."""
        ...

    def probabilities(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The current model's probabilities (n, C) of pool rows, each predicted once."""
        ...

    def samples(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities (T, n, C) of pool rows by T draws of the current model."""
        ...

    def texts(self, rows: NDArray[np.int64]) -> Sequence[str]:
        """The texts of pool rows."""
        ...

    def label_vectors(self) -> NDArray[np.float32]:
        """Unit vectors (C, d) of the label descriptions."""
        ...

    def adviser(self) -> Adviser:
        """The chat model to ask which items to label.

        Raises:
            UserError: the run has none.
        """
        ...


@dataclass(frozen=True, slots=True)
class Candidates:
    """Everything a strategy may look at: n unlabelled items and what is labelled already.

    `rows` are pool rows, shape (n,), distinct. `vectors` are L2-normalised, (n, d);
    `probabilities` are the learner's, (n, C); `samples` are probabilities by T draws of the
    model or T members of a committee, (T, n, C); `texts` are n texts; `costs` are what one label
    of each item costs, (n,), above 0, in any unit.

    `labelled_rows` and `labels` are pool rows and label indices of the m labelled items, (m,);
    `labelled_vectors` are L2-normalised, (m, d), and `labelled_probabilities`, (m, C), are the
    learner's, both in the same order. `label_vectors` are unit vectors of the C label
    descriptions, (C, d). `classes` is the number of labels of the task; with `multi_label` an
    item may have several and rows of probabilities do not sum to 1. `gains` has, for each
    strategy used so far, what its batches gained, oldest first. `adviser` is the chat model that
    the strategies ask which let one choose.

    Whatever is not known is `None`; what is needed and `None` is fetched from `source`, if any.
    """

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32] | None = None
    probabilities: NDArray[np.float32] | None = None
    labelled_vectors: NDArray[np.float32] | None = None
    labelled_probabilities: NDArray[np.float32] | None = None
    classes: int | None = None
    samples: NDArray[np.float32] | None = None
    texts: Sequence[str] | None = None
    costs: NDArray[np.float32] | None = None
    labelled_rows: NDArray[np.int64] | None = None
    labels: NDArray[np.int64] | None = None
    label_vectors: NDArray[np.float32] | None = None
    multi_label: bool = False
    gains: Mapping[str, Sequence[float]] | None = None
    adviser: Adviser | None = None
    source: Source | None = None

    def __len__(self) -> int:
        """The number of candidates."""
        return len(self.rows)

    def at(self, positions: NDArray[np.int64]) -> Candidates:
        """The candidates at these positions, in this order; nothing is fetched for it."""
        texts, samples = self.texts, self.samples
        return replace(
            self,
            rows=self.rows[positions],
            vectors=_at(self.vectors, positions),
            probabilities=_at(self.probabilities, positions),
            samples=None if samples is None else samples[:, positions],
            texts=None if texts is None else [texts[place] for place in positions],
            costs=_at(self.costs, positions),
        )

    def fetched(self, needs: frozenset[Need]) -> Candidates:
        """With everything in `needs` that is absent and can be fetched from `source`."""
        source, found = self.source, self
        if source is None:
            return found
        known = self.labelled_rows if self.labelled_rows is not None else _NO_ROWS
        if "probabilities" in needs and found.probabilities is None:
            found = replace(found, probabilities=source.probabilities(self.rows))
        if "samples" in needs and found.samples is None:
            found = replace(found, samples=source.samples(self.rows))
        if "vectors" in needs and found.vectors is None:
            found = replace(found, vectors=source.vectors(self.rows))
        if "vectors" in needs and found.labelled_vectors is None and len(known):
            found = replace(found, labelled_vectors=source.vectors(known))
        if "texts" in needs and found.texts is None:
            found = replace(found, texts=source.texts(self.rows))
        if "label_vectors" in needs and found.label_vectors is None:
            found = replace(found, label_vectors=source.label_vectors())
        if "adviser" in needs and found.adviser is None:
            found = replace(found, adviser=source.adviser())
        return found

    def with_labelled_probabilities(self) -> Candidates:
        """With the learner's probabilities of the labelled items, where they can be fetched."""
        source, known = self.source, self.labelled_rows
        if self.labelled_probabilities is not None or source is None or known is None:
            return self
        if not len(known):
            return self
        return replace(self, labelled_probabilities=source.probabilities(known))


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen pool rows in the order of choice, the utility of each, and why, in a sentence.

    `arm` is the name of the strategy that `adaptive` let choose; what the batch gains is kept
    under it. `None` where nothing had that choice.
    """

    rows: NDArray[np.int64]
    utilities: NDArray[np.float32]
    reason: str
    arm: str | None = None

    def __len__(self) -> int:
        """The number of chosen rows."""
        return len(self.rows)


class Strategy(Protocol):
    """An acquisition strategy: chooses which items to label next."""

    @property
    def name(self) -> str:
        """The name in the registry."""
        ...

    @property
    def needs(self) -> frozenset[Need]:
        """The fields of `Candidates` that must not be `None`."""
        ...

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Choose min(k, n) distinct rows of the candidates.

        Args:
            candidates: the unlabelled items.
            k: how many, at least 1.
            seed: at least 0; the same candidates, k and seed give the same selection.

        Raises:
            UserError: k below 1, a missing need, or arrays that do not fit each other.
        """
        ...


def prepare(
    candidates: Candidates, k: int, strategy: Strategy, needs: frozenset[Need] | None = None
) -> Candidates:
    """Fetch what a strategy needs, check it, and put the candidates in the order of their rows.

    Args:
        candidates: as given to `Strategy.select`.
        k: how many are wanted.
        strategy: the one that was asked, for its needs and for the messages.
        needs: those of its needs to fetch now, where the others are fetched later for fewer
            rows; all of them when absent.

    Returns:
        Candidates with rows ascending; the same arrays where they were in order already.

    Raises:
        UserError: k below 1, a missing need, repeated rows, arrays of other lengths or widths,
            or vectors (of those needed) that are not of unit length.
    """
    wanted = strategy.needs if needs is None else needs
    found = in_order(candidates, k, strategy.name).fetched(wanted)
    for need in sorted(strategy.needs):
        later = need not in wanted and found.source is not None
        if getattr(found, need) is None and not later:
            raise UserError(
                f"strategy {strategy.name!r} needs {need!r}, which are absent: {_FIXES[need]}"
            )
    check_shapes(found)
    if "vectors" in wanted:
        check_unit(found.vectors, "vectors")
        check_unit(found.labelled_vectors, "labelled_vectors")
    if "label_vectors" in wanted:
        check_unit(found.label_vectors, "label_vectors")
    return found


def in_order(candidates: Candidates, k: int, name: str) -> Candidates:
    """The candidates in the order of their rows, with nothing fetched: to narrow them first.

    Args:
        candidates: as given to `Strategy.select`.
        k: how many are wanted.
        name: that of the strategy, for the message.

    Returns:
        Candidates with rows ascending; the same arrays where they were in order already.

    Raises:
        UserError: k below 1, repeated rows, or arrays of other lengths or widths.
    """
    if k < 1:
        raise UserError(f"{name} was asked for k={k!r} items: ask for at least 1")
    check_rows(candidates.rows)
    check_shapes(candidates)
    return _in_order(candidates)


def ranked(values: NDArray[np.float32], k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of the k largest values, largest first, equal ones in random order.

    Args:
        values: shape (n,).
        k: how many; all when n is smaller.
        rng: the order of ties.

    Returns:
        Shape (min(k, n),).
    """
    shuffled = rng.permutation(len(values)).astype(np.int64)
    if 0 < k < len(values):
        # Sorting a million values for a hundred of them would take most of the time.
        least = np.partition(values, len(values) - k)[len(values) - k]
        shuffled = shuffled[values[shuffled] >= least]
    return shuffled[np.argsort(-values[shuffled], kind="stable")[:k]]


def sample(n: int, limit: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Ascending positions of at most `limit` of n items, drawn without replacement."""
    if n <= limit:
        return np.arange(n, dtype=np.int64)
    return np.sort(rng.choice(n, size=limit, replace=False)).astype(np.int64)


def sample_for(
    strategy: Strategy, n: int, k: int, limit: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """At most `limit` of n items for a strategy that compares all it sees with one another.

    Args:
        strategy: the one that asks, for the message.
        n: the number of candidates.
        k: how many are wanted.
        limit: how many the strategy can compare within its bound on memory.
        rng: draws the sample.

    Returns:
        Ascending positions, at least min(k, n) of them.

    Raises:
        UserError: more items are wanted than can be compared.
    """
    if min(k, n) > limit:
        raise UserError(
            f"strategy {strategy.name!r} compares {limit} items with one another and cannot "
            f"choose k={k!r} at once: ask for at most {limit} at a time"
        )
    return sample(n, limit, rng)


def part_of(seen: int, n: int) -> str:
    """How much of the candidates was looked at, for a reason: `all 90`, or a seeded sample."""
    return f"all {n} items" if seen == n else f"a seeded sample of {seen} of {n} items"


def turns(groups: NDArray[np.int64], rank: NDArray[Any]) -> NDArray[np.int64]:
    """The place of each item within its group, 0 for the one of smallest rank.

    Args:
        groups: shape (n,), from 0.
        rank: shape (n,); equal ranks keep their order.

    Returns:
        Shape (n,).
    """
    sizes = np.bincount(groups)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    order = np.lexsort((rank, groups))
    turn = np.empty(len(groups), dtype=np.int64)
    turn[order] = np.arange(len(groups)) - starts[groups[order]]
    return turn


def nothing(ordered: Candidates) -> Selection:
    """The selection from no candidates."""
    return Selection(ordered.rows, np.empty(0, dtype=np.float32), "No candidates are left.")


def spread(values: NDArray[np.float32]) -> str:
    """The range of some utilities, for a reason: `0.12 to 0.98`."""
    if len(values) == 0:
        return "none"
    return f"{float(values.min()):.3g} to {float(values.max()):.3g}"


def _in_order(candidates: Candidates) -> Candidates:
    rows = candidates.rows.astype(np.int64, copy=False)
    # A copy of a large pool's vectors is only worth it when the order is wrong.
    if (rows[1:] > rows[:-1]).all():
        return replace(candidates, rows=rows)
    ordered = replace(candidates, rows=rows)
    return ordered.at(np.argsort(rows, kind="stable").astype(np.int64))


def _at(
    values: NDArray[np.float32] | None, positions: NDArray[np.int64]
) -> NDArray[np.float32] | None:
    return None if values is None else values[positions]
