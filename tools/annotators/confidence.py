"""How sure an answer is, from the tokens it was made of; absent where they do not tell.

A chat model that gives log-probabilities gives them for the tokens that it wrote, each with the
likeliest tokens that could have stood there. The probability of a label is the sum over all ways
in which the answer could have begun to spell it. The walk goes along the tokens from where the
value of the label begins. At each of them, a token that could stand there

- fits exactly one label: its probability is that label's;
- fits several (labels that begin alike): if it is the token that was written, the next token
  tells them apart; if not, nothing does, and its probability is unknown;
- fits none: it is outside of the set and left out.

What the list of likeliest tokens leaves out is unknown too, but bounded: no token in it is likelier
than the last of the list. A distribution is given only where all that is unknown is at most
`TOLERANCE` of the whole, so no probability is off by more than that.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...models.llm.base import Token
from .items import Votes

TOLERANCE = 0.02
"""Share of the probability that may be unknown."""
_THINKING = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LabelProbabilities:
    """What the tokens tell of the labels.

    Attributes:
        given: the label that was written.
        score: its probability among the labels; `None` where it is known to less than `TOLERANCE`.
        distribution: of all labels, sums to 1; `None` where some of it is not known.
        unknown: share of the probability that no label could be given, in [0, 1].
    """

    given: str
    score: float | None
    distribution: tuple[float, ...] | None
    unknown: float


def label_probabilities(
    tokens: Sequence[Token],
    labels: Sequence[str],
    *,
    field: str = "label",
    place: int = 0,
    of: int = 1,
) -> LabelProbabilities | None:
    """Probabilities of the labels where an answer, written as JSON, gives its label.

    Args:
        tokens: of the whole answer, in order.
        labels: the closed set, all different.
        field: the name of the JSON field with the label.
        place: which of several answers in the same JSON, from 0.
        of: how many there are.

    Returns:
        `None` where there are no tokens, or where the label is not found in them.
    """
    text = "".join(token.text for token in tokens)
    starts = [found.end() for found in _values(text, field)]
    if len(starts) != of:
        return None
    spelled = {label: json.dumps(label, ensure_ascii=False)[1:] for label in labels}
    given = next((a for a, b in spelled.items() if text.startswith(b, starts[place])), None)
    if given is None:
        return None
    return _summed(_walk(tokens, starts[place], spelled, given), given, labels)


def choice_probabilities(logprobs: Sequence[float], labels: Sequence[str]) -> NDArray[np.float64]:
    """Softmax of the log-probabilities that a back end gave each label, shape (C,)."""
    if len(logprobs) != len(labels):
        raise ValueError(f"{len(logprobs)} log-probabilities for {len(labels)} labels")
    scores = np.asarray(logprobs, dtype=np.float64)
    powered = np.exp(scores - scores.max())
    found: NDArray[np.float64] = powered / powered.sum()
    return found


def count_votes(keys: Sequence[str | None]) -> Votes:
    """How the answers of several members differ; see `Votes`.

    Args:
        keys: one for each member that was asked, at least one; `None` where it gave no answer.
    """
    given = [key for key in keys if key is not None]
    counts = np.array(sorted(Counter(given).values()), dtype=np.float64)
    share = float(counts[-1]) / len(keys) if given else 0.0
    entropy = None
    if len(given) > 1:
        p = counts / len(given)
        entropy = float(abs((p * np.log(p)).sum()) / math.log(len(given)))
    return Votes(tuple(keys), share, len(counts) / len(given) if given else None, entropy)


@dataclass(slots=True)
class _Mass:
    """Probability found so far."""

    of: dict[str, float]
    given: str
    shared: float = 0.0
    """Of tokens that were not written and fit several labels, the given one among them."""
    others: float = 0.0
    """Of tokens that were not written and fit several labels, but not the given one."""
    unseen: float = 0.0
    """At most what tokens outside of the lists could have."""


def _values(text: str, field: str) -> list[re.Match[str]]:
    """Where string values of a field begin.

    Within a JSON string quotes are escaped, so what looks like a field there is not taken for one.
    """
    thought = _THINKING.match(text)
    name = re.compile(rf'(?<!\\)"{re.escape(field)}"\s*:\s*"')
    return list(name.finditer(text, thought.end() if thought else 0))


def _walk(tokens: Sequence[Token], start: int, spelled: dict[str, str], given: str) -> _Mass:
    mass = _Mass(dict.fromkeys(spelled, 0.0), given)
    path, said, begin = 1.0, "", 0
    for token in tokens:
        end = begin + len(token.text)
        if end > start:
            head = token.text[: max(start - begin, 0)]
            path, said = _step(mass, token, head, path, said, spelled)
            if len(_fitting(said, spelled)) < 2:
                return mass
        begin = end
    return mass


def _step(
    mass: _Mass, token: Token, head: str, path: float, said: str, spelled: dict[str, str]
) -> tuple[float, str]:
    """Count what could have stood at one token; the probability and the text after it."""
    written = said + token.text[len(head) :]
    seen = {token.text: token.logprob} | dict(token.top)
    for text, logprob in seen.items():
        if not text.startswith(head):
            continue
        reached = said + text[len(head) :]
        fitting = _fitting(reached, spelled)
        p = path * math.exp(logprob)
        if len(fitting) == 1:
            mass.of[fitting[0]] += p
        elif mass.given not in fitting:
            mass.others += p if fitting else 0.0
        elif text != token.text:
            mass.shared += p
    mass.unseen += path * _left_out(token, head, said, set(seen), spelled)
    return path * math.exp(token.logprob), written


def _left_out(token: Token, head: str, said: str, seen: set[str], spelled: dict[str, str]) -> float:
    """At most what tokens that are not in the list, but would fit a label, can have together."""
    listed = dict(token.top) | {token.text: token.logprob}
    rest = max(0.0, 1.0 - sum(math.exp(logprob) for logprob in listed.values()))
    if not token.top:
        return rest
    least = math.exp(min(logprob for _, logprob in token.top))
    pieces = {
        head + spelling[len(said) : end]
        for spelling in spelled.values()
        if spelling.startswith(said)
        for end in range(len(said) + 1, len(spelling) + 1)
    }
    return min(rest, least * len(pieces - seen))


def _fitting(said: str, spelled: dict[str, str]) -> list[str]:
    """The labels that a value beginning with `said` may still be, or has become."""
    return [
        label
        for label, spelling in spelled.items()
        if spelling.startswith(said) or said.startswith(spelling)
    ]


def _summed(mass: _Mass, given: str, labels: Sequence[str]) -> LabelProbabilities:
    known = sum(mass.of.values())
    open_to_given = mass.shared + mass.unseen
    whole = known + mass.others + open_to_given
    if not known > 0.0:
        return LabelProbabilities(given, None, None, 1.0)
    # What is shared by other labels only leaves the probability of the given one known.
    score = mass.of[given] / (known + mass.others) if open_to_given <= TOLERANCE * whole else None
    unknown = (mass.others + open_to_given) / whole
    sure = unknown <= TOLERANCE
    shares = tuple(mass.of[label] / known for label in labels) if sure else None
    return LabelProbabilities(
        given, score if shares is None else shares[labels.index(given)], shares, unknown
    )
