"""Would labelling this item help? The probability of yes, from the answer's log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...models.llm.base import Answer, Request, Token
from ..fencing import fenced_texts
from .adviser import Adviser, Tally, messages
from .rating import Rated

CHOICES = ("yes", "no")
_NEGLIGIBLE = 0.01
# The word, and what a model puts around it.
_MOST_TOKENS = 8


def useful(adviser: Adviser, texts: Sequence[str]) -> Rated:
    """P(yes) / (P(yes) + P(no)) for "is this worth labelling", one call a text.

    After Ask-LLM (Sachdeva et al. 2024). A back end that scores choices gives both probabilities;
    else those of the first token of the answer are added up over its spellings. A text for which
    neither is known has no value: the word alone is no probability.

    Returns:
        Values in [0, 1], NaN where there is none.
    """
    instructions = adviser.said("llm_useful")
    requests = [
        Request(
            messages=messages(instructions, fenced_texts([text])),
            choices=CHOICES,
            max_tokens=_MOST_TOKENS,
            logprobs=True,
            seed=adviser.seed,
        )
        for text in texts
    ]
    found = [yes_probability(answer) for answer in adviser.ask(requests)]
    unusable = sum(each is None for each in found)
    values = np.array([np.nan if each is None else each for each in found], dtype=np.float32)
    return Rated(values, Tally(len(requests), unusable, 0))


def yes_probability(answer: Answer) -> float | None:
    """P(yes) among yes and no, as an answer's log-probabilities tell; `None` where they do not."""
    if not answer.ok:
        return None
    if answer.choice_logprobs is not None and len(answer.choice_logprobs) == len(CHOICES):
        yes, no = (math.exp(each) for each in answer.choice_logprobs)
        return yes / (yes + no) if yes + no > 0 else None
    token = _first_word(answer.tokens)
    if token is None:
        return None
    said = dict(token.top) or {token.text: token.logprob}
    yes, no = (_mass(said, word) for word in CHOICES)
    # What is not among the likeliest tokens is no likelier than the last of them.
    unseen = math.exp(min(said.values()))
    known = min(yes, no) > 0 or unseen <= _NEGLIGIBLE * max(yes, no)
    return yes / (yes + no) if known and yes + no > 0 else None


def _first_word(tokens: Sequence[Token]) -> Token | None:
    return next((token for token in tokens if _bare(token.text)), None)


def _mass(said: dict[str, float], word: str) -> float:
    return sum(math.exp(value) for text, value in said.items() if _bare(text) == word)


def _bare(text: str) -> str:
    return text.strip(" \t\r\n\"'`*.▁Ġ").casefold()
