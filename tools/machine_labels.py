"""The machine's label for each item: the classifier's, or a chat model's where it is better.

Both confidences are calibrated on gold items, so they can be compared; a chat model's label
without one never stands before the classifier's. What several said together, the classifier among
them, stands where it was learned from people's labels: the final classifier has learned from those
very labels, and is surer of them than it should be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..store.records import Annotation
from .base import ToolContext
from .label_form import Answers
from .labels import human_labels
from .opinions import COMMITTEE
from .scores import Scores


@dataclass(frozen=True, slots=True)
class MachineLabels:
    """Labels of the n scored rows that no person has labelled, ascending.

    Attributes:
        rows: (n,) rows.
        answers: their labels as answers of the task's form.
        confidence: (n,) how sure of them, as far as the model is calibrated.
        by_model: the chat model's annotation of those rows that have its label.
    """

    rows: NDArray[np.int64]
    answers: Answers
    confidence: NDArray[np.float32]
    by_model: dict[int, Annotation]


def machine_labels(context: ToolContext, scores: Scores) -> MachineLabels:
    """Put together what is delivered, and certified, for items that no person has labelled."""
    machine = ~np.isin(scores.rows, human_labels(context.store).rows)
    rows, answers = np.asarray(scores.rows)[machine], scores.labels()[machine]
    confidence = np.asarray(scores.confidence()[machine], dtype=np.float32)
    accepted = context.store.annotations(purposes=("accept",), kinds=("llm", "replayed"))
    newest = {each.row: each for each in accepted}
    learned = bool((context.store.artefact("pool_labels") or {}).get("learned_from"))
    by_model: dict[int, Annotation] = {}
    for row, note in newest.items():
        place = int(np.searchsorted(rows, row))
        if place == len(rows) or rows[place] != row or note.label is None:
            continue
        stands = learned and note.annotator == COMMITTEE
        if note.confidence is not None and (stands or note.confidence > confidence[place]):
            answers[place] = context.form.read([note.label])[0]
            confidence[place] = note.confidence
            by_model[row] = note
    return MachineLabels(rows, answers, confidence, by_model)
