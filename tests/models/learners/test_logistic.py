"""Logistic regression with soft targets against scikit-learn's, and what its posterior says."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.models.learners.logistic import (
    TEMPERATURE,
    Logistic,
    Posterior,
    fit_logistic,
    inverse_regularisation,
    laplace,
    one_core,
    sampled_probabilities,
    to_probabilities,
    unit_rows,
)
from labelwright.models.progress import NoProgress
from labelwright.store.errors import UserError
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression


def rows(n: int, classes: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = np.append(np.arange(classes), rng.integers(0, classes, n - classes))
    vectors = 0.6 * rng.normal(size=(classes, 8))[labels] + rng.normal(size=(n, 8))
    return unit_rows(vectors.astype(np.float32)), labels


def peer(classes: int) -> LogisticRegression:
    return LogisticRegression(C=inverse_regularisation(classes), max_iter=1000)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_hard_labels_give_what_scikit_learn_finds(classes: int) -> None:
    vectors, labels = rows(60, classes)
    weights = np.random.default_rng(1).uniform(0.5, 2, 60).astype(np.float32)
    targets = np.eye(classes, dtype=np.float32)[labels]
    found, _ = fit_logistic(vectors, targets, weights, multi_label=False)
    expected = peer(classes).fit(vectors, labels, sample_weight=weights).predict_proba(vectors)
    np.testing.assert_allclose(found.probabilities(vectors), expected, atol=2e-3)


@pytest.mark.parametrize("classes", [2, 4])
def test_soft_label_is_the_same_as_its_parts_as_rows(classes: int) -> None:
    vectors, _ = rows(40, classes)
    targets = np.random.default_rng(2).dirichlet(np.ones(classes), 40).astype(np.float32)
    found, _ = fit_logistic(vectors, targets, np.ones(40, np.float32), multi_label=False)
    every = np.repeat(vectors, classes, axis=0)
    parts = peer(classes).fit(every, np.tile(np.arange(classes), 40), sample_weight=targets.ravel())
    np.testing.assert_allclose(
        found.probabilities(vectors), parts.predict_proba(vectors), atol=2e-3
    )


def test_several_labels_are_one_regression_each() -> None:
    vectors, _ = rows(50, 3)
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, (50, 3))
    weights = rng.uniform(0.5, 2, (50, 3)).astype(np.float32)
    found, _ = fit_logistic(vectors, labels.astype(np.float32), weights, multi_label=True)
    for place in range(3):
        alone = peer(3).fit(vectors, labels[:, place], sample_weight=weights[:, place])
        np.testing.assert_allclose(
            found.probabilities(vectors)[:, place], alone.predict_proba(vectors)[:, 1], atol=2e-3
        )


def test_no_logit_is_too_large_for_probabilities() -> None:
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype=np.float32)
    for multi_label in (True, False):
        np.testing.assert_allclose(to_probabilities(logits, multi_label=multi_label), np.eye(2))
    np.testing.assert_allclose(to_probabilities(logits[:, :1], multi_label=False)[0], [0, 1])


def flat_model(outputs: int, *, multi_label: bool) -> Logistic:
    zeros = np.zeros((outputs, 8), dtype=np.float32)
    return Logistic(zeros, np.zeros(outputs, dtype=np.float32), multi_label)


def covariance(found: Posterior) -> NDArray[np.float64]:
    """(K (d + 1), K (d + 1)) by the factors."""
    directions = np.kron(found.outputs, found.inputs).astype(np.float64)
    return (directions * found.variances.ravel()) @ directions.T


def curvature(vectors: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    extended = np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1)
    result: NDArray[np.float64] = (extended * weights[:, None]).T @ extended
    return result


@pytest.mark.parametrize(("classes", "multi_label"), [(2, False), (4, False), (3, True)])
def test_covariance_is_the_inverse_of_the_curvature_where_all_predictions_agree(
    classes: int, multi_label: bool
) -> None:
    vectors, _ = rows(30, 3)
    weights = np.random.default_rng(1).uniform(0.5, 2, 30).astype(np.float32)
    model = flat_model(1 if classes == 2 else classes, multi_label=multi_label)
    chances = model.probabilities(vectors)
    counted = np.tile(weights[:, None], (1, classes)) if multi_label else weights
    found = laplace(model, vectors, chances, counted)
    p = chances[0].astype(np.float64)
    one = np.diag(p * (1 - p)) if multi_label else np.diag(p) - np.outer(p, p)
    if classes == 2:
        one = one[1:, 1:]
    exact = np.kron(one, curvature(vectors, weights))
    exact += np.eye(len(exact)) / inverse_regularisation(classes)
    np.testing.assert_allclose(covariance(found), TEMPERATURE * np.linalg.inv(exact), atol=1e-4)


def test_draws_have_the_covariance_and_no_mean() -> None:
    vectors, _ = rows(30, 3)
    model = flat_model(3, multi_label=False)
    found = laplace(model, vectors, model.probabilities(vectors), np.ones(30, np.float32))
    drawn = found.draw(20_000, seed=0).reshape(20_000, -1)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), covariance(found), atol=0.05)


@pytest.mark.parametrize("multi_label", [False, True])
def test_more_labels_leave_less_open(multi_label: bool) -> None:
    spread = []
    for n in (12, 400):
        vectors, labels = rows(n, 3)
        targets = np.eye(3, dtype=np.float32)[labels]
        weights = np.ones((n, 3) if multi_label else n, dtype=np.float32)
        model, _ = fit_logistic(vectors, targets, weights, multi_label=multi_label)
        found = laplace(model, vectors, model.probabilities(vectors), weights)
        spread.append(found.draw(200, seed=0).std())
    assert spread[1] < 0.7 * spread[0]


def test_rows_in_blocks_are_sampled_as_rows_together(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, labels = rows(50, 3)
    weights = np.ones(50, dtype=np.float32)
    model, _ = fit_logistic(
        vectors, np.eye(3, dtype=np.float32)[labels], weights, multi_label=False
    )
    steps = laplace(model, vectors, model.probabilities(vectors), weights).draw(4, seed=0)
    found = []
    for block in (4_000_000, 60):
        monkeypatch.setattr("labelwright.models.learners.logistic._BLOCK", block)
        with NoProgress().task("", 50) as task:
            found.append(sampled_probabilities(model, model.logits(vectors), vectors, steps, task))
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    moved = Logistic(
        model.coefficients + steps[2, :, :-1], model.intercept + steps[2, :, -1], multi_label=False
    )
    np.testing.assert_allclose(found[0][2], moved.probabilities(vectors), atol=1e-5)


def test_less_than_one_draw_is_refused() -> None:
    vectors, _ = rows(10, 3)
    model = flat_model(3, multi_label=False)
    found = laplace(model, vectors, model.probabilities(vectors), np.ones(10, np.float32))
    with pytest.raises(UserError, match="samples is 0"):
        found.draw(0, seed=0)


def test_rows_get_length_one_and_zeros_the_first_axis() -> None:
    found = unit_rows(np.array([[3, 4], [0, 0]], dtype=np.float32))
    np.testing.assert_allclose(found, [[0.6, 0.8], [1, 0]])
    assert found.dtype == np.float32


def test_cores_are_given_back() -> None:
    from threadpoolctl import threadpool_info

    def cores() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = cores()
    with one_core():
        assert set(cores()) == {1}
    assert cores() == before
