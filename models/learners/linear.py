"""Logistic regression on sentence vectors, with the label descriptions as prior knowledge.

The text of each label is embedded and enters as a training row of its own, so that a label
without a single example still has a direction; with no example at all the model is the
zero-shot classifier of those directions.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

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
    as_one_vs_rest,
    load_estimator,
    mean_log_loss,
    save_estimator,
    weights_of,
)
from .logistic import (
    Logistic,
    Posterior,
    fit_logistic,
    laplace,
    no_posterior,
    sampled_probabilities,
    unit_rows,
)
from .weighting import PROTOTYPE_WEIGHT, weighted_targets

NAME = "linear"
ZERO_SHOT_TEMPERATURE = 0.05
_BLOCK = 65_536


class LinearLearner:
    """Logistic regression on vectors, one for each label if there are several; see the module.

    Args:
        label_names: C different names.
        label_texts: C texts that say what each label means; the name alone will do.
        encoder: makes the vectors; `None` for a loaded model that is only given vectors.
        multi_label: whether an item may have several labels, or none.
    """

    name = NAME

    def __init__(
        self,
        *,
        label_names: list[str],
        label_texts: list[str],
        encoder: Encoder | None,
        multi_label: bool = False,
    ) -> None:
        check_labels(label_names, label_texts)
        self._label_names = list(label_names)
        self._label_texts = list(label_texts)
        self._encoder = encoder
        self._encoder_name = encoder.name if encoder else ""
        self._encoder_digest = encoder.digest if encoder else ""
        self._prototypes: NDArray[np.float32] | None = None
        self._model: Logistic | None = None
        self._posterior: Posterior | None = None
        self.multi_label = multi_label

    @property
    def digest(self) -> str:
        """See `Learner.digest`."""
        model = self._fitted()
        return digest_arrays(model.coefficients, model.intercept)

    def fit(self, training: Training, *, seed: int, progress: Progress = SILENT) -> FitReport:
        """See `Learner.fit`; no rows at all is allowed and leaves the label texts alone.

        Nothing here is random: all seeds give the same weights.
        """
        started = time.perf_counter()
        classes, count = len(self._label_names), len(training.inputs)
        check_training(training, classes, smallest=0, multi_label=self.multi_label)
        if self._prototypes is None:
            self._prototypes = self._vectors(
                Inputs([plain_words(text) for text in self._label_texts], None), progress
            )
        vectors = self._prototypes
        if count:
            vectors = np.concatenate([self._rows(training.inputs, progress), vectors])
        targets, weights = weighted_targets(
            training, classes, multi_label=self.multi_label, prototype_weight=PROTOTYPE_WEIGHT
        )
        if count or self.multi_label:
            model, steps = fit_logistic(vectors, targets, weights, multi_label=self.multi_label)
        else:
            model, steps = _zero_shot(self._prototypes), 0
        chances = model.probabilities(vectors)
        self._model = model
        self._posterior = laplace(model, vectors, chances, weights)
        seconds = time.perf_counter() - started
        if not count:
            note = "no labelled items: probabilities come from the label descriptions alone"
            return FitReport(seconds, steps, None, (note,))
        loss = mean_log_loss(
            chances[:count],
            training.targets(classes),
            training.weights,
            multi_label=self.multi_label,
        )
        return FitReport(seconds, steps, loss, ())

    def predict_proba(self, inputs: Inputs, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """See `Learner.predict_proba`."""
        model = self._fitted()
        vectors = self._rows(inputs, progress)
        result = np.empty((len(inputs), len(self._label_names)), dtype=np.float32)
        with progress.task("Scoring", len(inputs)) as task:
            for start in range(0, len(inputs), _BLOCK):
                part = vectors[start : start + _BLOCK]
                result[start : start + len(part)] = model.probabilities(part)
                task.advance(len(part))
        return result

    def embed(self, inputs: Inputs, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """See `Learner.embed`: the encoder's vectors; one without direction gets the first axis."""
        self._fitted()
        return unit_rows(self._rows(inputs, progress))

    def sample_proba(
        self, inputs: Inputs, samples: int, *, seed: int, progress: Progress = SILENT
    ) -> NDArray[np.float32]:
        """See `Learner.sample_proba`; the models are drawn from the weights' `Posterior`."""
        model = self._fitted()
        if self._posterior is None:
            raise no_posterior(NAME)
        steps = self._posterior.draw(samples, seed)
        vectors = self._rows(inputs, progress)
        with progress.task("Sampling", len(inputs)) as task:
            return sampled_probabilities(model, model.logits(vectors), vectors, steps, task)

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
                "multi_label": self.multi_label,
                "encoder": self._encoder_name,
                "encoder_digest": self._encoder_digest,
                "digest": self.digest,
            },
        )
        make = as_one_vs_rest if self.multi_label else as_estimator
        classifier = make(model.coefficients, model.intercept)
        save_estimator(folder, classifier, self._label_names, self._posterior)

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
            label_names=card["label_names"],
            label_texts=card["label_texts"],
            encoder=encoder,
            multi_label=card.get("multi_label", False),
        )
        learner._encoder_name = card["encoder"]
        learner._encoder_digest = card["encoder_digest"]
        classifier, learner._posterior = load_estimator(folder)
        learner._model = Logistic(*weights_of(classifier))
        return learner

    def _fitted(self) -> Logistic:
        if self._model is None:
            raise unfitted(NAME)
        return self._model

    def _rows(self, inputs: Inputs, progress: Progress) -> NDArray[np.float32]:
        check_inputs(inputs)
        width = self._width()
        if len(inputs) == 0:
            return np.empty((0, width), dtype=np.float32)
        vectors = self._vectors(inputs, progress)
        if vectors.shape[1] != width:
            raise UserError(
                f"vectors have {vectors.shape[1]!r} columns but encoder {self._encoder_name!r} "
                f"makes {width!r}: embed the texts with it"
            )
        return vectors

    def _width(self) -> int:
        known = self._fitted().coefficients if self._prototypes is None else self._prototypes
        return int(known.shape[1])

    def _vectors(self, inputs: Inputs, progress: Progress) -> NDArray[np.float32]:
        if inputs.vectors is not None:
            return inputs.vectors
        if self._encoder is None:
            raise UserError(
                "the linear learner was loaded without an encoder: "
                f"give vectors, or load it with encoder {self._encoder_name!r}"
            )
        return self._encoder.encode(inputs.texts, progress=progress)


def _zero_shot(prototypes: NDArray[np.float32]) -> Logistic:
    coefficients = prototypes / np.float32(ZERO_SHOT_TEMPERATURE)
    if len(prototypes) == 2:
        coefficients = coefficients[1:] - coefficients[:1]
    intercept = np.zeros(len(coefficients), dtype=np.float32)
    return Logistic(coefficients, intercept, multi_label=False)
