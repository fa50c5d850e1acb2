"""One opinion of several chat models and the classifier, learned from the labels of people.

Chat models err in the same direction, so a vote among them repeats their errors. The labels that
people gave for training, of items that the models had answered before, show where: a combination
starts at the share of the votes, weighs it against what the classifier says, and moves away from
both as far as those labels support (`quality.combining`). Gold has no part in it, so the
combination is calibrated and its threshold tested on gold like a single model's answers. One chat
model beside a classifier is the smallest case. Until there are enough labels the votes decide.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..store.records import AnnotatorKind
from .annotators.items import LLMAnnotation
from .asking import reader_of, stored_label, task_of
from .base import ToolContext
from .honest_scores import honest_scores, plain_scores
from .labels import gold_labels, names_of
from .opinions import COMMITTEE, Notes, Opinion, held_against_gold
from .quality.combining import Combiner, fit_combiner
from .votes import Ballot, ballot, earlier_votes

LEARN_FROM = 20
"""Labels of people from which a combination is learned."""
_WEIGHTS = tuple(np.linspace(0.0, 2.0, 9))
_EXPECTED = (1.0, 0.5)
_PULL = 4.0


@dataclass(frozen=True, slots=True)
class Learned:
    """A combination that was learned.

    Attributes:
        members: how far the share of the votes is believed: its exponent.
        classifier: how far the classifier is; 0 where no model has scored the pool.
        combiner: what moves away from both, by votes and text.
        n: labels it was learned from.
    """

    members: float
    classifier: float
    combiner: Combiner
    n: int


def combined(
    context: ToolContext,
    opinions: Sequence[Opinion],
    rows: NDArray[np.int64],
    delta: float | None,
) -> Opinion | None:
    """What the members, and the classifier, say together of the rows.

    Members that are no use on gold have no vote, unless all are. Where items may have several
    labels or marked parts, an item has those that more than half of the members gave, and nothing
    is learned.

    Args:
        context: of the tool that asks.
        opinions: of the members on the same rows and gold items; at least one.
        rows: the n rows.
        delta: chance with which the threshold may fail to keep the risk.

    Returns:
        `None` for one member with nothing learned: its own opinion stands.
    """
    voters = [each for each in opinions if each.useful] or list(opinions)
    if context.form.several:
        if len(opinions) == 1:
            return None
        mine, theirs = (_sets(context, each) for each in _both(voters))
        return _opinion(context, opinions, voters, mine, theirs, delta, 0)
    learned = learn(context, voters)
    if learned is None and len(opinions) == 1:
        return None
    gold = gold_labels(context.store).rows
    mine, theirs = (
        _notes(context, notes, at, learned)
        for notes, at in zip(_both(voters), (rows, gold), strict=True)
    )
    return _opinion(context, opinions, voters, mine, theirs, delta, learned.n if learned else 0)


def learn(context: ToolContext, voters: Sequence[Opinion]) -> Learned | None:
    """Learn how to combine from people's training labels; `None` where there are too few."""
    given, votes = earlier_votes(context, [each.name for each in voters])
    if len(given) < LEARN_FROM or not all(each.useful for each in voters):
        return None
    labels = context.label_index(given.labels)
    model = _model(context)
    said = None if model is None else honest_scores(context, model, given.rows)
    prior, powers = votes.share, (1.0, 0.0)
    if said is not None:
        powers = _powers(votes, said, labels)
        prior = _pooled(votes, said, powers)
    combiner = fit_combiner(prior, _features(context, votes, given.rows), labels)
    return Learned(*powers, combiner, len(given))


def _model(context: ToolContext) -> dict[str, Any] | None:
    """The current model, if it has scored the pool and has not learned from the gold items."""
    scores, model = context.store.artefact("scores"), context.store.artefact("model")
    usable = scores and model and scores["model"] == model["name"] and not model["final"]
    return model if usable else None


def _pooled(
    votes: Ballot, said: NDArray[np.float64], powers: tuple[float, float]
) -> NDArray[np.float64]:
    """share^a * classifier^b, normalised; where the classifier said nothing it has no part."""
    classes = said.shape[1]
    known = np.where(np.isnan(said), 1 / classes, np.clip(said, 1e-6, 1.0))
    logits = powers[0] * np.log(votes.share) + powers[1] * np.log(known)
    found = np.exp(logits - logits.max(axis=1, keepdims=True))
    # Above 0, as a prior must be.
    found = np.maximum(found, 1e-9)
    return np.asarray(found / found.sum(axis=1, keepdims=True), dtype=np.float64)


