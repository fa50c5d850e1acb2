"""What a writer is told: the task, training items, and where the learner is weak.

Only items that people labelled for training are shown as they are. Of gold items nothing but
aggregate numbers is told; audit items are not touched, not even those of an audit given up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..base import ToolContext
from ..labels import gold_labels, training_labels, unlabelled_rows
from ..scores import read_scores, scores_at

SURE = 0.8
"""A wrong answer given with at least this probability is a confident one."""
STYLES = 24
"""Unlabelled texts that are drawn to show what the pool reads like."""


@dataclass(frozen=True, slots=True)
class Example:
    """A training item: its id, text and label as a person gave it."""

    id: str
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A training item and what a learner said of it that had not learned from it."""

    example: Example
    said: str
    probability: float

    @property
    def right(self) -> bool:
        """Whether the learner was right."""
        return self.said == self.example.label


@dataclass(frozen=True, slots=True)
class Material:
    """What is known of the task.

    Args:
        goal: what is to be labelled, in the person's words.
        labels: name and definition of each label.
        guidelines: how to tell labels apart; may be empty.
        examples: training items that people labelled.
        styles: unlabelled texts of the pool, for how they read; never for their content.
        f1: F1 of each label on gold, as aggregate; `None` where gold has none of it.
        checked: training items with what an earlier learner said of them.
        sources: texts of another data set, for the method `transform`.
    """

    goal: str
    labels: Mapping[str, str]
    guidelines: str = ""
    examples: Sequence[Example] = ()
    styles: Sequence[str] = ()
    f1: Mapping[str, float | None] = field(default_factory=dict)
    checked: Sequence[Checked] = ()
    sources: Sequence[str] = ()

    def of(self, label: str) -> list[Example]:
        """The training items of a label."""
        return [each for each in self.examples if each.label == label]

    def counts(self) -> dict[str, int]:
        """Training items of each label."""
        return {name: len(self.of(name)) for name in self.labels}


def gather(context: ToolContext) -> Material:
    """Read the material from a project."""
    store, pool, spec = context.store, context.pool, context.spec
    trained = training_labels(store, final=False)
    people = store.human_labels(("train",))
    by_people = [place for place, row in enumerate(trained.rows.tolist()) if row in people]
    rows = trained.rows[by_people]
    labels = [trained.labels[place] for place in by_people]
    examples = [
        Example(*each) for each in zip(pool.ids(rows), pool.texts(rows), labels, strict=True)
    ]
    left = unlabelled_rows(store, pool)
    drawn = np.random.default_rng(context.seed).permutation(len(left))[:STYLES]
    return Material(
        goal=spec.goal,
        labels={label.name: label.definition for label in spec.labels},
        guidelines=spec.guidelines,
        examples=examples,
        styles=pool.texts(left[drawn]),
        f1=gold_f1(context),
        checked=_checked(context, rows, examples),
    )


def gold_f1(context: ToolContext) -> dict[str, float | None]:
    """F1 of each label on gold, by the current model's scores; `None` where it is not defined."""
    gold, scores = gold_labels(context.store), read_scores(context.store)
    names = context.spec.label_names
    if scores is None or not len(gold):
        return dict.fromkeys(names)
    return f1_by_label(
        context.label_index(gold.labels), np.asarray(scores.of(gold.rows)).argmax(axis=1), names
    )


def f1_by_label(
    truth: NDArray[np.int64], said: NDArray[np.int64], names: Sequence[str]
) -> dict[str, float | None]:
    """2 TP / (2 TP + FP + FN) of each label; `None` for a label that `truth` does not have."""
    found: dict[str, float | None] = {}
    for index, name in enumerate(names):
        both = int(((truth == index) & (said == index)).sum())
        either = int((truth == index).sum() + (said == index).sum())
        found[name] = 2 * both / either if (truth == index).any() else None
    return found


def _checked(
    context: ToolContext, rows: NDArray[np.int64], examples: Sequence[Example]
) -> list[Checked]:
    """What the last model that had not learned from it said of each training item.

    A model is right on nearly all it was trained on; what it said of an item before that shows
    where it is weak. Items of the first round have no such answer.
    """
    store, names = context.store, context.spec.label_names
    trained = {value["name"]: set(value["rows"]) for value in store.artefact_history("model")}
    found: dict[int, Checked] = {}
    for value in store.artefact_history("scores"):
        fresh = [
            place
            for place, row in enumerate(rows.tolist())
            if row not in trained.get(value["model"], set())
        ]
        if not fresh:
            continue
        probabilities = np.asarray(scores_at(store, value).of(rows[fresh]))
        for place, said in zip(fresh, probabilities, strict=True):
            best = int(said.argmax())
            found[place] = Checked(examples[place], names[best], float(said[best]))
    return [found[place] for place in sorted(found)]
