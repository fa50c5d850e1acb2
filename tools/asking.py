"""How a chat model is asked for labels, and its answers as the store writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..models.llm.base import Asker
from ..store import spans
from ..store.label_sets import decode, encode
from .annotators.annotator import LLMAnnotator
from .annotators.bank import training_bank, training_rows
from .annotators.demonstrations import DemoKind, Demonstrations
from .annotators.entities import Entities
from .annotators.items import Item, LLMAnnotation
from .annotators.labelling import MultiLabel, PairLabel, SingleLabel
from .annotators.prompting import Instructions, Style, Variant
from .annotators.reading import Confidence
from .annotators.tasks import Task
from .base import ToolArgs, ToolContext
from .labels import gold_labels
from .second_look import Check

SAMPLES = 5
"""Answers asked of a model that gives no log-probabilities: their agreement is its confidence."""
PLAIN: Style = "label"
PROBED = 3
"""Items asked first, to see whether the model gives log-probabilities."""
REPLAYED = "replay:"
LEFT_OUT = "left out of the answer: "


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


def annotator_for(
    context: ToolContext,
    args: ModelArgs,
    asker: Asker,
    rows: NDArray[np.int64],
    *,
    votes: bool = False,
) -> LLMAnnotator[Any]:
    """The model as an annotator of the run's task, with the labelled items it is shown.

    Args:
        context: of the tool that asks.
        args: how.
        asker: the model.
        rows: what it will be asked about; some of them are asked here, to see whether the model
            gives log-probabilities.
        votes: whether others vote with it: then their agreement tells how sure to be, and a model
            without log-probabilities is asked once.

    Raises:
        UserError: a kind of confidence that does not suit the task.
        OperatorError: the model's server cannot be reached.
    """
    spec = context.spec
    task = task_of(context)
    demonstrations = None
    if args.demonstrations != "none":
        kind: DemoKind = args.demonstrations
        shown = context.vectors(training_rows(context.store, context.pool))
        bank = training_bank(context.store, context.pool, shown, read=reader_of(context))
        demonstrations = Demonstrations(bank, kind, args.shown, context.settings.seed)

    # Recorded answers are labels without reasons, mostly one an item.
    recorded = asker.name.startswith(REPLAYED)
    style: Style = PLAIN if recorded else args.style

    def made(confidence: Confidence, style: Style) -> LLMAnnotator[Any]:
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
        return made(args.confidence, style)
    if recorded:
        return made("none", style)
    if context.form.several:
        # No one token holds the probability of a whole answer.
        return made("none" if votes else "votes", style)
    first = np.concatenate([rows, gold_labels(context.store).rows])[:PROBED]
    # A few items tell whether the model gives log-probabilities; their answers are used again. One
    # that cannot write a reason may still choose among labels.
    for tried in dict.fromkeys((style, PLAIN)):
        probe = made("logprobs", tried)
        notes = probe.annotate(items_of(context, first), context.vectors(first))
        if any(note.score is not None for note in notes):
            return probe
        if any(note.usable for note in notes):
            return made("none" if votes else "votes", tried)
    return made("none" if votes else "votes", style)


def task_of(context: ToolContext) -> Task[Any]:
    """The task of the run as annotators know it."""
    labels = tuple(context.spec.labels)
    if context.spec.marked:
        return Entities(labels)
    if context.spec.several:
        return MultiLabel(labels)
    return PairLabel(labels) if context.settings.second_columns else SingleLabel(labels)


def reader_of(context: ToolContext) -> Callable[[str], Any]:
    """From a stored label to the value of the task."""
    if context.spec.marked:
        return spans.decode
    return (lambda label: tuple(decode(label))) if context.spec.several else str


def stored_label(context: ToolContext, value: Any) -> str:
    """A value of the task as the store writes labels."""
    if context.spec.marked:
        return spans.encode(value)
    return encode(list(value), context.spec.label_names) if context.spec.several else str(value)


def stored_note(context: ToolContext, note: LLMAnnotation[Any]) -> LLMAnnotation[str]:
    """The annotation with its value as the store writes labels.

    What had to be left out of an answer is said with its reason: whoever looks at it should know.
    """
    if note.label is None:
        return note
    left_out = f"{LEFT_OUT}{note.why}" if note.status == "partial" else ""
    rationale = ". ".join(filter(None, (note.rationale, left_out)))
    return replace(note, label=stored_label(context, note.label), rationale=rationale)


def items_of(context: ToolContext, rows: NDArray[np.int64]) -> list[Item]:
    """Rows of the pool as annotators see them; with their tokens where the file had them."""
    texts, ids = context.pool.texts(rows), context.pool.ids(rows)
    tokens = [tuple(text.split(" ")) if context.settings.tokens else () for text in texts]
    return [
        Item(name, text, tokens=each) for name, text, each in zip(ids, texts, tokens, strict=True)
    ]
