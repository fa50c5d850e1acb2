"""Weights of rows and label texts: what balancing does, and that soft labels are split rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from labelwright.models.learners import Inputs, Training
from labelwright.models.learners.weighting import BALANCE, weighted_targets
from numpy.typing import NDArray


def rows(labels: NDArray[np.generic], weights: list[float] | None = None) -> Training:
    counted = np.ones(len(labels)) if weights is None else np.array(weights)
    return Training(Inputs([""] * len(labels), None), labels, counted.astype(np.float32))


def test_label_texts_come_last_each_with_its_own_label() -> None:
    targets, weights = weighted_targets(
        rows(np.array([1, 1, 0])), 3, multi_label=False, prototype_weight=4.0
    )
    np.testing.assert_array_equal(targets, np.eye(3)[[1, 1, 0, 0, 1, 2]])
    assert weights.shape == (6,)


def test_rare_label_weighs_more_by_the_power_of_the_ratio() -> None:
    _, weights = weighted_targets(
        rows(np.array([0] * 12)), 2, multi_label=False, prototype_weight=4.0
    )
    assert weights[0] == np.float32((10 / 16) ** BALANCE)
    assert weights[-1] == np.float32(4 * (10 / 4) ** BALANCE)


def test_each_label_of_several_is_balanced_against_its_absence() -> None:
    labels = np.zeros((20, 2), dtype=np.float32)
    labels[:5, 0] = 1
    targets, weights = weighted_targets(rows(labels), 2, multi_label=True, prototype_weight=4.0)
    assert targets.shape == weights.shape == (22, 2)
    present, absent = 5 + 4, 15 + 4
    assert weights[0, 0] == np.float32((14 / present) ** BALANCE)
    assert weights[5, 0] == np.float32((14 / absent) ** BALANCE)


def test_texts_of_other_labels_count_together_as_much_as_the_own() -> None:
    labels = np.zeros((0, 5), dtype=np.float32)
    targets, weights = weighted_targets(rows(labels), 5, multi_label=True, prototype_weight=4.0)
    np.testing.assert_array_equal(targets, np.eye(5))
    np.testing.assert_allclose((weights * targets).sum(axis=0), 4, rtol=1e-6)
    np.testing.assert_allclose((weights * (1 - targets)).sum(axis=0), 4, rtol=1e-6)


@given(
    arrays(np.float64, (6, 3), elements=st.floats(0.05, 1.0)),
    arrays(np.float64, 6, elements=st.floats(0.1, 5.0)),
)
def test_soft_label_is_one_row_for_each_of_its_labels(
    shares: NDArray[np.float64], counts: NDArray[np.float64]
) -> None:
    soft = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    targets, weights = weighted_targets(
        rows(soft, counts.tolist()), 3, multi_label=False, prototype_weight=4.0
    )
    split = (counts[:, None].astype(np.float32) * soft).ravel()
    _, each = weighted_targets(
        rows(np.tile(np.arange(3), 6), split.tolist()), 3, multi_label=False, prototype_weight=4.0
    )
    np.testing.assert_allclose((weights[:, None] * targets)[:6].ravel(), each[:18], rtol=1e-4)


@given(arrays(np.float32, (5, 4), elements=st.floats(0, 1, width=32)))
def test_targets_stay_within_their_range_and_weights_above_zero(
    labels: NDArray[np.float32],
) -> None:
    targets, weights = weighted_targets(rows(labels), 4, multi_label=True, prototype_weight=0.5)
    assert ((targets >= 0) & (targets <= 1)).all()
    assert (weights > 0).all()
