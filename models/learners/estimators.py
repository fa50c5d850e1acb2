"""Scikit-learn estimators as the thing a learner is saved as: made from weights, kept by joblib."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError
from .base import saving
from .logistic import Posterior

MODEL_FILE = "model.joblib"
_WRONG_CONTENT = (KeyError, ValueError, TypeError, IndexError)


def as_estimator(coefficients: NDArray[Any], intercept: NDArray[Any]) -> Any:
    """A fitted `LogisticRegression` with these weights, its classes being 0 to C - 1.

    Args:
        coefficients: (C, dim) one row for each class, or (1, dim) for the odds of class 1
            against class 0.
        intercept: (C,) or (1,).
    """
    from sklearn.linear_model import LogisticRegression

    if len(coefficients) == 2:
        # Scikit-learn keeps one row for two classes: the odds of the second.
        coefficients = coefficients[1:] - coefficients[:1]
        intercept = intercept[1:] - intercept[:1]
    model = LogisticRegression()
    model.classes_ = np.arange(max(2, len(coefficients)))
    model.coef_, model.intercept_ = coefficients, intercept
    model.n_features_in_ = coefficients.shape[1]
    model.n_iter_ = np.zeros(1, dtype=np.int32)
    return model


def as_one_vs_rest(coefficients: NDArray[Any], intercept: NDArray[Any]) -> Any:
    """A fitted `OneVsRestClassifier` of C logistic regressions, for several labels an item.

    Its `predict_proba` gives (n, C) probabilities, each by itself; its `predict` 0 and 1.

    Args:
        coefficients: (C, dim).
        intercept: (C,).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.preprocessing import LabelBinarizer

    classes = len(coefficients)
    model = OneVsRestClassifier(LogisticRegression())
    model.estimators_ = [
        as_estimator(coefficients[place : place + 1], intercept[place : place + 1])
        for place in range(classes)
    ]
    # Fitted to a matrix of 0 and 1, it knows that an item may have several labels.
    model.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(np.eye(classes, dtype=int))
    model.classes_ = model.label_binarizer_.classes_
    model.n_features_in_ = coefficients.shape[1]
    return model


def weights_of(estimator: Any) -> tuple[NDArray[Any], NDArray[Any], bool]:
    """Coefficients, intercept, and whether for several labels, of what `as_...` made."""
    parts = getattr(estimator, "estimators_", None)
    if parts is None:
        return estimator.coef_, estimator.intercept_, False
    coefficients = np.concatenate([part.coef_ for part in parts])
    return coefficients, np.concatenate([part.intercept_ for part in parts]), True


def save_estimator(
    folder: Path, estimator: Any, label_names: list[str], posterior: Posterior | None
) -> None:
    """Write `model.joblib`: a dictionary of `classifier`, `label_names` and `posterior`.

    The posterior, where there is one, is a dictionary of arrays, so that the file opens without
    this package.

    Raises:
        OperatorError: the folder cannot be written.
    """
    import joblib

    saved = {"classifier": estimator, "label_names": label_names}
    if posterior is not None:
        saved["posterior"] = {
            field.name: getattr(posterior, field.name) for field in fields(posterior)
        }
    with saving(folder):
        joblib.dump(saved, folder / MODEL_FILE)


def load_estimator(folder: Path) -> tuple[Any, Posterior | None]:
    """What `save_estimator` wrote. A pickle: load only what you trust.

    Returns:
        The classifier; and the posterior, `None` in a file of a version that had none.

    Raises:
        UserError: the file is absent or damaged.
    """
    import joblib

    try:
        saved = joblib.load(folder / MODEL_FILE)
        arrays = saved.get("posterior")
        return saved["classifier"], None if arrays is None else Posterior(**arrays)
    except (OSError, EOFError, UnpicklingError, *_WRONG_CONTENT) as error:
        raise UserError(
            f"{str(folder / MODEL_FILE)!r} cannot be read ({error!r}): train and save it again"
        ) from error


def mean_log_loss(
    probabilities: NDArray[Any],
    targets: NDArray[np.float32],
    weights: NDArray[Any],
    *,
    multi_label: bool,
) -> float:
    """Weighted mean cross entropy of n rows, each probability taken as at least 1e-9.

    With `multi_label` it is the mean over the labels too, each of them yes or no.
    """
    losses = -targets * np.log(np.maximum(probabilities, 1e-9))
    if not multi_label:
        return float(np.average(losses.sum(axis=1), weights=weights))
    losses -= (1 - targets) * np.log(np.maximum(1 - probabilities, 1e-9))
    return float(np.average(losses.mean(axis=1), weights=weights))
