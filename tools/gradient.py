"""How much an item's label would change the model: expected gradient length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from .uncertainty import Probabilities, check_probabilities


def expected_gradient_length(
    p: Probabilities, h: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Expected length of the last layer's gradient, over the labels that the model thinks likely.

    The gradient of cross-entropy by the weights of a softmax layer is the outer product
    (p - e_c) h, and the length of an outer product is that of its factors:
    u = sum_c p_c |p - e_c| |h|, with |p - e_c|^2 = |p|^2 - 2 p_c + 1. So no gradient is formed:
    O(n (C + d)) time. Expected gradient length is of Settles, Craven & Ray (2007); Huang et al.
    (2016) restrict it to the last layer.

    Args:
        p: probabilities, shape (n, C) with C >= 2, rows summing to 1.
        h: what the last layer sees, shape (n, d); with a bias, append a column of ones. All of
            length 1 when absent: unit vectors leave it to p alone.

    Returns:
        Shape (n,), float32, at least 0; 0 for a certain item.

    Raises:
        UserError: not a table of probabilities, or h with other rows or numbers that are not
            finite.
    """
    checked = check_probabilities(p)
    own = np.einsum("ij,ij->i", checked, checked)
    away = np.sqrt(np.maximum(own[:, None] - 2.0 * checked + 1.0, 0.0))
    found: NDArray[np.float32] = np.einsum("ij,ij->i", checked, away)
    return found if h is None else found * _lengths(h, len(checked))


def _lengths(h: NDArray[np.float32], items: int) -> NDArray[np.float32]:
    if h.ndim != 2 or len(h) != items:
        raise UserError(
            f"h has shape {h.shape!r} for {items} rows of probabilities: give one row each"
        )
    squares: NDArray[np.float32] = np.einsum("ij,ij->i", h, h, dtype=np.float32)
    if not np.isfinite(squares).all():
        row = int(np.argmin(np.isfinite(squares)))
        raise UserError(f"row {row} of h is not finite: check the model's last hidden layer")
    return np.sqrt(squares)