def _powers(
    votes: Ballot, said: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[float, float]:
    """How far votes and classifier are believed: the likeliest of a grid, held near (1, .5)."""

    def cost(a: float, b: float) -> float:
        own = _pooled(votes, said, (a, b))[np.arange(len(labels)), labels]
        pull = (a - _EXPECTED[0]) ** 2 + (b - _EXPECTED[1]) ** 2
        return float(-np.log(own).sum() + _PULL / 2 * pull)

    return min(((a, b) for a in _WEIGHTS for b in _WEIGHTS), key=lambda pair: cost(*pair))


def _features(context: ToolContext, votes: Ballot, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, C + d) the share of the votes and the vector of the text."""
    return np.hstack([votes.share, context.vectors(rows).astype(np.float64)])


def _distribution(
    context: ToolContext, votes: Ballot, rows: NDArray[np.int64], learned: Learned | None
) -> NDArray[np.float64]:
    if learned is None:
        return votes.share
    prior = votes.share
    model = _model(context)
    if model is not None:
        said = plain_scores(context, model, rows)
        prior = _pooled(votes, said, (learned.members, learned.classifier))
    return learned.combiner.predict(prior, _features(context, votes, rows))


def _both(voters: Sequence[Opinion]) -> tuple[list[Notes], list[Notes]]:
    return [each.notes for each in voters], [each.on_gold for each in voters]


def _notes(
    context: ToolContext,
    members: Sequence[Notes],
    rows: NDArray[np.int64],
    learned: Learned | None,
) -> list[LLMAnnotation[str]]:
    """The combination's answer for each row; none where no member gave one."""
    votes = ballot(context, members)
    said = _distribution(context, votes, rows, learned)
    names, version = context.spec.label_names, _version(members, learned)
    best, answered = said.argmax(axis=1), votes.answered
    found: list[LLMAnnotation[str]] = []
    for place, (item, row) in enumerate(zip(context.pool.ids(rows), said, strict=True)):
        notes = [member[place] for member in members]
        if not answered[place]:
            found.append(_nothing(item, notes, version))
            continue
        label = names[int(best[place])]
        found.append(
            LLMAnnotation(
                item,
                label,
                "ok",
                score=float(row.max()),
                distribution=tuple(row.tolist()),
                rationale=_rationale(notes, label, learned.n if learned else 0),
                prompt=version,
            )
        )
    return found


def _sets(context: ToolContext, members: Sequence[Notes]) -> list[LLMAnnotation[str]]:
    """Sets of labels or of marked parts: what more than half gave, see `Task.combined`."""
    task, read, names = task_of(context), reader_of(context), context.spec.label_names
    version = _version(members, None)
    found: list[LLMAnnotation[str]] = []
    for notes in zip(*members, strict=True):
        given = [read(note.label) for note in notes if note.label is not None]
        if not given:
            found.append(_nothing(notes[0].item, notes, version))
            continue
        value = task.combined(given)
        label = stored_label(context, value)
        share = Counter(name for note in notes for name in _names(context, note))
        found.append(
            LLMAnnotation(
                notes[0].item,
                label,
                "ok",
                score=sum(task.agreement(value, each) for each in given) / len(notes),
                distribution=tuple(share[name] / len(given) for name in names),
                rationale=_rationale(notes, label, 0, context.form.shown),
                prompt=version,
            )
        )
    return found


def _names(context: ToolContext, note: LLMAnnotation[str]) -> tuple[str, ...]:
    """The labels in a member's set, or the types in its marked parts."""
    return () if note.label is None else names_of(note.label, context.spec)


def _nothing(item: str, notes: Sequence[LLMAnnotation[str]], version: str) -> LLMAnnotation[str]:
    return LLMAnnotation(
        item, None, notes[0].status, f"none of {len(notes)} members: {notes[0].why}", prompt=version
    )


def _rationale(
    notes: Sequence[LLMAnnotation[str]],
    label: str,
    learned_from: int,
    words: Callable[[str], str] = str,
) -> str:
    """The words of a member that gave the label, and who gave which; `words` shows a label."""
    counted = Counter(note.label for note in notes if note.label is not None)
    shown = ", ".join(f"{words(name)} {count}" for name, count in counted.most_common())
    own = next((note.rationale for note in notes if note.label == label and note.rationale), "")
    if label not in counted:
        own = "no member said so, but people's labels of such items and the classifier do"
    weighed = f"; weighed by {learned_from} labels of people" if learned_from else ""
    return f"{own} (votes: {shown}{weighed})".strip()


def _version(members: Sequence[Notes], learned: Learned | None) -> str:
    """16 hex digits that change with any member's prompt and with what was learned."""
    prompts = [notes[0].prompt if notes else "" for notes in members]
    hasher = hashlib.sha256("\n".join(prompts).encode())
    if learned is not None:
        hasher.update(np.round(learned.combiner.weights, 6).tobytes())
        hasher.update(f"{learned.members} {learned.classifier}".encode())
    return hasher.hexdigest()[:16]


def _opinion(
    context: ToolContext,
    opinions: Sequence[Opinion],
    voters: Sequence[Opinion],
    mine: list[LLMAnnotation[str]],
    theirs: list[LLMAnnotation[str]],
    delta: float | None,
    learned_from: int,
) -> Opinion:
    kinds = {each.kind for each in opinions}
    kind: AnnotatorKind = "replayed" if kinds == {"replayed"} else "llm"
    gold = gold_labels(context.store)
    found = held_against_gold(context, COMMITTEE, kind, mine, theirs, gold, delta)
    names = tuple(each.name for each in voters)
    left_out = tuple(each.name for each in opinions if each.name not in names)
    return replace(found, members=names, left_out=left_out, learned_from=learned_from)
