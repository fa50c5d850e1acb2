"""Suggestions by a chat model: asked, measured on gold, calibrated, and doubted where they must be.

The model is asked about the gold items in the same way as about the batch, so that what it says of
the batch can be believed as far as gold supports and no further. A model that is no use on gold
(it always says the same, or hardly agrees with the person) suggests nothing: people are asked.
With a second, stronger model, what the first one is not sure enough of is put to that one, and its
answers are held to the same test with their own share of the risk.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..models.llm.base import Asker
from ..store.errors import UserError
from ..store.records import Annotation, AnnotatorKind, Artefact, Charge
from .acceptance import DELTA, MIN_GOLD, accept_threshold
from .annotators.annotator import LLMAnnotator
from .annotators.bank import training_bank, training_rows
from .annotators.demonstrations import DemoKind, Demonstrations
from .annotators.items import LLMAnnotation, counts
from .annotators.pilot import Pilot, judge_pilot
from .annotators.prompting import Instructions, Style, Variant
from .annotators.reading import Confidence
from .base import Outcome, ToolArgs, ToolContext
from .calibration import choose, fit_isotonic
from .labels import gold_labels
from .model_task import items_of, reader_of, stored, task_of
from .second_look import Check, objections

SAMPLES = 5
"""Answers asked of a model that gives no log-probabilities: their agreement is its confidence."""
PROBED = 3
"""Items asked first, to see whether the model gives log-probabilities."""
REPLAYED = "replay:"
NO_USE = ("constant", "unusable")
"""Verdicts of the pilot after which the model's suggestions are not shown."""


