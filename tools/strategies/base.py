"""What a strategy sees, what it gives back, and the checks that all of them share.

A strategy is a small frozen object with `name`, `needs` and `select`. It never sees a gold label.
Before anything else it calls `prepare`, which checks the input and puts the candidates in the
order of their pool rows: so no strategy depends on the order in which candidates arrive.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError

Need: TypeAlias = Literal["vectors", "probabilities"]

# Unit length within what float16 storage and a normalisation in float32 lose.
_NORM_TOLERANCE = 1e-2


@dataclass(frozen=True, slots=True)
class Candidates:
    """Everything a strategy may look at: n unlabelled items and what is labelled already.

    `rows` are pool rows, shape (n,), distinct. `vectors` are L2-normalised, (n, d);
    `probabilities` are the learner's, (n, C); `labelled_vectors` are L2-normalised, (m, d), and
    `labelled_probabilities`, (m, C), are the learner's for the same items in the same order.
    `classes` is the number of labels of the task. Whatever is not known is `None`.
    """

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32] | None = None
    probabilities: NDArray[np.float32] | None = None
    labelled_vectors: NDArray[np.float32] | None = None
    labelled_probabilities: NDArray[np.float32] | None = None
    classes: int | None = None

    def __len__(self) -> int:
        """The number of candidates."""
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen pool rows in the order of choice, the utility of each, and why, in a sentence."""

    rows: NDArray[np.int64]
    utilities: NDArray[np.float32]
    reason: str

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


def prepare(candidates: Candidates, k: int, strategy: Strategy) -> Candidates:
    """Check the input of a strategy and put the candidates in the order of their rows.

    Args:
        candidates: as given to `Strategy.select`.
        k: how many are wanted.
        strategy: the one that was asked, for its needs and for the messages.

    Returns:
        Candidates with rows ascending; the same arrays where they were in order already.

    Raises:
        UserError: k below 1, a missing need, repeated rows, arrays of other lengths or widths,
            or vectors (of those needed) that are not of unit length.
    """
    if k < 1:
        raise UserError(f"{strategy.name} was asked for k={k!r} items: ask for at least 1")
    for need in sorted(strategy.needs):
        if getattr(candidates, need) is None:
            fix = "embed the pool" if need == "vectors" else "train a model and score the pool"
            raise UserError(f"strategy {strategy.name!r} needs {need!r}, which are absent: {fix}")
    _check_shapes(candidates)
    if "vectors" in strategy.needs:
        _check_unit(candidates.vectors, "vectors")
        _check_unit(candidates.labelled_vectors, "labelled_vectors")
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


def _check_shapes(candidates: Candidates) -> None:
    rows = candidates.rows
    # Rows nearly always come in order, and then no two are the same.
    rising = rows.ndim == 1 and bool((rows[1:] > rows[:-1]).all())
    if rows.ndim != 1 or (not rising and len(np.unique(rows)) != len(rows)):
        raise UserError(
            f"candidate rows of shape {rows.shape!r} are not distinct: give each pool row once"
        )
    for name in ("vectors", "probabilities"):
        array = getattr(candidates, name)
        if array is not None and (array.ndim != 2 or len(array) != len(rows)):
            raise UserError(
                f"{name} have shape {array.shape!r} for {len(rows)} candidates: give one row each"
            )
    vectors, labelled = candidates.vectors, candidates.labelled_vectors
    if labelled is not None and vectors is not None and labelled.shape[1:] != vectors.shape[1:]:
        raise UserError(
            f"labelled vectors have shape {labelled.shape!r} and candidate vectors "
            f"{vectors.shape!r}: encode both with the same encoder"
        )
    _check_labelled(candidates)


def _check_labelled(candidates: Candidates) -> None:
    known, vectors = candidates.labelled_probabilities, candidates.labelled_vectors
    if known is None:
        return
    if known.ndim != 2 or (vectors is not None and len(known) != len(vectors)):
        raise UserError(
            f"labelled probabilities have shape {known.shape!r} for "
            f"{0 if vectors is None else len(vectors)} labelled vectors: give one row each"
        )
    own = candidates.probabilities
    if own is not None and own.shape[1] != known.shape[1]:
        raise UserError(
            f"labelled probabilities have shape {known.shape!r} and those of the candidates "
            f"{own.shape!r}: predict both with the same model"
        )


def _check_unit(vectors: NDArray[np.float32] | None, name: str) -> None:
    if vectors is None:
        return
    squared = np.einsum("ij,ij->i", vectors, vectors)
    good = np.abs(squared - 1.0) <= _NORM_TOLERANCE
    if not good.all():
        place = int(np.argmin(good))
        raise UserError(
            f"{name}[{place}] has squared length {float(squared[place])!r}: "
            "divide every vector by its length first"
        )


def _in_order(candidates: Candidates) -> Candidates:
    rows = candidates.rows.astype(np.int64, copy=False)
    # A copy of a large pool's vectors is only worth it when the order is wrong.
    if (rows[1:] > rows[:-1]).all():
        return replace(candidates, rows=rows)
    order = np.argsort(rows, kind="stable")
    vectors, probabilities = candidates.vectors, candidates.probabilities
    return replace(
        candidates,
        rows=rows[order],
        vectors=None if vectors is None else vectors[order],
        probabilities=None if probabilities is None else probabilities[order],
    )
