"""`annotate_samples` where items may have several labels: a suggested set for each item."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..store.label_sets import shown
from ..store.records import Annotation, Artefact, Charge
from .acceptance import DELTA, MIN_GOLD, accept_threshold
from .base import Outcome, ToolContext
from .embedded_sets import EmbeddedSetAnnotator, SetSuggestion, set_rationale
from .label_form import probability_form
from .labels import LabelledRows, gold_labels, training_labels
from .set_calibration import fit_confidence

LONGEST = 60
"""Characters of a neighbour's text that are shown."""


def annotate_sets(
    context: ToolContext, batch: dict[str, Any], rows: NDArray[np.int64], *, rationales: bool
) -> Outcome:
    """Suggest a set of labels, with confidence and rationale, for each item of the batch."""
    started = time.perf_counter()
    known = training_labels(context.store, final=False)
    annotator = EmbeddedSetAnnotator(
        context.bench.encoder.encode(context.label_texts),
        context.vectors(known.rows),
        context.form.read(known.labels),
        known.rows,
    )
    suggestions = annotator.suggest(context.vectors(rows), shown=3 if rationales else 0)
    distribution = np.array([each.distribution for each in suggestions], dtype=np.float32)
    confidence, threshold, origin = _confidence(context, annotator, distribution)
    sure = None if confidence is None else np.round(confidence.astype(np.float64), 6).tolist()
    value = {
        "round": batch["round"],
        "step": context.step,
        "threshold": threshold,
        "calibrated_on": origin,
    }
    return Outcome(
        result={
            "annotated": len(rows),
            "confidence": "absent" if sure is None else "calibrated",
            "mean_confidence": None if sure is None else round(float(np.mean(sure)), 4),
            "accept_above_score": threshold,
            "calibrated_on": origin,
            "labels_an_item": round(float((distribution >= 0.5).sum(axis=1).mean()), 3),
        },
        annotations=tuple(_annotations(context, rows, suggestions, sure, known, rationales)),
        charges=(Charge("seconds", time.perf_counter() - started, "annotate_samples"),),
        artefacts=(Artefact("suggestions", value),),
    )


def _annotations(
    context: ToolContext,
    rows: NDArray[np.int64],
    suggestions: list[SetSuggestion],
    confidence: list[float] | None,
    known: LabelledRows,
    rationales: bool,
) -> list[Annotation]:
    names, encoder = context.spec.label_names, context.bench.encoder
    sets = np.zeros((len(rows), len(names)), dtype=np.int64)
    for place, each in enumerate(suggestions):
        sets[place, list(each.labels)] = 1
    given = dict(zip(known.rows.tolist(), known.labels, strict=True))

    def item_of(row: int) -> str:
        text = " ".join(context.pool.text(row).split())
        cut = text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
        return f"#{context.pool.id(row)} “{cut}” with {shown(given[row])}"

    return [
        Annotation(
            row=int(row),
            item=item,
            kind="embedded",
            annotator=f"embedded:{encoder.name}",
            version=encoder.digest,
            purpose="suggest",
            label=label,
            confidence=None if confidence is None else confidence[place],
            distribution=tuple(round(p, 6) for p in suggestion.distribution),
            rationale=set_rationale(suggestion, names, item_of) if rationales else "",
            round=context.round,
        )
        for place, (row, item, label, suggestion) in enumerate(
            zip(rows, context.pool.ids(rows), context.form.written(sets), suggestions, strict=True)
        )
    ]


def _confidence(
    context: ToolContext, annotator: EmbeddedSetAnnotator, distribution: NDArray[np.float32]
) -> tuple[NDArray[np.float32] | None, float | None, str]:
    """Calibrated chance that each set is right, and the raw score above which none need be asked.

    The threshold is tested on the raw score, with the annotator's own sets: neither has seen a
    gold item.
    """
    gold, form = gold_labels(context.store), probability_form(context.spec)
    if len(gold) < MIN_GOLD:
        return None, None, f"nothing: {len(gold)} gold items, at least {MIN_GOLD} are needed"
    truth = form.read(gold.labels)
    raw = annotator.distribution(context.vectors(gold.rows))
    right = form.same(form.predicted(raw), truth)
    threshold = None
    if context.spec.target_accuracy is not None:
        risk = 1 - context.spec.target_accuracy
        found = accept_threshold(form.certainty(raw), right, risk=risk, delta=DELTA)
        threshold = None if found is None else float(found.value)
    calibrated = fit_confidence(raw, right)
    return calibrated.of(distribution), threshold, f"{len(gold)} gold items"
