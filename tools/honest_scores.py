"""What the classifier says of labelled items that it did not learn from.

A model knows the labels of its training items, so what it says of them tells nothing of how far it
is to be believed elsewhere. For learners that are fitted in a moment, each fifth of the training
items is scored by a model of the other four. For fine-tuned ones each item is taken as the newest
model scored it that had not seen it: that of the round before its label came.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import ToolContext
from .labels import LabelledRows, training_labels
from .train_model import FINE_TUNED, FOLDS, fit, inputs_of, predictions_of


def plain_scores(
    context: ToolContext, model: dict[str, Any], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(n, C) probabilities of rows by a model as it gives them.

    Not calibrated: a temperature is fitted on gold, and what is held against gold afterwards may
    not know it.

    Args:
        context: of the tool that asks.
        model: its artefact.
        rows: n rows.
    """
    return predictions_of(context, model).of(rows, context.call).astype(np.float64)


def honest_scores(
    context: ToolContext, model: dict[str, Any], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(n, C) probabilities of training rows by models that were not trained on them.

    Args:
        context: of the tool that asks.
        model: the artefact of the current model.
        rows: n rows that people labelled for training.

    Returns:
        Rows of NaN where no such model scored the item.
    """
    if model["learner"] in FINE_TUNED:
        return _before(context, rows)
    return _crossed(context, model, rows)


def _before(context: ToolContext, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    found = np.full((len(rows), len(context.spec.labels)), np.nan)
    models = {each["name"]: each for each in context.store.artefact_history("model")}
    for scored in context.store.artefact_history("scores"):
        model = models[scored["model"]]
        unseen = ~np.isin(rows, np.array(model["rows"], dtype=np.int64))
        if unseen.any():
            found[unseen] = plain_scores(context, model, rows[unseen])
    return found


def _crossed(
    context: ToolContext, model: dict[str, Any], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    found = np.full((len(rows), len(context.spec.labels)), np.nan)
    labelled = training_labels(context.store, final=False)
    fold = np.random.default_rng(context.seed).permutation(len(rows)) % FOLDS
    for number in range(min(FOLDS, len(rows))):
        held = rows[fold == number]
        stay = ~np.isin(labelled.rows, held)
        if stay.any():
            names = [name for name, kept in zip(labelled.labels, stay, strict=True) if kept]
            part = fit(context, model["learner"], LabelledRows(labelled.rows[stay], names))
            found[fold == number] = part.predict_proba(inputs_of(context, held))
    return found
