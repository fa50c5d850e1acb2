"""What a chat model says of some rows, held against gold: of use or not, how sure, how far.

The model is asked about the gold items in the same way as about the batch, so that what it says of
the batch can be believed as far as gold supports and no further. What several models say together
(`combined`) is an opinion too, and is held against gold in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.llm.base import Asker
from ..store.records import Annotation, AnnotatorKind
from .acceptance import MIN_GOLD, accept_threshold, threshold_possible
from .annotators.items import LLMAnnotation, counts
from .annotators.pilot import USABLE, Pilot, judge_pilot
from .asking import (
    REPLAYED,
    ModelArgs,
    annotator_for,
    items_of,
    reader_of,
    stored_note,
    task_of,
)
from .base import ToolContext
from .calibration import choose, fit_isotonic
from .gold import reserved_rows
from .labels import LabelledRows, gold_labels

NO_USE = ("constant", "unusable")
"""Verdicts of the pilot after which a model's suggestions are not shown, and it has no vote."""

COMMITTEE = "committee"
"""The annotator's name of what several say together; its members' answers are stored as theirs."""

Notes = Sequence[LLMAnnotation[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """What one model, or several together, say of some rows, and how far gold supports it.

    Attributes:
        name: the model's string, or `committee`.
        kind: of annotator.
        notes: one for each row, in their order.
        on_gold: one for each gold item, in their order.
        confidence: (n,) calibrated chance that the label is right; nan where it is not known.
        accepted: (n,) whether the label needs no person.
        threshold: raw score from which it does not; `None` where gold supports none.
        pilot: agreement with gold; `None` with too few gold items.
        calibrated_on: in words.
        larger_gold_may_open: whether the second part of the gold sample is still to be asked,
            agreement is that of a usable model, and a threshold would open if no further error
            came (`gold`).
        members: whose votes it is made of; empty for that of one model.
        left_out: members that were no use on gold, and so had no vote.
        learned_from: labels of people that the combination was learned from; 0 where the votes
            alone decide.
    """

    name: str
    kind: AnnotatorKind
    notes: list[LLMAnnotation[str]]
    on_gold: list[LLMAnnotation[str]]
    confidence: NDArray[np.float64]
    accepted: NDArray[np.bool_]
    threshold: float | None
    pilot: Pilot | None
    calibrated_on: str
    larger_gold_may_open: bool = False
    members: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    learned_from: int = 0

    @property
    def may_label(self) -> bool:
        """Whether its labels may stand without a person, if they are good enough.

        One model's, or votes, if they are usable. What was learned from people's labels, with the
        classifier in it, may be weak: it moves away from that only as far as they support.
        """
        if self.pilot is None:
            return False
        learned = self.pilot.verdict == "weak" and self.learned_from > 0
        return self.pilot.verdict == "usable" or learned

    @property
    def useful(self) -> bool:
        """Whether its suggestions are worth showing to a person."""
        return self.pilot is None or self.pilot.verdict not in NO_USE


def opinion_of(
    context: ToolContext,
    args: ModelArgs,
    asker: Asker,
    rows: NDArray[np.int64],
    delta: float | None,
) -> Opinion:
    """Ask about rows and gold items alike, and hold the answers against gold.

    Args:
        context: of the tool that asks.
        args: how.
        asker: the model.
        rows: n rows; there may be none where there are gold items.
        delta: chance with which the threshold may fail to keep the risk; `None` for a member of a
            committee, whose labels are not accepted by themselves.

    Raises:
        OperatorError: the model's server cannot be reached; what was answered is kept.
    """
    gold = gold_labels(context.store)
    everything = np.concatenate([rows, gold.rows])
    annotator = annotator_for(context, args, asker, rows, votes=delta is None)
    raw = annotator.annotate(items_of(context, everything), context.vectors(everything))
    notes = _scored([stored_note(context, note) for note in raw])
    kind: AnnotatorKind = "replayed" if asker.name.startswith(REPLAYED) else "llm"
    return held_against_gold(
        context, asker.name, kind, notes[: len(rows)], notes[len(rows) :], gold, delta
    )


def held_against_gold(
    context: ToolContext,
    name: str,
    kind: AnnotatorKind,
    mine: list[LLMAnnotation[str]],
    theirs: list[LLMAnnotation[str]],
    gold: LabelledRows,
    delta: float | None,
) -> Opinion:
    """An opinion on rows, from answers about them and about gold items alike.

    Args:
        context: of the tool that asks.
        name: who says it.
        kind: of annotator.
        mine: n answers about the rows.
        theirs: answers about the gold items, which nothing in them may have learned from.
        gold: what people said of those.
        delta: see `opinion_of`.
    """
    confidence = np.full(len(mine), np.nan)
    accepted = np.zeros(len(mine), dtype=bool)
    if len(gold) < MIN_GOLD:
        words = f"nothing: {len(gold)} gold items, at least {MIN_GOLD} are needed"
        return Opinion(name, kind, mine, theirs, confidence, accepted, None, None, words)
    read = reader_of(context)
    given = [None if note.label is None else read(note.label) for note in theirs]
    values = [read(label) for label in gold.labels]
    measured = judge_pilot(given, values, task_of(context), seed=context.seed)
    threshold, opens = None, False
    if measured.verdict not in NO_USE:
        confidence = _calibrated(context, mine, theirs, gold.labels)
        if delta is not None:
            opens = _may_be_usable(measured) and _larger_gold_may_open(
                context, theirs, gold.labels, delta
            )
            # One look: a test on the first part and another on the whole would err more often.
            threshold = None if opens else _threshold(context, theirs, gold.labels, delta)
        accepted = _scores(mine) >= (2.0 if threshold is None else threshold)
        # Of an answer from which something had to be left out nobody knows what it would be.
        partial = [note.status == "partial" for note in mine]
        confidence[partial], accepted[partial] = np.nan, False
    words = f"{len(gold)} gold items"
    return Opinion(
        name, kind, mine, theirs, confidence, accepted, threshold, measured, words, opens
    )


def annotations_of(
    context: ToolContext, opinion: Opinion, rows: NDArray[np.int64]
) -> list[Annotation]:
    """What a model said of its rows, as suggestions to be stored."""
    return [
        _annotation(context, opinion, place, int(row), name)
        for place, (row, name) in enumerate(zip(rows, context.pool.ids(rows), strict=True))
    ]


def as_result(opinion: Opinion) -> dict[str, Any]:
    """What the policy sees of an opinion: numbers and counts."""
    return {
        "model": opinion.name,
        "asked": len(opinion.notes),
        "statuses": counts(opinion.notes),
        "confidence": "absent" if np.isnan(opinion.confidence).all() else "calibrated",
        "accept_above_score": opinion.threshold,
        "larger_gold_may_open": opinion.larger_gold_may_open,
        "calibrated_on": opinion.calibrated_on,
        "pilot": None if opinion.pilot is None else _measured(opinion.pilot),
        "may_label": opinion.may_label,
        **({"members": list(opinion.members)} if opinion.members else {}),
        **({"left_out": list(opinion.left_out)} if opinion.left_out else {}),
        **({"learned_from": opinion.learned_from} if opinion.members else {}),
    }


def _annotation(
    context: ToolContext, opinion: Opinion, place: int, row: int, name: str
) -> Annotation:
    note, confidence = opinion.notes[place], float(opinion.confidence[place])
    return Annotation(
        row=row,
        item=name,
        kind=opinion.kind,
        annotator=opinion.name,
        version=note.prompt,
        purpose="suggest",
        label=note.label,
        confidence=None if np.isnan(confidence) else round(confidence, 6),
        distribution=None
        if note.distribution is None
        else tuple(round(float(p), 6) for p in note.distribution),
        rationale=note.rationale if note.label is not None else f"no answer: {note.why}",
        usd=note.usd,
        round=context.round,
    )


def _scored(notes: list[LLMAnnotation[str]]) -> list[LLMAnnotation[str]]:
    """The notes as they are; all with one and the same score where the model gave none at all.

    Its answers are then believed or doubted as a whole, by how many were right on gold. Where it
    gave some scores, those without one stay without: a person is asked.
    """
    if any(note.score is not None for note in notes):
        return notes
    return [note if note.label is None else replace(note, score=1.0) for note in notes]


def _scores(notes: Sequence[LLMAnnotation[str]]) -> NDArray[np.float64]:
    """Raw scores; -1 where there is none, below every threshold."""
    return np.array([-1.0 if n.label is None or n.score is None else n.score for n in notes])


def _threshold(
    context: ToolContext, gold: Sequence[LLMAnnotation[str]], truth: Sequence[str], delta: float
) -> float | None:
    """The raw score from which labels keep the target accuracy, by Learn-then-Test on gold.

    Tested on the raw score: the calibration was fitted on these very gold items. A gold item
    without an answer counts as one that would not be accepted.
    """
    if context.spec.target_accuracy is None:
        return None
    risk = 1 - context.spec.target_accuracy
    found = accept_threshold(*_tested(gold, truth), risk=risk, delta=delta)
    return None if found is None else float(found.value)


def _may_be_usable(found: Pilot) -> bool:
    """Whether agreement is high enough, be its interval ever so wide: few items say no more."""
    return found.agreement is None or found.agreement.estimate >= USABLE


def _larger_gold_may_open(
    context: ToolContext, gold: Sequence[LLMAnnotation[str]], truth: Sequence[str], delta: float
) -> bool:
    """Whether the whole gold sample would support a threshold, were the rest of it right."""
    more = len(reserved_rows(context.store))
    if context.spec.target_accuracy is None or not more:
        return False
    risk, size = 1 - context.spec.target_accuracy, len(gold) + more
    return threshold_possible(*_tested(gold, truth), size, risk=risk, delta=delta)


def _tested(
    gold: Sequence[LLMAnnotation[str]], truth: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Raw scores, 0 where there is none, and whether the answers are right; both (n,)."""
    right = np.array([note.label == label for note, label in zip(gold, truth, strict=True)])
    return np.maximum(_scores(gold), 0.0), right


def _calibrated(
    context: ToolContext,
    notes: Sequence[LLMAnnotation[str]],
    gold: Sequence[LLMAnnotation[str]],
    truth: Sequence[str],
) -> NDArray[np.float64]:
    """(n,) chance that each label is right, as gold supports it; nan where there is no score.

    By the whole distribution where all scored gold items have one, else by a rising curve over the
    score.
    """
    found = np.full(len(notes), np.nan)
    scored = [place for place, note in enumerate(gold) if note.score is not None]
    if len(scored) < MIN_GOLD:
        return found
    mine = [p for p, note in enumerate(notes) if note.score is not None and note.label is not None]
    if not mine:
        return found
    whole = all(gold[p].distribution for p in scored) and all(notes[p].distribution for p in mine)
    # For sets, a distribution is a share for each label and says nothing of the set as a whole.
    full = whole and not context.form.several
    if full:
        labels = context.label_index([truth[p] for p in scored])
        calibrator, _ = choose(
            np.array([gold[p].distribution for p in scored]), labels, seed=context.seed
        )
        found[mine] = calibrator.confidence(np.array([notes[p].distribution for p in mine]))
        return found
    right = np.array([gold[p].label == truth[p] for p in scored])
    curve = fit_isotonic(_scores([gold[p] for p in scored]), right)
    found[mine] = np.interp(_scores([notes[p] for p in mine]), curve.knots, curve.values)
    return found


def _measured(found: Pilot) -> dict[str, Any]:
    return {
        "verdict": found.verdict,
        "why": found.reason,
        "n": found.n,
        "accuracy": round(found.accuracy.estimate, 4),
        "low": round(found.accuracy.low, 4),
        "high": round(found.accuracy.high, 4),
    }
