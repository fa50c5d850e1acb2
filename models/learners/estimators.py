"""Scikit-learn estimators as the thing a learner is saved as: made from weights, kept by joblib."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...store.errors import OperatorError, UserError

MODEL_FILE = "model.joblib"


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


@contextmanager
def many_classes() -> Iterator[None]:
    """For fitting: no warning that numbers of few examples each may not be classes; they are."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="The number of unique classes is greater", category=UserWarning
        )
        yield


def save_estimator(folder: Path, estimator: Any, label_names: list[str]) -> None:
    """Write `model.joblib`: a dictionary of `classifier` and `label_names`.

    Raises:
        OperatorError: the folder cannot be written.
    """
    import joblib

    try:
        joblib.dump({"classifier": estimator, "label_names": label_names}, folder / MODEL_FILE)
    except OSError as error:
        raise OperatorError(
            f"the model cannot be saved in {str(folder)!r} ({error}): give a writable folder"
        ) from error


def load_estimator(folder: Path) -> Any:
    """The classifier that `save_estimator` wrote. A pickle: load only what you trust.

    Raises:
        UserError: the file is absent or damaged.
    """
    import joblib

    try:
        return joblib.load(folder / MODEL_FILE)["classifier"]
    except (OSError, EOFError, KeyError, ValueError, TypeError, IndexError) as error:
        raise UserError(
            f"{str(folder / MODEL_FILE)!r} cannot be read ({error!r}): train and save it again"
        ) from error


def mean_log_loss(
    probabilities: NDArray[Any], labels: NDArray[np.int64], weights: NDArray[Any]
) -> float:
    """Weighted mean of -log p(label), each p taken as at least 1e-9."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(np.average(-np.log(np.maximum(chosen, 1e-9)), weights=weights))
