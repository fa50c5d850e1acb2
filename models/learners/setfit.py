"""Contrastive fine-tuning of a sentence encoder, then a linear head: much from few labels.

The encoder's top layers learn to put items of the same labels together and others apart, the
label texts being items too; then the `linear` learner is fitted on the vectors of the changed
encoder (Tunstall et al. 2022, Efficient Few-Shot Learning Without Prompts, section 3). The
bottom two thirds are frozen, and what they make of the pool is kept (`Inputs.hidden`).

Of a pair each text is encoded by itself, and the pair's vector is that of `PairEncoder` over the
fine-tuned encoder. Pairs are not contrasted with each other: see `setfit_losses.Classification`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError
from ..compute import SILENT
from ..encoders import Encoder, TransformerEncoder
from ..pairs import PairEncoder, is_pair, join_pair
from ..progress import Progress
from .base import (
    FitReport,
    Inputs,
    Training,
    check_inputs,
    check_labels,
    check_training,
    plain_words,
    read_card,
    saving,
    unfitted,
    write_card,
)
from .linear import LinearLearner

if TYPE_CHECKING:
    from .setfit_body import Body

NAME = "setfit"
HEAD_FOLDER = "head"


class SetFitLearner:
    """A fine-tuned sentence encoder with a logistic regression on its vectors; see the module.

    Args:
        label_names: C different names.
        label_texts: C texts that say what each label means; items of the training set too.
        encoder: a copy of it is fine-tuned, the encoder itself stays as it is; `None` for a
            loaded model that is not trained again.
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
        self.multi_label = multi_label
        self._label_names = list(label_names)
        self._label_texts = list(label_texts)
        self._encoder = encoder.texts if isinstance(encoder, PairEncoder) else encoder
        self._untrained: Body | None = None
        self._body: Body | None = None
        self._head: LinearLearner | None = None
        self._pairs = False

    @property
    def digest(self) -> str:
        """See `Learner.digest`."""
        body, head = self._fitted()
        return hashlib.sha256(f"{body.digest}{head.digest}".encode()).hexdigest()[:16]

    def fit(self, training: Training, *, seed: int, progress: Progress = SILENT) -> FitReport:
        """See `Learner.fit`; hidden states of the inputs are used, vectors are not."""
        from .setfit_training import Items, contrast

        started = time.perf_counter()
        classes = len(self._label_names)
        check_training(training, classes, multi_label=self.multi_label)
        pairs = any(is_pair(text) for text in training.inputs.texts)
        # A label's text is no pair: it has no place among the items where these are.
        more = [] if pairs else [plain_words(text) for text in self._label_texts]
        ones = np.eye(classes, dtype=np.float32)[: len(more)]
        items = Items(
            texts=[*_as_pairs(training.inputs.texts, pairs), *more],
            targets=np.concatenate([training.targets(classes), ones]),
            weights=np.concatenate([training.weights, np.ones(len(more), dtype=np.float32)]),
            multi_label=self.multi_label,
            pairs=pairs,
            hidden=training.inputs.hidden,
            unkept=len(more),
        )
        body = self._fresh_body()
        steps, loss = contrast(body, items, seed=seed, progress=progress)
        head = self._make_head(body, pairs)
        vectors = _vectors(body, training.inputs, pairs, SILENT)
        rows = Inputs(training.inputs.texts, vectors)
        head.fit(Training(rows, training.labels, training.weights), seed=seed)
        self._body, self._head, self._pairs = body, head, pairs
        note = (
            f"{body.frozen_layers} bottom layers frozen, a logistic regression on the vectors"
            if steps
            else "all items have one label: the encoder was left as it is"
        )
        return FitReport(time.perf_counter() - started, steps, loss if steps else None, (note,))

    def predict_proba(self, inputs: Inputs, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """See `Learner.predict_proba`; hidden states of the inputs are used, vectors are not."""
        return self._fitted()[1].predict_proba(self._seen(inputs, progress))

    def embed(self, inputs: Inputs, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """See `Learner.embed`: the vectors that the head reads."""
        body, _ = self._fitted()
        check_inputs(inputs)
        return _vectors(body, inputs, self._pairs, progress)

    def sample_proba(
        self, inputs: Inputs, samples: int, *, seed: int, progress: Progress = SILENT
    ) -> NDArray[np.float32]:
        """See `Learner.sample_proba`: heads are drawn as `linear` draws them, the body stays."""
        _, head = self._fitted()
        return head.sample_proba(self._seen(inputs, progress), samples, seed=seed)

    def save(self, folder: Path) -> None:
        """See `Learner.save`.

        `SentenceTransformer(folder)` is the fine-tuned encoder. `model.joblib` in `head` is what
        `LinearLearner.save` writes: a scikit-learn classifier of the encoder's vectors, or of
        the vectors that `PairEncoder` makes with it.
        """
        body, head = self._fitted()
        write_card(
            folder,
            {
                "learner": NAME,
                "label_names": self._label_names,
                "label_texts": self._label_texts,
                "multi_label": self.multi_label,
                "pairs": self._pairs,
                "encoder": self._encoder.name if self._encoder else "",
                "digest": self.digest,
            },
        )
        with saving(folder):
            body.save(folder)
        head.save(folder / HEAD_FOLDER)

    @classmethod
    def load(cls, folder: Path, card: dict[str, Any], encoder: Encoder | None) -> SetFitLearner:
        """Load what `save` wrote; the encoder is only needed to train again.

        The head is a pickle: load only what you trust.

        Raises:
            UserError: a file is absent or damaged.
        """
        from .setfit_body import open_body

        learner = cls(
            label_names=card["label_names"],
            label_texts=card["label_texts"],
            encoder=encoder,
            multi_label=bool(card["multi_label"]),
        )
        learner._pairs = bool(card["pairs"])
        learner._body = open_body(NAME, str(folder), fix="train and save it again")
        place = folder / HEAD_FOLDER
        reads = PairEncoder(learner._body) if learner._pairs else learner._body
        learner._head = LinearLearner.load(place, read_card(place), reads)
        return learner

    def _fresh_body(self) -> Body:
        """The encoder before any training; read from disk once and copied for each fit."""
        from .setfit_body import open_body

        if self._untrained is None:
            if not isinstance(self._encoder, TransformerEncoder):
                raise UserError(
                    "the encoder has no transformer to fine-tune: give a sentence-transformers "
                    "encoder, or use --learner linear"
                )
            self._untrained = open_body(self._encoder.name, self._encoder.location)
        return self._untrained.renewed()

    def _make_head(self, body: Body, pairs: bool) -> LinearLearner:
        return LinearLearner(
            label_names=self._label_names,
            label_texts=self._label_texts,
            encoder=PairEncoder(body) if pairs else body,
            multi_label=self.multi_label,
        )

    def _seen(self, inputs: Inputs, progress: Progress) -> Inputs:
        return Inputs(inputs.texts, self.embed(inputs, progress=progress))

    def _fitted(self) -> tuple[Body, LinearLearner]:
        if self._body is None or self._head is None:
            raise unfitted(NAME)
        return self._body, self._head


def _vectors(body: Body, inputs: Inputs, pairs: bool, progress: Progress) -> NDArray[np.float32]:
    if not pairs:
        return body.vectors(inputs.texts, inputs.hidden, progress)
    return PairEncoder(body).encode(_as_pairs(inputs.texts, pairs), progress=progress)


def _as_pairs(texts: Sequence[str], pairs: bool) -> list[str]:
    """Where items are pairs, a text alone is a pair with the empty text."""
    return [join_pair(text, "") if pairs and not is_pair(text) else text for text in texts]
