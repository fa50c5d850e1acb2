"""Information density: doubtful items of which the pool holds many like.

The most doubtful items are often odd ones, which teach little about the rest. Weighting doubt by
the item's similarity to the pool prefers those that stand for others (Settles & Craven, "An
Analysis of Active Learning Strategies for Sequence Labeling Tasks", 2008, section 3.4).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from .disagreement import SCRATCH_BYTES, blocks


def density_weighted(
    uncertainty: NDArray[np.float32],
    vectors: NDArray[np.float32],
    *,
    beta: float = 1.0,
    neighbours: int | None = None,
) -> NDArray[np.float32]:
    """Doubt times similarity to the pool to the power beta.

    u'(x) = u(x) * max(sim(x), 0)^beta, where sim is `mean_similarity`, or `nearest_mean` when
    `neighbours` is given. Similarity below 0 counts as 0: such an item stands for nothing.

    Args:
        uncertainty: shape (n,), at least 0, as the measures of `uncertainty` give it.
        vectors: shape (n, d), of any positive length.
        beta: weight of density, at least 0; 0 leaves the doubt as it is.
        neighbours: how many nearest items the similarity is taken over; all of them when absent.

    Returns:
        Shape (n,), float32, from 0 to the doubt itself.

    Raises:
        UserError: shapes that do not fit, a vector of length 0, negative doubt, or beta or
            neighbours out of range.
    """
    doubt = np.asarray(uncertainty, dtype=np.float32)
    if doubt.shape != vectors.shape[:1] or not (doubt >= 0).all():
        raise UserError(
            f"uncertainty of shape {doubt.shape!r} for vectors of shape {vectors.shape!r}: give "
            "one number of at least 0 for each vector"
        )
    if not 0.0 <= beta < np.inf:
        raise UserError(f"beta is {beta!r}: give a number of at least 0")
    similarity = (
        mean_similarity(vectors) if neighbours is None else nearest_mean(vectors, neighbours)
    )
    return doubt * np.clip(similarity, 0.0, 1.0) ** np.float32(beta)


def mean_similarity(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean cosine of each vector with all of them, itself included.

    mean_u cos(x, u) = x/|x| . mean_u u/|u|: one matrix-vector product, O(n d) time and no memory
    but n and d numbers.

    Args:
        vectors: shape (n, d), of any positive length.

    Returns:
        Shape (n,), float32, in [-1, 1].

    Raises:
        UserError: not a table, or a vector of length 0 or not finite.
    """
    lengths = _lengths(vectors)
    if not len(vectors):
        return np.empty(0, dtype=np.float32)
    mean = (1.0 / lengths) @ vectors / np.float32(len(vectors))
    found: NDArray[np.float32] = np.clip(vectors @ mean / lengths, -1.0, 1.0)
    return found


def nearest_mean(vectors: NDArray[np.float32], neighbours: int) -> NDArray[np.float32]:
    """Mean cosine of each vector with the nearest others.

    Exact, O(n^2 d) time in blocks of `disagreement.SCRATCH_BYTES`; above some 50,000 items
    `mean_similarity`, or a sample of the pool, is the practical choice.

    Args:
        vectors: shape (n, d), of any positive length.
        neighbours: how many, at least 1; all others when there are fewer.

    Returns:
        Shape (n,), float32, in [-1, 1]; 0 for a lone vector.

    Raises:
        UserError: neighbours below 1, not a table, or a vector of length 0 or not finite.
    """
    if neighbours < 1:
        raise UserError(f"neighbours is {neighbours!r}: give at least 1")
    lengths = _lengths(vectors)
    total, kept = len(vectors), min(neighbours, len(vectors) - 1)
    found = np.zeros(total, dtype=np.float32)
    if kept < 1:
        return found
    unit = vectors / lengths[:, None]
    # The cosines of a block, and the copy that the partition works on.
    for part in blocks(total, 2 * 4 * total, SCRATCH_BYTES):
        cosine = unit[part] @ unit.T
        inside = np.arange(part.stop - part.start)
        cosine[inside, inside + part.start] = -np.inf
        cosine.partition(total - kept, axis=1)
        found[part] = cosine[:, total - kept :].mean(axis=1)
    return np.clip(found, -1.0, 1.0)


def _lengths(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    if vectors.ndim != 2:
        raise UserError(f"vectors have shape {vectors.shape!r}: give one row for each item")
    squares: NDArray[np.float32] = np.einsum("ij,ij->i", vectors, vectors)
    good = (squares > 0) & np.isfinite(squares)
    if not good.all():
        row = int(np.argmin(good))
        raise UserError(
            f"vector {row} has squared length {float(squares[row])!r}: give vectors that are "
            "finite and not all zeros"
        )
    return np.sqrt(squares)
