"""What a batch gained, measured without a test set."""

from __future__ import annotations

import math

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.strategies.wrappers.gains import gain, reward
from numpy.typing import NDArray
from strategy_contract import unit

Labelled = tuple[NDArray[np.float32], NDArray[np.int64]]


def world(n: int, *, seed: int, noise: float = 0.8) -> Labelled:
    """Items of two labels, the side of a plane, in 8 dimensions."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, 8))
    labels = (points[:, 0] + noise * 0.1 * rng.standard_normal(n) > 0).astype(np.int64)
    return unit(points), labels


def measured(batch: Labelled, seed: int = 0) -> float:
    known = world(30, seed=1)
    found = gain(*known, *batch, seed=seed)
    assert found is not None
    return found


def test_right_labels_gain_and_wrong_ones_lose() -> None:
    vectors, labels = world(25, seed=2)
    assert measured((vectors, labels)) > 0.05
    assert measured((vectors, 1 - labels)) < -0.05


def test_different_items_gain_more_than_copies_of_one() -> None:
    vectors, labels = world(25, seed=3)
    copies = np.repeat(vectors[:1], 25, axis=0), np.repeat(labels[:1], 25)
    assert measured((vectors, labels)) > measured(copies)


def test_difficult_items_are_not_paid_for_their_difficulty() -> None:
    """Labels by chance are wrong half of the time, and teach nothing."""
    vectors, labels = world(25, seed=4)
    by_chance = np.random.default_rng(0).integers(0, 2, 25)
    assert measured((vectors, by_chance)) < measured((vectors, labels))


def test_the_same_seed_gives_the_same_gain() -> None:
    batch = world(25, seed=5)
    assert measured(batch, 7) == measured(batch, 7)
    assert measured(batch, 7) != measured(batch, 8)


def test_a_label_of_the_batch_alone_does_no_harm() -> None:
    vectors, labels = world(25, seed=6)
    assert math.isfinite(measured((vectors, np.where(labels == 1, 5, 0))))


@pytest.mark.parametrize("labels", [np.zeros(30, dtype=np.int64), np.arange(9) % 2])
def test_too_few_labels_give_no_gain(labels: NDArray[np.int64]) -> None:
    vectors = world(len(labels), seed=0)[0]
    assert gain(vectors, labels, *world(5, seed=1), seed=0) is None


def test_a_rare_label_may_be_absent_from_the_others() -> None:
    vectors, labels = world(30, seed=0)
    once = np.where(np.arange(30) == 4, 2, labels)
    assert gain(vectors, once, *world(5, seed=1), seed=0) is not None
    alone = np.where(np.arange(30) == 4, 1, 0)
    assert gain(vectors, alone, *world(5, seed=1), seed=0) is not None


def test_on_a_power_law_the_reward_is_its_exponent_early_and_late() -> None:
    def at(m: float) -> NDArray[np.float32]:
        right = np.exp(-2.0 * m**-0.4) * np.ones(50)
        return np.stack([right, 1 - right], axis=1).astype(np.float32)

    labels = np.zeros(50, dtype=np.int64)
    early = reward(at(20), at(45), labels, growth=45 / 20)
    late = reward(at(400), at(425), labels, growth=425 / 400)
    assert early == pytest.approx(0.4, abs=1e-3)
    assert late == pytest.approx(0.4, abs=1e-3)


def test_no_single_item_decides() -> None:
    labels = np.zeros(100, dtype=np.int64)
    before = np.full((100, 2), 0.5, dtype=np.float32)
    after = before.copy()
    after[:99] = [0.8, 0.2]
    after[99] = [0.0, 1.0]
    assert reward(before, after, labels, growth=2.0) > 0


def test_refuses_what_does_not_fit() -> None:
    vectors, labels = world(20, seed=0)
    with pytest.raises(UserError, match="20 vectors for 19 labels"):
        gain(vectors, labels[:19], vectors, labels, seed=0)
    with pytest.raises(UserError, match="batch of 0 items"):
        gain(vectors, labels, vectors[:0], labels[:0], seed=0)
    p = np.full((4, 2), 0.5, dtype=np.float32)
    with pytest.raises(UserError, match="growth is 1"):
        reward(p, p, labels[:4], growth=1)
    with pytest.raises(UserError, match=r"\(4, 2\) and \(3, 2\) for 4 labels"):
        reward(p, p[:3], labels[:4], growth=2.0)
