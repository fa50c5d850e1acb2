"""Fine-tuning of the encoder's own transformer, made to work from a few dozen labels.

The bottom layers and embeddings are frozen: what they make of a text is computed once and kept
where the inputs have a place for it (`Inputs.hidden`), and training and scoring run the top
layers and the head only. The head does not start at random:
it starts as the logistic regression on the first token's output (linear probing, then
fine-tuning: Kumar et al. 2022, Fine-Tuning can Distort Pretrained Features, section 3).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...store.errors import OperatorError, UserError
from ..compute import MAX_CHARS, SILENT
from ..encoders import Encoder, TransformerEncoder
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
from .linear import training_rows

if TYPE_CHECKING:
    from .bert_training import Classifier

NAME = "bert"


class BertLearner:
    """A transformer with a classification head, as `AutoModelForSequenceClassification` has it.

    Args:
        label_names: C different names; they become `id2label` of the saved model.
        label_texts: C texts that say what each label means; rows of the training set too.
        encoder: its transformer is fine-tuned, a copy of it; the encoder itself stays as it is.
    """

    name = NAME

    def __init__(
        self, *, label_names: list[str], label_texts: list[str], encoder: Encoder | None
    ) -> None:
        check_labels(label_names, label_texts)
        self._label_names = list(label_names)
        self._label_texts = list(label_texts)
        self._encoder = encoder
        self._location: str | None = None
        if isinstance(encoder, TransformerEncoder):
            self._location = encoder.location
        self._model: Classifier | None = None

    @property
    def digest(self) -> str:
        """See `Learner.digest`."""
        return digest_arrays(*self._fitted().trained_arrays())

    def fit(self, training: Training, *, seed: int, progress: Progress = SILENT) -> FitReport:
        """See `Learner.fit`; hidden states of the inputs are used, vectors are not."""
        from .bert_training import Rows, open_classifier, train

        started = time.perf_counter()
        check_training(training, len(self._label_names))
        if self._location is None:
            raise UserError(
                "the encoder has no transformer to fine-tune: give a sentence-transformers "
                "encoder, or use --learner linear"
            )
        labels, weights = training_rows(training.labels, training.weights, len(self._label_names))
        rows = Rows(
            texts=[*training.inputs.texts, *(plain_words(text) for text in self._label_texts)],
            labels=labels,
            weights=weights,
            hidden=training.inputs.hidden,
            unkept=len(self._label_texts),
        )
        model = open_classifier(self._location, self._label_names, seed)
        steps, loss, notes = train(model, rows, seed=seed, progress=progress)
        self._model = model
        return FitReport(time.perf_counter() - started, steps, loss, notes)

    def predict_proba(self, inputs: Inputs, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """See `Learner.predict_proba`; hidden states of the inputs are used, vectors are not."""
        model = self._fitted()
        check_inputs(inputs)
        return model.probabilities(inputs.texts, inputs.hidden, progress)

    def save(self, folder: Path) -> None:
        """See `Learner.save`; the folder is one that `transformers` loads as it is."""
        model = self._fitted()
        write_card(
            folder,
            {
                "learner": NAME,
                "label_names": self._label_names,
                "label_texts": self._label_texts,
                "encoder": self._encoder.name if self._encoder else "",
                "max_chars": MAX_CHARS,
                "digest": self.digest,
            },
        )
        try:
            model.save(folder)
        except OSError as error:
            raise OperatorError(
                f"the model cannot be saved in {str(folder)!r} ({error}): give a writable folder"
            ) from error

    @classmethod
    def load(cls, folder: Path, card: dict[str, Any], encoder: Encoder | None) -> BertLearner:
        """Load what `save` wrote; the encoder is only needed to train again."""
        from .bert_training import reopen_classifier

        learner = cls(
            label_names=card["label_names"], label_texts=card["label_texts"], encoder=encoder
        )
        learner._model = reopen_classifier(folder)
        return learner

    def _fitted(self) -> Classifier:
        if self._model is None:
            raise unfitted(NAME)
        return self._model
