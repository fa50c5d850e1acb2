"""How much each item is worth labelling, or how hard it is: several items a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from ...models.llm.base import Answer, Request
from ..fencing import fenced_texts
from .adviser import Adviser, Tally, messages

Level = Literal["easy", "moderate", "challenging", "hard"]
LEVELS: tuple[Level, ...] = get_args(Level)
PER_PROMPT = 20


class _Score(BaseModel):
    index: int
    score: Annotated[int, Field(ge=1, le=10)]


class Scores(BaseModel):
    """One entry for each item."""

    items: list[_Score]


class _Difficulty(BaseModel):
    index: int
    level: Level


class Difficulties(BaseModel):
    """One entry for each item."""

    items: list[_Difficulty]


@dataclass(frozen=True, slots=True)
class Rated:
    """A value for each text, NaN where the model gave none; and how that went."""

    values: NDArray[np.float32]
    tally: Tally

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which texts have a value."""
        found: NDArray[np.bool_] = ~np.isnan(self.values)
        return found


def score(adviser: Adviser, texts: Sequence[str]) -> Rated:
    """How much a classifier would learn from the label of each text, from 1 to 10.

    An item that an answer leaves out, or gives two scores, has none.
    """
    return _rated(adviser, texts, "llm_score", Scores, lambda entry: float(entry.score))


def difficulty(adviser: Adviser, texts: Sequence[str]) -> Rated:
    """How hard each text is to label: the place of its level in `LEVELS`, 0 for easy.

    The four levels are those of LDCAL (Li et al. 2024).
    """
    return _rated(
        adviser, texts, "llm_difficulty", Difficulties, lambda entry: LEVELS.index(entry.level)
    )


def _rated(
    adviser: Adviser, texts: Sequence[str], prompt: str, schema: type[BaseModel], value: Any
) -> Rated:
    instructions = adviser.said(prompt)
    starts = range(0, len(texts), PER_PROMPT)
    requests = [
        Request(
            messages=messages(instructions, fenced_texts(texts[top : top + PER_PROMPT])),
            schema=schema,
            max_tokens=24 * len(texts[top : top + PER_PROMPT]) + 64,
            seed=adviser.seed,
        )
        for top in starts
    ]
    values = np.full(len(texts), np.nan, dtype=np.float32)
    unusable = strange = 0
    for top, answer in zip(starts, adviser.ask(requests), strict=True):
        shown = min(PER_PROMPT, len(texts) - top)
        unusable += not answer.ok
        found, wrong = _entries(answer, shown, value)
        strange += wrong
        for place, each in found.items():
            values[top + place] = each
    return Rated(values, Tally(len(requests), unusable, strange))


def _entries(answer: Answer, shown: int, value: Any) -> tuple[dict[int, float], int]:
    """Place within the list → value, and how many entries were left out."""
    entries = getattr(answer.parsed, "items", []) if answer.ok else []
    given: dict[int, set[float]] = {}
    for entry in entries:
        if 1 <= entry.index <= shown:
            given.setdefault(entry.index - 1, set()).add(float(value(entry)))
    # Two values for one item are no answer for it: neither is better than the other.
    found = {place: values.pop() for place, values in given.items() if len(values) == 1}
    return found, len(entries) - len(found)
