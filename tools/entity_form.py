"""The third form of answers: marked parts of the text, written as one string each.

An answer is the string that the store keeps (`store/spans.py`), so that two answers are the same
exactly when their strings are. What a tagger says of an item does not follow from probabilities of
labels: its spans and how sure it is of them are kept beside those.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..store.spans import Span, decode, span_f1
from ..store.spans import shown as shown_spans
from .certificate import Interval
from .entity_quality import EntityScores, entity_scores
from .set_quality import LabelAgreement

Texts = NDArray[Any]
"""Strings (n,), of dtype object."""


@dataclass(frozen=True, slots=True)
class MarkedParts:
    """Any number of typed parts of the text, none included; see `label_form.LabelForm`."""

    names: tuple[str, ...]
    several: bool = True

    def read(self, labels: Sequence[str]) -> Texts:
        """See `LabelForm.read`."""
        found = np.empty(len(labels), dtype=object)
        found[:] = [str(label) for label in labels]
        return found

    def written(self, answers: Texts) -> list[str]:
        """See `LabelForm.written`."""
        found: list[str] = answers.tolist()
        return found

    def shown(self, label: str) -> str:
        """See `LabelForm.shown`."""
        return shown_spans(label)

    def same(self, left: Texts, right: Texts) -> NDArray[np.bool_]:
        """See `LabelForm.same`."""
        return np.asarray(left == right, dtype=bool)

    def kappa(self, left: Texts, right: Texts) -> float:
        """F1 of the spans of one against those of the other, all items together.

        Which parts of a text might have been marked and were not cannot be counted, and kappa
        comes to F1 as their number grows (Hripcsak & Rothschild 2005, "Agreement, the F-measure,
        and reliability in information retrieval"). 0 where neither has a span: that nothing was
        found twice is no sign that what is to be found is known.
        """
        both, each = 0, 0
        for one, other in zip(left.tolist(), right.tolist(), strict=True):
            first, second = set(decode(one)), set(decode(other))
            both += len(first & second)
            each += len(first) + len(second)
        return 2 * both / each if each else 0.0

    def loss(self, machine: Texts, truth: Texts) -> NDArray[np.float64]:
        """(n,) 1 minus the F1 of the exact spans of each text; see `LabelForm.loss`."""
        pairs = zip(machine.tolist(), truth.tolist(), strict=True)
        return np.array([1 - span_f1(decode(one), decode(other)) for one, other in pairs])

    def counts(self, answers: Texts) -> NDArray[np.int64]:
        """See `LabelForm.counts`."""
        return np.asarray(self.compared(answers).sum(axis=0), dtype=np.int64)

    def compared(self, answers: Texts) -> NDArray[np.int64]:
        """(n, C) where an answer has a part of each type; see `LabelForm.compared`."""
        place = {name: column for column, name in enumerate(self.names)}
        found = np.zeros((len(answers), len(self.names)), dtype=np.int64)
        for row, text in enumerate(answers.tolist()):
            found[row, [place[span.type] for span in decode(text)]] = 1
        return found

    def keys(self, answers: Texts) -> NDArray[np.int64]:
        """(n, 4) the SHA-256 of each string; see `LabelForm.keys`."""
        digests = [hashlib.sha256(text.encode()).digest() for text in answers.tolist()]
        return np.frombuffer(b"".join(digests), dtype="<i8").reshape(-1, 4).astype(np.int64)

    def packed(self, answers: Texts) -> NDArray[np.uint8]:
        """The strings, a line each, as the bytes of one file; see `LabelForm.packed`."""
        return packed(answers.tolist())

    def unpacked(self, stored: NDArray[Any]) -> Texts:
        """See `LabelForm.unpacked`."""
        return self.read(unpacked(stored))

    def measures(
        self, answers: Texts, truth: Texts, *, level: float, seed: int
    ) -> dict[str, Interval]:
        """Precision, recall and F1 of exact spans; see `LabelForm.measures`."""
        found = compare(answers, truth, level=level, seed=seed)
        scores = {
            "span_precision": found.precision,
            "span_recall": found.recall,
            "span_f1": found.f1,
        }
        return {name: each for name, each in scores.items() if each is not None}


def compare(
    answers: Texts,
    truth: Texts,
    weights: NDArray[np.float64] | None = None,
    *,
    level: float,
    seed: int,
) -> EntityScores:
    """The machine's answers (n,) against a person's, span by span; see `entity_scores`."""
    given, wanted = (_spans(side) for side in (answers, truth))
    return entity_scores(wanted, given, weights, level=level, seed=seed)


def parts_by_type(machine: Texts, truth: Texts, names: Sequence[str]) -> tuple[LabelAgreement, ...]:
    """How many exact parts of each type both, only a person and only the machine marked."""
    counts = dict.fromkeys(names, (0, 0, 0))
    for given, wanted in zip(_spans(machine), _spans(truth), strict=True):
        mine, right = set(given), set(wanted)
        for part, add in (
            (mine & right, (1, 0, 0)),
            (right - mine, (0, 1, 0)),
            (mine - right, (0, 0, 1)),
        ):
            for span in part:
                both, person, alone = counts[span.type]
                counts[span.type] = (both + add[0], person + add[1], alone + add[2])
    return tuple(LabelAgreement(name, *found) for name, found in counts.items())


def packed(texts: Sequence[str]) -> NDArray[np.uint8]:
    """Strings without line feeds, as JSON never has them, in one array of bytes."""
    return np.frombuffer("\n".join(texts).encode(), dtype=np.uint8)


def unpacked(stored: NDArray[Any]) -> list[str]:
    """What `packed` was given; nothing for nothing, as no answer is an empty string."""
    return stored.tobytes().decode().split("\n") if len(stored) else []


def _spans(answers: Texts) -> list[tuple[Span, ...]]:
    return [decode(text) for text in answers.tolist()]
