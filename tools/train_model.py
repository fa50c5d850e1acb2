"""`train_model`: fit the learner on all labels there are, and calibrate it on gold."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..models.learners import Inputs, Learner, Training, load_learner, make_learner
from ..store.errors import UserError
from ..store.files import write_folder
from ..store.records import Artefact, Charge
from ..store.spec import LearnerName
from .base import Outcome, Tool, ToolArgs, ToolContext
from .labels import LabelledRows, gold_labels, training_labels
from .predictions import Predictions

FOLDS = 5
FINE_TUNED: frozenset[LearnerName] = frozenset({"bert", "setfit"})
"""Learners whose fit is a fine-tuning of a transformer."""
MIN_GOLD = 8
"""Below this many gold items a temperature says nothing; confidence stays absent."""
UNCALIBRATED: dict[str, Any] = {"temperature": None, "gold": 0}
CALIBRATION = ("temperature", "temperatures", "shifts", "thresholds", "power")
"""Fields of a `model` artefact that say how its probabilities are calibrated."""


class TrainArgs(ToolArgs):
    """Which learner to fit, and whether this is the model that will be handed over."""

    learner: Annotated[
        LearnerName | None,
        Field(description="linear, svm, bert or setfit; by default the run's learner"),
    ] = None
    final: Annotated[
        bool, Field(description="also learn from the gold items: the model to hand over")
    ] = False


class TrainModel(Tool[TrainArgs]):
    """Fits a learner and makes it the current model."""

    name = "train_model"
    description = (
        "Train the classifier on all labels so far. With final=true also on the gold items, to "
        "make the model whose labels are audited and handed over."
    )
    Args = TrainArgs

    def run(self, context: ToolContext, args: TrainArgs) -> Outcome:
        """Fit, calibrate and save under the call's name; see `Tool.run`."""
        started = time.perf_counter()
        kind = args.learner or context.settings.learner
        labelled = training_labels(context.store, final=args.final)
        if not len(labelled):
            raise UserError("there is no label to train on: request a review of a batch first")
        learner = fit(context, kind, labelled)
        write_folder(context.folder("models") / context.call, learner.save)
        model = {
            "name": context.call,
            "folder": f"models/{context.call}",
            "learner": kind,
            "digest": learner.digest,
            "rows": [int(row) for row in labelled.rows],
            "round": context.round,
            "final": args.final,
        }
        calibration, origin = _calibrate(context, model, kind, labelled)
        model |= {**calibration, "calibrated_on": origin}
        return Outcome(
            result={
                "learner": kind,
                "labels": len(labelled),
                "classes_seen": _seen(context, labelled),
                "final": args.final,
                "temperature": model["temperature"],
                "calibrated_on": origin,
            },
            charges=(Charge("seconds", time.perf_counter() - started, self.name),),
            artefacts=(Artefact("model", model),),
        )


def fit(context: ToolContext, kind: LearnerName, labelled: LabelledRows) -> Learner:
    """A learner of `kind`, fitted on the given rows with the call's seed."""
    learner = make_learner(
        kind,
        label_names=context.spec.label_names,
        label_texts=context.label_texts,
        encoder=context.bench.encoder,
        multi_label=context.spec.several,
    )
    training = Training(
        inputs=inputs_of(context, labelled.rows),
        labels=_targets(context, labelled.labels),
        weights=np.ones(len(labelled), dtype=np.float32),
    )
    learner.fit(training, seed=context.seed, progress=context.bench.progress)
    return learner


def _targets(context: ToolContext, labels: list[str]) -> NDArray[np.int64] | NDArray[np.float32]:
    answers = context.label_index(labels)
    return answers.astype(np.float32) if context.spec.several else answers


def _seen(context: ToolContext, labelled: LabelledRows) -> int:
    """How many labels have an example."""
    return int((context.form.counts(context.label_index(labelled.labels)) > 0).sum())


def inputs_of(context: ToolContext, rows: NDArray[np.int64]) -> Inputs:
    """Texts and vectors of some rows, as a learner takes them, and where it keeps their states."""
    return Inputs(
        texts=context.pool.texts(rows), vectors=context.vectors(rows), hidden=context.hidden(rows)
    )


def current_learner(context: ToolContext, model: dict[str, object]) -> Learner:
    """The fitted learner of a `model` artefact, from memory or from its folder."""
    folder: Path = context.store.folder / str(model["folder"])
    return context.bench.learner(
        _key(model), lambda: load_learner(folder, encoder=context.bench.encoder)
    )


def predictions_of(context: ToolContext, model: dict[str, object]) -> Predictions:
    """What the model of a `model` artefact said of the pool so far; the rest is computed."""

    def compute(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        # The learner draws the bar: one around it would stand still for a whole chunk.
        return current_learner(context, model).predict_proba(
            inputs_of(context, rows), progress=context.bench.progress
        )

    def load() -> Predictions:
        folder = context.store.folder / str(model["folder"])
        return Predictions(folder, len(context.pool), len(context.spec.labels), compute)

    return context.bench.predictions(_key(model), load)


def _key(model: dict[str, object]) -> str:
    """What no other model of a process has: a call that is tried again may train another one."""
    return f"{model['name']}:{model['digest']}"


def _calibrate(
    context: ToolContext,
    model: dict[str, Any],
    kind: LearnerName,
    labelled: LabelledRows,
) -> tuple[dict[str, Any], str]:
    """Fit a calibration on gold items that the scoring model did not learn from."""
    gold = gold_labels(context.store)
    if len(gold) < MIN_GOLD:
        few = f"not calibrated: {len(gold)} gold items, at least {MIN_GOLD} are needed"
        return UNCALIBRATED, few
    truth = context.label_index(gold.labels)
    if not model["final"]:
        probabilities = predictions_of(context, model).of(gold.rows, context.call)
        return context.form.fit_calibration(probabilities, truth)[1], f"{len(gold)} gold items"
    previous = context.store.artefact("model")
    slow = kind in FINE_TUNED
    if slow and previous and previous["temperature"] and previous["learner"] == kind:
        # Fine-tuning once a fold would take minutes; the last round's model is its near twin.
        kept = {name: previous[name] for name in CALIBRATION if name in previous}
        origin = f"{len(gold)} gold items, by the model of the last round"
        return {**kept, "gold": len(gold)}, origin
    probabilities = _out_of_fold(context, kind, labelled, gold)
    fields = context.form.fit_calibration(probabilities, truth)[1]
    return fields, f"{len(gold)} gold items, out of fold"


def _out_of_fold(
    context: ToolContext, kind: LearnerName, labelled: LabelledRows, gold: LabelledRows
) -> NDArray[np.float32]:
    """Probabilities of each gold item by a model that was trained without it."""
    order = np.random.default_rng(context.seed).permutation(len(gold))
    probabilities = np.zeros((len(gold), len(context.spec.labels)), dtype=np.float32)
    for fold in range(FOLDS):
        held = gold.rows[order[fold::FOLDS]]
        stay = ~np.isin(labelled.rows, held)
        names = [name for name, kept in zip(labelled.labels, stay, strict=True) if kept]
        model = fit(context, kind, LabelledRows(labelled.rows[stay], names))
        probabilities[order[fold::FOLDS]] = model.predict_proba(inputs_of(context, held))
    return probabilities
