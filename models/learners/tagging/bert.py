"""Fine-tuning of the encoder's own transformer to tag words, from a few dozen texts.

The bottom layers are frozen, as in the BERT learner; head and scores of steps start as the chain
that the untrained transformer's word vectors give (linear probing, then fine-tuning: Kumar et al.
2022, Fine-Tuning can Distort Pretrained Features, section 3).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....store.errors import UserError
from ....store.spans import Span
from ...compute import SILENT
from ...encoders import Encoder, TransformerEncoder
from ...progress import Progress
from ..base import FitReport, digest_arrays, saving, unfitted, write_card
from .answers import all_tags, answers_of, joined, never_met
from .base import TaggedTexts, check_answers, check_types
from .chain import Steps
from .words import tag_names, words_of

if TYPE_CHECKING:
    from ..bert_model import Classifier

NAME = "bert"
_BLOCK = 2_000
"""Texts at a time: bounds the memory for words."""


class BertTagger:
    """A transformer with a head for each word, as `AutoModelForTokenClassification` has it.

    Args:
        types: C different names; `id2label` of the saved model has their IOB2 tags.
        encoder: its transformer is fine-tuned, a copy of it; `None` for a loaded tagger that is
            not to be trained again.
    """

    name = NAME

    def __init__(self, *, types: Sequence[str], encoder: Encoder | None) -> None:
        self.types = check_types(types)
        self._tags = tag_names(self.types)
        self._encoder = encoder
        # As opened, never trained: every fit starts from a copy of it.
        self._untrained: Classifier | None = None
        self._model: tuple[Classifier, Steps] | None = None

    @property
    def digest(self) -> str:
        """See `Tagger.digest`."""
        model, steps = self._fitted()
        weights = np.frombuffer(model.digest.encode(), dtype=np.uint8)
        return digest_arrays(weights, steps.between, steps.first)

    def fit(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        weights: NDArray[np.float32],
        *,
        seed: int,
        progress: Progress = SILENT,
    ) -> FitReport:
        """See `Tagger.fit`."""
        from .bert_training import Tagged, train

        started = time.perf_counter()
        check_answers(texts, spans, weights, self.types)
        words = [words_of(text) for text in texts]
        tagged = Tagged(texts, words, all_tags(spans, words, self._tags), weights)
        model = self._opened(seed).renewed()
        steps, taken, loss, notes = train(model, tagged, seed=seed, progress=progress)
        self._model = model, steps
        seconds = time.perf_counter() - started
        return FitReport(seconds, taken, loss, (*notes, *never_met(self.types, spans)))

    def tag(self, texts: Sequence[str], *, progress: Progress = SILENT) -> TaggedTexts:
        """See `Tagger.tag`."""
        from .bert_model import word_scores

        model, steps = self._fitted()
        parts = []
        for start in range(0, len(texts), _BLOCK):
            block = texts[start : start + _BLOCK]
            words = [words_of(text) for text in block]
            scores = word_scores(model, block, words, progress)
            parts.append(answers_of(scores, steps, block, words, self._tags))
        return joined(parts, len(self.types))

    def embed(self, texts: Sequence[str], *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """See `Tagger.embed`: the mean of each text's tokens in the last layer, norm 1."""
        from .bert_model import text_vectors

        return text_vectors(self._fitted()[0], texts, progress)

    def save(self, folder: Path) -> None:
        """See `Tagger.save`; the folder is one that `transformers` loads as it is.

        `pipeline("token-classification", folder, aggregation_strategy="first")` reads a word at
        its first token, as the tagger does, but takes each word by itself; the scores of steps,
        which make a chain of them, are in `labelwright.json`.
        """
        model, steps = self._fitted()
        write_card(
            folder,
            {
                "tagger": NAME,
                "types": list(self.types),
                "tags": self._tags,
                "steps": _finite(steps.between),
                "first": _finite(steps.first),
                "encoder": self._encoder.name if self._encoder else "",
                "digest": self.digest,
            },
        )
        with saving(folder):
            model.save(folder)

    @classmethod
    def load(cls, folder: Path, card: dict[str, Any], encoder: Encoder | None) -> BertTagger:
        """Load what `save` wrote; the encoder is only needed to train again."""
        from .bert_model import reopen_model

        tagger = cls(types=card["types"], encoder=encoder)
        steps = Steps(_with_impossible(card["steps"]), _with_impossible(card["first"]))
        tagger._model = reopen_model(folder), steps
        return tagger

    def _opened(self, seed: int) -> Classifier:
        from .bert_model import open_model

        if not isinstance(self._encoder, TransformerEncoder):
            raise UserError(
                "the encoder has no transformer to fine-tune: give a sentence-transformers "
                "encoder, or use --learner linear"
            )
        if self._untrained is None:
            self._untrained = open_model(self._encoder.location, self._tags, seed)
        return self._untrained

    def _fitted(self) -> tuple[Classifier, Steps]:
        if self._model is None:
            raise unfitted(NAME)
        return self._model


def _finite(scores: NDArray[np.float64]) -> list[Any]:
    """As JSON, which knows no infinity: null is impossible."""
    shown = scores.astype(object)
    shown[~np.isfinite(scores)] = None
    found: list[Any] = shown.tolist()
    return found


def _with_impossible(rows: list[Any]) -> NDArray[np.float64]:
    found = np.array(rows, dtype=np.float64)
    return np.where(np.isnan(found), -np.inf, found)
