"""SVMs on weighted soft rows, and margins made into logits."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.models.learners import Inputs, Training
from labelwright.models.learners.svm_training import (
    CALIBRATION_ROWS,
    DEFAULT_TEMPERATURE,
    SvmRows,
    calibrate,
    train_svms,
)
from labelwright.models.progress import NoProgress
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC


def rows(targets: NDArray[np.float32], *, multi_label: bool = False, seed: int = 0) -> SvmRows:
    features = np.random.default_rng(seed).normal(size=(len(targets), 6)) + targets @ np.eye(
        targets.shape[1], 6
    )
    weights = np.ones(targets.shape if multi_label else len(targets), dtype=np.float32)
    return SvmRows(csr_matrix(features), targets, weights, multi_label)


@pytest.mark.parametrize("classes", [2, 4])
def test_hard_labels_give_what_scikit_learn_finds(classes: int) -> None:
    labels = np.arange(60) % classes
    given = rows(np.eye(classes, dtype=np.float32)[labels])
    coefficients, intercept, _ = train_svms(given, seed=0)
    expected = LinearSVC(C=1.0, max_iter=5_000, random_state=0).fit(given.features, labels)
    np.testing.assert_allclose(coefficients, expected.coef_, atol=5e-3)
    np.testing.assert_allclose(intercept, expected.intercept_, atol=5e-3)


def test_soft_label_has_its_margin_between_the_labels() -> None:
    # Every row is the same but for the share of label 1, so that only the intercept can differ.
    for share in (0.5, 0.8, 1.0):
        targets = np.tile(np.array([[1 - share, share]], dtype=np.float32), (40, 1))
        every = np.concatenate([targets, np.eye(2, dtype=np.float32)])
        given = SvmRows(
            csr_matrix(np.ones((42, 1))), every, np.full(42, 100, np.float32), multi_label=False
        )
        coefficients, intercept, _ = train_svms(given, seed=0)
        mean = float(every[:, 1].mean())
        assert float(coefficients[0, 0] + intercept[0]) == pytest.approx(2 * mean - 1, abs=0.02)


def training(targets: NDArray[np.float32]) -> Training:
    texts = [""] * len(targets)
    return Training(Inputs(texts, None), targets, np.ones(len(targets), dtype=np.float32))


def test_few_rows_have_the_fixed_temperature() -> None:
    targets = np.eye(2, dtype=np.float32)[np.arange(20) % 2]
    with NoProgress().task("", 4) as task:
        scale, note = calibrate(rows(targets), training(targets[:18]), 0, task)
    assert scale.slope == 1 / DEFAULT_TEMPERATURE
    assert "18 labelled items are fewer" in note


def test_labels_without_meaning_get_a_smaller_slope_than_clear_ones() -> None:
    count = 2 * CALIBRATION_ROWS
    labels = np.arange(count + 2) % 2
    clear = np.eye(2, dtype=np.float32)[labels]
    mixed = clear[np.append(np.random.default_rng(0).permutation(count), [count, count + 1])]
    slopes = []
    for shown in (clear, mixed):
        given = SvmRows(rows(clear).features * 3, shown, np.ones(count + 2, np.float32), False)
        with NoProgress().task("", 4) as task:
            slopes.append(calibrate(given, training(shown[:count]), 0, task)[0].slope)
    assert slopes[0] > 1.5 * slopes[1]


def test_rare_labels_of_several_are_shifted_to_how_often_they_are() -> None:
    rng = np.random.default_rng(0)
    targets = (rng.random((200, 3)) < 0.1).astype(np.float32)
    given = rows(np.concatenate([targets, np.eye(3, dtype=np.float32)]), multi_label=True)
    meaningless = SvmRows(
        csr_matrix(rng.normal(size=(203, 6))), given.targets, given.weights, multi_label=True
    )
    with NoProgress().task("", 4) as task:
        scale, note = calibrate(meaningless, training(targets), 0, task)
    margins = train_svms(meaningless, 0)
    logits = (meaningless.features @ margins[0].T + margins[1]) * scale.slope + scale.shift
    assert (1 / (1 + np.exp(-logits))).mean() == pytest.approx(0.1, abs=0.04)
    assert "shift" in note
