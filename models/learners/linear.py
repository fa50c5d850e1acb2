"""Logistic regression on sentence vectors, with the label descriptions as prior knowledge.

The text of each label is embedded and enters as a training row of its own, so that a label
without a single example still has a direction; with no example at all the model is the
zero-shot classifier of those directions.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError
from ..compute import SILENT
from ..encoders import Encoder
from ..progress import Progress
from .base import (
    FitReport,
    Inputs,
    Training,
    check_inputs,
    check_labels,
    check_training,
    digest_arrays,
    plain_words,
    unfitted,
    write_card,
)
from .estimators import (
    as_estimator,
    load_estimator,
    many_classes,
    mean_log_loss,
    save_estimator,
)

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

NAME = "linear"
PROTOTYPE_WEIGHT = 4.0
# Measured: 1 gains half a point on even classes and loses three where one class is 90%.
BALANCE = 0.5
ZERO_SHOT_TEMPERATURE = 0.05


class LinearLearner:
    """Multinomial logistic regression on vectors; see the module.

    Args:
        label_names: C different names.
        label_texts: C texts that say what each label means; the name alone will do.
        encoder: makes the vectors; `None` for a loaded model that is only given vectors.
    """

    name = NAME

    def __init__(
        self, *, label_names: list[str], label_texts: list[str], encoder: Encoder | None
    ) -> None:
        check_labels(label_names, label_texts)
        self._label_names = list(label_names)
        self._label_texts = list(label_texts)
        self._encoder = encoder
        self._encoder_name = encoder.name if encoder else ""
        self._encoder_digest = encoder.digest if encoder else ""
        self._prototypes: NDArray[np.float32] | None = None
        self._model: LogisticRegression | None = None

    @property
    def digest(self) -> str:
        """See `Learner.digest`."""
        model = self._fitted()
        return digest_arrays(model.coef_, model.intercept_)

    def fit(self, training: Training, *, seed: int, progress: Progress = SILENT) -> FitReport:
        """See `Learner.fit`; no rows at all is allowed and gives the zero-shot classifier."""
        started = time.perf_counter()
        check_training(training, len(self._label_names), smallest=0)
        if self._prototypes is None:
            self._prototypes = self._vectors(
                Inputs([plain_words(text) for text in self._label_texts], None), progress
            )
        vectors = self._vectors(training.inputs, progress)
        if len(training.inputs) == 0:
            self._model = as_estimator(
                self._prototypes / ZERO_SHOT_TEMPERATURE, np.zeros(len(self._label_names))
            )
            note = "no labelled items: probabilities come from the label descriptions alone"
            return FitReport(time.perf_counter() - started, 0, None, (note,))
        if vectors.shape[1] != self._prototypes.shape[1]:
            raise UserError(
                f"vectors have {vectors.shape[1]!r} columns but encoder {self._encoder_name!r} "
                f"makes {self._prototypes.shape[1]!r}: embed the texts with it"
            )
        self._model, loss = _train(vectors, training, self._prototypes, seed)
        steps = int(np.max(self._model.n_iter_))
        return FitReport(time.perf_counter() - started, steps, loss, ())

    def predict_proba(self, inputs: Inputs, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """See `Learner.predict_proba`."""
        model = self._fitted()
        check_inputs(inputs)
        if len(inputs) == 0:
            return np.empty((0, len(self._label_names)), dtype=np.float32)
        vectors = self._vectors(inputs, progress)
        if vectors.shape[1] != model.coef_.shape[1]:
            raise UserError(
                f"vectors have {vectors.shape[1]!r} columns but the model was trained on "
                f"{model.coef_.shape[1]!r}: embed with encoder {self._encoder_name!r}"
            )
        with progress.task("Scoring", len(inputs)) as task:
            probabilities: NDArray[np.float32] = model.predict_proba(vectors).astype(np.float32)
            task.advance(len(inputs))
        return probabilities

    def save(self, folder: Path) -> None:
        """See `Learner.save`; writes `model.joblib` too.

        `joblib.load(folder / "model.joblib")["classifier"]` is a scikit-learn classifier of
        vectors; its classes are indices into `["label_names"]` of the same file.
        """
        model = self._fitted()
        write_card(
            folder,
            {
                "learner": NAME,
                "label_names": self._label_names,
                "label_texts": self._label_texts,
                "encoder": self._encoder_name,
                "encoder_digest": self._encoder_digest,
                "digest": self.digest,
            },
        )
        save_estimator(folder, model, self._label_names)

    @classmethod
    def load(cls, folder: Path, card: dict[str, Any], encoder: Encoder | None) -> LinearLearner:
        """Load what `save` wrote. The file is a pickle: load only what you trust.

        Raises:
            UserError: the file is damaged, or `encoder` is not the one it was trained with.
        """
        if encoder is not None and encoder.digest != card["encoder_digest"]:
            raise UserError(
                f"encoder {encoder.name!r} ({encoder.digest}) is not the one the model was "
                f"trained with: give {card['encoder']!r} ({card['encoder_digest']})"
            )
        learner = cls(
            label_names=card["label_names"], label_texts=card["label_texts"], encoder=encoder
        )
        learner._encoder_name = card["encoder"]
        learner._encoder_digest = card["encoder_digest"]
        learner._model = load_estimator(folder)
        return learner

    def _fitted(self) -> LogisticRegression:
        if self._model is None:
            raise unfitted(NAME)
        return self._model

    def _vectors(self, inputs: Inputs, progress: Progress) -> NDArray[np.float32]:
        if inputs.vectors is not None:
            return inputs.vectors
        if self._encoder is None:
            raise UserError(
                "the linear learner was loaded without an encoder: "
                f"give vectors, or load it with encoder {self._encoder_name!r}"
            )
        return self._encoder.encode(inputs.texts, progress=progress)


def inverse_regularisation(classes: int) -> float:
    """C of the logistic regression on vectors of norm 1: 2 sqrt(classes).

    Measured on 75 to 300 random labels: 2 to 4 classes want 3, 77 classes want 10 to 30.
    """
    return float(2.0 * np.sqrt(classes))


def training_rows(
    labels: NDArray[np.int64], weights: NDArray[np.float32], classes: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels and weights of n rows followed by one prototype row for each class.

    Each class is weighted by (mean size / its size) ** BALANCE, its size being the summed
    weights of its rows, so that a class met rarely so far is not given up.
    """
    sizes = np.bincount(labels, weights=weights, minlength=classes) + PROTOTYPE_WEIGHT
    factor = (sizes.mean() / sizes) ** BALANCE
    every = np.concatenate([labels, np.arange(classes)])
    counted = np.concatenate([weights, np.full(classes, PROTOTYPE_WEIGHT)])
    return every, (counted * factor[every]).astype(np.float32)


def _train(
    vectors: NDArray[np.float32],
    training: Training,
    prototypes: NDArray[np.float32],
    seed: int,
) -> tuple[Any, float]:
    from sklearn.linear_model import LogisticRegression

    classes = len(prototypes)
    labels, weights = training_rows(training.labels, training.weights, classes)
    model = LogisticRegression(C=inverse_regularisation(classes), max_iter=500, random_state=seed)
    with many_classes():
        model.fit(np.concatenate([vectors, prototypes]), labels, sample_weight=weights)
    loss = mean_log_loss(model.predict_proba(vectors), training.labels, training.weights)
    return model, loss
