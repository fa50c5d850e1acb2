"""Linear SVM on words and pieces of words: no encoder, strong where exact terms decide.

The margins become probabilities through one temperature, found on rows the SVM did not see
(temperature scaling, Guo et al. 2017, On Calibration of Modern Neural Networks, eq. 9:
p = softmax(z / T), T minimises the negative log-likelihood).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
    softmax,
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
    from sklearn.pipeline import Pipeline

NAME = "svm"
INVERSE_REGULARISATION = 1.0
LABEL_TEXT_WEIGHT = 0.5
# One temperature is one number: from 40 margins of unseen rows on it is known well enough.
CALIBRATION_ROWS = 40
FOLDS = 4
DEFAULT_TEMPERATURE = 0.4
# A text of a megabyte would cost minutes of character n-grams.
MAX_CHARS = 8_000
MAX_FEATURES = 60_000


class SvmLearner:
    """TF-IDF of words (1 to 2) and of characters within words (3 to 5), linear SVM.

    The label texts are training rows of their own, so that every label has a margin.

    Args:
        label_names: C different names.
        label_texts: C texts that say what each label means; the name alone will do.
        encoder: not used; taken so that all learners are made alike.
    """

    name = NAME

    def __init__(
        self, *, label_names: list[str], label_texts: list[str], encoder: Encoder | None = None
    ) -> None:
        check_labels(label_names, label_texts)
        self._label_names = list(label_names)
        self._label_texts = list(label_texts)
        self._model: Pipeline | None = None

    @property
    def digest(self) -> str:
        """See `Learner.digest`."""
        classifier = self._fitted().named_steps["classifier"]
        return digest_arrays(classifier.coef_, classifier.intercept_)

    def fit(self, training: Training, *, seed: int, progress: Progress = SILENT) -> FitReport:
        """See `Learner.fit`."""
        started = time.perf_counter()
        classes = len(self._label_names)
        check_training(training, classes)
        texts = [*_cut(training.inputs.texts), *(plain_words(text) for text in self._label_texts)]
        labels = np.concatenate([training.labels, np.arange(classes)])
        weights = np.concatenate([training.weights, np.full(classes, LABEL_TEXT_WEIGHT)])
        vectoriser = _vectoriser()
        rows = vectoriser.fit_transform(texts)
        svm = _train(rows, labels, weights, seed)
        count = len(training.inputs)
        temperature = DEFAULT_TEMPERATURE
        note = (
            f"confidence is a softmax of the margins with the fixed temperature {temperature}: "
            f"{count} labelled items are fewer than the {CALIBRATION_ROWS} needed to fit one"
        )
        if count >= CALIBRATION_ROWS:
            margins = _unseen_margins(rows, labels, weights, count, seed)
            temperature = _temperature(margins, training.labels, training.weights)
            note = f"confidence is a softmax of the margins, temperature {temperature:.3f} fitted"
        self._model = _pipeline(vectoriser, svm, temperature)
        fitted = softmax(_both(svm.decision_function(rows[:count])) / temperature)
        loss = mean_log_loss(fitted, training.labels, training.weights)
        return FitReport(time.perf_counter() - started, int(np.max(svm.n_iter_)), loss, (note,))

    def predict_proba(self, inputs: Inputs, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """See `Learner.predict_proba`."""
        model = self._fitted()
        check_inputs(inputs)
        result = np.empty((len(inputs), len(self._label_names)), dtype=np.float32)
        with progress.task("Scoring", len(inputs)) as task:
            for start in range(0, len(inputs), 4_096):
                part = _cut(inputs.texts[start : start + 4_096])
                result[start : start + len(part)] = model.predict_proba(part)
                task.advance(len(part))
        return result

    def save(self, folder: Path) -> None:
        """See `Learner.save`; writes `model.joblib` too.

        `joblib.load(folder / "model.joblib")["classifier"]` is a scikit-learn pipeline of texts;
        its classes are indices into `["label_names"]` of the same file.
        """
        model = self._fitted()
        write_card(
            folder,
            {
                "learner": NAME,
                "label_names": self._label_names,
                "label_texts": self._label_texts,
                "digest": self.digest,
            },
        )
        save_estimator(folder, model, self._label_names)

    @classmethod
    def load(cls, folder: Path, card: dict[str, Any], encoder: Encoder | None) -> SvmLearner:
        """Load what `save` wrote. The file is a pickle: load only what you trust."""
        learner = cls(label_names=card["label_names"], label_texts=card["label_texts"])
        learner._model = load_estimator(folder)
        return learner

    def _fitted(self) -> Pipeline:
        if self._model is None:
            raise unfitted(NAME)
        return self._model


def _cut(texts: Any) -> list[str]:
    return [text[:MAX_CHARS] for text in texts]


def _vectoriser() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    shared = {"sublinear_tf": True, "max_features": MAX_FEATURES, "dtype": np.float32}
    # Single characters count as words: a label may be "+" and a text "?".
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", **shared)
    pieces = TfidfVectorizer(ngram_range=(3, 5), analyzer="char_wb", **shared)
    return FeatureUnion([("words", words), ("pieces", pieces)])


def _train(rows: Any, labels: NDArray[np.int64], weights: NDArray[Any], seed: int) -> Any:
    from sklearn.svm import LinearSVC

    svm = LinearSVC(C=INVERSE_REGULARISATION, random_state=seed, max_iter=5_000)
    with many_classes():
        return svm.fit(rows, labels, sample_weight=weights)


def _unseen_margins(
    rows: Any, labels: NDArray[np.int64], weights: NDArray[Any], count: int, seed: int
) -> NDArray[Any]:
    # The label rows stay in every fold's training part, so each fold knows every class.
    order = np.random.default_rng(seed).permutation(count)
    order = order[np.argsort(labels[order], kind="stable")]
    margins = np.empty((count, int(labels.max()) + 1))
    for fold in range(FOLDS):
        held = order[fold::FOLDS]
        keep = np.setdiff1d(np.arange(rows.shape[0]), held)
        svm = _train(rows[keep], labels[keep], weights[keep], seed)
        margins[held] = _both(svm.decision_function(rows[held]))
    return margins


def _both(margins: NDArray[Any]) -> NDArray[Any]:
    # For two classes scikit-learn gives one margin, that of the second.
    return np.stack([np.zeros_like(margins), margins], axis=1) if margins.ndim == 1 else margins


def _temperature(margins: NDArray[Any], labels: NDArray[np.int64], weights: NDArray[Any]) -> float:
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log_t: mean_log_loss(softmax(margins / np.exp(log_t)), labels, weights),
        bounds=(np.log(0.02), np.log(5.0)),
        method="bounded",
    )
    return float(np.exp(found.x))


def _pipeline(vectoriser: Any, svm: Any, temperature: float) -> Pipeline:
    from sklearn.pipeline import Pipeline

    # softmax(margin / T) is a logistic regression whose coefficients are divided by T.
    classifier = as_estimator(svm.coef_ / temperature, svm.intercept_ / temperature)
    return Pipeline([("features", vectoriser), ("classifier", classifier)])
