"""`annotate_samples`: an answer for each item, by the chat model or the embedded annotator."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..store.errors import UserError
from ..store.records import Annotation, Artefact, Charge
from .acceptance import DELTA, MIN_GOLD, accept_threshold
from .annotate_entities import annotate_entities
from .annotate_llm import annotate_with_model
from .annotate_sets import annotate_sets
from .asking import ModelArgs
from .base import Outcome, Tool, ToolArgs, ToolContext
from .calibration import fit_temperature
from .embedded import EmbeddedAnnotator, rationale
from .labels import gold_labels, training_labels


class AnnotateArgs(ToolArgs):
    """Who annotates, and how."""

    annotator: Annotated[
        Literal["auto", "llm", "embedded"],
        Field(
            description="auto: as the run was set up; llm: the chat model; embedded: label "
            "descriptions and the nearest labelled texts, for when the chat model is no use"
        ),
    ] = "auto"
    model: Annotated[ModelArgs, Field(description="how the chat model is asked")] = ModelArgs()
    rationales: Annotated[
        bool, Field(description="embedded: name the nearest labelled texts and the decisive words")
    ] = True


class AnnotateSamples(Tool[AnnotateArgs]):
    """Suggests a label for every item of the open batch."""

    name = "annotate_samples"
    description = (
        "Suggest a label with confidence and rationale for each item of the batch. Confidence is "
        "calibrated on gold items and absent without them; labels that are sure enough for the "
        "target accuracy are accepted, the others go to a person."
    )
    Args = AnnotateArgs

    def run(self, context: ToolContext, args: AnnotateArgs) -> Outcome:
        """Annotate the batch; see `Tool.run`."""
        started = time.perf_counter()
        batch = context.store.artefact("batch")
        if batch is None:
            raise UserError("there is no batch to annotate: call select_samples first")
        rows = np.array(batch["rows"], dtype=np.int64)
        if _by_model(context, args):
            return annotate_with_model(context, args.model, rows, batch["round"])
        if context.spec.marked:
            return annotate_entities(context, batch, rows, rationales=args.rationales)
        if context.spec.several:
            return annotate_sets(context, batch, rows, rationales=args.rationales)
        annotator = _annotator(context)
        vectors, texts = context.vectors(rows), context.pool.texts(rows)
        encode = context.bench.encoder.encode if args.rationales else None
        suggestions = annotator.suggest(vectors, texts, encode)
        distribution = np.array([each.distribution for each in suggestions], dtype=np.float32)
        confidence, threshold, origin = _confidence(context, annotator, distribution)
        ids = dict(zip(rows.tolist(), context.pool.ids(rows), strict=True))
        names = context.spec.label_names
        annotations = [
            Annotation(
                row=int(row),
                item=ids[int(row)],
                kind="embedded",
                annotator=f"embedded:{context.bench.encoder.name}",
                version=context.bench.encoder.digest,
                purpose="suggest",
                label=names[each.label],
                confidence=None if confidence is None else round(float(confidence[place]), 6),
                distribution=tuple(round(float(p), 6) for p in each.distribution),
                rationale=rationale(each, names, context.pool.text, context.pool.id),
                round=context.round,
            )
            for place, (row, each) in enumerate(zip(rows, suggestions, strict=True))
        ]
        value = {
            "round": batch["round"],
            "step": context.step,
            "threshold": threshold,
            "calibrated_on": origin,
        }
        return Outcome(
            result={
                "annotated": len(rows),
                "confidence": "absent" if confidence is None else "calibrated",
                "mean_confidence": None
                if confidence is None
                else round(float(confidence.mean()), 4),
                "accept_above_score": threshold,
                "calibrated_on": origin,
            },
            annotations=tuple(annotations),
            charges=(Charge("seconds", time.perf_counter() - started, self.name),),
            artefacts=(Artefact("suggestions", value),),
        )


def _by_model(context: ToolContext, args: AnnotateArgs) -> bool:
    who = context.settings.annotator if args.annotator == "auto" else args.annotator
    return who == "llm" or (who == "auto" and context.asker("main") is not None)


def _annotator(context: ToolContext) -> EmbeddedAnnotator:
    labelled = training_labels(context.store, final=False)
    return EmbeddedAnnotator(
        label_vectors=context.bench.encoder.encode(context.label_texts),
        labelled_vectors=context.vectors(labelled.rows),
        labelled_labels=context.label_index(labelled.labels),
        labelled_rows=labelled.rows,
    )


def _confidence(
    context: ToolContext, annotator: EmbeddedAnnotator, distribution: NDArray[np.float32]
) -> tuple[NDArray[np.float32] | None, float | None, str]:
    """Calibrated confidence of each answer, and the raw score above which none need be asked."""
    gold = gold_labels(context.store)
    if len(gold) < MIN_GOLD:
        return None, None, f"nothing: {len(gold)} gold items, at least {MIN_GOLD} are needed"
    truth = context.label_index(gold.labels)
    raw = annotator.distribution(context.vectors(gold.rows))
    threshold = None
    if context.spec.target_accuracy is not None:
        # Tested on the raw score: the temperature below was chosen on these very gold items.
        found = accept_threshold(
            raw.max(axis=1),
            raw.argmax(axis=1) == truth,
            risk=1 - context.spec.target_accuracy,
            delta=DELTA,
        )
        threshold = None if found is None else float(found.value)
    calibrator = fit_temperature(raw, truth)
    confidence = calibrator.apply(distribution).max(axis=1)
    return confidence, threshold, f"{len(gold)} gold items"
