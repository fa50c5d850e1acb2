"""k-means and nearest neighbours on vectors."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.tools.strategies.geometry import k_means, nearest_similarity
from threadpoolctl import threadpool_limits


def test_nearest_similarity_is_the_plain_maximum_across_blocks() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((5000, 3)).astype(np.float32)
    b = rng.standard_normal((1100, 3)).astype(np.float32)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    np.testing.assert_allclose(nearest_similarity(a, b), (a @ b.T).max(axis=1), atol=1e-6)


def test_k_means_finds_planted_clusters() -> None:
    rng = np.random.default_rng(1)
    points = np.repeat(10 * np.eye(5), 40, axis=0) + rng.standard_normal((200, 5)) * 0.1
    found = k_means(points.astype(np.float32), 5, rng)
    groups = found.assigned.reshape(5, 40)
    assert (groups == groups[:, :1]).all()
    assert len(set(groups[:, 0])) == 5


def test_k_means_centres_are_weighted_means() -> None:
    points = np.array([[1.0], [2.0], [10.0]], dtype=np.float32)
    weights = np.array([3.0, 1.0, 1.0], dtype=np.float32)
    found = k_means(points, 1, np.random.default_rng(0), weights=weights)
    assert found.centres[0, 0] == pytest.approx((3 * 1 + 2 + 10) / 5)


def test_k_means_is_no_worse_than_twenty_random_partitions() -> None:
    rng = np.random.default_rng(3)
    points = rng.standard_normal((300, 4)).astype(np.float32)
    found = k_means(points, 6, rng)
    cost = ((points - found.centres[found.assigned]) ** 2).sum()
    for _ in range(20):
        centres = points[rng.choice(300, 6, replace=False)]
        other = ((points[:, None] - centres[None]) ** 2).sum(axis=2).min(axis=1).sum()
        assert cost < other


def test_k_means_copes_with_fewer_different_points_than_clusters() -> None:
    found = k_means(np.ones((6, 2), dtype=np.float32), 4, np.random.default_rng(0))
    assert np.isfinite(found.centres).all()
    assert len(found.assigned) == 6


def test_k_means_same_seed_same_clusters() -> None:
    points = np.random.default_rng(0).standard_normal((500, 6)).astype(np.float32)
    one, two = (k_means(points, 20, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one.assigned, two.assigned)
    np.testing.assert_array_equal(one.centres, two.centres)


def test_k_means_is_lloyds_algorithm_from_its_first_centres() -> None:
    # Only what changed is compared again: that must make no difference.
    rng = np.random.default_rng(8)
    points = rng.standard_normal((3000, 5)).astype(np.float32)
    weights = rng.uniform(0.5, 2.0, 3000).astype(np.float32)
    start = k_means(points, 60, np.random.default_rng(4), weights=weights, iterations=0)
    found = k_means(points, 60, np.random.default_rng(4), weights=weights, iterations=12)
    centres = start.centres.astype(np.float64)
    for _ in range(13):
        assigned = ((points[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        before = centres
        centres = np.array(
            [
                np.average(points[assigned == c], axis=0, weights=weights[assigned == c])
                for c in range(60)
            ]
        )
    assert (assigned == found.assigned).mean() > 0.999
    np.testing.assert_allclose(found.centres, before, atol=1e-2)


def test_k_means_finds_clusters_that_a_sample_for_the_start_holds_few_points_of() -> None:
    rng = np.random.default_rng(2)
    sizes = [4000, 800, 100]
    points = np.repeat(np.eye(3), sizes, axis=0) + 0.02 * rng.standard_normal((4900, 3))
    for seed in range(5):
        found = k_means(points.astype(np.float32), 3, np.random.default_rng(seed))
        assert sorted(np.bincount(found.assigned)) == sorted(sizes)


def test_k_means_does_not_depend_on_the_number_of_threads() -> None:
    points = np.random.default_rng(0).standard_normal((3000, 24)).astype(np.float32)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(k_means(points, 20, np.random.default_rng(1)).assigned)
    np.testing.assert_array_equal(found[0], found[1])
