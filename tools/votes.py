"""What several chat models answered of the same items, as numbers; also of items of earlier rounds.

A member of a committee has one vote an item: its distribution over the labels where its tokens
give one, else its label. An answer that is no label is no vote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .base import ToolContext
from .labels import LabelledRows

FIRST = 1e-6
"""Of a vote, by which that of an earlier member counts more: it decides where all differ."""


class Said(Protocol):
    """A label, perhaps with a distribution: a note of an annotator, or a stored annotation."""

    @property
    def label(self) -> str | None:
        """The label; `None` where there is none."""

    @property
    def distribution(self) -> tuple[float, ...] | None:
        """Over the labels of the task."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """The votes of K members on n items with C labels.

    Attributes:
        votes: (n, K, C); a row of zeros where a member gave no label.
    """

    votes: NDArray[np.float64]

    @property
    def answered(self) -> NDArray[np.int64]:
        """(n,) how many members gave a label."""
        return np.asarray((self.votes.sum(axis=2) > 0).sum(axis=1), dtype=np.int64)

    @property
    def share(self) -> NDArray[np.float64]:
        """(n, C) the smoothed share of the votes, (votes + 1 / C) / (answered + 1).

        Even where nobody answered. Of equal shares that of the earlier member is a hair higher.
        """
        classes = self.votes.shape[2]
        weights = 1 - FIRST * np.arange(self.votes.shape[1])
        counted = (self.votes * weights[None, :, None]).sum(axis=1) + 1 / classes
        return np.asarray(counted / counted.sum(axis=1, keepdims=True), dtype=np.float64)


def ballot(context: ToolContext, members: Sequence[Sequence[Said | None]]) -> Ballot:
    """The votes of each member, in the order of the task's labels.

    Args:
        context: of the tool that asks.
        members: for each of K members what it said of the n items; `None` where it was not asked.
    """
    place = {name: index for index, name in enumerate(context.spec.label_names)}
    votes = np.zeros((len(members[0]), len(members), len(place)))
    for number, notes in enumerate(members):
        for row, note in enumerate(notes):
            if note is None or note.label is None:
                continue
            if note.distribution is not None:
                votes[row, number] = np.array(note.distribution) / sum(note.distribution)
            else:
                votes[row, number, place[note.label]] = 1.0
    return Ballot(votes)


def earlier_votes(context: ToolContext, members: Sequence[str]) -> tuple[LabelledRows, Ballot]:
    """Items that people labelled for training after a member had answered, and those answers.

    The newest answer of each member counts. Gold items are never among them: what is learned here
    is held against gold.

    Args:
        context: of the tool that asks.
        members: names of the K members, in their order.
    """
    said = {
        (each.row, each.annotator): each
        for each in context.store.annotations(purposes=("suggest",), kinds=("llm", "replayed"))
        if each.annotator in members and each.label is not None
    }
    given = context.store.human_labels(("train",))
    asked = {row for row, _ in said}
    kept = sorted(row for row in given if row in asked)
    rows = LabelledRows(np.array(kept, dtype=np.int64), [given[row] for row in kept])
    return rows, ballot(context, [[said.get((row, name)) for row in kept] for name in members])
