"""The chance of an error, learned from signals on gold."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.quality.error_map import fit_error_map
from numpy.typing import NDArray


def doubts(n: int, *, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Two signals; the chance of an error is the square of the first."""
    rng = np.random.default_rng(seed)
    signals = rng.random((n, 2))
    return signals, rng.random(n) < signals[:, 0] ** 2


@pytest.mark.parametrize("kind", ["isotonic", "tree"])
def test_the_chance_is_near_the_true_one(kind: str) -> None:
    signals, wrong = doubts(2000)
    found = fit_error_map(signals, wrong, seed=0, kind=kind)
    asked = np.array([[0.1, 0.5], [0.5, 0.5], [0.95, 0.5]])
    np.testing.assert_allclose(found.error(asked), asked[:, 0] ** 2, atol=0.12)


def test_the_kind_that_foretells_better_is_taken() -> None:
    rng = np.random.default_rng(0)
    signals = rng.random((600, 2))
    second_only = rng.random(600) < np.where(signals[:, 1] > 0.7, 0.8, 0.05)
    found = fit_error_map(signals, second_only, seed=0)
    assert found.kind == "tree"
    assert found.log_loss["tree"] < found.log_loss["isotonic"]
    rising, wrong = doubts(600)
    assert fit_error_map(rising[:, :1], wrong, seed=0).kind == "isotonic"


@pytest.mark.parametrize("kind", ["isotonic", "tree"])
def test_gold_without_an_error_is_no_certainty(kind: str) -> None:
    signals, _ = doubts(40)
    found = fit_error_map(signals, np.zeros(40, dtype=bool), seed=0, kind=kind).error(signals)
    assert (found > 0.01).all()
    assert (found < 0.2).all()


def test_the_same_seed_gives_the_same_map() -> None:
    signals, wrong = doubts(200)
    first, second = (fit_error_map(signals, wrong, seed=3) for _ in range(2))
    assert first.log_loss == second.log_loss
    np.testing.assert_array_equal(first.error(signals), second.error(signals))


@pytest.mark.parametrize(
    ("signals", "wrong"),
    [
        (np.full((20, 1), 1.5), np.zeros(20, dtype=bool)),
        (np.full((20, 1), np.nan), np.zeros(20, dtype=bool)),
        (np.zeros(20), np.zeros(20, dtype=bool)),
        (np.zeros((9, 1)), np.zeros(9, dtype=bool)),
        (np.zeros((20, 1)), np.zeros(19, dtype=bool)),
    ],
)
def test_what_does_not_fit_is_refused(
    signals: NDArray[np.float64], wrong: NDArray[np.bool_]
) -> None:
    with pytest.raises(UserError):
        fit_error_map(signals, wrong, seed=0)
