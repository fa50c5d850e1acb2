"""What the arrays given to a strategy must be like; each check names what is wrong and the fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError

if TYPE_CHECKING:
    from .base import Candidates

# Unit length within what float16 storage and a normalisation in float32 lose.
_NORM_TOLERANCE = 1e-2


def check_rows(rows: NDArray[np.int64]) -> None:
    """Raise `UserError` unless every row is given once."""
    # Rows nearly always come in order, and then no two are the same.
    rising = rows.ndim == 1 and bool((rows[1:] > rows[:-1]).all())
    if rows.ndim != 1 or (not rising and len(np.unique(rows)) != len(rows)):
        raise UserError(
            f"candidate rows of shape {rows.shape!r} are not distinct: give each pool row once"
        )


def check_shapes(candidates: Candidates) -> None:
    """Raise `UserError` if arrays that are there do not fit the rows or each other."""
    rows = candidates.rows
    for name in ("vectors", "probabilities"):
        array = getattr(candidates, name)
        if array is not None and (array.ndim != 2 or len(array) != len(rows)):
            raise UserError(
                f"{name} have shape {array.shape!r} for {len(rows)} candidates: give one row each"
            )
    _check_others(candidates)
    vectors, labelled = candidates.vectors, candidates.labelled_vectors
    if labelled is not None and vectors is not None and labelled.shape[1:] != vectors.shape[1:]:
        raise UserError(
            f"labelled vectors have shape {labelled.shape!r} and candidate vectors "
            f"{vectors.shape!r}: encode both with the same encoder"
        )
    labels = candidates.label_vectors
    if labels is not None and vectors is not None and labels.shape[1:] != vectors.shape[1:]:
        raise UserError(
            f"label vectors have shape {labels.shape!r} and candidate vectors {vectors.shape!r}: "
            "encode both with the same encoder"
        )
    _check_labelled(candidates)


def _check_others(candidates: Candidates) -> None:
    n, samples, costs = len(candidates.rows), candidates.samples, candidates.costs
    if samples is not None and (samples.ndim != 3 or samples.shape[1] != n):
        raise UserError(
            f"samples have shape {samples.shape!r} for {n} candidates: give (draws, {n}, labels)"
        )
    if candidates.texts is not None and len(candidates.texts) != n:
        raise UserError(f"there are {len(candidates.texts)} texts for {n} candidates: give {n}")
    if costs is not None and (costs.shape != (n,) or not (np.isfinite(costs) & (costs > 0)).all()):
        raise UserError(
            f"costs of shape {costs.shape!r} do not give {n} candidates a price above 0 each"
        )
    known, labels = candidates.labelled_rows, candidates.labels
    if labels is not None and (known is None or labels.shape != known.shape):
        raise UserError(f"{len(labels)} labels need as many labelled_rows: give both in one order")


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


def check_unit(vectors: NDArray[np.float32] | None, name: str) -> None:
    """Raise `UserError` if a vector, where there are any, is not of unit length."""
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
