"""Calibration of sets: labels by themselves, and the chance that all are right together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from labelwright.store.errors import UserError
from labelwright.tools.set_calibration import (
    SetCalibration,
    SetConfidence,
    fit_confidence,
    fit_labels,
    fit_sets,
)
from numpy.typing import NDArray


def drawn(
    n: int, classes: int, seed: int, *, sharp: float = 1.0, shift: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities of a model that is `sharp` times too sure and off by `shift`, and truth."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, classes))
    truth = (rng.random((n, classes)) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    return 1 / (1 + np.exp(-(sharp * logits + shift))), truth


def test_a_model_that_is_too_sure_is_cooled_down() -> None:
    p, truth = drawn(2000, 2, 0, sharp=2.0)
    temperatures, shifts = fit_labels(p, truth)
    assert temperatures == pytest.approx((2.0, 2.0), abs=0.25)
    assert shifts == pytest.approx((0.0, 0.0), abs=0.15)


def test_a_label_that_is_given_too_freely_gets_a_higher_threshold() -> None:
    p, truth = drawn(3000, 1, 1, shift=1.0)
    calibration = SetCalibration(*fit_labels(p, truth), SetConfidence())
    assert calibration.thresholds[0] == pytest.approx(1 / (1 + np.exp(-1.0)), abs=0.05)
    assert np.mean(calibration.apply(p) >= 0.5) < np.mean(p >= 0.5)


def test_the_thresholds_are_where_the_calibrated_probability_is_a_half() -> None:
    p, truth = drawn(200, 3, 2, sharp=1.7, shift=0.8)
    calibration = fit_sets(p, truth)
    below = np.array(calibration.thresholds) - 1e-4
    assert (calibration.apply(np.array([below])) < 0.5).all()
    assert (calibration.apply(np.array([below + 2e-4])) >= 0.5).all()


def test_with_few_items_little_is_changed() -> None:
    p, truth = drawn(4, 3, 3, sharp=3.0)
    temperatures, shifts = fit_labels(p, truth)
    assert all(0.5 < each < 3.0 for each in temperatures)
    assert all(abs(each) < 0.3 for each in shifts)


def test_the_confidence_of_a_set_is_how_often_such_sets_are_right() -> None:
    p, truth = drawn(400, 3, 4, sharp=2.0)
    calibration = fit_sets(p, truth)
    fresh, gold = drawn(6000, 3, 5, sharp=2.0)
    right = ((calibration.apply(fresh) >= 0.5) == (gold > 0)).all(axis=1)
    confidence = calibration.confidence(fresh)
    for low, high in ((0.2, 0.4), (0.4, 0.6), (0.6, 0.9)):
        inside = (confidence >= low) & (confidence < high)
        assert inside.sum() > 100
        assert right[inside].mean() == pytest.approx(confidence[inside].mean(), abs=0.07)


def test_labels_that_err_together_get_a_power_below_one() -> None:
    p, truth = drawn(500, 1, 6)
    p, truth = np.repeat(p, 4, axis=1), np.repeat(truth, 4, axis=1)
    assert fit_sets(p, truth).sets.power < 0.5
    independent = fit_sets(*drawn(500, 4, 6))
    assert independent.sets.power == pytest.approx(1.0, abs=0.25)


def test_gold_items_that_are_all_right_do_not_give_certainty() -> None:
    sure = np.full((20, 2), 0.999999)
    confidence = fit_sets(sure, np.ones((20, 2))).confidence(sure)
    assert (confidence <= 1 - 1 / 22 + 1e-6).all()


def test_without_gold_the_confidence_is_the_product() -> None:
    assert SetConfidence().of([[0.9, 0.2]])[0] == pytest.approx(0.72)


def test_the_power_alone_can_be_fitted() -> None:
    p, truth = drawn(600, 2, 7)
    right = ((p >= 0.5) == (truth > 0)).all(axis=1)
    assert fit_confidence(p, right).power == pytest.approx(1.0, abs=0.25)
    assert fit_confidence(p, np.ones(600)).power < 0.5


@given(
    arrays(np.float64, (7, 3), elements=st.floats(0, 1)),
    arrays(np.int64, (7, 3), elements=st.integers(0, 1)),
)
def test_whatever_comes_in_probabilities_and_confidences_come_out(
    p: NDArray[np.float64], truth: NDArray[np.int64]
) -> None:
    calibration = fit_sets(p, truth)
    for found in (calibration.apply(p), calibration.confidence(p)):
        assert np.isfinite(found).all()
        assert ((found >= 0) & (found <= 1)).all()


def test_the_same_items_give_the_same_calibration() -> None:
    p, truth = drawn(30, 4, 8)
    assert fit_sets(p, truth) == fit_sets(p, truth)


@pytest.mark.parametrize(
    ("p", "truth"),
    [
        (np.ones((0, 2)), np.ones((0, 2))),
        (np.full((3, 2), 0.5), np.ones((3, 3))),
        (np.full((3, 2), 0.5), np.full((3, 2), 0.5)),
        (np.full((3, 2), 1.5), np.ones((3, 2))),
        (np.full((1, 2), 0.5), np.ones((1, 2))),
    ],
)
def test_what_does_not_fit_is_refused(p: NDArray[np.float64], truth: NDArray[np.float64]) -> None:
    with pytest.raises(UserError):
        fit_sets(p, truth)


def test_a_flag_for_each_item_is_needed() -> None:
    with pytest.raises(UserError, match="one each"):
        fit_confidence(np.full((3, 2), 0.5), [True])
