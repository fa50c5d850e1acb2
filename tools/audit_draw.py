"""Which machine-labelled items are audited: drawn one by one by known probabilities.

The draws are made without replacement from rows whose labels were frozen before. What they
certify is the business of `certificate`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..store.errors import UserError


@dataclass(frozen=True, slots=True)
class AuditDraw:
    """The audit items drawn so far, in their order, and everything needed to weigh them.

    Attributes:
        rows: (k,) pool rows in the order drawn.
        probabilities: (k,) chance with which each draw took its row, given the draws before.
        weights: (k,) share of the whole pool that each drawn row stands for.
        bounds: (k,) largest possible weight / probability at each draw.
        remaining: (k,) mass of the machine rows that were not yet drawn before each draw.
        machine_mass: share of the pool that was machine-labelled when the audit began, in [0, 1].
        machine_rows: how many rows that was.
        seed: the seed of the sequence.
        population: SHA-256 over rows, weights, doubts and labels as they were frozen.
        labels: SHA-256 over rows and labels alone (see `labels_digest`).
    """

    rows: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    weights: NDArray[np.float64]
    bounds: NDArray[np.float64]
    remaining: NDArray[np.float64]
    machine_mass: float
    machine_rows: int
    seed: int
    population: str
    labels: str

    def __len__(self) -> int:
        return len(self.rows)


def labels_digest(rows: ArrayLike, labels: ArrayLike) -> str:
    """SHA-256 over the machine rows and their labels, whatever order they come in.

    Args:
        rows: (n,) pool rows.
        labels: (n,) label indices, or (n, C) zeros and ones.

    Raises:
        UserError: lengths differ.
    """
    row_array = np.asarray(rows, dtype=np.int64)
    label_array = np.asarray(labels, dtype=np.int64)
    if row_array.shape != label_array.shape[:1]:
        raise UserError(
            f"{row_array.size!r} rows came with {label_array.size!r} labels: give one label a row"
        )
    order = np.argsort(row_array, kind="stable")
    return _digest(row_array[order], label_array[order])


def draw_audit(
    rows: ArrayLike,
    weights: ArrayLike,
    labels: ArrayLike,
    k: int,
    *,
    seed: int,
    doubt: ArrayLike | None = None,
    floor: float = 0.7,
    already: AuditDraw | None = None,
) -> AuditDraw:
    """Draw `k` audit items, or `k` more after `already`, from the frozen machine rows.

    Draw t takes row i among those left with a chance proportional to s_i = pi_i g_i, where
    g = floor + (1 - floor) sqrt(doubt) / mean sqrt(doubt): more often where errors are likely,
    never below `floor` times the even chance. The square root is what keeps the variance of
    pi e / q least when `doubt` is the chance of an error (Neyman allocation); proportional to the
    doubt itself gains nothing over even chances. A low floor pays off only after hundreds of
    answers, as an error where none was expected then weighs 1 / floor. The whole order is fixed by
    one exponential race (Efraimidis & Spirakis 2006), so 20 draws and then 20 more are the same as
    40 at once.

    Args:
        rows: (n,) distinct pool rows with a machine label.
        weights: (n,) share of the whole pool each row stands for; positive, sum at most 1.
        labels: (n,) or (n, C) the machine labels, frozen. Give the same after audit items were
            corrected.
        k: items to draw; fewer come back when the rows run out.
        seed: the seed of the order.
        doubt: (n,) 1 - calibrated confidence, in [0, 1]; none draws by weight alone.
        floor: share of even chances in the mix, in (0, 1].
        already: an earlier result to continue.

    Returns:
        All draws of the sequence so far, those of `already` first.

    Raises:
        UserError: bad shapes or values, or the population is not the one `already` came from.
    """
    row_array, pi, label_array = _population(rows, weights, labels)
    if k < 0:
        raise UserError(f"k is {k!r}: draw 0 items or more")
    tilt = _tilt(doubt, len(pi), floor)
    population = _digest(row_array, label_array, pi, tilt)
    if already is not None and (already.population, already.seed) != (population, seed):
        raise UserError(
            "the machine rows, their weights, doubts, labels or the seed are not those of the "
            "draws so far: labels must stay frozen during an audit; begin a new audit"
        )
    share = pi * tilt
    total = min(len(row_array), k + (0 if already is None else len(already)))
    keys = np.random.default_rng(seed).exponential(size=len(row_array)) / share
    order = np.argsort(keys, kind="stable")
    left_share, remaining = _from_here(share[order])[:total], _from_here(pi[order])[:total]
    order = order[:total]
    bounds = left_share / tilt.min() if len(tilt) else left_share
    return AuditDraw(
        rows=row_array[order],
        probabilities=share[order] / left_share,
        weights=pi[order],
        bounds=bounds,
        remaining=remaining,
        machine_mass=min(1.0, float(pi.sum())),
        machine_rows=len(row_array),
        seed=seed,
        population=population,
        labels=labels_digest(row_array, label_array),
    )


def weights_of_total(draw: AuditDraw) -> NDArray[np.float64]:
    """What each drawn item counts in the estimate of a total over all machine rows, (k,).

    w_j = pi_j (1 / q_j + k - j) / k, j from 1: sum of w_j y_j estimates sum of pi_i y_i without
    bias, whatever y is (Des Raj 1956; `certify` estimates the mass of errors so).
    """
    later = np.arange(len(draw) - 1, -1, -1)
    return np.asarray(draw.weights * (1 / draw.probabilities + later) / len(draw))


def before(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of the values before each place: (n,) to (n,)."""
    return np.asarray(np.cumsum(values) - values, dtype=np.float64)


def _from_here(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of the values from each place to the end, exact for the last ones."""
    return np.asarray(np.cumsum(values[::-1])[::-1], dtype=np.float64)


def _population(
    rows: ArrayLike, weights: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    row_array = np.asarray(rows, dtype=np.int64)
    pi = np.asarray(weights, dtype=np.float64)
    label_array = np.asarray(labels, dtype=np.int64)
    if not (row_array.ndim == 1 and row_array.shape == pi.shape == label_array.shape[:1]):
        raise UserError(
            f"rows {row_array.shape!r}, weights {pi.shape!r} and labels {label_array.shape!r} "
            "differ in shape: give one weight and one label a row"
        )
    if len(np.unique(row_array)) != len(row_array):
        raise UserError(f"{len(row_array)!r} machine rows hold repetitions: give each row once")
    if not (np.isfinite(pi).all() and (pi > 0).all() and pi.sum() <= 1 + 1e-6):
        raise UserError(
            f"weights sum to {float(pi.sum())!r}: give positive shares of the whole pool"
        )
    return row_array, pi, label_array


def _tilt(doubt: ArrayLike | None, size: int, floor: float) -> NDArray[np.float64]:
    """The (n,) preference g for each row, at least `floor`, one on average."""
    if not 0 < floor <= 1:
        raise UserError(f"floor is {floor!r}: give a number above 0 and at most 1")
    if doubt is None:
        return np.ones(size)
    values = np.asarray(doubt, dtype=np.float64)
    if values.shape != (size,) or not ((values >= 0) & (values <= 1)).all():
        raise UserError(
            f"doubt has the shape {values.shape!r} or values outside [0, 1]: give 1 - confidence "
            f"for each of the {size!r} machine rows, or none"
        )
    root = np.sqrt(values)
    mean = root.mean() if size else 0.0
    return floor + (1 - floor) * root / mean if mean > 0 else np.ones(size)


def _digest(*arrays: NDArray[np.int64] | NDArray[np.float64]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
