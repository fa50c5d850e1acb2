"""`annotate_samples` where parts of texts are marked, without a chat model.

The suggestions are those of a tagger on frozen word vectors, trained on the texts that people have
marked so far. Before any is, nothing is suggested: an empty suggestion would look like an answer.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..store.records import Annotation, Artefact, Charge
from ..store.spans import decode
from .acceptance import DELTA, MIN_GOLD, accept_threshold
from .base import Outcome, ToolContext
from .entity_calibration import fit_answers
from .labels import LabelledRows, gold_labels, training_labels
from .tagging import Tagged, as_tagged, fit_tagger, tag_rows

TAGGER = "linear"
SEEN = 3
"""Marked texts that are named for each suggested part."""


@dataclass(frozen=True, slots=True)
class _Belief:
    """How far suggestions can be believed: what gold supports, if there is enough of it."""

    confidence: NDArray[np.float32] | None
    accepted: NDArray[np.bool_]
    threshold: float | None
    origin: str


def annotate_entities(
    context: ToolContext, batch: dict[str, Any], rows: NDArray[np.int64], *, rationales: bool
) -> Outcome:
    """Suggest marked parts, with confidence and rationale, for each item of the batch."""
    started = time.perf_counter()
    known = training_labels(context.store, final=False)
    if len(known):
        notes, value = _by_tagger(context, rows, known, rationales)
    else:
        origin = "nothing: no text is marked yet"
        notes = [_nothing(context, int(row), item) for row, item in _items(context, rows)]
        value = {"threshold": None, "accepted": [], "calibrated_on": origin}
    sure = [note.confidence for note in notes if note.confidence is not None]
    return Outcome(
        result={
            "annotated": len(rows),
            "confidence": "calibrated" if sure else "absent",
            "mean_confidence": round(float(np.mean(sure)), 4) if sure else None,
            "accept_above_score": value["threshold"],
            "accepted": len(value["accepted"]),
            "calibrated_on": value["calibrated_on"],
            "parts_an_item": round(_parts(notes) / len(rows), 3),
        },
        annotations=tuple(notes),
        charges=(Charge("seconds", time.perf_counter() - started, "annotate_samples"),),
        # The threshold is of the tagger's own probability, which an annotation does not hold:
        # what it accepts is named.
        artefacts=(
            Artefact(
                "suggestions",
                {"round": batch["round"], "step": context.step, **value, "threshold": None},
            ),
        ),
    )


def _by_tagger(
    context: ToolContext, rows: NDArray[np.int64], known: LabelledRows, rationales: bool
) -> tuple[list[Annotation], dict[str, Any]]:
    tagger = fit_tagger(context, TAGGER, known)
    found = as_tagged(tag_rows(context, tagger, rows))
    gold = gold_labels(context.store)
    on_gold = as_tagged(tag_rows(context, tagger, gold.rows)) if len(gold) >= MIN_GOLD else None
    belief = _belief(context, found, on_gold, gold)
    reasons = _reasons(context, found, known) if rationales else [""] * len(rows)
    notes = [
        Annotation(
            row=row,
            item=item,
            kind="embedded",
            annotator=f"embedded:{context.bench.encoder.name}",
            version=tagger.digest,
            purpose="suggest",
            label=found.answers[place],
            confidence=None
            if belief.confidence is None
            else round(float(belief.confidence[place]), 6),
            distribution=tuple(round(float(p), 6) for p in found.occurs[place]),
            rationale=reasons[place],
            round=context.round,
        )
        for place, (row, item) in enumerate(_items(context, rows))
    ]
    value = {
        "threshold": belief.threshold,
        "accepted": rows[belief.accepted].tolist(),
        "calibrated_on": belief.origin,
    }
    return notes, value


def _belief(
    context: ToolContext, found: Tagged, on_gold: Tagged | None, gold: LabelledRows
) -> _Belief:
    """The tagger has not seen the gold items: its own probabilities of them can be tested."""
    nothing = np.zeros(len(found.answers), dtype=bool)
    if on_gold is None:
        few = f"nothing: {len(gold)} gold items, at least {MIN_GOLD} are needed"
        return _Belief(None, nothing, None, few)
    right, threshold = on_gold.right(gold.labels), None
    if context.spec.target_accuracy is not None:
        risk = 1 - context.spec.target_accuracy
        tested = accept_threshold(on_gold.confidence, right, risk=risk, delta=DELTA)
        threshold = None if tested is None else float(tested.value)
    accepted = nothing if threshold is None else found.confidence >= threshold
    confidence = fit_answers(on_gold.confidence, right).of(found.confidence)
    return _Belief(confidence, accepted, threshold, f"{len(gold)} gold items")


def _reasons(context: ToolContext, found: Tagged, known: LabelledRows) -> list[str]:
    """For each item: of what was marked before, what is suggested again; and what rests on form."""
    seen: dict[tuple[str, str], list[str]] = defaultdict(list)
    for label, item in zip(known.labels, context.pool.ids(known.rows), strict=True):
        for span in decode(label):
            seen[span.text.casefold(), span.type].append(item)
    by = f"By a tagger trained on {len(known)} marked texts"
    reasons = []
    for answer in found.answers:
        words = []
        for span in decode(answer):
            items = seen.get((span.text.casefold(), span.type), [])
            where = f"marked so in {', '.join(f'#{item}' for item in items[:SEEN])}"
            words.append(f"“{span.text}” ({span.type}) {where if items else 'not seen before'}")
        reasons.append(f"{by}: {'; '.join(words) or 'nothing to mark'}.")
    return reasons


def _nothing(context: ToolContext, row: int, item: str) -> Annotation:
    return Annotation(
        row=row,
        item=item,
        kind="embedded",
        annotator=f"embedded:{context.bench.encoder.name}",
        version=context.bench.encoder.digest,
        purpose="suggest",
        label=None,
        rationale="Nothing is marked yet, so nothing is suggested.",
        round=context.round,
    )


def _items(context: ToolContext, rows: NDArray[np.int64]) -> list[tuple[int, str]]:
    return list(zip(rows.tolist(), context.pool.ids(rows), strict=True))


def _parts(notes: list[Annotation]) -> int:
    return sum(len(decode(note.label)) for note in notes if note.label is not None)
