"""Labelled rows for the tests of learners: few, and separable by their words."""

from __future__ import annotations

import numpy as np
from labelwright.models.encoders import Encoder
from labelwright.models.learners import Inputs, Training
from numpy.typing import NDArray

LABELS = ["billing", "bug", "praise", "colour"]
TEXTS = [
    "my card was lost and the money is late",
    "refund my money",
    "the bank paid late",
    "the app screen is slow",
    "login crash",
    "a bug and a crash",
    "thanks it is great",
    "love it",
    "good app and happy",
]
GOLD = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2], dtype=np.int64)
# Each of the texts has one label, two or none of the first three; nothing is a "colour" so far.
SEVERAL_TEXTS = [
    *TEXTS,
    *("refund my money the app crash", "the bank paid late a bug and a crash"),
    *("and the", "not a"),
]
SEVERAL = np.zeros((13, 4), dtype=np.float32)
SEVERAL[np.arange(9), GOLD] = 1.0
SEVERAL[9:11, :2] = 1.0
PAIRS = [
    *((text, text) for text in TEXTS[:5]),
    *((TEXTS[place], TEXTS[place + 4]) for place in range(5)),
]
MATCHES = np.array([0] * 5 + [1] * 5, dtype=np.int64)


def training(
    encoder: Encoder | None,
    *,
    texts: list[str] = TEXTS,
    labels: NDArray[np.int64] | NDArray[np.float32] = GOLD,
    weights: NDArray[np.float32] | None = None,
) -> Training:
    vectors = encoder.encode(texts) if encoder else None
    weights = np.ones(len(texts), dtype=np.float32) if weights is None else weights
    return Training(Inputs(texts, vectors), labels, weights)


def several(encoder: Encoder | None) -> Training:
    """Rows with several labels each."""
    return training(encoder, texts=SEVERAL_TEXTS, labels=SEVERAL)


def mixed(share: float) -> NDArray[np.float32]:
    """Soft labels of `TEXTS`: `share` for the right label, the rest spread over the others."""
    targets = np.full((len(GOLD), len(LABELS)), (1 - share) / (len(LABELS) - 1), dtype=np.float32)
    targets[np.arange(len(GOLD)), GOLD] = share
    return targets


def rows_of(text: str, target: list[float]) -> Training:
    """`TEXTS` with their labels, and one text more, four times, with a soft label."""
    targets = np.concatenate([mixed(1.0), np.tile(np.array(target, dtype=np.float32), (4, 1))])
    return training(None, texts=[*TEXTS, *[text] * 4], labels=targets)
