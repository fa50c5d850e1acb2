"""What a chat model is asked in a run: the kind of question, the items, and answers as stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..store import spans
from ..store.label_sets import decode, encode
from ..store.spec import Settings, TaskSpec
from .annotators.entities import Entities
from .annotators.items import Item, LLMAnnotation
from .annotators.labelling import MultiLabel, PairLabel, SingleLabel
from .annotators.tasks import Task
from .base import ToolContext

LEFT_OUT = "left out of the answer: "


def task_of(spec: TaskSpec, settings: Settings) -> Task[Any]:
    """The kind of question that a task comes to."""
    labels = tuple(spec.labels)
    if spec.marked:
        return Entities(labels)
    if spec.several:
        return MultiLabel(labels)
    return PairLabel(labels) if settings.second_columns else SingleLabel(labels)


def reader_of(spec: TaskSpec) -> Callable[[str], Any]:
    """From a stored label to the value of the task."""
    if spec.marked:
        return spans.decode
    return (lambda label: tuple(decode(label))) if spec.several else str


def stored(spec: TaskSpec, note: LLMAnnotation[Any]) -> LLMAnnotation[str]:
    """The annotation with its value as the store writes labels.

    What had to be left out of an answer is said beside its reason: whoever looks at it should know.
    """
    if note.label is None:
        return note
    if spec.marked:
        words = (note.rationale, f"{LEFT_OUT}{note.why}" if note.status == "partial" else "")
        rationale = ". ".join(filter(None, words))
        return replace(note, label=spans.encode(note.label), rationale=rationale)
    if not spec.several:
        return note
    return replace(note, label=encode(list(note.label), spec.label_names))


def items_of(context: ToolContext, rows: NDArray[np.int64]) -> list[Item]:
    """Some rows as an annotator sees them; with their tokens where the file had them."""
    texts, ids = context.pool.texts(rows), context.pool.ids(rows)
    tokens = [tuple(text.split(" ")) if context.settings.tokens else () for text in texts]
    return [
        Item(name, text, tokens=each) for name, text, each in zip(ids, texts, tokens, strict=True)
    ]
