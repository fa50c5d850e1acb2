"""What is said of a set of written texts."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.tools.filtering_report import (
    balance,
    mmd,
    self_similarity,
    unique_bigrams,
    variety,
)
from numpy.typing import NDArray
from strategy_contract import unit


def cloud(n: int, centre: int, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return unit(np.eye(1, 16, centre) + 0.3 * rng.standard_normal((n, 16)))


def test_bigrams_are_counted_once() -> None:
    assert unique_bigrams(["a b c", "B c!", "d"]) == 2


def test_self_similarity_is_the_mean_over_pairs() -> None:
    vectors = cloud(30, 0, 1)
    pairs = (vectors @ vectors.T)[np.triu_indices(30, 1)]
    assert self_similarity(vectors) == pytest.approx(float(pairs.mean()), abs=1e-5)
    assert self_similarity(vectors[:1]) is None


def test_balance_is_one_for_equal_counts_and_zero_for_one_label() -> None:
    assert balance([4, 4, 4]) == pytest.approx(1.0)
    assert balance([9, 0, 0]) == pytest.approx(0.0)
    assert 0 < (balance([8, 1, 1]) or 0) < 1
    assert balance([0, 0]) is None


def test_mmd_is_the_unbiased_estimate() -> None:
    """Against sums over all pairs, written out."""
    x, y = cloud(5, 0, 1).astype(np.float64), cloud(4, 1, 2).astype(np.float64)
    joined = np.concatenate([x, y])
    squared = ((joined[:, None] - joined[None]) ** 2).sum(axis=2)
    width = np.median(squared[np.triu_indices(9, 1)])

    def mean(a: NDArray[np.float64], b: NDArray[np.float64], *, same: bool) -> float:
        values = [
            np.exp(-((p - q) ** 2).sum() / (2 * width))
            for i, p in enumerate(a)
            for j, q in enumerate(b)
            if not (same and i == j)
        ]
        return float(np.mean(values))

    wanted = mean(x, x, same=True) + mean(y, y, same=True) - 2 * mean(x, y, same=False)
    assert mmd(x.astype(np.float32), y.astype(np.float32)) == pytest.approx(wanted, abs=1e-5)


def test_mmd_tells_another_distribution_from_another_sample() -> None:
    same = mmd(cloud(200, 0, 1), cloud(200, 0, 2))
    other = mmd(cloud(200, 0, 1), cloud(200, 3, 2))
    assert same is not None
    assert other is not None
    assert abs(same) < 0.02 < 0.2 < other


def test_the_report_has_all_labels_and_what_chance_makes() -> None:
    found = variety(
        ["my card", "the app fails"],
        ["billing", "bug"],
        cloud(2, 0, 3),
        written=5,
        label_names=["billing", "bug", "praise"],
        pool_vectors=cloud(300, 0, 4),
        seed=0,
    )
    assert (found.written, found.kept, found.acceptance) == (5, 2, 0.4)
    assert found.labels == {"billing": 1, "bug": 1, "praise": 0}
    assert found.bigrams_per_text == 1.5
    assert found.mmd_of_pool is not None
    assert abs(found.mmd_of_pool) < 0.02


def test_nothing_kept_has_no_numbers_made_up() -> None:
    found = variety(
        [],
        [],
        np.empty((0, 16), dtype=np.float32),
        written=4,
        label_names=["a", "b"],
        pool_vectors=cloud(20, 0, 4),
        seed=0,
    )
    assert found.acceptance == 0
    numbers = (found.bigrams_per_text, found.self_similarity, found.balance, found.mmd)
    assert numbers == (None,) * 4
    assert found.nearest_in_pool is None
