"""`train_model`: fit the learner on all labels there are, and calibrate it on gold."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..models.learners import Inputs, Learner, Training, load_learner, make_learner
from ..models.learners.tagging import Tagger
from ..store.errors import UserError
from ..store.files import write_folder
from ..store.records import Artefact, Charge
from ..store.spec import LearnerName
from .base import Outcome, Tool, ToolArgs, ToolContext
from .gating import compare
from .generation.records import GATE, NONE, GeneratedItems, generated_items
from .label_form import probability_form
from .labels import LabelledRows, gold_labels, training_labels
from .predictions import Predictions
from .tagging import fit_calibration, fit_tagger, out_of_fold, tagged, tagger_predictions

FOLDS = 5
FINE_TUNED: frozenset[LearnerName] = frozenset({"bert", "setfit"})
"""Learners whose fit is a fine-tuning of a transformer."""
MIN_GOLD = 8
"""Below this many gold items a temperature says nothing; confidence stays absent."""
UNCALIBRATED: dict[str, Any] = {"temperature": None, "gold": 0}
CALIBRATION = ("temperature", "temperatures", "shift", "shifts", "thresholds", "power")
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
    generated: Annotated[
        bool,
        Field(
            description="also learn from the generated items that passed their filters; used only "
            "if more of the gold items come out right"
        ),
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
        choice = _choose(context, kind, labelled, args)
        gate = () if choice.gate is None else (Artefact(GATE, choice.gate),)
        if choice.learner is None:
            seconds = Charge("seconds", time.perf_counter() - started, self.name)
            return Outcome(
                result={"model": "kept as it was", "generated": choice.gate},
                charges=(seconds,),
                artefacts=gate,
            )
        learner = choice.learner
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
        if len(choice.items):
            model["generated"] = list(choice.items.ids)
        calibration, origin = _calibrate(context, model, kind, labelled, choice.items)
        model |= {**calibration, "calibrated_on": origin}
        return Outcome(
            result={
                "learner": kind,
                "labels": len(labelled),
                "classes_seen": _seen(context, labelled),
                "final": args.final,
                "temperature": model["temperature"],
                "calibrated_on": origin,
                **({} if choice.gate is None else {"generated": choice.gate}),
                **({"generated_items": len(choice.items)} if len(choice.items) else {}),
            },
            charges=(Charge("seconds", time.perf_counter() - started, self.name),),
            artefacts=(*gate, Artefact("model", model)),
        )


@dataclass(frozen=True, slots=True)
class _Choice:
    """The fitted learner, the generated items in it, and the comparison that decided on them.

    `learner` is `None` where the current model stays.
    """

    learner: Learner | Tagger | None
    items: GeneratedItems = NONE
    gate: dict[str, Any] | None = None


def _choose(
    context: ToolContext, kind: LearnerName, labelled: LabelledRows, args: TrainArgs
) -> _Choice:
    if context.spec.marked:
        if args.generated:
            raise UserError("generated items have one label each: leave generated out")
        return _Choice(fit_tagger(context, kind, labelled))
    if not args.generated:
        return _Choice(fit(context, kind, labelled))
    items = generated_items(context.store)
    if not len(items):
        raise UserError(
            "there are no generated items: call generate_samples, or leave generated out"
        )
    if not args.final:
        return _weighed(context, kind, labelled, items)
    gate = context.store.artefact(GATE)
    if gate is None or gate["generated"] != items.digest or not gate["used"]:
        raise UserError(
            "the generated items were not found to help: compare them on gold first, with "
            "final=false, or leave generated out"
        )
    return _Choice(fit(context, kind, labelled, items), items)


def _weighed(
    context: ToolContext, kind: LearnerName, labelled: LabelledRows, items: GeneratedItems
) -> _Choice:
    """Train with and without the generated items; the one that is worse on gold is not used."""
    gold = gold_labels(context.store)
    if len(gold) < MIN_GOLD:
        raise UserError(
            f"there are {len(gold)!r} gold items and a comparison needs {MIN_GOLD}: request a "
            "review with purpose gold first"
        )
    current = context.store.artefact("model")
    same = current is not None and _is_plain(current, kind, labelled)
    plain = (
        current_learner(context, current)
        if same and current is not None
        else fit(context, kind, labelled)
    )
    more = fit(context, kind, labelled, items)
    inputs = inputs_of(context, gold.rows)
    found = compare(
        context.label_index(gold.labels),
        plain.predict_proba(inputs),
        more.predict_proba(inputs),
        context.spec.confidence_level,
    )
    gate = {
        "round": context.round,
        "generated": items.digest,
        "items": len(items),
        "learner": kind,
        "used": found.helps,
        **found.as_record(),
    }
    if found.helps:
        return _Choice(more, items, gate)
    return _Choice(None if same else plain, NONE, gate)


def _is_plain(model: dict[str, Any], kind: LearnerName, labelled: LabelledRows) -> bool:
    """Whether a model is the one that these labels alone would give."""
    return (
        model["learner"] == kind
        and not model["final"]
        and not model.get("generated")
        and model["rows"] == labelled.rows.tolist()
    )


def fit(
    context: ToolContext,
    kind: LearnerName,
    labelled: LabelledRows,
    items: GeneratedItems = NONE,
) -> Learner:
    """A learner of `kind`, fitted on the given rows, and generated items, with the call's seed."""
    learner = make_learner(
        kind,
        label_names=context.spec.label_names,
        label_texts=context.label_texts,
        encoder=context.bench.encoder,
        multi_label=context.spec.several,
    )
    training = Training(
        inputs=_with_items(context, inputs_of(context, labelled.rows), items),
        labels=_targets(context, [*labelled.labels, *items.labels]),
        weights=np.ones(len(labelled) + len(items), dtype=np.float32),
    )
    learner.fit(training, seed=context.seed, progress=context.bench.progress)
    return learner


