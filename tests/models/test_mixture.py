"""Two heaps of losses are told apart."""

from __future__ import annotations

import numpy as np
from labelwright.models.mixture import low_heap


def test_two_heaps_are_told_apart() -> None:
    generator = np.random.default_rng(0)
    low, high = generator.normal(0.2, 0.05, 80), generator.normal(2.0, 0.3, 20)
    found = low_heap(np.concatenate([low, high]).astype(np.float32), seed=0)
    assert (found[:80] > 0.5).all()
    assert (found[80:] < 0.5).all()
    assert found.dtype == np.float32


def test_the_smallest_losses_are_on_the_low_heap_whatever_its_width() -> None:
    generator = np.random.default_rng(1)
    losses = np.concatenate([[0.0], generator.normal(1.0, 0.02, 60), generator.normal(3, 1.5, 60)])
    assert low_heap(losses.astype(np.float32), seed=0)[0] > 0.5


def test_losses_that_are_alike_are_one_heap() -> None:
    assert low_heap(np.full(10, 0.3, dtype=np.float32), seed=0).tolist() == [1.0] * 10


def test_same_seed_gives_the_same_numbers() -> None:
    losses = np.random.default_rng(0).gamma(1.0, size=50).astype(np.float32)
    np.testing.assert_array_equal(low_heap(losses, seed=4), low_heap(losses, seed=4))
