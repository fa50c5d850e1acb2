"""Linear SVM on words and pieces of words: no encoder, strong where exact terms decide.

The margins become probabilities through one temperature, found on rows the SVM did not see
(temperature scaling, Guo et al. 2017, On Calibration of Modern Neural Networks, eq. 9:
p = softmax(z / T), T minimises the negative log-likelihood); with several labels an item through
one slope and one shift (Platt 1999, Probabilistic Outputs for Support Vector Machines, eq. 1).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compute import SILENT
from ..encoders import Encoder
from ..pairs import is_pair
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
    laplace,
    no_posterior,
    sampled_probabilities,
    unit_rows,
)
from .svm_training import FOLDS, SvmRows, calibrate, train_svms
from .terms import DIMENSIONS, cut, make_terms, projection
from .weighting import weighted_targets

NAME = "svm"
LABEL_TEXT_WEIGHT = 0.5
_BLOCK = 4_096


@dataclass(frozen=True, slots=True)
class _Fitted:
    terms: Any
    model: Logistic
    posterior: Posterior | None
    onto: Any

    def features(self, inputs: Inputs) -> Iterator[tuple[slice, Any]]:
        check_inputs(inputs)
        for start in range(0, len(inputs), _BLOCK):
            part = slice(start, min(start + _BLOCK, len(inputs)))
            yield part, self.terms.transform(cut(inputs.texts[part]))

    def dense(self, features: Any) -> NDArray[np.float32]:
        return _dense(features, self.onto)


class SvmLearner:
    """TF-IDF of words (1 to 2) and of characters within words (3 to 5), linear SVM.

    The label texts are training rows of their own, so that every label has a margin. Each label
    has an SVM of its own against the rest; two labels of which an item has one share one. Pairs
    (`models.pairs`) are seen by what their texts share; their labels' texts say nothing of that.

    Args:
        label_names: C different names.
        label_texts: C texts that say what each label means; the name alone will do.
        encoder: not used; taken so that all learners are made alike.
        multi_label: whether an item may have several labels, or none.
    """

    name = NAME

    def __init__(
        self,
        *,
        label_names: list[str],
        label_texts: list[str],
        encoder: Encoder | None = None,
        multi_label: bool = False,
    ) -> None:
        check_labels(label_names, label_texts)
        self._label_names = list(label_names)
        self._label_texts = list(label_texts)
        self._state: _Fitted | None = None
        self.multi_label = multi_label

    @property
    def digest(self) -> str:
        """See `Learner.digest`."""
        model = self._fitted().model
        return digest_arrays(model.coefficients, model.intercept)

    def fit(self, training: Training, *, seed: int, progress: Progress = SILENT) -> FitReport:
        """See `Learner.fit`."""
        started = time.perf_counter()
        classes, count = len(self._label_names), len(training.inputs)
        check_training(training, classes, multi_label=self.multi_label)
        texts = [*training.inputs.texts, *(plain_words(text) for text in self._label_texts)]
        terms = make_terms(pairs=any(is_pair(text) for text in training.inputs.texts))
        features = terms.fit_transform(cut(texts))
        targets, weights = weighted_targets(
            training, classes, multi_label=self.multi_label, prototype_weight=LABEL_TEXT_WEIGHT
        )
        rows = SvmRows(features, targets, weights, self.multi_label)
        with progress.task("Training", 1 + FOLDS) as task:
            coefficients, intercept, steps = train_svms(rows, seed)
            task.advance()
            scale, note = calibrate(rows, training, seed, task)
        # softmax(margin / T) is a logistic regression whose weights are divided by T.
        model = Logistic(
            (coefficients * scale.slope).astype(np.float32),
            (intercept * scale.slope + scale.shift).astype(np.float32),
            self.multi_label,
        )
        chances = model.probabilities(features)
        onto = projection(features.shape[1])
        left_open = laplace(model, _dense(features, onto), chances, weights)
        self._state = _Fitted(terms, model, left_open, onto)
        loss = mean_log_loss(
            chances[:count],
            training.targets(classes),
            training.weights,
            multi_label=self.multi_label,
        )
        return FitReport(time.perf_counter() - started, steps, loss, (note,))

    def predict_proba(self, inputs: Inputs, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """See `Learner.predict_proba`."""
        state = self._fitted()
        result = np.empty((len(inputs), len(self._label_names)), dtype=np.float32)
        with progress.task("Scoring", len(inputs)) as task:
            for part, features in state.features(inputs):
                result[part] = state.model.probabilities(features)
                task.advance(features.shape[0])
        return result

    def embed(self, inputs: Inputs, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """See `Learner.embed`: the terms, by a random projection onto 256 dimensions.

        A text of none of the terms has the first axis. See `terms.projection`.
        """
        state = self._fitted()
        result = np.empty((len(inputs), DIMENSIONS), dtype=np.float32)
        with progress.task("Embedding", len(inputs)) as task:
            for part, features in state.features(inputs):
                result[part] = state.dense(features)
                task.advance(features.shape[0])
        return result

    def sample_proba(
        self, inputs: Inputs, samples: int, *, seed: int, progress: Progress = SILENT
    ) -> NDArray[np.float32]:
        """See `Learner.sample_proba`.

        The `Posterior` is that of a logistic regression in the 256 dimensions of `embed`, its
        curvature taken at this model's probabilities; a draw of it is added to this model's
        logits. An SVM has no likelihood and so no posterior of its own.
        """
        state = self._fitted()
        if state.posterior is None:
            raise no_posterior(NAME)
        steps = state.posterior.draw(samples, seed)
        result = np.empty((samples, len(inputs), len(self._label_names)), dtype=np.float32)
        with progress.task("Sampling", len(inputs)) as task:
            for part, features in state.features(inputs):
                logits = state.model.logits(features)
                result[:, part] = sampled_probabilities(
                    state.model, logits, state.dense(features), steps, task
                )
        return result

    def save(self, folder: Path) -> None:
        """See `Learner.save`; writes `model.joblib` too.

        `joblib.load(folder / "model.joblib")["classifier"]` is a scikit-learn pipeline of texts;
        its classes are indices into `["label_names"]` of the same file. That of pairs needs this
        package to be installed.
        """
        from sklearn.pipeline import Pipeline

        state = self._fitted()
        write_card(
            folder,
            {
                "learner": NAME,
                "label_names": self._label_names,
                "label_texts": self._label_texts,
                "multi_label": self.multi_label,
                "digest": self.digest,
            },
        )
        make = as_one_vs_rest if self.multi_label else as_estimator
        classifier = make(state.model.coefficients, state.model.intercept)
        pipeline = Pipeline([("features", state.terms), ("classifier", classifier)])
        save_estimator(folder, pipeline, self._label_names, state.posterior)

    @classmethod
    def load(cls, folder: Path, card: dict[str, Any], encoder: Encoder | None) -> SvmLearner:
        """Load what `save` wrote. The file is a pickle: load only what you trust."""
        learner = cls(
            label_names=card["label_names"],
            label_texts=card["label_texts"],
            multi_label=card.get("multi_label", False),
        )
        pipeline, left_open = load_estimator(folder)
        (_, terms), (_, classifier) = pipeline.steps
        model = Logistic(*weights_of(classifier))
        onto = projection(model.coefficients.shape[1])
        learner._state = _Fitted(terms, model, left_open, onto)
        return learner

    def _fitted(self) -> _Fitted:
        if self._state is None:
            raise unfitted(NAME)
        return self._state


def _dense(features: Any, onto: Any) -> NDArray[np.float32]:
    return unit_rows((features @ onto).toarray().astype(np.float32, copy=False))