class ModelArgs(ToolArgs):
    """How a chat model is asked for labels."""

    style: Annotated[
        Style,
        Field(
            description="whether the model gives a reason, and when; after a reason the "
            "probability of a label is near 1, whatever it is worth"
        ),
    ] = "label_first"
    confidence: Annotated[
        Literal["auto", "logprobs", "votes", "p_true", "stated"],
        Field(
            description="what its confidence is taken from; auto: log-probabilities where the "
            "model gives them, else the agreement of several answers"
        ),
    ] = "auto"
    samples: Annotated[
        int, Field(ge=2, le=25, description="answers for each item where agreement counts")
    ] = SAMPLES
    demonstrations: Annotated[
        Literal["none", "fixed", "nearest", "nearest_per_class", "cover"],
        Field(description="labelled training items shown to the model as examples"),
    ] = "nearest_per_class"
    shown: Annotated[int, Field(ge=1, le=50, description="how many examples are shown")] = 8
    check: Annotated[
        Check,
        Field(
            description="who looks again at labels that would be accepted without a person: a "
            "judging chat model, the classifier, both; what they object to is asked"
        ),
    ] = "none"
    items_per_call: Annotated[
        int, Field(ge=1, le=50, description="items in one message: cheaper, a little less sure")
    ] = 1


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one model says of some rows, and how far gold supports it.

    Attributes:
        name: the model's string.
        notes: one for each row, in their order.
        confidence: (n,) calibrated chance that the label is right; nan where it is not known.
        accepted: (n,) whether the label needs no person.
        threshold: raw score from which it does not; `None` where gold supports none.
        pilot: agreement with gold; `None` with too few gold items.
        calibrated_on: in words.
    """

    name: str
    notes: list[LLMAnnotation[str]]
    confidence: NDArray[np.float64]
    accepted: NDArray[np.bool_]
    threshold: float | None
    pilot: Pilot | None
    calibrated_on: str

    @property
    def useful(self) -> bool:
        """Whether its suggestions are worth showing to a person."""
        return self.pilot is None or self.pilot.verdict not in NO_USE


def annotate_with_model(
    context: ToolContext, args: ModelArgs, rows: NDArray[np.int64], batch_round: int
) -> Outcome:
    """Suggest labels for the rows of the batch; see `AnnotateSamples.run`.

    Raises:
        UserError: there is no chat model.
        OperatorError: its server cannot be reached; what was answered is kept.
    """
    started = time.perf_counter()
    main, strong = context.asker("main"), context.asker("strong")
    if main is None:
        raise UserError("there is no chat model to annotate with: run with --llm, or use embedded")
    delta = DELTA if strong is None else DELTA / 2
    opinions = [opinion_of(context, args, main, rows, delta)]
    best = [(opinions[0], place) for place in range(len(rows))]
    doubtful = np.flatnonzero(~opinions[0].accepted)
    if strong is not None and len(doubtful):
        opinions.append(opinion_of(context, args, strong, rows[doubtful], delta))
        for place, at in enumerate(doubtful):
            if opinions[1].notes[place].label is not None:
                best[int(at)] = (opinions[1], place)
    every = [annotations_of(context, opinions[0], rows)]
    if len(opinions) > 1:
        every.append(annotations_of(context, opinions[1], rows[doubtful]))
    annotations = tuple(every[opinions.index(opinion)][place] for opinion, place in best)
    sure = [
        note
        for (opinion, place), note in zip(best, annotations, strict=True)
        if opinion.accepted[place]
    ]
    doubts = objections(context, args.check, sure)
    accepted = [note.row for note in sure if note.row not in doubts]
    result = {**_result(opinions, len(rows), accepted), "objected": len(doubts)}
    value = {
        "round": batch_round,
        "step": context.step,
        "threshold": None,
        "accepted": accepted,
        "objections": {str(row): reason for row, reason in sorted(doubts.items())},
        "shown": all(opinion.useful for opinion in opinions[-1:]),
        "calibrated_on": opinions[-1].calibrated_on,
        "models": result["models"],
    }
    return Outcome(
        result=result,
        annotations=annotations,
        charges=(Charge("seconds", time.perf_counter() - started, "annotate_samples"),),
        artefacts=(Artefact("suggestions", value),),
    )


def opinion_of(
    context: ToolContext, args: ModelArgs, asker: Asker, rows: NDArray[np.int64], delta: float
) -> Opinion:
    """Ask about rows and gold items alike, and hold the answers against gold.

    Args:
        context: of the tool that asks.
        args: how.
        asker: the model.
        rows: n rows; there may be none where there are gold items.
        delta: chance with which the threshold may fail to keep the risk.
    """
    gold = gold_labels(context.store)
    everything = np.concatenate([rows, gold.rows])
    annotator = _annotator(context, args, asker, rows)
    items = items_of(context, everything)
    raw = annotator.annotate(items, context.vectors(everything))
    notes = _scored([stored(context.spec, note) for note in raw])
    mine, theirs = notes[: len(rows)], notes[len(rows) :]
    confidence = np.full(len(rows), np.nan)
    accepted = np.zeros(len(rows), dtype=bool)
    if len(gold) < MIN_GOLD:
        words = f"nothing: {len(gold)} gold items, at least {MIN_GOLD} are needed"
        return Opinion(asker.name, mine, confidence, accepted, None, None, words)
    read = reader_of(context.spec)
    values = [read(label) for label in gold.labels]
    given = [note.label for note in raw[len(rows) :]]
    measured = judge_pilot(given, values, annotator.task, seed=context.seed)
    threshold = None
    if measured.verdict not in NO_USE:
        confidence = _calibrated(context, mine, theirs, gold.labels)
        threshold = _threshold(context, theirs, gold.labels, delta)
        accepted = _scores(mine) >= (2.0 if threshold is None else threshold)
        # Of an answer from which something had to be left out, nobody knows what it would be.
        accepted &= np.array([note.status == "ok" for note in mine], dtype=bool)
    words = f"{len(gold)} gold items"
    return Opinion(asker.name, mine, confidence, accepted, threshold, measured, words)


def _annotator(
    context: ToolContext, args: ModelArgs, asker: Asker, rows: NDArray[np.int64]
) -> LLMAnnotator[Any]:
    spec = context.spec
    task = task_of(spec, context.settings)
    demonstrations = None
    if args.demonstrations != "none":
        kind: DemoKind = args.demonstrations
        shown = context.vectors(training_rows(context.store, context.pool))
        bank = training_bank(context.store, context.pool, shown, read=reader_of(spec))
        demonstrations = Demonstrations(bank, kind, args.shown, context.settings.seed)

    # Recorded answers are labels without reasons, mostly one an item.
    recorded = asker.name.startswith(REPLAYED)
    style: Style = "label" if recorded else args.style

    def made(confidence: Confidence) -> LLMAnnotator[Any]:
        return LLMAnnotator(
            asker,
            task,
            Instructions(spec.goal, spec.guidelines),
            variants=(Variant(style=style),),
            demonstrations=demonstrations,
            confidence=confidence,
            samples=args.samples if confidence == "votes" else 1,
            items_per_call=args.items_per_call,
            seed=context.settings.seed,
        )

    if args.confidence != "auto":
        return made(args.confidence)
    if recorded:
        return made("none")
    if spec.several or spec.marked:
        # No one token holds the probability of a whole answer.
        return made("votes")
    first = np.concatenate([rows, gold_labels(context.store).rows])[:PROBED]
    # A few items tell whether the model gives log-probabilities; their answers are used again.
    probe = made("logprobs")
    notes = probe.annotate(items_of(context, first), context.vectors(first))
    return probe if any(note.score is not None for note in notes) else made("votes")


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
    right = np.array([note.label == label for note, label in zip(gold, truth, strict=True)])
    found = accept_threshold(
        np.maximum(_scores(gold), 0.0), right, risk=1 - context.spec.target_accuracy, delta=delta
    )
    return None if found is None else float(found.value)


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


def annotations_of(
    context: ToolContext, opinion: Opinion, rows: NDArray[np.int64]
) -> list[Annotation]:
    """What a model said of its rows, as suggestions to be stored."""
    return [
        _annotation(context, opinion, place, int(row), name)
        for place, (row, name) in enumerate(zip(rows, context.pool.ids(rows), strict=True))
    ]


def _annotation(
    context: ToolContext, opinion: Opinion, place: int, row: int, name: str
) -> Annotation:
    note, confidence = opinion.notes[place], float(opinion.confidence[place])
    kind: AnnotatorKind = "replayed" if opinion.name.startswith(REPLAYED) else "llm"
    return Annotation(
        row=row,
        item=name,
        kind=kind,
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


def _result(opinions: Sequence[Opinion], rows: int, accepted: Sequence[int]) -> dict[str, Any]:
    return {
        "annotated": rows,
        "accepted": len(accepted),
        "models": [
            {
                "model": each.name,
                "asked": len(each.notes),
                "statuses": counts(each.notes),
                "confidence": "absent" if np.isnan(each.confidence).all() else "calibrated",
                "accept_above_score": each.threshold,
                "calibrated_on": each.calibrated_on,
                "pilot": None if each.pilot is None else _measured(each.pilot),
            }
            for each in opinions
        ],
    }


def _measured(found: Pilot) -> dict[str, Any]:
    return {
        "verdict": found.verdict,
        "why": found.reason,
        "n": found.n,
        "accuracy": round(found.accuracy.estimate, 4),
        "low": round(found.accuracy.low, 4),
        "high": round(found.accuracy.high, 4),
    }
