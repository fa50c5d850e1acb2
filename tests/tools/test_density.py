"""Information density: similarity to the pool, exact and in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.density import density_weighted, mean_similarity, nearest_mean
from numpy.typing import NDArray


def cosines(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    unit = vectors.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return np.asarray(unit @ unit.T)


@pytest.fixture
def vectors() -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return (rng.normal(0.3, 1.0, (300, 16)) * rng.uniform(0.1, 9, (300, 1))).astype(np.float32)


def test_mean_similarity_is_the_mean_of_all_cosines(vectors: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(mean_similarity(vectors), cosines(vectors).mean(axis=1), atol=1e-5)


@pytest.mark.parametrize("k", [1, 10, 299, 5000])
def test_nearest_mean_is_that_of_the_largest_cosines_of_others(
    vectors: NDArray[np.float32], k: int
) -> None:
    table = cosines(vectors)
    np.fill_diagonal(table, -np.inf)
    best = np.sort(table, axis=1)[:, ::-1][:, : min(k, 299)]
    np.testing.assert_allclose(nearest_mean(vectors, k), best.mean(axis=1), atol=1e-5)


def test_blocks_change_nothing() -> None:
    # 5,000 items are more than one block of the cosine table.
    many = np.random.default_rng(1).normal(size=(5000, 4)).astype(np.float32)
    unit = many / np.linalg.norm(many, axis=1, keepdims=True)
    found = nearest_mean(many, 3)
    for row in (0, 838, 839, 4999):
        cosine = np.delete(unit @ unit[row], row)
        assert found[row] == pytest.approx(np.sort(cosine)[-3:].mean(), abs=1e-5)


def test_an_odd_item_gives_way_to_one_that_stands_for_many() -> None:
    crowd = np.tile([[1.0, 0.05]], (20, 1)) + np.linspace(0, 0.1, 20)[:, None]
    vectors = np.concatenate([crowd, [[-0.2, -1.0]]]).astype(np.float32)
    doubt = np.full(21, 0.8, dtype=np.float32)
    doubt[20] = 1.0
    for neighbours in (None, 5):
        weighted = density_weighted(doubt, vectors, neighbours=neighbours)
        assert np.argmax(weighted) != 20
        assert weighted[20] == 0.0
        assert (weighted <= doubt).all()
        assert weighted.dtype == np.float32


def test_beta_of_zero_leaves_doubt_as_it_is(vectors: NDArray[np.float32]) -> None:
    doubt = np.random.default_rng(2).random(300).astype(np.float32)
    np.testing.assert_array_equal(density_weighted(doubt, vectors, beta=0.0), doubt)
    one, two = (density_weighted(doubt, vectors, beta=b) for b in (1.0, 2.0))
    dense = np.clip(mean_similarity(vectors), 0, 1)
    np.testing.assert_allclose(one, doubt * dense, atol=1e-6)
    np.testing.assert_allclose(two, doubt * dense**2, atol=1e-6)


def test_no_item_and_a_lone_one() -> None:
    none = np.empty((0, 3), dtype=np.float32)
    assert mean_similarity(none).shape == nearest_mean(none, 2).shape == (0,)
    assert nearest_mean(np.ones((1, 3), dtype=np.float32), 2).tolist() == [0.0]


@pytest.mark.parametrize(
    ("doubt", "vectors", "options", "words"),
    [
        (np.ones(2), np.ones((3, 2)), {}, "one number of at least 0"),
        (np.array([-1.0, 1, 1]), np.ones((3, 2)), {}, "one number of at least 0"),
        (np.array([np.nan, 1, 1]), np.ones((3, 2)), {}, "one number of at least 0"),
        (np.ones(3), np.ones((3, 2)), {"beta": -1.0}, "beta is -1.0"),
        (np.ones(3), np.ones((3, 2)), {"beta": np.nan}, "beta is nan"),
        (np.ones(3), np.ones((3, 2)), {"neighbours": 0}, "neighbours is 0"),
        (np.ones(3), np.ones(3), {}, "one row for each item"),
        (np.ones(3), np.array([[1, 1], [0, 0], [1, 1]]), {}, "vector 1 has squared length 0.0"),
        (np.ones(2), np.array([[1, 1], [np.inf, 0]]), {"neighbours": 1}, "vector 1 has"),
    ],
)
def test_refuses(
    doubt: NDArray[np.float64],
    vectors: NDArray[np.float64],
    options: dict[str, float],
    words: str,
) -> None:
    with pytest.raises(UserError, match=words):
        density_weighted(doubt.astype(np.float32), vectors.astype(np.float32), **options)  # type: ignore[arg-type]
