"""Suggestions by chat models: asked, measured on gold, put together, doubted where they must be.

One model is asked, or a committee: then all members answer each item, and what they and the
classifier say together (`combined`) is the suggestion. It is held against gold; an opinion that is
no use there (it always says the same, or hardly agrees with the person) suggests nothing: people
are asked. With a stronger model, what the first opinion is not sure enough of is put to that one,
and its answers are held to the same test with their own share of the risk. Where it is known what a
wrong label costs, expected cost decides instead (`cost_routing`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.llm.base import Asker
from ..store.errors import UserError
from ..store.records import Annotation, Artefact, Charge
from .acceptance import DELTA
from .asking import ModelArgs
from .base import Outcome, ToolContext
from .combined import combined
from .cost_routing import Routed, accepted_by_cost, worth_asking
from .opinions import Opinion, annotations_of, as_result, opinion_of
from .second_look import objections


@dataclass(frozen=True, slots=True)
class _Asked:
    """Everybody who was asked about a batch of n rows.

    Attributes:
        rows: the batch.
        members: opinions on all of it.
        first: what stands for them: the one member's own, or what they say together.
        strong: of the stronger model; `None` where there is none.
        put: (m,) places of the rows that were put to it.
    """

    rows: NDArray[np.int64]
    members: list[Opinion]
    first: Opinion
    strong: Opinion | None
    put: NDArray[np.int64]

    @property
    def opinions(self) -> list[Opinion]:
        """Each with its own measure: members, what they say together, the stronger model."""
        together = [] if self.first in self.members else [self.first]
        return [*self.members, *together, *([] if self.strong is None else [self.strong])]


def annotate_with_model(
    context: ToolContext, args: ModelArgs, rows: NDArray[np.int64], batch_round: int
) -> Outcome:
    """Suggest labels for the rows of the batch; see `AnnotateSamples.run`.

    Raises:
        UserError: there is no chat model.
        OperatorError: a server cannot be reached; what was answered is kept.
    """
    started = time.perf_counter()
    by_cost = context.settings.wrong_label_usd is not None
    asked = _ask(context, args, rows, by_cost=by_cost)
    best = _best(asked, by_cost=by_cost)
    annotations, chosen = _annotations(context, asked, best)
    routed = None
    if by_cost:
        at_hand = np.array([opinion.confidence[place] for opinion, place in best])
        routed = accepted_by_cost(context, at_hand)
    sure = [
        note
        for at, ((opinion, place), note) in enumerate(zip(best, chosen, strict=True))
        if (opinion.accepted[place] if routed is None else routed.accepted[at])
    ]
    doubts = objections(context, args.check, sure)
    accepted = [note.row for note in sure if note.row not in doubts]
    result = _result(asked, accepted, len(doubts), routed)
    value = {
        "round": batch_round,
        "step": context.step,
        "threshold": None,
        "accepted": accepted,
        "objections": {str(row): reason for row, reason in sorted(doubts.items())},
        "shown": asked.opinions[-1].useful,
        "calibrated_on": asked.opinions[-1].calibrated_on,
        "models": result["models"],
    }
    return Outcome(
        result=result,
        annotations=annotations,
        charges=(Charge("seconds", time.perf_counter() - started, "annotate_samples"),),
        artefacts=(Artefact("suggestions", value),),
    )


def opinion_of_members(
    context: ToolContext,
    args: ModelArgs,
    askers: Sequence[Asker],
    rows: NDArray[np.int64],
    delta: float,
) -> tuple[list[Opinion], Opinion]:
    """What each of some chat models says of rows, and what stands for them all.

    Args:
        context: of the tool that asks.
        args: how.
        askers: at least one.
        rows: n rows; there may be none where there are gold items.
        delta: chance with which the threshold may fail to keep the risk.

    Raises:
        OperatorError: a server cannot be reached; what was answered is kept.
    """
    # Members of a committee are not accepted by themselves: their thresholds would be idle.
    own = delta if len(askers) == 1 else None
    members = [opinion_of(context, args, asker, rows, own) for asker in askers]
    return members, combined(context, members, rows, delta) or members[0]


def _ask(
    context: ToolContext, args: ModelArgs, rows: NDArray[np.int64], *, by_cost: bool
) -> _Asked:
    askers, strong = context.members(), context.asker("strong")
    if not askers:
        raise UserError("there is no chat model to annotate with: run with --llm, or use embedded")
    delta = DELTA if strong is None else DELTA / 2
    members, first = opinion_of_members(context, args, askers, rows, delta)
    if strong is None:
        return _Asked(rows, members, first, None, np.empty(0, dtype=np.int64))
    put = np.flatnonzero(~first.accepted)
    if by_cost:
        on_gold = opinion_of(context, args, strong, rows[:0], delta)
        put = worth_asking(context, first.confidence, on_gold)
    if not len(put):
        return _Asked(rows, members, first, None, put)
    return _Asked(rows, members, first, opinion_of(context, args, strong, rows[put], delta), put)


def _best(asked: _Asked, *, by_cost: bool) -> list[tuple[Opinion, int]]:
    """For each row whose answer stands, and its place in that opinion.

    The stronger model's where it gave one; where cost decides, only if it is the surer one.
    """
    best = [(asked.first, place) for place in range(len(asked.rows))]
    if asked.strong is None:
        return best
    for place, at in enumerate(asked.put.tolist()):
        surer = asked.strong.confidence[place] > asked.first.confidence[at]
        if asked.strong.notes[place].label is not None and (surer or not by_cost):
            best[at] = (asked.strong, place)
    return best


def _annotations(
    context: ToolContext, asked: _Asked, best: list[tuple[Opinion, int]]
) -> tuple[tuple[Annotation, ...], list[Annotation]]:
    """Every answer as it is stored, those that stand last; and those alone, one for each row."""
    others: list[Annotation] = []
    by_opinion: list[list[Annotation]] = []
    for opinion in asked.opinions:
        strong = opinion is asked.strong
        found = annotations_of(context, opinion, asked.rows[asked.put] if strong else asked.rows)
        by_opinion.append(found)
        stand = {place for each, place in best if each is opinion}
        others += [note for place, note in enumerate(found) if place not in stand]
    chosen = [by_opinion[asked.opinions.index(opinion)][place] for opinion, place in best]
    return (*others, *chosen), chosen


def _result(
    asked: _Asked, accepted: Sequence[int], objected: int, routed: Routed | None
) -> dict[str, Any]:
    together = asked.first not in asked.members
    models = []
    for opinion in asked.opinions:
        found = as_result(opinion)
        if together and opinion in asked.members:
            found["votes_in"] = asked.first.name
        if routed is not None:
            # What cost decides takes no threshold.
            found["accept_above_score"] = None
            found["accepted_by_cost"] = len(accepted) if opinion is asked.first else 0
        models.append(found)
    return {
        "annotated": len(asked.rows),
        "accepted": len(accepted),
        "models": models,
        "objected": objected,
        **({} if routed is None else {"routed": routed.as_result()}),
    }
