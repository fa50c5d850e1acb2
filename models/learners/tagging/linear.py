"""A linear chain over frozen word vectors and what words look like: seconds to fit.

The encoder's transformer is read, never trained. With an encoder that has none (one that hashes
words, say) the features of the words are all there is, and the fit says so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....store.errors import UserError
from ....store.spans import Range, Span
from ...compute import SILENT
from ...encoders import Encoder, TransformerEncoder, load_encoder
from ...progress import Progress
from ..base import FitReport, digest_arrays, saving, unfitted, write_card
from ..logistic import unit_rows
from .answers import all_tags, answers_of, joined, never_met, offsets_of
from .base import TaggedTexts, check_answers, check_types
from .chain import Steps
from .chain_training import Chain, Columns, Examples, fit_chain
from .features import WordFeatures
from .words import tag_names, words_of

if TYPE_CHECKING:
    from .states import WordStates

NAME = "linear"
WEIGHTS_NAME = "chain.npz"
LAYERS = (3, 5)
VECTOR_PENALTY = 0.1
WORD_PENALTY = 1.0
_BLOCK = 2_000
"""Texts at a time: bounds the memory for word vectors."""


class LinearTagger:
    """Scores of tags linear in a word's vector and features, decoded as one chain.

    Args:
        types: C different names.
        encoder: makes the vectors of words; `None` for a loaded one that opens its own.
    """

    name = NAME

    def __init__(self, *, types: Sequence[str], encoder: Encoder | None) -> None:
        self.types = check_types(types)
        self._tags = tag_names(self.types)
        self._encoder = encoder
        self._encoder_name = encoder.name if encoder else ""
        self._encoder_digest = encoder.digest if encoder else ""
        self._states: WordStates | None = None
        self._features = WordFeatures([])
        self._chain: Chain | None = None

    @property
    def digest(self) -> str:
        """See `Tagger.digest`."""
        chain = self._fitted()
        return digest_arrays(
            chain.coefficients, chain.intercept, chain.steps.between, chain.steps.first
        )

    def fit(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        weights: NDArray[np.float32],
        *,
        seed: int,
        progress: Progress = SILENT,
    ) -> FitReport:
        """See `Tagger.fit`. Nothing here is random: all seeds give the same weights."""
        started = time.perf_counter()
        check_answers(texts, spans, weights, self.types)
        words = [words_of(text) for text in texts]
        written = _written(texts, words)
        vectors = self._vectors(texts, words, progress)
        features = WordFeatures.of(written, lexical=not vectors.shape[1])
        examples = Examples(
            Columns(vectors, features.table(written)),
            all_tags(spans, words, self._tags),
            offsets_of(words),
            weights.astype(np.float64),
        )
        penalties = np.concatenate(
            [
                np.full(vectors.shape[1], VECTOR_PENALTY),
                np.full(len(features.names), WORD_PENALTY),
            ]
        )
        with progress.task("Training", 1) as task:
            chain, steps, loss = fit_chain(examples, len(self.types), penalties)
            task.advance()
        self._chain, self._features = chain, features
        return FitReport(time.perf_counter() - started, steps, loss, self._notes(spans))

    def tag(self, texts: Sequence[str], *, progress: Progress = SILENT) -> TaggedTexts:
        """See `Tagger.tag`."""
        self._fitted()
        parts = [
            self._tagged(texts[start : start + _BLOCK], progress)
            for start in range(0, len(texts), _BLOCK)
        ]
        return joined(parts, len(self.types))

    def embed(self, texts: Sequence[str], *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """See `Tagger.embed`: the encoder's vectors, which training leaves as they are."""
        self._fitted()
        return unit_rows(self._opened_encoder().encode(texts, progress=progress))

    def save(self, folder: Path) -> None:
        """See `Tagger.save`; the weights are in `chain.npz`, the features' names in the card."""
        chain = self._fitted()
        write_card(
            folder,
            {
                "tagger": NAME,
                "types": list(self.types),
                "tags": self._tags,
                "encoder": self._encoder_name,
                "encoder_digest": self._encoder_digest,
                "layers": list(LAYERS),
                "features": self._features.names,
                "digest": self.digest,
            },
        )
        with saving(folder):
            np.savez(
                folder / WEIGHTS_NAME,
                coefficients=chain.coefficients,
                intercept=chain.intercept,
                between=chain.steps.between,
                first=chain.steps.first,
            )

    @classmethod
    def load(cls, folder: Path, card: dict[str, Any], encoder: Encoder | None) -> LinearTagger:
        """Load what `save` wrote.

        Raises:
            UserError: the file is damaged, or `encoder` is not the one it was trained with.
        """
        tagger = cls(types=card["types"], encoder=encoder)
        tagger._encoder_name, tagger._encoder_digest = card["encoder"], card["encoder_digest"]
        if encoder is not None:
            tagger._check(encoder)
        try:
            with np.load(folder / WEIGHTS_NAME) as found:
                steps = Steps(found["between"], found["first"])
                tagger._chain = Chain(found["coefficients"], found["intercept"], steps)
        except (OSError, ValueError, KeyError) as error:
            raise UserError(
                f"the model in {str(folder)!r} cannot be read ({error}): train and save it again"
            ) from error
        tagger._features = WordFeatures(card["features"])
        return tagger

    def _tagged(self, texts: Sequence[str], progress: Progress) -> TaggedTexts:
        chain = self._fitted()
        words = [words_of(text) for text in texts]
        table = self._features.table(_written(texts, words))
        scores = chain.scores(Columns(self._vectors(texts, words, progress), table))
        return answers_of(scores, chain.steps, texts, words, self._tags)

    def _vectors(
        self, texts: Sequence[str], words: Sequence[Sequence[Range]], progress: Progress
    ) -> NDArray[np.float32]:
        """(m, dim) vectors of the words; no columns where the encoder has no transformer."""
        encoder = self._opened_encoder()
        if not isinstance(encoder, TransformerEncoder):
            return np.empty((sum(map(len, words)), 0), dtype=np.float32)
        if self._states is None:
            from .states import WordStates

            self._states = WordStates(encoder.location, LAYERS)
        return self._states.vectors(texts, words, progress)

    def _opened_encoder(self) -> Encoder:
        if self._encoder is None:
            encoder = load_encoder(self._encoder_name)
            self._check(encoder)
            self._encoder = encoder
        return self._encoder

    def _check(self, encoder: Encoder) -> None:
        if encoder.digest != self._encoder_digest:
            raise UserError(
                f"encoder {encoder.name!r} ({encoder.digest}) is not the one the tagger was "
                f"trained with: give {self._encoder_name!r} ({self._encoder_digest})"
            )

    def _notes(self, spans: Sequence[Sequence[Span]]) -> tuple[str, ...]:
        notes = list[str]()
        if not isinstance(self._encoder, TransformerEncoder):
            notes.append(
                f"encoder {self._encoder_name!r} has no transformer: only how words look is learned"
            )
        return (*notes, *never_met(self.types, spans))

    def _fitted(self) -> Chain:
        if self._chain is None:
            raise unfitted(NAME)
        return self._chain


def _written(texts: Sequence[str], words: Sequence[Sequence[Range]]) -> list[list[str]]:
    """Each text as its words."""
    return [
        [text[start:end] for start, end in ranges]
        for text, ranges in zip(texts, words, strict=True)
    ]
