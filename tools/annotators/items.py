"""What is annotated, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

V = TypeVar("V")
"""The kind of value a task gives: a label, a tuple of labels, a tuple of spans."""

AnnotationStatus = Literal[
    "ok", "partial", "no_agreement", "invalid", "refused", "failed", "over_budget"
]
"""What came of an item. `ok`: a value. `partial`: a value from which something had to be left out
(see `issues`). `no_agreement`: the answer changed with the order of the two texts. The others are
those of `models.llm.base.Status`, and give no value."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item as an annotator sees it.

    Attributes:
        id: its id in the pool; comes back in the annotation.
        text: the text; two texts are joined by `models.pairs.join_pair`.
        context: what two texts answer, for a preference: the question, the instruction.
        tokens: its tokens where the pool has them; then `text` is not used and spans begin and end
            where tokens do.
    """

    id: str
    text: str
    context: str = ""
    tokens: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The text that is shown and in which spans are counted: the tokens with spaces between."""
        return " ".join(self.tokens) if self.tokens else self.text


@dataclass(frozen=True, slots=True)
class Votes:
    """How the answers of several members (samples, prompts, models) differ.

    Attributes:
        keys: each member's answer as its task writes it, `None` where it gave none.
        share: members that gave the commonest answer, of all that were asked, in [0, 1].
        disagreement: different answers / answers given, in (0, 1] (Diao et al. 2023,
            "Active prompting with chain-of-thought"); `None` where none was given.
        entropy: -sum_v p_v log p_v / log k over the k answers given, in [0, 1]; `None` for fewer
            than two.
    """

    keys: tuple[str | None, ...]
    share: float
    disagreement: float | None
    entropy: float | None


@dataclass(frozen=True, slots=True)
class LLMAnnotation(Generic[V]):
    """What one annotator says of one item, or why it says nothing.

    Attributes:
        item: the item's id.
        label: the value; `None` unless `status` is `ok` or `partial`.
        status: see `AnnotationStatus`.
        why: in words, where the status is not `ok`.
        score: in [0, 1], how sure by the kind of confidence that was asked for, not calibrated;
            `None` where it is not known.
        distribution: over the labels in the task's order, where it is known. For several labels an
            item: the share of members that gave each, which does not sum to 1.
        rationale: the model's words; empty where none were asked for.
        prompt: 16 hex digits that change with anything that is said to every item: the prompt
            files, definitions, guidelines, style, how demonstrations are chosen.
        answers: keys of the answers it rests on, as the cache and the ledger have them.
        votes: where more than one member was asked.
        issues: what had to be left out or should be looked at: quotes that do not occur, a text
            that was cut.
        usd: what the calls for it cost; a call for several items is divided evenly.
        tokens_in: tokens read, likewise.
        tokens_out: tokens written, likewise.
    """

    item: str
    label: V | None
    status: AnnotationStatus
    why: str = ""
    score: float | None = None
    distribution: tuple[float, ...] | None = None
    rationale: str = ""
    prompt: str = ""
    answers: tuple[str, ...] = ()
    votes: Votes | None = None
    issues: tuple[str, ...] = ()
    usd: float = 0.0
    tokens_in: float = 0.0
    tokens_out: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether there is a value."""
        return self.label is not None


def counts(annotations: Sequence[LLMAnnotation[V]]) -> dict[str, int]:
    """How many annotations have each status; only those that occur."""
    found: dict[str, int] = {}
    for each in annotations:
        found[each.status] = found.get(each.status, 0) + 1
    return found
