"""Which of these items to label: the model names them by index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from ...models.llm.base import Answer, Request
from ..fencing import fenced_texts
from .adviser import Adviser, Tally, messages

Criterion = Literal["informative", "diverse", "difficult", "hybrid"]
CRITERIA: dict[Criterion, str] = {
    "informative": (
        "Choose the items from whose labels a classifier would learn most: typical wording that "
        "many other items share, and a clear case of what its label means."
    ),
    "diverse": (
        "Choose items that differ from one another in topic, wording, length and likely label, so "
        "that together they cover the whole list."
    ),
    "difficult": (
        "Choose the items that are hardest to label: where two labels could fit, where the wording "
        "misleads, or where the meaning has to be inferred."
    ),
    "hybrid": (
        "Choose items from whose labels a classifier would learn most, some clear and some where "
        "two labels could fit, and make them differ from one another in topic and likely label."
    ),
}
PER_PROMPT = 50
"""Items shown in one prompt at most: longer lists are read worse."""
_REASONING_TOKENS = 700


class Indices(BaseModel):
    """The chosen items."""

    indices: Annotated[list[int], Field(description="the index of each chosen item")]


class ReasonedIndices(BaseModel):
    """The chosen items after some thought."""

    thoughts: Annotated[str, Field(description="what the list holds and what to look for, briefly")]
    indices: Annotated[list[int], Field(description="the index of each chosen item")]


@dataclass(frozen=True, slots=True)
class Picked:
    """Places of the chosen texts, distinct, in the order of the answers; and how that went."""

    places: NDArray[np.int64]
    tally: Tally


def pick(
    adviser: Adviser,
    texts: Sequence[str],
    k: int,
    *,
    criterion: Criterion = "hybrid",
    reasoned: bool = True,
    seed: int = 0,
) -> Picked:
    """Let the model choose about k of n texts by their index.

    After ActiveLLM (Bayer & Reuter 2024), which found reasoning before the choice and 50 to 200
    candidates best, and SelectLLM (Parkar et al. 2024), which asks for a fixed number of each of
    several lists. The texts are shuffled and shown in lists of at most `PER_PROMPT`, each asked for
    its share of k, rounded up.

    Args:
        adviser: whom to ask.
        texts: n texts.
        k: how many are wanted of all, at least 1.
        criterion: what to look for.
        reasoned: whether the model writes down its thoughts first; they are read by nobody.
        seed: shuffles the texts.

    Returns:
        At most ceil(k / lists) of each list: indices that were not shown, repeated ones and those
        beyond the number asked for are left out and counted.
    """
    order = np.random.default_rng(seed).permutation(len(texts)).astype(np.int64)
    lists = np.array_split(order, -(-len(texts) // PER_PROMPT)) if len(texts) else []
    shares = [-(-k * len(places) // len(texts)) for places in lists]
    requests = [
        _request(adviser, [texts[place] for place in places], share, criterion, reasoned)
        for places, share in zip(lists, shares, strict=True)
    ]
    answers = adviser.ask(requests)
    chosen: list[int] = []
    unusable = strange = 0
    for answer, places, share in zip(answers, lists, shares, strict=True):
        found = _indices(answer)
        unusable += found is None
        good = _distinct(found or [], len(places))[:share]
        strange += len(found or []) - len(good)
        chosen += [int(places[index - 1]) for index in good]
    return Picked(np.array(chosen, dtype=np.int64), Tally(len(requests), unusable, strange))


def _request(
    adviser: Adviser, texts: Sequence[str], share: int, criterion: Criterion, reasoned: bool
) -> Request:
    first = (
        "First write down briefly what the list holds and what to look for. " if reasoned else ""
    )
    instructions = adviser.said(
        "llm_pick", criterion=CRITERIA[criterion], count=str(share), first=first
    )
    return Request(
        messages=messages(instructions, fenced_texts(texts)),
        schema=ReasonedIndices if reasoned else Indices,
        max_tokens=8 * share + 64 + (_REASONING_TOKENS if reasoned else 0),
        seed=adviser.seed,
    )


def _indices(answer: Answer) -> list[int] | None:
    if not answer.ok or not isinstance(answer.parsed, Indices | ReasonedIndices):
        return None
    return answer.parsed.indices


def _distinct(indices: Sequence[int], n: int) -> list[int]:
    """Those from 1 to n, each once, in their order."""
    return list(dict.fromkeys(index for index in indices if 1 <= index <= n))
