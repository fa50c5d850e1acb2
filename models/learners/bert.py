"""Fine-tuning of the encoder's own transformer, made to work from a few dozen labels.

The bottom layers and embeddings are frozen: what they make of a text is computed once and kept
where the inputs have a place for it (`Inputs.hidden`), and training and scoring run the top
layers and the head only. The head does not start at random:
it starts as the logistic regression on the first token's output (linear probing, then
fine-tuning: Kumar et al. 2022, Fine-Tuning can Distort Pretrained Features, section 3).
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError
from ..compute import MAX_CHARS, SILENT
from ..encoders import Encoder, TransformerEncoder
from ..pairs import PairEncoder
from ..progress import Progress
from .base import (
    FitReport,
    Inputs,
    Training,
    check_inputs,
    check_labels,
    check_training,
    plain_words,
    saving,
    unfitted,
    write_card,
)
from .bert_options import DEFAULTS, BertOptions
from .bert_rows import Rows, with_label_texts

if TYPE_CHECKING:
    from .bert_model import Classifier

NAME = "bert"


class BertLearner:
    """A transformer with a classification head, as `AutoModelForSequenceClassification` has it.

    A pair (`models.pairs`) is read as one sequence of two segments.

    Args:
        label_names: C different names; they become `id2label` of the saved model.
        label_texts: C texts that say what each label means; rows of the training set too.
        encoder: its transformer is fine-tuned, a copy of it; the encoder itself stays as it is.
        multi_label: whether an item may have several labels, or none of them.
        options: how to train.
    """

    name = NAME

    def __init__(
        self,
        *,
        label_names: list[str],
        label_texts: list[str],
        encoder: Encoder | None,
        multi_label: bool = False,
        options: BertOptions = DEFAULTS,
    ) -> None:
        check_labels(label_names, label_texts)
        self.multi_label = multi_label
        self.options = options
        self._label_names = list(label_names)
        self._label_texts = list(label_texts)
        self._encoder = encoder.texts if isinstance(encoder, PairEncoder) else encoder
        self._location: str | None = None
        if isinstance(self._encoder, TransformerEncoder):
            self._location = self._encoder.location
        # As opened, never trained: every fit but a warm one starts from a copy of it.
        self._untrained: Classifier | None = None
        self._model: Classifier | None = None

    @property
    def digest(self) -> str:
        """See `Learner.digest`."""
        return self._fitted().digest

    def fit(self, training: Training, *, seed: int, progress: Progress = SILENT) -> FitReport:
        """See `Learner.fit`; hidden states of the inputs are used, vectors are not."""
        from .bert_training import train

        started = time.perf_counter()
        classes = len(self._label_names)
        check_training(training, classes, multi_label=self.multi_label)
        targets, weights = with_label_texts(training.targets(classes), training.weights)
        rows = Rows(
            texts=[*training.inputs.texts, *(plain_words(text) for text in self._label_texts)],
            targets=targets,
            weights=weights,
            hidden=training.inputs.hidden,
            unkept=len(self._label_texts),
        )
        further = self.options.start == "warm" and self._model is not None
        model = self._fitted().renewed() if further else self._opened(seed).renewed()
        steps, loss, notes = train(
            model, rows, seed=seed, progress=progress, options=self.options, further=further
        )
        self._model = model
        return FitReport(time.perf_counter() - started, steps, loss, notes)

    def predict_proba(self, inputs: Inputs, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """See `Learner.predict_proba`; hidden states of the inputs are used, vectors are not."""
        model = self._fitted()
        check_inputs(inputs)
        return model.probabilities(inputs.texts, inputs.hidden, progress)

    def embed(self, inputs: Inputs, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """See `Learner.embed`: the mean of each row's tokens in the last layer, norm 1.

        Hidden states of the inputs are used, vectors are not.
        """
        model = self._fitted()
        check_inputs(inputs)
        return model.vectors(inputs.texts, inputs.hidden, progress)

    def sample_proba(
        self, inputs: Inputs, samples: int, *, seed: int, progress: Progress = SILENT
    ) -> NDArray[np.float32]:
        """See `Learner.sample_proba`: Monte Carlo dropout in the head alone.

        The encoder runs once. What its last layer hands to the head is thinned by `samples` random
        masks, at the rate of training (0.1 for most encoders): a cheap lower bound on what the
        labels leave open, since the layers below are taken as certain.
        """
        model = self._fitted()
        check_inputs(inputs)
        if samples < 1:
            raise UserError(f"samples is {samples!r}: draw at least 1")
        return model.samples(inputs.texts, inputs.hidden, samples, seed, progress)

    def save(self, folder: Path) -> None:
        """See `Learner.save`; the folder is one that `transformers` loads as it is."""
        model = self._fitted()
        write_card(
            folder,
            {
                "learner": NAME,
                "label_names": self._label_names,
                "label_texts": self._label_texts,
                "multi_label": self.multi_label,
                "options": asdict(self.options),
                "encoder": self._encoder.name if self._encoder else "",
                "max_chars": MAX_CHARS,
                "digest": self.digest,
            },
        )
        with saving(folder):
            model.save(folder)

    @classmethod
    def load(cls, folder: Path, card: dict[str, Any], encoder: Encoder | None) -> BertLearner:
        """Load what `save` wrote; the encoder is only needed to train again."""
        from .bert_model import reopen_classifier

        learner = cls(
            label_names=card["label_names"],
            label_texts=card["label_texts"],
            encoder=encoder,
            multi_label=card.get("multi_label", False),
            options=BertOptions(**card.get("options", {})),
        )
        learner._model = reopen_classifier(folder)
        return learner

    def _opened(self, seed: int) -> Classifier:
        from .bert_model import open_classifier

        if self._location is None:
            raise UserError(
                "the encoder has no transformer to fine-tune: give a sentence-transformers "
                "encoder, or use --learner linear"
            )
        if self._untrained is None:
            self._untrained = open_classifier(
                self._location,
                self._label_names,
                seed,
                multi_label=self.multi_label,
                frozen_layers=self.options.frozen_layers,
            )
        return self._untrained

    def _fitted(self) -> Classifier:
        if self._model is None:
            raise unfitted(NAME)
        return self._model
