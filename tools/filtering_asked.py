"""Filters that ask a chat model: is the label right, do several answers agree, is anything new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, create_model

from ..models.llm.base import Answer, Asker, Message, Request
from ..prompts.loader import load_prompt
from .fencing import fenced_texts
from .filtering import Written

TAGGED_AT_ONCE = 20
MOST_TAGS = 4


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The label that a text was written for is given to it again by a model that is not told it.

    The judge sees the text and the labels and nothing of how the text came about (EvoKD, Liu et al.
    2024, labels in a second call too). With `votes` above 1 it is asked that often at temperature
    0.7, and the share of answers with the label must reach `agreement`: self-consistency.

    Args:
        asker: the judge; another model than the writer where there is one.
        labels: the labels in words, by name.
        goal: what is to be labelled.
        votes: answers for each text, at least 1.
        agreement: the least share of answers that give the label.
        seed: goes with every call.
    """

    asker: Asker
    labels: dict[str, str]
    goal: str
    votes: int = 1
    agreement: float = 1.0
    seed: int = 0
    name: str = "judge"

    def reasons(self, written: Written) -> list[str]:
        """See `Filter.reasons`; an answer that cannot be used confirms nothing."""
        given = self.answers(written.texts)
        return [self._reason(*each) for each in zip(given, written.labels, strict=True)]

    def answers(self, texts: Sequence[str]) -> list[list[str | None]]:
        """The labels that the judge gives each text; `None` for an answer that cannot be used."""
        schema = _label_schema(tuple(self.labels))
        instructions = load_prompt("confirm_generated").fill(
            goal=self.goal, labels="\n".join(f"- {words}" for words in self.labels.values())
        )
        requests = [
            Request(
                messages=(
                    Message("system", instructions),
                    Message("user", fenced_texts([text])),
                ),
                schema=schema,
                choices=tuple(self.labels),
                temperature=0.7 if self.votes > 1 else 0.0,
                max_tokens=96,
                seed=self.seed,
                sample=vote,
            )
            for text in texts
            for vote in range(self.votes)
        ]
        found = self.asker.ask(requests, why="judge") if requests else []
        said = [_label(answer) for answer in found]
        return [said[top : top + self.votes] for top in range(0, len(said), self.votes)]

    def _reason(self, given: list[str | None], label: str) -> str:
        share = given.count(label) / len(given)
        if share >= self.agreement:
            return ""
        if given.count(None) == len(given):
            return "the judge gave no usable answer"
        if self.votes == 1:
            return "the judge gives another label"
        return f"{given.count(label)} of {len(given)} answers of the judge give its label"


@dataclass(frozen=True, slots=True)
class NovelTags:
    """At least one tag that nothing kept so far has.

    After #InsTag (Lu et al. 2024): a model tags each text with what it is about and how it is put;
    diversity is the number of different tags. A text whose tags are all known adds nothing. A text
    without usable tags stays: that it is old news was not shown.

    Args:
        asker: the model that tags.
        known: tags that are covered already.
        seed: goes with every call.
    """

    asker: Asker
    known: frozenset[str] = frozenset()
    seed: int = 0
    name: str = "tags"

    def reasons(self, written: Written) -> list[str]:
        """See `Filter.reasons`."""
        covered, found = set(self.known), []
        for tags in self.tags(written.texts):
            old = bool(tags) and tags <= covered
            found.append(f"all its {len(tags)} tags are covered already" if old else "")
            covered |= tags
        return found

    def tags(self, texts: Sequence[str]) -> list[frozenset[str]]:
        """The tags of each text, in lower case; none where the model gave no usable ones."""
        starts = range(0, len(texts), TAGGED_AT_ONCE)
        instructions = load_prompt("tag_generated").fill(most=str(MOST_TAGS))
        requests = [
            Request(
                messages=(
                    Message("system", instructions),
                    Message("user", fenced_texts(texts[top : top + TAGGED_AT_ONCE])),
                ),
                schema=Tags,
                max_tokens=40 * TAGGED_AT_ONCE,
                seed=self.seed,
            )
            for top in starts
        ]
        found: list[frozenset[str]] = [frozenset()] * len(texts)
        answers = self.asker.ask(requests, why="tag") if requests else []
        for top, answer in zip(starts, answers, strict=True):
            for place, tags in _tags(answer, min(TAGGED_AT_ONCE, len(texts) - top)).items():
                found[top + place] = tags
        return found


class _Tagged(BaseModel):
    index: int
    tags: Annotated[list[str], Field(max_length=8)]


class Tags(BaseModel):
    """One entry for each text."""

    items: list[_Tagged]


def _label_schema(names: tuple[str, ...]) -> type[BaseModel]:
    choice: Any = Literal[names]
    return create_model("Labelled", label=(choice, ...))


def _label(answer: Answer) -> str | None:
    return str(getattr(answer.parsed, "label")) if answer.ok else None  # noqa: B009 (made schema)


def _tags(answer: Answer, shown: int) -> dict[int, frozenset[str]]:
    if not answer.ok or not isinstance(answer.parsed, Tags):
        return {}
    times = Counter(entry.index for entry in answer.parsed.items)
    return {
        entry.index - 1: frozenset(" ".join(tag.split()).casefold() for tag in entry.tags) - {""}
        for entry in answer.parsed.items
        if 1 <= entry.index <= shown and times[entry.index] == 1
    }
