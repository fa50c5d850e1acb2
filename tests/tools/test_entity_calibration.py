"""From a tagger's probability of an answer to the chance that it is right."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.calibration import expected_calibration_error
from labelwright.tools.entity_calibration import answers_calibration, fit_answers
from numpy.typing import NDArray
from scipy.special import expit, logit


def answers(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities as of long texts: far too low, and how often the answers are right."""
    rng = np.random.default_rng(seed)
    q = np.clip(rng.beta(0.7, 1.5, n), 1e-6, 1 - 1e-6)
    return q, rng.random(n) < expit(logit(q) / 2 + 1.5)


def test_it_brings_probabilities_near_the_truth() -> None:
    calibration = fit_answers(*answers(200, 0))
    q, right = answers(4000, 1)
    before = expected_calibration_error(q, right)
    after = expected_calibration_error(calibration.of(q), right)
    assert after < 0.05 < 0.2 < before


def test_few_gold_items_move_it_little_and_never_to_certainty() -> None:
    found = fit_answers(np.full(8, 0.99), np.ones(8, dtype=bool))
    assert 0.5 < found.temperature < 2
    assert float(found.of([1.0])[0]) <= 1 - 1 / 10


def test_the_order_is_kept() -> None:
    calibration = fit_answers(*answers(40, 2))
    found = calibration.of(np.linspace(0, 1, 50))
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found < 1)).all()


def test_it_is_read_back_from_what_the_model_keeps() -> None:
    calibration = fit_answers(*answers(40, 2))
    assert answers_calibration(calibration.as_fields()) == calibration
    assert answers_calibration({"temperature": None, "gold": 0}) is None


@pytest.mark.parametrize(
    ("confidence", "right"), [([], []), ([0.5], [True, False]), ([1.5], [True])]
)
def test_what_does_not_fit_is_refused(confidence: list[float], right: list[bool]) -> None:
    with pytest.raises(UserError):
        fit_answers(confidence, right)
