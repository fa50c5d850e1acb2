"""`request_review`: put a batch of questions before the person."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..store.errors import UserError
from ..store.label_sets import decode
from ..store.records import Annotation, Artefact, Question, ReviewRequest
from .audit_sample import audited, frozen_audit
from .base import Outcome, Tool, ToolArgs, ToolContext
from .budget import budget_left, gold_asked
from .gold import drawn, first_part, second_part
from .label_form import probability_form
from .labels import open_audit_prefix, unlabelled_rows

ALTERNATIVES = 3


class ReviewArgs(ToolArgs):
    """What the questions are for, and how many there may be."""

    purpose: Annotated[
        Literal["train", "gold", "audit"],
        Field(
            description="train: the batch; gold: random items to calibrate and measure with, and "
            "once more where the state says gold_more; audit: items that certify the frozen labels"
        ),
    ]
    k: Annotated[int, Field(ge=1, le=1000, description="how many questions at most")]


class RequestReview(Tool[ReviewArgs]):
    """Opens a review; the graph then waits for its answers."""

    name = "request_review"
    description = (
        "Ask the person: purpose=train for the low-confidence items of the batch, gold for "
        "randomly drawn items that calibrate and measure, audit for the certificate of the "
        "frozen labels."
    )
    Args = ReviewArgs

    def run(self, context: ToolContext, args: ReviewArgs) -> Outcome:
        """Write the questions; see `Tool.run`."""
        price = context.settings.label_price
        left = budget_left(context.store, context.spec.budgets, context.plan, price).human_labels
        if left is not None and args.k > left:
            raise UserError(f"{args.k!r} questions but only {left!r} human labels are left")
        if args.purpose == "train":
            return self._batch(context, args.k)
        if args.purpose == "gold":
            rows, artefacts = _gold(context, args.k)
            return _unaided(context, "gold", "gold", rows, artefacts)
        name = open_audit_prefix(context.store)
        return _unaided(context, "audit", name, _audit_rows(context, args.k), ())

    def _batch(self, context: ToolContext, k: int) -> Outcome:
        batch = context.store.artefact("batch")
        notes = context.store.artefact("suggestions")
        if batch is None or notes is None or notes["round"] != batch["round"]:
            raise UserError("the batch has no suggestions yet: call annotate_samples first")
        found = context.store.annotations(purposes=("suggest",))
        latest = {each.row: each for each in found if each.round == batch["round"]}
        threshold, sure = notes["threshold"], set(notes.get("accepted", ()))
        accepted: list[Annotation] = []
        questions: list[Question] = []
        for row in batch["rows"]:
            note = latest[row]
            by_score = threshold is not None and _certainty(context, note) >= threshold
            if by_score or row in sure:
                accepted.append(_accept(note))
            elif len(questions) < k:
                question = _question(note, context, notes.get("objections", {}).get(str(row), ""))
                questions.append(question if notes.get("shown", True) else Question(row=row))
        request = ReviewRequest(f"train-{context.call}", "train", tuple(questions), context.round)
        return Outcome(
            result={
                "questions": len(questions),
                "purpose": "train",
                "accepted_without_asking": len(accepted),
                "not_asked": len(batch["rows"]) - len(accepted) - len(questions),
            },
            annotations=tuple(accepted),
            artefacts=(
                Artefact("batch", {**batch, "reviewed": request.id, "asked": len(questions)}),
            ),
            review=request if questions else None,
        )


def _unaided(
    context: ToolContext,
    purpose: Literal["gold", "audit"],
    name: str,
    rows: NDArray[np.int64],
    artefacts: tuple[Artefact, ...],
) -> Outcome:
    """Questions without a suggestion: an answer that leans on the machine cannot judge it."""
    questions = tuple(Question(row=int(row)) for row in rows)
    return Outcome(
        result={"questions": len(questions), "purpose": purpose},
        artefacts=artefacts,
        review=ReviewRequest(f"{name}-{context.call}", purpose, questions, context.round),
    )


def _gold(context: ToolContext, k: int) -> tuple[NDArray[np.int64], tuple[Artefact, ...]]:
    """The first `k` items of an even draw, or of its second part, and what is kept of the draw."""
    if gold_asked(context.store):
        rows, artefact = second_part(context.store, k)
        return np.sort(rows), (artefact,)
    batch = context.store.artefact("batch") or {"rows": []}
    rows = unlabelled_rows(context.store, context.pool)
    rows = rows[~np.isin(rows, np.array(batch["rows"], dtype=np.int64))]
    plan = context.plan
    size = max(k, plan.gold + plan.reserve) if plan.reserve else k
    # Not by the step: the sample is the same whatever else is done before it.
    found = drawn(rows, size, seed=context.settings.seed)
    first = np.sort(found[:k])
    if len(found) <= k:
        return first, ()
    return first, (
        first_part(found.tolist(), len(first), at_round=context.round, step=context.step),
    )


def _audit_rows(context: ToolContext, k: int) -> NDArray[np.int64]:
    """The next `k` items of the audit's fixed order."""
    before = audited(context.store)
    rows = frozen_audit(context.store, context.pool, context.spec, before + k).rows[before:]
    if not len(rows):
        raise UserError("every machine label has been audited: call estimate_quality")
    return rows


def _accept(note: Annotation) -> Annotation:
    fields = note.as_record()
    fields["distribution"] = note.distribution
    return Annotation(**{**fields, "purpose": "accept"})


def _certainty(context: ToolContext, note: Annotation) -> float:
    if note.distribution is None:
        return 0.0
    form = probability_form(context.spec)
    return float(form.certainty(np.array([note.distribution], dtype=np.float64))[0])


def _question(note: Annotation, context: ToolContext, objection: str = "") -> Question:
    names = context.spec.label_names
    # Of marked parts a distribution says which types occur, and not what else might be marked.
    distribution = () if context.spec.marked else note.distribution or ()
    best = sorted(range(len(distribution)), key=lambda place: -distribution[place])
    others = best[1:]
    if context.spec.several:
        # What could be missing from the suggested set.
        inside = decode(note.label or "[]")
        others = [place for place in best if names[place] not in inside]
    return Question(
        row=note.row,
        suggestion=note.label,
        confidence=note.confidence,
        rationale=f"{note.rationale} (objection: {objection})" if objection else note.rationale,
        alternatives=tuple(names[place] for place in others[:ALTERNATIVES]),
    )
