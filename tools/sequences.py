"""From the doubt of each token to that of each sequence, for tasks that label tokens.

Tokens of all sequences stand one after another in one array; `offsets`, shape (n + 1,), says where
each sequence begins: sequence i has the tokens offsets[i] to offsets[i + 1] - 1. A sequence
without tokens has no doubt: 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError


def token_mean(values: NDArray[np.float32], offsets: NDArray[np.int64]) -> NDArray[np.float32]:
    """Mean over the tokens of each sequence: length does not count.

    Args:
        values: one number for each token, shape (m,).
        offsets: where sequences begin, shape (n + 1,), from 0 to m, never falling.

    Returns:
        Shape (n,), float32; 0 for a sequence without tokens.

    Raises:
        UserError: shapes or offsets that do not fit.
    """
    total = _reduced(np.add, values, offsets)
    return (total / np.maximum(np.diff(offsets), 1)).astype(np.float32)


def token_sum(values: NDArray[np.float32], offsets: NDArray[np.int64]) -> NDArray[np.float32]:
    """Sum over the tokens of each sequence: prefers long ones (total token entropy).

    Settles & Craven (2008), section 3.1.

    Args:
        values: one number for each token, shape (m,).
        offsets: where sequences begin, shape (n + 1,), from 0 to m, never falling.

    Returns:
        Shape (n,), float32; 0 for a sequence without tokens.

    Raises:
        UserError: shapes or offsets that do not fit.
    """
    return _reduced(np.add, values, offsets).astype(np.float32)


def token_max(values: NDArray[np.float32], offsets: NDArray[np.int64]) -> NDArray[np.float32]:
    """Largest of the tokens of each sequence: one doubtful token is enough.

    Args:
        values: one number for each token, shape (m,).
        offsets: where sequences begin, shape (n + 1,), from 0 to m, never falling.

    Returns:
        Shape (n,), float32; 0 for a sequence without tokens.

    Raises:
        UserError: shapes or offsets that do not fit.
    """
    return _reduced(np.maximum, values, offsets).astype(np.float32)


def mnlp(log_p: NDArray[np.float32], offsets: NDArray[np.int64]) -> NDArray[np.float32]:
    """Maximum normalised log-probability, as doubt in [0, 1].

    u = 1 - exp(mean_t log p_t), with p_t the probability of the best tag of token t given those
    before. Shen et al. (2017) take the sequences of lowest mean log p; this is the same order,
    upwards.

    Args:
        log_p: natural log-probability of each token's best tag, shape (m,), at most 0.
        offsets: where sequences begin, shape (n + 1,), from 0 to m, never falling.

    Returns:
        Shape (n,), float32, in [0, 1]; 0 for a sequence without tokens.

    Raises:
        UserError: shapes or offsets that do not fit, or a log-probability above 0.
    """
    good = np.asarray(log_p) <= 0.0
    if not good.all():
        place = int(np.argmin(good))
        raise UserError(
            f"log_p[{place}] is {float(log_p[place])!r}: give logarithms of probabilities, which "
            "are at most 0"
        )
    found: NDArray[np.float32] = -np.expm1(token_mean(log_p, offsets))
    return found


def _reduced(
    how: np.ufunc, values: NDArray[np.float32], offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    values, offsets = np.asarray(values), np.asarray(offsets)
    if values.ndim != 1 or offsets.ndim != 1 or not len(offsets):
        raise UserError(
            f"values have shape {values.shape!r} and offsets {offsets.shape!r}: give one number "
            "for each token and one offset for each sequence, and one at the end"
        )
    lengths = np.diff(offsets)
    if offsets[0] != 0 or offsets[-1] != len(values) or (lengths < 0).any():
        raise UserError(
            f"offsets go from {int(offsets[0])!r} to {int(offsets[-1])!r} for {len(values)} "
            "tokens: they must start at 0, never fall, and end at the number of tokens"
        )
    found = np.zeros(len(lengths))
    filled = lengths > 0
    # Sequences without tokens are left out, as `reduceat` gives them a neighbour's token.
    if filled.any():
        found[filled] = how.reduceat(values.astype(np.float64), offsets[:-1][filled])
    return found
