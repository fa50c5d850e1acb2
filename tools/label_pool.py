"""`label_pool`: chat models' labels for the items that the classifier is less sure of than they.

Chat models that agree with people better than the classifier does are of more use than for the
batches: they label what the classifier doubts, as far as the money goes. Several models, and the
classifier with them, are one opinion, learned from people's labels (`combined`). Those labels train
the final classifier, and stand before its own: where they are surer, or always where they were
learned with what the classifier says in them. They are frozen and audited like any other machine
label.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..models.llm.base import Asker
from ..store.errors import UserError
from ..store.records import Annotation, Artefact, Charge
from .acceptance import DELTA
from .annotate_llm import opinion_of_members
from .asking import ModelArgs
from .base import Outcome, Tool, ToolArgs, ToolContext
from .labels import human_labels
from .opinions import Opinion, annotations_of
from .scores import Scores, read_scores


class LabelPoolArgs(ToolArgs):
    """How many items, and how they are asked."""

    k: Annotated[
        int | None,
        Field(ge=1, description="most items to ask about; all that would gain if left out"),
    ] = None
    model: Annotated[ModelArgs, Field(description="how the chat model is asked")] = ModelArgs()


class LabelPool(Tool[LabelPoolArgs]):
    """Asks the chat model about the items that the classifier is least sure of."""

    name = "label_pool"
    description = (
        "Let the chat model (of two, the better one on gold; of a committee, all members) label "
        "the items of the pool that the classifier is less sure of than the chat model is right on "
        "gold, the most doubtful first, as far as the money goes. For the end of a run, before the "
        "final model is trained."
    )
    Args = LabelPoolArgs

    def run(self, context: ToolContext, args: LabelPoolArgs) -> Outcome:
        """Ask, and keep the labels that are better than the classifier's; see `Tool.run`."""
        started = time.perf_counter()
        scores = read_scores(context.store)
        if scores is None:
            raise UserError("no model has scored the pool: call measure_uncertainty first")
        askers, accuracy = _best_on_gold(context, args.model)
        if not askers:
            return self._nobody(context, started)
        rows = _doubtful(context, scores, accuracy, args.k)
        members, found = opinion_of_members(context, args.model, askers, rows, DELTA)
        better = _better(context, found, rows, scores)
        kept = [
            replace(note, purpose="accept") if sure else note
            for note, sure in zip(annotations_of(context, found, rows), better, strict=True)
        ]
        others = [each for each in members if each is not found]
        said = [note for each in others for note in annotations_of(context, each, rows)]
        result = _result(found, members, kept, [*said, *kept])
        return Outcome(
            result=result,
            annotations=(*said, *kept),
            charges=(Charge("seconds", time.perf_counter() - started, self.name),),
            artefacts=(Artefact("pool_labels", {"round": context.round, **result}),),
        )

    def _nobody(self, context: ToolContext, started: float) -> Outcome:
        """Nothing is asked: the examples shown have changed since, and the answers with them."""
        result = {"asked": 0, "why": "asked again, no chat model is good enough on gold any more"}
        return Outcome(
            result=result,
            charges=(Charge("seconds", time.perf_counter() - started, self.name),),
            artefacts=(Artefact("pool_labels", {"round": context.round, **result}),),
        )


def _best_on_gold(context: ToolContext, args: ModelArgs) -> tuple[list[Asker], float]:
    """The members together or the stronger model, whoever is right more often on gold; how often.

    Nobody where neither may label.

    Raises:
        UserError: there is no chat model.
    """
    strong = context.asker("strong")
    groups = [group for group in (context.members(), [strong] if strong else []) if group]
    if not groups:
        raise UserError("there is no chat model: run with --llm")
    nothing = np.empty(0, dtype=np.int64)
    trials = [opinion_of_members(context, args, group, nothing, DELTA)[1] for group in groups]
    good = [
        (trial.pilot.accuracy.estimate, -place)
        for place, trial in enumerate(trials)
        if trial.pilot is not None and trial.may_label
    ]
    if not good:
        return [], 0.0
    accuracy, place = max(good)
    return groups[-place], accuracy


def _doubtful(
    context: ToolContext, scores: Scores, accuracy: float, k: int | None
) -> NDArray[np.int64]:
    """Rows that no person labelled and whose label is less sure than `accuracy`, in that order."""
    confidence = scores.confidence()
    open_rows = ~np.isin(scores.rows, human_labels(context.store).rows)
    places = np.flatnonzero(open_rows & (confidence < accuracy))
    order = places[np.argsort(confidence[places], kind="stable")][:k]
    return np.asarray(scores.rows, dtype=np.int64)[order]


def _better(
    context: ToolContext, found: Opinion, rows: NDArray[np.int64], scores: Scores
) -> list[bool]:
    """(n,) where the label is to be taken rather than the classifier's.

    Where it is surer; always, where it was learned with what the classifier says in it.
    """
    places = np.searchsorted(scores.rows, rows)
    own = scores.confidence()[places]
    learned = found.learned_from > 0
    return [
        note.label is not None and not np.isnan(sure) and bool(learned or sure > mine)
        for note, sure, mine in zip(found.notes, found.confidence, own, strict=True)
    ]


def _result(
    found: Opinion, members: list[Opinion], kept: list[Annotation], all_notes: list[Annotation]
) -> dict[str, Any]:
    return {
        "model": found.name,
        **({"members": [each.name for each in members]} if len(members) > 1 else {}),
        **({"learned_from": found.learned_from} if found.members else {}),
        "asked": len(kept),
        "without_label": sum(note.label is None for note in kept),
        "taken": sum(note.purpose == "accept" for note in kept),
        "calibrated_on": found.calibrated_on,
        "usd": round(sum(note.usd for note in all_notes), 6),
    }
