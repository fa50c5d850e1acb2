"""A chain of filters for written texts: each says which it rejects, and why.

The filters go from the cheapest to the dearest, and each sees only what those before it let
through: a filter that asks a chat model asks about the survivors. No reason repeats a text or names
an item of the pool, since reasons are shown to the deciding agent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from .duplicates import normalised
from .filters import nearest
from .rouge import RougeIndex

ROUGE, COSINE = 0.7, 0.95
"""Self-Instruct (Wang et al. 2023) keeps what is under ROUGE-L .7 with all kept. DEITA's limit on
the cosine, .9, is for long instructions: of real questions to a bank a third is that close to
another, and a tenth at .95."""


@dataclass(frozen=True, slots=True)
class Written:
    """n written texts before a filter.

    Args:
        texts: what was written.
        labels: the label that each was written for.
        parents: the texts that each was made from, which it may be like; none for most methods.
        vectors: unit vectors (n, d), for the filters that compare meaning.
    """

    texts: Sequence[str]
    labels: Sequence[str]
    parents: Sequence[tuple[str, ...]]
    vectors: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def at(self, places: Sequence[int]) -> Written:
        """Some of them, in this order."""
        return replace(
            self,
            texts=[self.texts[place] for place in places],
            labels=[self.labels[place] for place in places],
            parents=[self.parents[place] for place in places],
            vectors=None if self.vectors is None else self.vectors[list(places)],
        )


class Filter(Protocol):
    """One reason to reject a text."""

    @property
    def name(self) -> str:
        """What its rejections are counted under."""
        ...

    def reasons(self, written: Written) -> list[str]:
        """For each text why it goes; empty where it stays."""
        ...


@dataclass(frozen=True, slots=True)
class Dropped:
    """A rejected text: its place, the filter, and why."""

    place: int
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Sifted:
    """Places that stay, ascending, and those that go; each text is in exactly one of them."""

    kept: tuple[int, ...]
    dropped: tuple[Dropped, ...]

    def counts(self) -> dict[str, int]:
        """How many each filter rejected."""
        return dict(Counter(each.by for each in self.dropped))


def sift(written: Written, filters: Sequence[Filter]) -> Sifted:
    """Let each filter judge what those before it left."""
    kept = list(range(len(written)))
    dropped: list[Dropped] = []
    for each in filters:
        if not kept:
            break
        reasons = each.reasons(written.at(kept))
        dropped += [
            Dropped(place, each.name, why) for place, why in zip(kept, reasons, strict=True) if why
        ]
        kept = [place for place, why in zip(kept, reasons, strict=True) if not why]
    return Sifted(tuple(kept), tuple(dropped))


_LEFT_OVER = re.compile(
    r"\[(?:your |insert |company|name|product|date|topic)[^\]]{0,30}\]|\{\w{2,30}\}|<\w{2,30}>"
    r"|^\s*(?:\d+[.)]|[-*•])\s|^\s*(?:text|label|example|message)\s*\d*\s*:",
    re.IGNORECASE,
)
_OF_ITSELF = re.compile(
    r"\bas an? (?:ai|language model|assistant)\b|\bhere(?:'s| is| are) (?:an?|the|some|your)? ?"
    r"(?:example|text|message|paraphrase|rewritten)|^\s*(?:sure|certainly|of course)[,!.:]",
    re.IGNORECASE,
)
_BROKEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")


@dataclass(frozen=True, slots=True)
class Form:
    """Length and format: within the lengths of the pool, and nothing left over from the prompt."""

    least: int = 2
    most: int = 2_000
    name: str = "form"

    def reasons(self, written: Written) -> list[str]:
        """See `Filter.reasons`."""
        return [self._reason(text) for text in written.texts]

    def _reason(self, text: str) -> str:
        words = len(text.split())
        if words < self.least:
            return f"{words} words, at least {self.least} are wanted"
        if len(text) > self.most:
            return f"{len(text)} characters, at most {self.most} are wanted"
        if _BROKEN.search(text):
            return "control or replacement characters"
        if _LEFT_OVER.search(text):
            return "a blank, a list mark or a heading of the prompt is left in it"
        if _OF_ITSELF.search(text):
            return "the model speaks of itself or of its task"
        return ""


def form_like(texts: Sequence[str]) -> Form:
    """The limits on length that the texts of a pool suggest.

    From half the first percentile of words to twice the 99th percentile of characters.
    """
    words = np.array([len(text.split()) for text in texts] or [2])
    characters = np.array([len(text) for text in texts] or [1_000])
    least = max(1, int(np.percentile(words, 1) / 2))
    return Form(least, max(40, int(2 * np.percentile(characters, 99))))


@dataclass(frozen=True, slots=True)
class Exact:
    """The same words as a text of the pool or an earlier one, whatever case and spaces."""

    others: Sequence[str]
    name: str = "duplicate"

    def reasons(self, written: Written) -> list[str]:
        """See `Filter.reasons`."""
        known, mine = set(normalised(self.others)), set[str]()
        found = []
        for key in normalised(written.texts):
            if key in known:
                found.append("the same text as an item of the pool")
            elif key in mine:
                found.append("the same text as one written before it")
            else:
                found.append("")
                mine.add(key)
        return found


@dataclass(frozen=True, slots=True)
class Rouge:
    """ROUGE-L F1 with any text of the pool, or any that stays, at the limit or above.

    The text's own parents are not counted: a contrast pair is like its parent by design.
    """

    others: Sequence[str]
    limit: float = ROUGE
    name: str = "rouge_l"

    def reasons(self, written: Written) -> list[str]:
        """See `Filter.reasons`; 20,000 texts are compared with one another in seconds."""
        _check_limit("rouge_l", self.limit)
        texts, known = list(written.texts), len(self.others)
        index = RougeIndex(texts, [*self.others, *texts])
        allowed = np.arange(known + len(texts)) < known
        places = _places(self.others) if any(written.parents) else {}
        found = []
        for place, parents in enumerate(written.parents):
            here = _without(allowed, places, parents)
            score, like = index.best(place, floor=self.limit, allowed=here)
            found.append("" if like < 0 else _alike("ROUGE-L", score, self.limit, like < known))
            allowed[known + place] = like < 0
        return found


@dataclass(frozen=True, slots=True)
class Cosine:
    """Cosine of the embeddings with any text of the pool, or any that stays, at the limit or above.

    Args:
        others: the texts of the pool, to know a text's own parents, which are not counted.
        vectors: their unit vectors.
        limit: in (0, 1].
    """

    others: Sequence[str]
    vectors: NDArray[np.float32]
    limit: float = COSINE
    name: str = "cosine"

    def reasons(self, written: Written) -> list[str]:
        """See `Filter.reasons`."""
        _check_limit("cosine", self.limit)
        mine = _vectors(written)
        places = _places(self.others) if any(written.parents) else {}
        score = nearest(mine, self.vectors)[0]
        for place, parents in enumerate(written.parents):
            if parents:
                kept = _without(np.ones(len(self.others), dtype=bool), places, parents)
                score[place] = (self.vectors[kept] @ mine[place]).max(initial=-2.0)
        inside = mine @ mine.T
        found, stays = [], np.zeros(len(mine), dtype=bool)
        for place in range(len(mine)):
            own = inside[place, stays].max(initial=-2.0)
            best = max(float(own), float(score[place]))
            found.append(
                _alike("cosine", best, self.limit, own < score[place]) if best >= self.limit else ""
            )
            stays[place] = best < self.limit
        return found


@dataclass(frozen=True, slots=True)
class Leakage:
    """Like an item that is held out to measure on: gold, or the audit.

    A lower bar than that of the other filters, and no exception for parents. The reason never says
    which item it is, how alike, or by which measure: that would tell something of it.
    """

    held: Sequence[str]
    vectors: NDArray[np.float32] | None
    rouge: float = 0.6
    cosine: float = 0.9
    name: str = "held_out"

    def reasons(self, written: Written) -> list[str]:
        """See `Filter.reasons`."""
        texts = list(written.texts)
        if not len(self.held):
            return [""] * len(texts)
        index = RougeIndex(texts, list(self.held))
        close = np.array([index.best(at, floor=self.rouge)[1] >= 0 for at in range(len(texts))])
        if self.vectors is not None:
            close |= nearest(_vectors(written), self.vectors)[0] >= self.cosine
        return ["too close to what is held out to measure on" if each else "" for each in close]


@dataclass(frozen=True, slots=True)
class LearnerDoubts:
    """The learner is sure of another label than the text was written for.

    Args:
        probabilities: (n, C) of the texts in the order given to the chain, by text.
        label_names: the C labels.
        sure: how sure it has to be, in (0, 1].
    """

    probabilities: dict[str, NDArray[np.float32]]
    label_names: Sequence[str]
    sure: float = 0.9
    name: str = "learner"

    def reasons(self, written: Written) -> list[str]:
        """See `Filter.reasons`."""
        found = []
        for text, label in zip(written.texts, written.labels, strict=True):
            said = self.probabilities[text]
            best = int(said.argmax())
            other = self.label_names[best] != label and said[best] >= self.sure
            found.append(f"the learner gives another label {said[best]:.2f}" if other else "")
        return found


def _alike(measure: str, score: float, limit: float, of_pool: bool) -> str:
    what = "an item of the pool" if of_pool else "one written before it"
    return f"{measure} {score:.2f} with {what}, limit {limit:g}"


def _places(texts: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, key in enumerate(normalised(texts)):
        found.setdefault(key, []).append(place)
    return found


def _without(
    allowed: NDArray[np.bool_], places: dict[str, list[int]], parents: tuple[str, ...]
) -> NDArray[np.bool_]:
    own = [place for key in normalised(parents) for place in places.get(key, ())]
    if not own:
        return allowed
    found = allowed.copy()
    found[own] = False
    return found


def _vectors(written: Written) -> NDArray[np.float32]:
    if written.vectors is None:
        raise UserError("texts are compared by meaning and have no vectors: embed them first")
    return written.vectors


def _check_limit(name: str, value: float) -> None:
    if not 0.0 < value <= 1.0:
        raise UserError(f"{name} is {value!r}: give a limit above 0 and at most 1")