def _targets(context: ToolContext, labels: list[str]) -> NDArray[np.int64] | NDArray[np.float32]:
    answers = context.label_index(labels)
    return answers.astype(np.float32) if context.spec.several else answers


def _seen(context: ToolContext, labelled: LabelledRows) -> int:
    """How many labels have an example."""
    form = context.form
    return int((form.counts(form.read(labelled.labels)) > 0).sum())


def inputs_of(context: ToolContext, rows: NDArray[np.int64]) -> Inputs:
    """Texts and vectors of some rows, as a learner takes them, and where it keeps their states."""
    return Inputs(
        texts=context.pool.texts(rows), vectors=context.vectors(rows), hidden=context.hidden(rows)
    )


def _with_items(context: ToolContext, inputs: Inputs, items: GeneratedItems) -> Inputs:
    """Pool rows and generated items in one; those have no row, so no hidden states are kept."""
    if not len(items):
        return inputs
    assert inputs.vectors is not None
    vectors = context.bench.encoder.encode(list(items.texts))
    return Inputs(
        texts=[*inputs.texts, *items.texts], vectors=np.concatenate([inputs.vectors, vectors])
    )


def current_learner(context: ToolContext, model: dict[str, object]) -> Learner:
    """The fitted learner of a `model` artefact, from memory or from its folder."""
    folder: Path = context.store.folder / str(model["folder"])
    return context.bench.learner(
        _key(model), lambda: load_learner(folder, encoder=context.bench.encoder)
    )


def predictions_of(context: ToolContext, model: dict[str, object]) -> Predictions:
    """What the model of a `model` artefact said of the pool so far; the rest is computed."""
    if context.spec.marked:
        return tagger_predictions(context, model, _key(model))

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
    items: GeneratedItems,
) -> tuple[dict[str, Any], str]:
    """Fit a calibration on gold items that the scoring model did not learn from."""
    gold = gold_labels(context.store)
    if len(gold) < MIN_GOLD:
        few = f"not calibrated: {len(gold)} gold items, at least {MIN_GOLD} are needed"
        return UNCALIBRATED, few
    if not model["final"]:
        return _fields(context, gold, model, None), f"{len(gold)} gold items"
    previous = context.store.artefact("model")
    slow = kind in FINE_TUNED
    if slow and previous and previous["temperature"] and previous["learner"] == kind:
        # Fine-tuning once a fold would take minutes; the last round's model is its near twin.
        kept = {name: previous[name] for name in CALIBRATION if name in previous}
        origin = f"{len(gold)} gold items, by the model of the last round"
        return {**kept, "gold": len(gold)}, origin
    again = _Again(kind, labelled, items)
    return _fields(context, gold, model, again), f"{len(gold)} gold items, out of fold"


@dataclass(frozen=True, slots=True)
class _Again:
    """What a model that has seen the gold items learned from: to train it without some of them."""

    kind: LearnerName
    labelled: LabelledRows
    items: GeneratedItems


def _fields(
    context: ToolContext, gold: LabelledRows, model: dict[str, Any], again: _Again | None
) -> dict[str, Any]:
    """Fields of a calibration on gold, by the model as it is or trained again without the items."""
    if context.spec.marked:
        found = (
            tagged(predictions_of(context, model), gold.rows, context.call)
            if again is None
            else out_of_fold(context, again.kind, again.labelled, gold, FOLDS)
        )
        return fit_calibration(found, gold.labels)
    probabilities = (
        predictions_of(context, model).of(gold.rows, context.call)
        if again is None
        else _out_of_fold(context, again.kind, again.labelled, gold, again.items)
    )
    truth = context.label_index(gold.labels)
    return probability_form(context.spec).fit_calibration(probabilities, truth)[1]


def _out_of_fold(
    context: ToolContext,
    kind: LearnerName,
    labelled: LabelledRows,
    gold: LabelledRows,
    items: GeneratedItems,
) -> NDArray[np.float32]:
    """Probabilities of each gold item by a model that was trained without it."""
    order = np.random.default_rng(context.seed).permutation(len(gold))
    probabilities = np.zeros((len(gold), len(context.spec.labels)), dtype=np.float32)
    for fold in range(FOLDS):
        held = gold.rows[order[fold::FOLDS]]
        model = fit(context, kind, labelled.without(held), items)
        probabilities[order[fold::FOLDS]] = model.predict_proba(inputs_of(context, held))
    return probabilities
