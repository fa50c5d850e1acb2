"""Looking again only where it matters: the picks are those of the plain greedy algorithm."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.tools.strategies.front import take_greedily
from labelwright.tools.strategies.geometry import nearest_similarity
from labelwright.tools.strategies.k_center import farthest_first
from numpy.typing import NDArray
from strategy_contract import unit
from threadpoolctl import threadpool_limits


def clustered(n: int, *, width: float, d: int = 24, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((12, d))
    return unit(centres[rng.integers(12, size=n)] + width * rng.standard_normal((n, d)))


def plain(
    vectors: NDArray[np.float32], closest: NDArray[np.float32], k: int, ageing: float
) -> list[int]:
    """The same greedy choice, everything anew for every pick, in double precision."""
    points, near = vectors.astype(np.float64), closest.astype(np.float64)
    extra = np.linspace(0, 1, len(points))
    chosen: list[int] = []
    for place in range(k):
        share = 1 - ageing * place / k
        score = -share * near + (1 - share) * extra
        score[chosen] = -np.inf
        chosen.append(int(np.argmax(score)))
        near = np.maximum(near, points @ points[chosen[-1]])
    return chosen


@pytest.mark.parametrize("width", [0.1, 0.5, 3.0])
@pytest.mark.parametrize("ageing", [0.0, 0.6])
@pytest.mark.parametrize("labelled", [1, 60])
def test_picks_are_those_of_the_plain_algorithm(width: float, ageing: float, labelled: int) -> None:
    # More items than a front holds, so that fronts are left and taken anew.
    vectors = clustered(4000, width=width)
    closest = nearest_similarity(vectors, clustered(labelled, width=width, seed=1))
    extra = np.linspace(0, 1, 4000).astype(np.float32)
    expected = plain(vectors, closest, 90, ageing)

    def score(
        near: NDArray[np.float32], positions: NDArray[np.int64] | slice, place: int
    ) -> NDArray[np.float32]:
        share = np.float32(1 - ageing * place / 90)
        found: NDArray[np.float32] = -share * near + (1 - share) * extra[positions]
        return found

    chosen, _ = take_greedily(vectors, closest, 90, score)
    assert chosen.tolist() == expected


def test_all_items_can_be_taken() -> None:
    vectors = clustered(1500, width=0.5)
    chosen, distances = farthest_first(vectors, None, 1500)
    assert sorted(chosen.tolist()) == list(range(1500))
    assert np.isfinite(distances).all()


def test_equal_items_are_taken_in_the_order_of_their_rows() -> None:
    # 2,000 copies of two vectors, so that those outside the front are as good as those in it.
    vectors = np.tile(np.eye(2, dtype=np.float32), (1000, 1))
    chosen, distances = farthest_first(vectors, np.eye(1, 2, dtype=np.float32), 4)
    assert chosen.tolist() == [1, 0, 2, 3]
    assert distances.tolist() == [1, 0, 0, 0]


def test_the_number_of_threads_changes_nothing() -> None:
    vectors = clustered(6000, width=1.0, d=48)
    picks = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            picks.append(farthest_first(vectors, None, 50))
    np.testing.assert_array_equal(picks[0][0], picks[1][0])
