"""A combiner starts at the votes and learns what they get wrong together."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.quality.combining import Combiner, fit_combiner
from numpy.typing import NDArray


def biased(
    n: int, *, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Votes that always take label 2 for label 1, features that show which it is, the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    voted = np.where(truth == 2, 1, truth)
    prior = np.full((n, 3), 0.1)
    prior[np.arange(n), voted] = 0.8
    features = np.stack([truth == 2, rng.random(n) < 0.5], axis=1) + 0.1 * rng.normal(size=(n, 2))
    return prior, features.astype(np.float64), truth


def test_without_human_labels_it_says_what_the_votes_say() -> None:
    prior, features, _ = biased(20)
    empty = fit_combiner(prior[:0], features[:0], np.empty(0, dtype=np.int64))
    np.testing.assert_allclose(empty.predict(prior, features), prior)
    assert (empty.trust, empty.n) == (1.0, 0)


def test_what_all_models_get_wrong_together_is_learned() -> None:
    prior, features, truth = biased(400)
    fitted = fit_combiner(prior[:60], features[:60], truth[:60])
    before = (prior[60:].argmax(axis=1) == truth[60:]).mean()
    after = (fitted.predict(prior[60:], features[60:]).argmax(axis=1) == truth[60:]).mean()
    assert before < 0.75
    assert after > 0.95


def test_rows_are_distributions() -> None:
    prior, features, truth = biased(50)
    found = fit_combiner(prior, features, truth).predict(prior, features)
    assert (found > 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_more_strength_stays_nearer_to_the_votes() -> None:
    prior, features, truth = biased(50)
    near, far = (fit_combiner(prior, features, truth, strength=each) for each in (50.0, 0.1))
    assert np.abs(near.weights).sum() < np.abs(far.weights).sum() / 5


def test_the_fit_is_at_a_minimum() -> None:
    prior, features, truth = biased(40)

    def cost(model: Combiner) -> float:
        own = model.predict(prior, features)[np.arange(40), truth]
        penalty = 0.25 * (model.weights**2).sum() + 2 * (model.trust - 1) ** 2
        return float(-np.log(own).sum() + penalty)

    best = fit_combiner(prior, features, truth, strength=0.5)
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = best.weights + 0.05 * rng.normal(size=best.weights.shape)
        assert cost(Combiner(best.trust + 0.05 * rng.normal(), moved, 40)) > cost(best)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prior": np.array([[0.0, 1.0]])}, "above 0"),
        ({"features": np.array([[np.nan]])}, "not finite"),
        ({"features": np.ones((2, 1))}, "one row"),
        ({"labels": np.array([2])}, "label indices"),
        ({"strength": 0.0}, "strength"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], message: str) -> None:
    good = {
        "prior": np.array([[0.5, 0.5]]),
        "features": np.ones((1, 1)),
        "labels": np.array([0]),
        "strength": 1.0,
    } | change
    with pytest.raises(UserError, match=message):
        fit_combiner(good["prior"], good["features"], good["labels"], strength=good["strength"])


def test_features_of_another_width_are_refused() -> None:
    prior, features, truth = biased(30)
    with pytest.raises(UserError, match="give the same"):
        fit_combiner(prior, features, truth).predict(prior, features[:, :1])


def test_a_start_leads_to_the_same_minimum() -> None:
    prior, features, truth = biased(80)
    early = fit_combiner(prior[:40], features[:40], truth[:40])
    cold = fit_combiner(prior, features, truth)
    warm = fit_combiner(prior, features, truth, start=early)
    np.testing.assert_allclose(warm.weights, cold.weights, atol=1e-2)
    assert warm.trust == pytest.approx(cold.trust, abs=1e-2)


def test_fewer_rows_than_features_are_no_hindrance() -> None:
    prior, features, truth = biased(60)
    wide = np.hstack([features, 0.01 * np.random.default_rng(0).normal(size=(60, 50))])
    fitted = fit_combiner(prior[:12], wide[:12], truth[:12])
    assert fitted.weights.shape == (53, 3)
    said = fitted.predict(prior[12:], wide[12:]).argmax(axis=1)
    assert (said == truth[12:]).mean() > 0.9


def test_a_start_of_another_shape_is_refused() -> None:
    prior, features, truth = biased(30)
    other = fit_combiner(prior, features[:, :1], truth)
    with pytest.raises(UserError, match="leave it out"):
        fit_combiner(prior, features, truth, start=other)
