"""The tagger of a run: what a classifier is where labels are of whole items.

It is trained on the marked texts, kept in the model's folder, and what it said of a row is kept
like a classifier's probabilities, so that every row is tagged once for each model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.learners.tagging import TAGGERS, Tagger, load_tagger, make_tagger
from ..store.errors import UserError
from ..store.spans import decode, encode
from .base import ToolContext
from .entity_calibration import AnswerCalibration, fit_answers
from .labels import LabelledRows
from .predictions import Predictions, Said
from .scores import Marked

_BESIDE = 2
"""Numbers that are kept of a row beside those of the types: how sure, and how doubtful."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """What the tagger says of n rows.

    Attributes:
        answers: n answers as they are stored.
        confidence: (n,) the probability of each whole answer, uncalibrated.
        occurs: (n, C) the probability that the text has a part of each type.
        doubt: (n,) how doubtful the answer is for the length of its text, in [0, 1].
    """

    answers: list[str]
    confidence: NDArray[np.float32]
    occurs: NDArray[np.float32]
    doubt: NDArray[np.float32]

    def calibrated(self, calibration: AnswerCalibration | None) -> Marked:
        """The answers with their calibrated chances; the tagger's own where there is none."""
        sure = self.confidence if calibration is None else calibration.of(self.confidence)
        return Marked.of(self.answers, sure)

    def right(self, labels: list[str]) -> NDArray[np.bool_]:
        """(n,) where the answer is what the labels say."""
        return np.array([a == b for a, b in zip(self.answers, labels, strict=True)], dtype=bool)


def fit_tagger(context: ToolContext, kind: str, labelled: LabelledRows) -> Tagger:
    """A tagger of `kind`, fitted on the given rows with the call's seed.

    Raises:
        UserError: no tagger is called so.
    """
    if kind not in TAGGERS:
        raise UserError(
            f"learner {kind!r} gives labels to whole texts and marks nothing in them: use one of "
            f"{', '.join(TAGGERS)}"
        )
    tagger = make_tagger(kind, types=context.spec.label_names, encoder=context.bench.encoder)
    tagger.fit(
        context.pool.texts(labelled.rows),
        [decode(label) for label in labelled.labels],
        np.ones(len(labelled), dtype=np.float32),
        seed=context.seed,
        progress=context.bench.progress,
    )
    return tagger


def tag_rows(context: ToolContext, tagger: Tagger, rows: NDArray[np.int64]) -> Said:
    """What a tagger says of some rows, in the form in which it is kept."""
    found = tagger.tag(context.pool.texts(rows), progress=context.bench.progress)
    values = np.column_stack([found.occurs, found.confidence, found.doubt])
    return Said(values.astype(np.float32), [encode(spans) for spans in found.spans])


def tagger_predictions(context: ToolContext, model: dict[str, Any], key: str) -> Predictions:
    """What the tagger of a `model` artefact said of the pool so far; the rest is computed."""
    folder: Path = context.store.folder / str(model["folder"])

    def tagger() -> Tagger:
        return load_tagger(folder, encoder=context.bench.encoder)

    def compute(rows: NDArray[np.int64]) -> Said:
        return tag_rows(context, context.bench.learner(key, tagger), rows)

    def load() -> Predictions:
        width = len(context.spec.labels) + _BESIDE
        return Predictions(folder, len(context.pool), width, compute)

    return context.bench.predictions(key, load)


def tagged(kept: Predictions, rows: NDArray[np.int64], call: str) -> Tagged:
    """What a tagger's kept predictions say of some rows; `call` asks."""
    return as_tagged(Said(kept.of(rows, call), kept.answers(rows, call)))


def as_tagged(said: Said) -> Tagged:
    """The kept form, read."""
    types = said.values.shape[1] - _BESIDE
    confidence, doubt = said.values[:, types], said.values[:, types + 1]
    return Tagged(said.answers, confidence, said.values[:, :types], doubt)


def fit_calibration(found: Tagged, labels: list[str]) -> dict[str, Any]:
    """The fields of a calibration on gold: answers of a tagger that did not learn from them."""
    return fit_answers(found.confidence, found.right(labels)).as_fields()


def out_of_fold(
    context: ToolContext, kind: str, labelled: LabelledRows, gold: LabelledRows, folds: int
) -> Tagged:
    """What taggers say of the gold items, each item by one that was trained without it."""
    order = np.random.default_rng(context.seed).permutation(len(gold))
    values = np.zeros((len(gold), len(context.spec.labels) + _BESIDE), dtype=np.float32)
    answers = [""] * len(gold)
    for fold in range(min(folds, len(gold))):
        held = order[fold::folds]
        said = tag_rows(
            context, fit_tagger(context, kind, labelled.without(gold.rows[held])), gold.rows[held]
        )
        values[held] = said.values
        for place, answer in zip(held.tolist(), said.answers, strict=True):
            answers[place] = answer
    return as_tagged(Said(values, answers))
