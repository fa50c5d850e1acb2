"""Region uncertainty: which part of the pool is unsure and mixed."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.strategies.region import Regions, region_uncertainty
from labelwright.tools.uncertainty import entropy
from numpy.typing import NDArray


def planted() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Three clusters of 40: sure, unsure of one class, as unsure but of mixed classes."""
    rng = np.random.default_rng(0)
    centres = np.eye(3).repeat(40, axis=0) * 10
    vectors = (centres + rng.normal(0, 0.1, (120, 3))).astype(np.float32)
    p = np.tile([0.6, 0.4], (120, 1)).astype(np.float32)
    p[:40] = [0.98, 0.02]
    p[80::2] = [0.4, 0.6]
    return p, vectors


def scored(beta: float, seed: int = 0) -> Regions:
    p, vectors = planted()
    return region_uncertainty(p, vectors, regions=3, beta=beta, seed=seed)


@pytest.mark.parametrize("seed", range(5))
def test_the_mixed_region_scores_highest_and_the_sure_one_lowest(seed: int) -> None:
    scores = scored(0.5, seed).item_score
    unsure = entropy(np.array([[0.6, 0.4]], dtype=np.float32))[0]
    sure = entropy(np.array([[0.98, 0.02]], dtype=np.float32))[0]
    np.testing.assert_allclose(scores[:40], sure, rtol=1e-4)
    np.testing.assert_allclose(scores[40:80], unsure, rtol=1e-4)
    np.testing.assert_allclose(scores[80:], unsure + 0.5, rtol=1e-4)


def test_beta_of_zero_leaves_the_mean_entropy() -> None:
    p, _ = planted()
    found = scored(0.0)
    for region in range(3):
        assert found.score[region] == pytest.approx(entropy(p[found.region == region]).mean())


@pytest.mark.parametrize("seed", range(5))
def test_regions_lie_where_the_doubt_is(seed: int) -> None:
    # By distance alone the 100 sure items at 0 would be one region, all doubtful ones the other.
    place = np.repeat([0.0, 10.0, 14.0], [100, 10, 10])[:, None].astype(np.float32)
    p = np.tile([1.0, 0.0], (120, 1)).astype(np.float32)
    p[100:] = 0.5
    found = region_uncertainty(p, place, regions=2, seed=seed)
    assert found.region[100] != found.region[110]


def test_the_same_seed_gives_the_same_regions() -> None:
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(4), 400).astype(np.float32)
    vectors = rng.normal(size=(400, 8)).astype(np.float32)
    first, again, other = (
        region_uncertainty(p, vectors, regions=20, seed=seed) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.region, again.region)
    assert (first.region != other.region).any()
    assert ((first.score >= 0) & (first.score <= 1.5)).all()


def test_certain_items_and_repeated_vectors_are_no_trouble() -> None:
    p = np.eye(2, dtype=np.float32)[np.zeros(6, dtype=int)]
    found = region_uncertainty(p, np.ones((6, 3), dtype=np.float32), regions=4, seed=0)
    np.testing.assert_array_equal(found.item_score, np.zeros(6))


def test_more_regions_than_items_and_no_items() -> None:
    p, vectors = planted()
    assert len(region_uncertainty(p[:2], vectors[:2], regions=9, seed=0).score) == 2
    assert len(region_uncertainty(p[:0], vectors[:0], regions=9, seed=0).item_score) == 0


@pytest.mark.parametrize(
    ("rows", "regions", "beta", "words"),
    [(119, 3, 0.5, "one row each"), (120, 0, 0.5, "regions is 0"), (120, 3, -0.1, "beta is -0.1")],
)
def test_refuses(rows: int, regions: int, beta: float, words: str) -> None:
    p, vectors = planted()
    with pytest.raises(UserError, match=words):
        region_uncertainty(p, vectors[:rows], regions=regions, beta=beta, seed=0)
