"""How much the members of a committee differ about each item.

A committee is anything that gives several class probabilities of one item: models of different
seeds or kinds (an ensemble), or one model with dropout left on (Monte Carlo dropout, Gal &
Ghahramani 2016). `samples` has shape (T, n, C): T members, n items, C classes. Every measure gives
n numbers in [0, 1]: 0 when all members say the same, 1 when they differ as much as T members can
about C classes. A single classifier's doubt is in `uncertainty`; these measures leave out the
part of it that all members share, which more labels do not lessen.

Items are taken in blocks, so that no measure needs more than `SCRATCH_BYTES` beyond its input and
its n numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from .uncertainty import Probabilities, check_probabilities, shannon

CommitteeMeasure: TypeAlias = Callable[[Probabilities], NDArray[np.float32]]

SCRATCH_BYTES = 32 * 1024 * 1024
"""The most memory that a measure takes beyond its input and output, while T * C is below 2**20."""

# Float32 copies of a block that are alive at once: the block, its logarithm, their product.
_COPIES = 4


def bald(samples: Probabilities) -> NDArray[np.float32]:
    """Information that the item's label would give about which member is right.

    u = (H(mean_t p_t) - mean_t H(p_t)) / log min(T, C), the mutual information of label and
    member (Houlsby et al. 2011).

    Args:
        samples: shape (T, n, C), T >= 2, C >= 2, rows summing to 1.

    Returns:
        Shape (n,), float32, in [0, 1].

    Raises:
        UserError: no table of probabilities for each of at least two members.
    """
    return _by_blocks(samples, lambda block: shannon(block.mean(axis=0)) - own_entropy(block))


def mean_kl(samples: Probabilities) -> NDArray[np.float32]:
    """Mean Kullback-Leibler divergence of the members from their mean.

    u = mean_t sum_c p_tc log(p_tc / mean_t p_tc) / log min(T, C) (McCallum & Nigam 1998). With
    members of equal weight it is the same number as `bald`; it is here under the name by which
    committees know it, and computed as written, which keeps small differences that the difference
    of two entropies rounds away.

    Args:
        samples: shape (T, n, C), T >= 2, C >= 2, rows summing to 1.

    Returns:
        Shape (n,), float32, in [0, 1].

    Raises:
        UserError: no table of probabilities for each of at least two members.
    """
    return _by_blocks(samples, _divergence)


def vote_entropy(samples: Probabilities) -> NDArray[np.float32]:
    """Entropy of the members' votes, each for its most probable class.

    u = -sum_c v_c/T log(v_c/T) / log min(T, C), with v_c votes for class c (Dagan & Engelson
    1995). A tie within a member goes to the lower class.

    Args:
        samples: shape (T, n, C), T >= 2, C >= 2, rows summing to 1.

    Returns:
        Shape (n,), float32, in [0, 1].

    Raises:
        UserError: no table of probabilities for each of at least two members.
    """
    return _by_blocks(samples, lambda block: shannon(_votes(block)))


def variation_ratio(samples: Probabilities) -> NDArray[np.float32]:
    """Share of the members that do not vote with the most, stretched to reach 1.

    u = (1 - max_c v_c / T) / (1 - 1 / min(T, C)) (Freeman 1965). A tie within a member goes to the
    lower class.

    Args:
        samples: shape (T, n, C), T >= 2, C >= 2, rows summing to 1.

    Returns:
        Shape (n,), float32, in [0, 1].

    Raises:
        UserError: no table of probabilities for each of at least two members.
    """
    checked = check_samples(samples)
    largest = 1.0 - 1.0 / _kinds(checked)
    return _by_blocks(checked, lambda block: 1.0 - _votes(block).max(axis=1), largest)


COMMITTEE_MEASURES: Mapping[str, CommitteeMeasure] = MappingProxyType(
    {
        "bald": bald,
        "mean_kl": mean_kl,
        "vote_entropy": vote_entropy,
        "variation_ratio": variation_ratio,
    }
)


def check_samples(samples: Probabilities) -> NDArray[np.float32]:
    """The same samples in float32, after making sure that each member gives probabilities.

    Args:
        samples: shape (T, n, C) with T >= 2 and C >= 2; n may be 0.

    Returns:
        Shape (T, n, C), float32; the same memory where the input was float32 already.

    Raises:
        UserError: another shape, one member only, or rows that are no probabilities; the message
            names the first bad member and row.
    """
    table = np.asarray(samples, dtype=np.float32)
    if table.ndim != 3 or table.shape[0] < 2:
        raise UserError(
            f"samples have shape {table.shape!r}: give (members, items, classes) with at least "
            "two members; for a single model use the measures of labelwright.tools.uncertainty"
        )
    for member, each in enumerate(table):
        try:
            check_probabilities(each)
        except UserError as error:
            raise UserError(f"member {member} of the committee: {error}") from error
    return table


def own_entropy(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean entropy of the members, mean_t H(p_t), in nats: samples (T, n, C) to shape (n,)."""
    mean: NDArray[np.float32] = shannon(samples).mean(axis=0)
    return mean


def blocks(items: int, row_bytes: int, scratch: int = SCRATCH_BYTES) -> Iterator[slice]:
    """Consecutive slices of `items`, so that `row_bytes` an item stay within `scratch` bytes."""
    size = max(1, scratch // max(row_bytes, 1))
    for start in range(0, items, size):
        yield slice(start, min(start + size, items))


def _by_blocks(
    samples: Probabilities,
    measure: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    largest: float | None = None,
) -> NDArray[np.float32]:
    checked = check_samples(samples)
    members, items, classes = checked.shape
    scale = float(np.log(_kinds(checked))) if largest is None else largest
    found = np.empty(items, dtype=np.float32)
    for part in blocks(items, _COPIES * 4 * members * classes):
        found[part] = measure(checked[:, part])
    clipped: NDArray[np.float32] = np.clip(found / np.float32(scale), 0.0, 1.0)
    return clipped


def _kinds(samples: NDArray[np.float32]) -> int:
    """How many different answers there can be."""
    return int(min(samples.shape[0], samples.shape[2]))


def _votes(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, C) share of the members that vote for each class."""
    members, items, classes = samples.shape
    cell = samples.argmax(axis=2) + np.arange(items) * classes
    counts = np.bincount(cell.ravel(), minlength=items * classes).reshape(items, classes)
    shares: NDArray[np.float32] = (counts / members).astype(np.float32)
    return shares


def _divergence(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    consensus = samples.mean(axis=0)
    # Where a member has no probability the term is 0, whatever stands for the quotient.
    ratio = np.divide(samples, consensus, out=np.ones_like(samples), where=samples > 0)
    np.log(ratio, out=ratio)
    ratio *= samples
    mean: NDArray[np.float32] = ratio.sum(axis=2).mean(axis=0)
    return mean
