"""What a strategy sees, what it gives back, and the checks that all of them share.

A strategy is a small frozen object with `name`, `needs` and `select`. It never sees a gold label.
Before anything else it calls `prepare`, which checks the input and puts the candidates in the
order of their pool rows: so no strategy depends on the order in which candidates arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

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
    `probabilities` are the learner's, (n, C); `labelled_vectors` are L2-normalised, (m, d).
    Whatever is not known is `None`.
    """

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32] | None = None
    probabilities: NDArray[np.float32] | None = None
    labelled_vectors: NDArray[np.float32] | None = None

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
    return shuffled[np.argsort(-values[shuffled], kind="stable")[:k]]


def sample(n: int, limit: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Ascending positions of at most `limit` of n items, drawn without replacement."""
    if n <= limit:
        return np.arange(n, dtype=np.int64)
    return np.sort(rng.choice(n, size=limit, replace=False)).astype(np.int64)


def spread(values: NDArray[np.float32]) -> str:
    """The range of some utilities, for a reason: `0.12 to 0.98`."""
    if len(values) == 0:
        return "none"
    return f"{float(values.min()):.3g} to {float(values.max()):.3g}"


def _check_shapes(candidates: Candidates) -> None:
    rows = candidates.rows
    if rows.ndim != 1 or len(np.unique(rows)) != len(rows):
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
        return Candidates(
            rows, candidates.vectors, candidates.probabilities, candidates.labelled_vectors
        )
    order = np.argsort(rows, kind="stable")
    vectors, probabilities = candidates.vectors, candidates.probabilities
    return Candidates(
        rows[order],
        None if vectors is None else vectors[order],
        None if probabilities is None else probabilities[order],
        candidates.labelled_vectors,
    )
