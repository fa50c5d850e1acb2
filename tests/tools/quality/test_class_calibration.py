"""Labels with enough gold get a calibration of their own where that helps."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.calibration import choose, fit_temperature
from labelwright.tools.quality.class_calibration import PerClass, choose_per_class, fit_per_class
from numpy.typing import NDArray


def lopsided(n: int, *, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Always 0.8 sure; right in 95% of the cases with label 0, in half with label 1."""
    rng = np.random.default_rng(seed)
    said = rng.integers(0, 2, n)
    right = rng.random(n) < np.where(said == 0, 0.95, 0.5)
    probabilities = np.full((n, 3), 0.1)
    probabilities[np.arange(n), said] = 0.8
    return probabilities, np.where(right, said, (said + 1) % 2)


def test_each_label_gets_the_confidence_it_deserves() -> None:
    calibrator, report = choose_per_class(*lopsided(280), seed=0)
    found = calibrator.confidence(np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]))
    assert isinstance(calibrator, PerClass)
    assert report.method == "per class"
    assert found[0] > 0.88
    assert found[1] < 0.68
    assert report.error < report.error_before


def test_where_labels_are_alike_one_calibration_does_for_all() -> None:
    rng = np.random.default_rng(1)
    said = rng.integers(0, 2, 280)
    labels = np.where(rng.random(280) < 0.8, said, 1 - said)
    probabilities = np.where(np.eye(2)[said] > 0, 0.8, 0.2)
    calibrator, report = choose_per_class(probabilities, labels, seed=0)
    assert report.method == "temperature"
    assert calibrator.method == "temperature"


def test_few_gold_items_give_the_pooled_calibration() -> None:
    probabilities, labels = lopsided(60)
    calibrator, report = choose_per_class(probabilities, labels, seed=0)
    assert (calibrator, report) == choose(probabilities, labels, seed=0)


def test_a_label_without_enough_gold_uses_the_pooled_one() -> None:
    probabilities, labels = lopsided(200)
    pooled = fit_temperature(probabilities, labels)
    fitted = fit_per_class(pooled, probabilities, labels, least=90)
    unseen = np.array([[0.1, 0.1, 0.8]])
    assert 2 not in fitted.own
    np.testing.assert_array_equal(fitted.confidence(unseen), pooled.confidence(unseen))
    np.testing.assert_array_equal(fitted.apply(unseen), pooled.apply(unseen))


def test_distributions_are_valid_and_keep_their_best_label() -> None:
    probabilities, labels = lopsided(300)
    fitted = fit_per_class(fit_temperature(probabilities, labels), probabilities, labels)
    found = fitted.apply(probabilities)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(found.argmax(axis=1), probabilities.argmax(axis=1))
    np.testing.assert_allclose(found.max(axis=1), fitted.confidence(probabilities), atol=1e-5)


def test_what_is_no_distribution_is_refused() -> None:
    probabilities, labels = lopsided(100)
    fitted = fit_per_class(fit_temperature(probabilities, labels), probabilities, labels)
    with pytest.raises(UserError):
        fitted.confidence([[0.5, 0.6, 0.1]])
