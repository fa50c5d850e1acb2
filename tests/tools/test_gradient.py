"""Expected gradient length: the closed form is the gradient worked out in full."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.gradient import expected_gradient_length
from numpy.typing import NDArray


def softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def test_is_the_expected_length_of_the_gradient_by_finite_differences() -> None:
    rng = np.random.default_rng(0)
    weights, h = rng.normal(size=(3, 4)), rng.normal(size=(5, 4))
    p = softmax(h @ weights.T)
    step = 1e-6
    expected = np.zeros(5)
    for item, label in np.ndindex(5, 3):
        slopes = []
        for place in np.ndindex(weights.shape):
            moved = weights.copy()
            moved[place] += step
            loss = [-np.log(softmax(w @ h[item])[label]) for w in (moved, weights)]
            slopes.append((loss[0] - loss[1]) / step)
        expected[item] += p[item, label] * np.linalg.norm(slopes)
    found = expected_gradient_length(p, h.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert found.dtype == np.float32


@pytest.mark.parametrize("classes", [2, 3, 77])
def test_is_zero_for_certainty_and_largest_in_between(classes: int) -> None:
    p = np.stack([np.full(classes, 1 / classes), np.eye(classes)[0]]).astype(np.float32)
    h = np.ones((2, 9), dtype=np.float32)
    found = expected_gradient_length(p, h)
    assert found[0] == pytest.approx(3 * np.sqrt(1 - 1 / classes), rel=1e-5)
    assert found[1] == pytest.approx(0.0, abs=1e-6)


def test_does_not_depend_on_the_order_of_classes_and_grows_with_h() -> None:
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(5), 50).astype(np.float32)
    h = rng.normal(size=(50, 8)).astype(np.float32)
    base = expected_gradient_length(p, h)
    np.testing.assert_allclose(expected_gradient_length(p[:, [4, 2, 0, 1, 3]], h), base, rtol=1e-5)
    np.testing.assert_allclose(expected_gradient_length(p, 2 * h), 2 * base, rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 2), (4,), (4, 2, 2)])
def test_refuses_h_that_does_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="give one row each"):
        expected_gradient_length(np.full((4, 2), 0.5), np.ones(shape, dtype=np.float32))


def test_refuses_h_that_is_not_finite() -> None:
    h = np.ones((2, 3), dtype=np.float32)
    h[1, 2] = np.nan
    with pytest.raises(UserError, match="row 1 of h is not finite"):
        expected_gradient_length(np.full((2, 2), 0.5), h)


def test_without_h_all_have_length_one() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(4), 30).astype(np.float32)
    h = np.eye(1, 5, dtype=np.float32).repeat(30, axis=0)
    np.testing.assert_array_equal(expected_gradient_length(p), expected_gradient_length(p, h))
