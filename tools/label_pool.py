"""`label_pool`: a chat model's label for the items that the classifier is less sure of than it.

A chat model that agrees with people better than the classifier does is of more use than for the
batches: it labels what the classifier doubts, as far as the money goes. Those labels train the
final classifier, and stand before its own where they are surer. They are frozen and audited like
any other machine label.
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
from .annotate_llm import ModelArgs, Opinion, annotations_of, opinion_of
from .base import ModelRole, Outcome, Tool, ToolArgs, ToolContext
from .labels import human_labels
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
        "Let the chat model (of two, the better one on gold) label the items of the pool that the "
        "classifier is less sure of than the chat model is right on gold, the most doubtful "
        "first, as far as the money goes. For the end of a run, before the final model is trained."
    )
    Args = LabelPoolArgs

    def run(self, context: ToolContext, args: LabelPoolArgs) -> Outcome:
        """Ask, and keep the labels that are surer than the classifier's; see `Tool.run`."""
        started = time.perf_counter()
        scores = read_scores(context.store)
        if scores is None:
            raise UserError("no model has scored the pool: call measure_uncertainty first")
        asker, accuracy = _best_on_gold(context, args.model)
        rows = _doubtful(context, scores, accuracy, args.k)
        found = opinion_of(context, args.model, asker, rows, DELTA)
        better = _better(context, found, rows, scores)
        notes = annotations_of(context, found, rows)
        kept = [
            replace(note, purpose="accept") if sure else note
            for note, sure in zip(notes, better, strict=True)
        ]
        result = _result(found, kept)
        return Outcome(
            result=result,
            annotations=tuple(kept),
            charges=(Charge("seconds", time.perf_counter() - started, self.name),),
            artefacts=(Artefact("pool_labels", {"round": context.round, **result}),),
        )


def _best_on_gold(context: ToolContext, args: ModelArgs) -> tuple[Asker, float]:
    """The chat model that is right most often on gold, and how often.

    Raises:
        UserError: there is none, or none is usable.
    """
    roles: tuple[ModelRole, ...] = ("main", "strong")
    askers = [found for role in roles if (found := context.asker(role)) is not None]
    if not askers:
        raise UserError("there is no chat model: run with --llm")
    nothing = np.empty(0, dtype=np.int64)
    trials = [opinion_of(context, args, asker, nothing, DELTA) for asker in askers]
    good = [
        (trial.pilot.accuracy.estimate, -place)
        for place, trial in enumerate(trials)
        if trial.pilot is not None and trial.pilot.verdict == "usable"
    ]
    if not good:
        last = trials[-1]
        said = last.calibrated_on if last.pilot is None else last.pilot.reason
        raise UserError(f"the chat model {askers[-1].name!r} is not good enough on gold ({said})")
    accuracy, place = max(good)
    return askers[-place], accuracy


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
    """(n,) where the chat model gave a label that is surer than the classifier's.

    An answer from which something had to be left out is none.
    """
    places = np.searchsorted(scores.rows, rows)
    own = scores.confidence()[places]
    return [
        note.status == "ok" and not np.isnan(sure) and bool(sure > mine)
        for note, sure, mine in zip(found.notes, found.confidence, own, strict=True)
    ]


def _result(found: Opinion, notes: list[Annotation]) -> dict[str, Any]:
    return {
        "model": found.name,
        "asked": len(notes),
        "without_label": sum(note.label is None for note in notes),
        "surer_than_the_classifier": sum(note.purpose == "accept" for note in notes),
        "calibrated_on": found.calibrated_on,
        "usd": round(sum(note.usd for note in notes), 6),
    }
