"""The pool's class probabilities: computed once for each model, read by everything else.

Where texts are marked, the answers and how sure the model is of them do not follow from the
probabilities and are kept beside those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..store.database import Store
from ..store.files import replacing
from .entity_form import packed, unpacked
from .set_calibration import SetConfidence

ANSWERS, SURE = "answers.npy", "sure.npy"
SCORE_FILES = ("rows.npy", "probabilities.npy", ANSWERS, SURE)
"""What scoring the pool leaves in a model's folder."""


@dataclass(frozen=True, slots=True)
class Marked:
    """What a tagger says of n items: answers as they are stored, and how sure it is of each."""

    answers: NDArray[Any]
    sure: NDArray[np.float32]

    @classmethod
    def of(cls, answers: Sequence[str], sure: NDArray[np.float32]) -> Marked:
        """From a list of strings, and (n,) calibrated chances that each is right as a whole."""
        texts = np.empty(len(answers), dtype=object)
        texts[:] = list(answers)
        return cls(texts, sure)


@dataclass(frozen=True, slots=True)
class Scores:
    """Calibrated probabilities of the unique rows, memory-mapped."""

    rows: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    model: str
    sets: SetConfidence | None = None
    """How sure a whole set of labels is, where items may have several; else `None`."""
    marked: Marked | None = None
    """Where parts of the texts are marked; probabilities are then of a type occurring at all."""

    def of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(len(rows), C) probabilities of some of the scored rows."""
        found: NDArray[np.float32] = self.probabilities[np.searchsorted(self.rows, rows)]
        return found

    def labels(self) -> NDArray[Any]:
        """(n,) index of the most probable label of each scored row.

        Where items may have several labels (n, C), 1 where the label is in the item's set; where
        parts of texts are marked, their strings (n,).
        """
        if self.marked is not None:
            return self.marked.answers.copy()
        if self.sets is not None:
            return (np.asarray(self.probabilities) >= np.float32(0.5)).astype(np.int64)
        best: NDArray[np.int64] = np.argmax(self.probabilities, axis=1).astype(np.int64)
        return best

    def confidence(self) -> NDArray[np.float32]:
        """(n,) calibrated probability that the answer of each scored row is right, as a whole."""
        if self.marked is not None:
            return self.marked.sure
        if self.sets is not None:
            return self.sets.of(self.probabilities)
        highest: NDArray[np.float32] = np.asarray(self.probabilities).max(axis=1)
        return highest


def write_scores(folder: Path, scores: Scores) -> None:
    """Write scores into a model's folder, each file whole or not at all."""
    arrays: dict[str, NDArray[Any]] = {
        "rows.npy": scores.rows,
        "probabilities.npy": scores.probabilities,
    }
    if scores.marked is not None:
        arrays |= {ANSWERS: packed(scores.marked.answers.tolist()), SURE: scores.marked.sure}
    for name, array in arrays.items():
        with replacing(folder / name) as path, path.open("wb") as file:
            np.save(file, array)


def read_scores(store: Store) -> Scores | None:
    """The scores of the current model, or `None` when they were not computed yet."""
    scores = store.artefact("scores")
    return None if scores is None else scores_at(store, scores)


def scores_at(store: Store, artefact: dict[str, Any]) -> Scores:
    """The scores that a `scores` artefact points to."""
    sets = artefact.get("sets")
    folder = store.folder / str(artefact["folder"])
    marked = None
    if artefact.get("marked"):
        marked = Marked.of(unpacked(np.load(folder / ANSWERS)), np.load(folder / SURE))
    return Scores(
        rows=np.load(folder / "rows.npy", mmap_mode="r"),
        probabilities=np.load(folder / "probabilities.npy", mmap_mode="r"),
        model=str(artefact["model"]),
        sets=None if sets is None else SetConfidence(**sets),
        marked=marked,
    )
