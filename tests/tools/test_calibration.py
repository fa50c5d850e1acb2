"""Confidence that can be believed, and thresholds that keep their promise."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.calibration import (
    Calibrator,
    Isotonic,
    Temperature,
    calibration_error_interval,
    choose,
    expected_calibration_error,
    fit_isotonic,
    fit_temperature,
)
from numpy.typing import NDArray


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def sample(
    n: int, seed: int, *, sharpen: float = 1.0, n_labels: int = 4
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities and labels: calibrated for `sharpen` 1, too sure of themselves above."""
    rng = np.random.default_rng(seed)
    scores = 1.5 * rng.normal(size=(n, n_labels))
    honest = softmax(scores)
    labels = (honest.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return softmax(sharpen * scores), np.minimum(labels, n_labels - 1)


class CalibratorContract(ABC):
    """What every calibrator promises."""

    @abstractmethod
    def fitted(self) -> Calibrator:
        """A calibrator of the kind under test."""

    def test_distributions_are_valid_and_keep_their_best_label(self) -> None:
        p, _ = sample(300, 9, sharpen=2)
        out = self.fitted().apply(p)
        assert out.shape == p.shape
        assert out.dtype == np.float32
        assert (out >= 0).all()
        np.testing.assert_allclose(out.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_array_equal(out.argmax(axis=1), p.argmax(axis=1))

    def test_confidence_is_the_highest_of_the_distribution(self) -> None:
        p, _ = sample(300, 9, sharpen=2)
        calibrator = self.fitted()
        np.testing.assert_allclose(
            calibrator.confidence(p), calibrator.apply(p).max(axis=1), atol=1e-5
        )

    def test_certainty_of_the_model_never_becomes_certainty(self) -> None:
        confidence = self.fitted().confidence(np.eye(4))
        assert (confidence < 1).all()
        assert (confidence > 0.5).all()

    def test_overconfidence_is_lowered(self) -> None:
        p, labels = sample(4000, 10, sharpen=3)
        correct = p.argmax(axis=1) == labels
        before = expected_calibration_error(p.max(axis=1), correct)
        after = expected_calibration_error(self.fitted().confidence(p), correct)
        assert after < 0.06 < 0.15 < before

    def test_no_items_give_no_confidence(self) -> None:
        assert self.fitted().apply(np.zeros((0, 4))).shape == (0, 4)
        assert self.fitted().confidence(np.zeros((0, 4))).shape == (0,)

    @pytest.mark.parametrize("bad", [[[0.5, 0.6]], [[1.5, -0.5]], [[np.nan, 1.0]], [0.5, 0.5]])
    def test_what_is_no_distribution_is_refused(self, bad: list[list[float]]) -> None:
        with pytest.raises(UserError):
            self.fitted().apply(bad)


class TestTemperature(CalibratorContract):
    def fitted(self) -> Calibrator:
        return fit_temperature(*sample(400, 0, sharpen=3))


class TestIsotonic(CalibratorContract):
    def fitted(self) -> Calibrator:
        p, labels = sample(800, 0, sharpen=3)
        return fit_isotonic(p.max(axis=1), p.argmax(axis=1) == labels)


@pytest.mark.parametrize("sharpen", [0.5, 1.0, 3.0])
def test_temperature_finds_how_much_was_sharpened(sharpen: float) -> None:
    found = fit_temperature(*sample(3000, 1, sharpen=sharpen))
    assert found.temperature == pytest.approx(sharpen, rel=0.1)


def test_temperature_is_lowest_where_a_fine_search_finds_it() -> None:
    p, labels = sample(40, 2, sharpen=2)
    t = np.exp(np.linspace(np.log(0.25), np.log(8), 4001))
    log_p = np.log(p)[None] / t[:, None, None]
    log_p -= np.log(np.exp(log_p).sum(axis=2, keepdims=True))
    cost = -log_p[:, np.arange(40), labels].sum(axis=1) + 0.5 * (np.log(t) / 0.5) ** 2
    assert fit_temperature(p, labels).temperature == pytest.approx(t[cost.argmin()], rel=2e-3)


@pytest.mark.parametrize("n", [1, 5, 20, 60])
def test_few_items_that_are_all_right_do_not_make_it_certain(n: int) -> None:
    p, _ = sample(n, 3)
    calibrator = fit_temperature(p, p.argmax(axis=1))
    assert calibrator.temperature >= 0.25
    # The rule of succession: after n successes out of n, the next comes with (n + 1) / (n + 2).
    highest = calibrator.confidence(np.eye(4)).max()
    assert highest <= (n + 1) / (n + 2) + 1 / (4 * (n + 2)) + 1e-6


def test_one_item_hardly_moves_the_temperature() -> None:
    assert fit_temperature([[0.6, 0.4]], [0]).temperature == pytest.approx(1, abs=0.15)


def test_isotonic_rises_and_stays_inside_what_counts_support() -> None:
    p, labels = sample(300, 4, sharpen=2)
    curve = fit_isotonic(p.max(axis=1), p.argmax(axis=1) == labels)
    assert list(curve.knots) == sorted(set(curve.knots))
    assert list(curve.values) == sorted(curve.values)
    assert curve.values[0] > 0
    assert curve.values[-1] < 1


def test_isotonic_of_equal_confidences_is_their_smoothed_accuracy() -> None:
    curve = fit_isotonic([0.9] * 8, [True] * 6 + [False] * 2)
    assert curve.values == pytest.approx((7 / 10,))
    assert curve.knots == pytest.approx((0.9,))
    assert Isotonic.confidence(curve, [[0.2, 0.8]])[0] == pytest.approx(0.7)


def test_isotonic_confidence_below_chance_is_reported_but_cannot_top_a_distribution() -> None:
    curve = Isotonic(knots=(0.5, 1.0), values=(0.1, 0.2), n=50)
    p = np.array([[0.7, 0.2, 0.1]])
    assert curve.confidence(p)[0] == pytest.approx(0.14)
    np.testing.assert_allclose(curve.apply(p), 1 / 3, atol=1e-6)


def test_few_items_choose_a_temperature_and_many_a_curve() -> None:
    few, report = choose(*sample(60, 5, sharpen=3), seed=0)
    assert isinstance(few, Temperature)
    assert (report.method, report.n) == ("temperature", 60)
    many, report = choose(*sample(500, 5, sharpen=3), seed=0)
    assert isinstance(many, Isotonic)
    assert (report.method, report.n) == ("isotonic", 500)
    assert report.error_low <= report.error <= report.error_high
    assert report.error < report.error_before


def test_the_choice_is_the_same_for_the_same_seed() -> None:
    p, labels = sample(60, 6, sharpen=3)
    assert choose(p, labels, seed=3) == choose(p, labels, seed=3)
    assert choose(p, labels, seed=3)[1] != choose(p, labels, seed=4)[1]


def test_the_reported_error_comes_from_items_left_out() -> None:
    # A curve fitted on these pure-noise items would look calibrated on them; left out, it is not.
    rng = np.random.default_rng(0)
    top = rng.uniform(0.5, 1, size=300)
    p = np.stack([top, 1 - top], axis=1)
    labels = rng.integers(0, 2, size=300)
    curve, report = choose(p, labels, seed=0)
    inside = expected_calibration_error(curve.confidence(p), labels == 0)
    assert report.error > inside


def test_calibration_error_by_hand() -> None:
    confidence = [0.95, 0.95, 0.95, 0.95, 0.55, 0.55]
    correct = [True, True, True, False, True, False]
    expected = 4 / 6 * abs(0.75 - 0.95) + 2 / 6 * abs(0.5 - 0.55)
    assert expected_calibration_error(confidence, correct) == pytest.approx(expected)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.integers(1, 15)
)
def test_calibration_error_lies_in_zero_to_one(pairs: list[tuple[float, bool]], bins: int) -> None:
    confidence, correct = zip(*pairs, strict=True)
    assert 0 <= expected_calibration_error(confidence, correct, bins) <= 1 + 1e-9


def test_the_interval_holds_the_estimate_narrows_with_n_and_is_seeded() -> None:
    widths = []
    for n in (50, 2000):
        p, labels = sample(n, 7, sharpen=2)
        args = (p.max(axis=1), p.argmax(axis=1) == labels)
        estimate, low, high = calibration_error_interval(*args, seed=1)
        assert low <= estimate <= high
        assert estimate == expected_calibration_error(*args)
        assert calibration_error_interval(*args, seed=1) == (estimate, low, high)
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_input_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="one of each"):
        expected_calibration_error([0.5, 0.5], [True])
    with pytest.raises(UserError, match="one of each"):
        expected_calibration_error([], [])
    with pytest.raises(UserError, match="bins"):
        expected_calibration_error([0.5], [True], bins=0)
    with pytest.raises(UserError, match="gold item"):
        fit_temperature(np.zeros((0, 2)), [])
    with pytest.raises(UserError, match="gold label"):
        fit_temperature([[0.5, 0.5]], [2])
    with pytest.raises(UserError, match="2 or more"):
        choose([[0.5, 0.5]], [0], seed=0)
