"""`measure_uncertainty`: score the whole pool with the current model, once."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..store.errors import UserError
from ..store.files import replacing
from ..store.records import Artefact, Charge
from .base import Outcome, Tool, ToolArgs, ToolContext
from .certificate import labels_digest
from .entity_calibration import answers_calibration
from .label_form import Answers, probability_form
from .labels import human_labels
from .machine_labels import machine_labels
from .scores import Scores, scores_at, write_scores
from .tagging import tagged
from .train_model import predictions_of
from .uncertainty import measures


class MeasureArgs(ToolArgs):
    """Which uncertainty to report."""

    measure: Annotated[
        Literal["least_confidence", "margin", "entropy"], Field(description="how to measure it")
    ] = "margin"


class MeasureUncertainty(Tool[MeasureArgs]):
    """Computes the class probabilities that selection, stopping and the report reuse."""

    name = "measure_uncertainty"
    description = "Score all pool items with the current model and report how uncertain it is."
    Args = MeasureArgs

    def run(self, context: ToolContext, args: MeasureArgs) -> Outcome:
        """Score the unique rows; with a final model also freeze its labels; see `Tool.run`."""
        started = time.perf_counter()
        model = context.store.artefact("model")
        if model is None:
            raise UserError("there is no model to measure with: call train_model first")
        scores, computed = self._score(context, model)
        by_label = measures(multi_label=context.form.several)
        uncertainty = by_label[args.measure](np.asarray(scores.probabilities))
        value = {
            "model": model["name"],
            "folder": model["folder"],
            "round": model["round"],
            "measure": args.measure,
            "mean_uncertainty": round(float(uncertainty.mean()), 6),
            "max_uncertainty": round(float(uncertainty.max()), 6),
            "expected_error": _expected_error(scores),
            "calibrated": model["temperature"] is not None,
            **_against_last(context, scores, model),
            "predicted": _counts(context, scores),
            "computed": computed,
            "reused": len(scores.rows) - computed,
            **({} if scores.sets is None else {"sets": asdict(scores.sets)}),
            **({} if scores.marked is None else {"marked": True}),
        }
        artefacts = [Artefact("scores", value)]
        if model["final"]:
            artefacts.append(_freeze(context, model, scores))
        return Outcome(
            result={
                "scored": len(scores.rows),
                "measure": args.measure,
                "mean_uncertainty": value["mean_uncertainty"],
                "agreement_with_last_model": value["kappa"],
                "predicted": value["predicted"],
                "computed": computed,
                "reused": value["reused"],
                "labels_frozen": bool(model["final"]),
            },
            charges=(Charge("seconds", time.perf_counter() - started, self.name),),
            artefacts=tuple(artefacts),
        )

    def _score(self, context: ToolContext, model: dict[str, Any]) -> tuple[Scores, int]:
        """The calibrated probabilities, and for how many rows this call had to compute them."""
        rows, found = context.pool.unique_rows, predictions_of(context, model)
        if context.spec.marked:
            said = tagged(found, rows, context.call)
            marked = said.calibrated(answers_calibration(model))
            scores = Scores(rows, said.occurs, model["name"], marked=marked)
        else:
            scores = _of_labels(context, model, rows, found.of(rows, context.call))
        write_scores(context.store.folder / model["folder"], scores)
        return scores, found.new(rows, context.call)


def _of_labels(
    context: ToolContext,
    model: dict[str, Any],
    rows: NDArray[np.int64],
    probabilities: NDArray[np.float32],
) -> Scores:
    form = probability_form(context.spec)
    calibrator = form.calibration(model)
    if calibrator is not None:
        probabilities = calibrator.apply(probabilities)
    return Scores(rows, probabilities, model["name"], form.set_confidence(model))


def _expected_error(scores: Scores) -> float:
    """The share of wrong answers that the model expects of itself: the mean of 1 - confidence."""
    return round(float(1.0 - scores.confidence().mean(dtype=np.float64)), 6)


def _against_last(
    context: ToolContext, scores: Scores, model: dict[str, Any]
) -> dict[str, float | None]:
    """Cohen's kappa with the labels of the model before, and the share of them that changed."""
    previous = context.store.artefact("scores")
    if model.get("generated") and not model["final"]:
        # Its twin without generated items shares its labels: their likeness is no stability.
        history = context.store.artefact_history("scores")
        earlier = [each for each in history if each["round"] < model["round"]]
        previous = earlier[-1] if earlier else None
    if previous is None:
        return {"kappa": None, "changed_share": None}
    before, now = scores_at(context.store, previous).labels(), scores.labels()
    kappa = context.form.kappa(before, now)
    # Not rounded: a single change in a large pool must not become none.
    return {"kappa": round(float(kappa), 6), "changed_share": _changed(context, before, now)}


def _changed(context: ToolContext, before: Answers, now: Answers) -> float:
    return float(np.mean(~context.form.same(before, now)))


def _counts(context: ToolContext, scores: Scores) -> dict[str, int]:
    names = context.spec.label_names
    counts = context.form.counts(scores.labels())
    return {name: int(count) for name, count in zip(names, counts, strict=True)}


def _freeze(context: ToolContext, model: dict[str, Any], scores: Scores) -> Artefact:
    """Fix the labels that will be certified: every row no person has labelled, and its doubt."""
    known = human_labels(context.store).rows
    found = machine_labels(context, scores)
    rows, labels, confidence = found.rows, found.answers, found.confidence
    folder = context.store.folder / model["folder"]
    doubt = (1 - confidence).astype(np.float64)
    with replacing(folder / "frozen.npz") as path, path.open("wb") as file:
        np.savez(file, rows=rows, labels=context.form.packed(labels), doubt=doubt)
    attempt = len(context.store.artefact_history("frozen")) + 1
    value = {
        "model": model["name"],
        "folder": model["folder"],
        "machine_rows": len(rows),
        "digest": labels_digest(rows, context.form.keys(labels)),
        # Rows that trained with the machine's own label are not among these: their label was
        # frozen before the draw like any other.
        "trained_on": sorted(set(model["rows"]) & set(known.tolist())),
        "calibrated": model["temperature"] is not None,
        "attempt": attempt,
    }
    return Artefact("frozen", value)
