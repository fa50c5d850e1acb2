"""How varied written texts are, and how far they lie from the texts they stand in for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .duplicates import normalised
from .filters import nearest

SAMPLE = 1_000
"""Texts of the pool, at most, that a distance is measured on."""


@dataclass(frozen=True, slots=True)
class Variety:
    """What a set of n written texts is like.

    Args:
        written: how many were written.
        kept: how many stayed.
        acceptance: kept / written.
        bigrams_per_text: different word pairs of all kept texts together, for each text.
        self_similarity: mean cosine of two kept texts, in [-1, 1]; `None` for fewer than two.
        pool_self_similarity: the same of the sample of the pool, to compare with.
        labels: how many of each label were kept.
        balance: entropy of the labels over the largest possible one, in [0, 1].
        nearest_in_pool: mean cosine of a kept text with the nearest text of the pool's sample.
        mmd: squared maximum mean discrepancy of the kept texts and the pool's sample (Gretton et
            al. 2012, equation 3: the unbiased estimate, which can be a little below 0); the kernel
            is a Gaussian of the embeddings with the median distance as its width. `None` below two.
        mmd_of_pool: the same of the two halves of the pool's sample: what chance alone makes.
    """

    written: int
    kept: int
    acceptance: float
    bigrams_per_text: float | None
    self_similarity: float | None
    pool_self_similarity: float | None
    labels: dict[str, int]
    balance: float | None
    nearest_in_pool: float | None
    mmd: float | None
    mmd_of_pool: float | None

    def as_record(self) -> dict[str, Any]:
        """Plain data, numbers rounded to four places."""
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def variety(
    texts: Sequence[str],
    labels: Sequence[str],
    vectors: NDArray[np.float32],
    *,
    written: int,
    label_names: Sequence[str],
    pool_vectors: NDArray[np.float32],
    seed: int,
) -> Variety:
    """Describe the texts that were kept.

    Args:
        texts: n kept texts.
        labels: their labels.
        vectors: their unit vectors (n, d).
        written: how many were written before the filters.
        label_names: all labels of the task.
        pool_vectors: unit vectors (m, d) of the pool; a sample of at most `SAMPLE` is drawn.
        seed: of the sample.
    """
    rng = np.random.default_rng(seed)
    size = min(SAMPLE, len(pool_vectors))
    pool = pool_vectors[rng.choice(len(pool_vectors), size=size, replace=False)]
    counts = Counter(labels)
    n, half = len(texts), size // 2
    return Variety(
        written=written,
        kept=n,
        acceptance=n / written if written else 0.0,
        bigrams_per_text=unique_bigrams(texts) / n if n else None,
        self_similarity=self_similarity(vectors),
        pool_self_similarity=self_similarity(pool),
        labels={name: counts[name] for name in label_names},
        balance=balance([counts[name] for name in label_names]),
        nearest_in_pool=float(nearest(vectors, pool)[0].mean()) if n and size else None,
        mmd=mmd(vectors, pool),
        mmd_of_pool=mmd(pool[:half], pool[half:]),
    )


def unique_bigrams(texts: Sequence[str]) -> int:
    """How many different pairs of neighbouring words the texts have together."""
    return len({pair for key in normalised(texts) for pair in pairwise(key.split())})


def self_similarity(vectors: NDArray[np.float32]) -> float | None:
    """Mean cosine of two different texts; `None` for fewer than two. O(n d)."""
    n = len(vectors)
    if n < 2:
        return None
    total = vectors.sum(axis=0, dtype=np.float64)
    # The square of the sum holds every pair twice, and each vector with itself once.
    own = float((vectors.astype(np.float64) ** 2).sum())
    return (float(total @ total) - own) / (n * (n - 1))


def balance(counts: Sequence[int]) -> float | None:
    """Entropy of the counts over that of equal counts, in [0, 1]; `None` where there are none."""
    total = sum(counts)
    if total == 0 or len(counts) < 2:
        return None
    shares = np.array([count / total for count in counts if count])
    return max(0.0, float(-(shares * np.log(shares)).sum() / np.log(len(counts))))


def mmd(some: NDArray[np.float32], others: NDArray[np.float32]) -> float | None:
    """Squared maximum mean discrepancy of two samples, unbiased; `None` for fewer than two each.

    Gretton et al. (2012), equation 3: mean k(x, x') + mean k(y, y') - 2 mean k(x, y) over different
    x, x' and y, y', with k(x, y) = exp(-|x - y|^2 / (2 s^2)), s the median distance of all pairs.
    """
    n, m = len(some), len(others)
    if n < 2 or m < 2:
        return None
    joined = np.concatenate([some, others]).astype(np.float64)
    squared = np.maximum(2.0 - 2.0 * joined @ joined.T, 0.0)
    width = float(np.median(squared[np.triu_indices(n + m, 1)]))
    kernel = np.exp(-squared / (2.0 * max(width, 1e-12)))
    np.fill_diagonal(kernel, 0.0)
    within = kernel[:n, :n].sum() / (n * (n - 1)) + kernel[n:, n:].sum() / (m * (m - 1))
    return float(within - 2.0 * kernel[:n, n:].mean())
