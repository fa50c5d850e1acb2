"""Pairs: two texts, or two records, that are one item; `match` or not, `entails` or not.

A pair is kept as one string with the record separator of ASCII between its two texts, so that
pool, duplicates and trace need to know nothing of it. Only who reads the parts takes them apart.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .compute import MAX_CHARS, SILENT
from .encoders import Encoder
from .pair_similarity import WIDTH as SIMILARITIES
from .pair_similarity import similarities
from .progress import Progress

SEPARATOR = "\x1e"
# Changes with the features, so that no vector of other features is taken from a cache.
FEATURES = "pairs-2"


def join_pair(first: str, second: str) -> str:
    """One string for both; a separator within a text becomes a space."""
    return f"{first.replace(SEPARATOR, ' ')}{SEPARATOR}{second.replace(SEPARATOR, ' ')}"


def is_pair(text: str) -> bool:
    """Whether `join_pair` made the text."""
    return SEPARATOR in text


def split_pair(text: str) -> tuple[str, str]:
    """The two texts of a pair; a text that is no pair, and an empty one."""
    first, _, second = text.partition(SEPARATOR)
    return first, second


def readable(text: str) -> str:
    """A text for a person: the two of a pair one below the other, with a line between them."""
    return "\n\n———\n\n".join(split_pair(text)) if is_pair(text) else text


def record_text(record: Mapping[str, object]) -> str:
    """A record as text: a line `name: value` for each field with a value, in the record's order.

    No value are `None`, a text without letters, and what is not a number though a float; 0 is one.
    """
    values = {name: _written(value) for name, value in record.items()}
    return "\n".join(f"{name}: {value}" for name, value in values.items() if value)


def _written(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return " ".join(str(value).split())


class PairEncoder:
    """Vectors of pairs from an encoder of texts u and v: unit([unit([|u - v|, u * v]), s - 1/2]).

    The first features are those of Conneau et al. 2017 (Supervised Learning of Universal Sentence
    Representations, section 3.1) without u and v themselves: what relates two texts is not what
    each is about. s are u'v and the `pair_similarity.similarities` of the texts: vectors of
    sentences lose names and numbers, by which records are told apart. A text that is no pair has
    the zero vector: it says nothing of a relation.

    Args:
        encoder: makes the vectors of the single texts, rows of norm 1.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @property
    def name(self) -> str:
        """The name of the encoder of texts."""
        return self._encoder.name

    @property
    def texts(self) -> Encoder:
        """The encoder of the single texts."""
        return self._encoder

    @property
    def digest(self) -> str:
        """16 hex digits: those of the encoder of texts, and how it is used for pairs."""
        return hashlib.sha256(f"{FEATURES}:{self._encoder.digest}".encode()).hexdigest()[:16]

    @property
    def dim(self) -> int:
        """Twice the width of the encoder of texts, and the similarities."""
        return 2 * self._encoder.dim + 1 + SIMILARITIES

    def encode(self, texts: Sequence[str], *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """(n, dim) float32; norm 1 for pairs and 0 for texts that are none."""
        parts = [split_pair(text) for text in texts]
        unique = list(dict.fromkeys(part for pair in parts for part in pair))
        place = {text: index for index, text in enumerate(unique)}
        vectors = self._encoder.encode(unique, progress=progress)
        first = vectors[[place[pair[0]] for pair in parts]]
        second = vectors[[place[pair[1]] for pair in parts]]
        # Each half has about the same length: 1 / sqrt(d) is the usual size of a coordinate.
        both = _unit(
            np.concatenate([np.abs(first - second), first * second * self._encoder.dim**0.5], 1)
        )
        cosine = (first * second).sum(axis=1, keepdims=True)
        alike = similarities(*([pair[side][:MAX_CHARS] for pair in parts] for side in (0, 1)))
        result = _unit(np.concatenate([both, cosine - 0.5, alike - 0.5], axis=1))
        result[[not is_pair(text) for text in texts]] = 0.0
        return result


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    result: NDArray[np.float32] = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
    return result
