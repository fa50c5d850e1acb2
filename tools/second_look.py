"""A second look at labels that would be accepted without a person.

A judge (the stronger model where there is one, else the same one with another prompt) and the
classifier can each object. What is objected to goes to a person, with the objection; so does what
was to be judged and could not be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from ..store.records import Annotation
from .base import ToolContext
from .quality.verification import Flag, judge_labels, learner_disagreement
from .scores import read_scores

Check = Literal["none", "judge", "classifier", "both"]


def objections(context: ToolContext, check: Check, notes: Sequence[Annotation]) -> dict[int, str]:
    """Row → why its label should be looked at by a person; empty with `none`.

    Args:
        context: of the tool that asks.
        check: who looks.
        notes: annotations with a label.

    Raises:
        UserError: items may have several labels or marked parts, or no model has scored the pool.
        OperatorError: the judge's server cannot be reached.
    """
    if check == "none" or not notes:
        return {}
    if context.form.several:
        raise UserError(f"check={check!r} is for one label an item: leave it out")
    flags: list[tuple[Annotation, Flag]] = []
    labels = context.label_index([str(note.label) for note in notes])
    if check in ("judge", "both"):
        flags += zip(notes, _judged(context, notes, labels), strict=True)
    if check in ("classifier", "both"):
        flags += zip(notes, _compared(context, notes, labels), strict=True)
    found: dict[int, str] = {}
    for note, flag in flags:
        if flag.doubted is None or flag.doubted:
            found[note.row] = "; ".join(filter(None, (found.get(note.row), flag.reason)))
    return found


def _judged(
    context: ToolContext, notes: Sequence[Annotation], labels: NDArray[np.int64]
) -> list[Flag]:
    judge = context.asker("judge")
    if judge is None:
        raise UserError("there is no chat model to judge: run with --llm")
    texts = context.pool.texts([note.row for note in notes])
    return judge_labels(judge, context.spec, texts, labels, [note.rationale for note in notes])


def _compared(
    context: ToolContext, notes: Sequence[Annotation], labels: NDArray[np.int64]
) -> list[Flag]:
    scores = read_scores(context.store)
    if scores is None:
        raise UserError("no classifier has scored the pool yet: call measure_uncertainty first")
    rows = np.array([note.row for note in notes], dtype=np.int64)
    return learner_disagreement(scores.of(rows), labels, context.spec.label_names)
