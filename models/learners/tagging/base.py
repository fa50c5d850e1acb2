"""What every tagger takes, gives and leaves on disk; see `Tagger`.

A tagger marks typed parts of texts. It is to entities what a `Learner` is to labels: trained
again and again as answers come in, it knows all types from the start, and says how sure it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ....store.errors import UserError
from ....store.spans import Span
from ...compute import SILENT
from ...progress import Progress
from ..base import FitReport


@dataclass(frozen=True, slots=True)
class TaggedTexts:
    """What a tagger says about n texts.

    Args:
        spans: n predicted answers: the likeliest set of spans of each text as a whole, in the
            order of the text, not overlapping, beginning and ending where words do.
        confidence: (n,) in (0, 1], the probability of that whole answer, uncalibrated; 1 for a
            text without words. Long texts have low ones.
        occurs: (n, C) in [0, 1], the probability that the text has a span of each type.
        doubt: (n,) in [0, 1]: 1 - confidence ** (1 / words), so that length does not count; 0 for
            a text without words. The order of Shen et al. (2017), Deep Active Learning for Named
            Entity Recognition, eq. 4 (maximum normalised log-probability), upwards.
    """

    spans: list[tuple[Span, ...]]
    confidence: NDArray[np.float32]
    occurs: NDArray[np.float32]
    doubt: NDArray[np.float32]


class Tagger(Protocol):
    """A model that marks entities, trained again and again as answers come in."""

    @property
    def name(self) -> str:
        """The name it is registered by."""

    @property
    def types(self) -> tuple[str, ...]:
        """The C types of the task; the columns of `TaggedTexts.occurs`."""

    @property
    def digest(self) -> str:
        """16 hex digits over the fitted weights; `UserError` before `fit`."""

    def fit(
        self,
        texts: Sequence[str],
        spans: Sequence[Sequence[Span]],
        weights: NDArray[np.float32],
        *,
        seed: int,
        progress: Progress = SILENT,
    ) -> FitReport:
        """Train from the start: nothing of an earlier fit remains.

        The same texts and spans in the same order with the same seed give the same weights.

        Args:
            texts: n texts, 1 or more.
            spans: the complete answer of each; none at all is an answer. A span that begins or
                ends within a word counts for the whole word.
            weights: (n,) how much each text counts, above 0; 1 is one sure example.
            seed: of whatever is drawn.
            progress: shows bars.

        Raises:
            UserError: lengths that differ, a span of an unknown type, one that is not in its text
                or overlaps another, or a weight that is not above 0.
        """

    def tag(self, texts: Sequence[str], *, progress: Progress = SILENT) -> TaggedTexts:
        """The likeliest answer for each text, and how likely it is.

        Raises:
            UserError: not fitted yet.
        """

    def embed(self, texts: Sequence[str], *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """Vectors (n, d) of norm 1, as the fitted model sees the texts.

        Raises:
            UserError: not fitted yet.
        """

    def save(self, folder: Path) -> None:
        """Write the model and `labelwright.json` into `folder`, made if absent.

        Raises:
            UserError: not fitted yet.
            OperatorError: the folder cannot be written.
        """


def check_types(types: Sequence[str]) -> tuple[str, ...]:
    """The types, if there is one or more, none twice and none empty; else `UserError`."""
    found = tuple(types)
    if not found or not all(found):
        raise UserError(f"entity types are {list(found)!r}: give one or more names")
    twice = [name for name in found if found.count(name) > 1]
    if twice:
        raise UserError(f"entity type {twice[0]!r} is given twice: give each type once")
    return found


def check_answers(
    texts: Sequence[str],
    spans: Sequence[Sequence[Span]],
    weights: NDArray[np.float32],
    types: Sequence[str],
) -> None:
    """Raise `UserError` unless there is an answer that fits, and a weight, for each text."""
    if not len(texts) or len(spans) != len(texts) or weights.shape != (len(texts),):
        raise UserError(
            f"there are {len(texts)!r} texts, {len(spans)!r} answers and weights of shape "
            f"{weights.shape!r}: give one answer and one weight for each text, 1 or more"
        )
    wrong = weights[~(np.isfinite(weights) & (weights > 0))]
    if wrong.size:
        raise UserError(f"weight {float(wrong[0])!r} is not above 0: leave such rows out")
    known = set(types)
    for text, answer in zip(texts, spans, strict=True):
        _check_answer(text, sorted(answer), known)


def _check_answer(text: str, answer: Sequence[Span], known: set[str]) -> None:
    for span in answer:
        if span.type not in known:
            raise UserError(
                f"entity type {span.type!r} is none of {', '.join(sorted(known))}: use one of them"
            )
        if not span.text or text[max(span.start, 0) : span.end] != span.text:
            raise UserError(
                f"{span!r} is not what stands there in {text[:40]!r}: give its place in this text"
            )
    for left, right in pairwise(answer):
        if right.start < left.end:
            raise UserError(f"{left.text!r} and {right.text!r} overlap: keep one of them")
