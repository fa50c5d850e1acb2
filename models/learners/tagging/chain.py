"""Chains of tags: the likeliest one, its probability, and that of a type occurring at all.

A chain is scored by the sum of a score for each word's tag, (words, K), and one for each step from
tag to tag, (K, K), with impossible steps at minus infinity: `I` only follows `B` or `I` of its
type, and no chain begins with it. Probabilities are over all possible chains of a text (a linear
chain; Lafferty, McCallum & Pereira 2001, Conditional Random Fields, eq. 1), so every answer that
comes out is one set of spans, and its probability is that of exactly this set.

Texts stand one after another: the scores of all words in one array (m, K), `offsets` (n + 1,)
says where each text begins, as in `tools.sequences`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
_BATCH_CELLS = 400_000


@dataclass(frozen=True, slots=True)
class Steps:
    """Scores of steps.

    Args:
        between: (K, K) from tag to next tag; -inf where impossible.
        first: (K,) of the first tag.
    """

    between: Scores
    first: Scores


@dataclass(frozen=True, slots=True)
class Decoded:
    """The likeliest chains of n texts with m words.

    Args:
        tags: (m,) the tags.
        log_p: (n,) natural log-probability of each text's chain, at most 0; 0 without words.
        occurs: (n, C) probability that a type is in the text, all chains considered.
    """

    tags: NDArray[np.intp]
    log_p: Scores
    occurs: Scores


@dataclass(frozen=True, slots=True)
class Batch:
    """Some texts as a padded block.

    Args:
        rows: (b,) which texts.
        scores: (b, longest, K); 0 where a text has ended.
        lengths: (b,) words of each, at least 1.
        places: (sum of lengths,) where these words stand in the whole array, text by text.
    """

    rows: NDArray[np.int64]
    scores: Scores
    lengths: NDArray[np.int64]
    places: NDArray[np.int64]

    @property
    def used(self) -> NDArray[np.bool_]:
        """(b, longest) where there are words."""
        return np.asarray(np.arange(self.scores.shape[1]) < self.lengths[:, None])


def possible_steps(types: int) -> Steps:
    """Steps that are all alike but for the impossible ones, for C types."""
    tags = 2 * types + 1
    between, first = np.zeros((tags, tags)), np.zeros(tags)
    for kind in range(types):
        inside = 2 + 2 * kind
        before = between[[inside - 1, inside], inside].copy()
        between[:, inside] = -np.inf
        between[[inside - 1, inside], inside] = before
        first[inside] = -np.inf
    return Steps(between, first)


def decode(scores: Scores, offsets: NDArray[np.int64], steps: Steps) -> Decoded:
    """The likeliest chain of each text, how likely it is, and which types occur.

    Args:
        scores: (m, K) of each word's tags.
        offsets: (n + 1,) where texts begin, from 0 to m, never falling.
        steps: scores of steps.
    """
    n, types = len(offsets) - 1, (scores.shape[1] - 1) // 2
    tags = np.zeros(len(scores), dtype=np.intp)
    log_p, occurs = np.zeros(n), np.zeros((n, types))
    for batch in batches(scores, offsets):
        chains, best = _viterbi(batch, steps)
        tags[batch.places] = chains[batch.used]
        total = log_total(batch, steps)
        log_p[batch.rows] = np.minimum(best - total, 0.0)
        for kind in range(types):
            without = np.delete(np.arange(scores.shape[1]), [1 + 2 * kind, 2 + 2 * kind])
            left = log_total(batch, steps, without)
            occurs[batch.rows, kind] = -np.expm1(np.minimum(left - total, 0.0))
    return Decoded(tags, log_p, occurs)


def batches(scores: Scores, offsets: NDArray[np.int64]) -> Iterator[Batch]:
    """Texts with words, in blocks of like length, longest first."""
    lengths = np.diff(offsets)
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    while len(order):
        longest = int(lengths[order[0]])
        size = max(1, _BATCH_CELLS // (longest * scores.shape[1]))
        rows, order = order[:size], order[size:]
        each = lengths[rows]
        used = np.arange(longest) < each[:, None]
        places = (offsets[rows][:, None] + np.arange(longest))[used]
        block = np.zeros((len(rows), longest, scores.shape[1]))
        block[used] = scores[places]
        yield Batch(rows, block, each, places)


def forward(batch: Batch, steps: Steps, allowed: NDArray[np.intp] | None = None) -> Scores:
    """Log of the sum over all beginnings: (b, longest, K), constant after a text has ended.

    `allowed` names the tags that may be used; K is then their number.
    """
    scores, between, first = batch.scores, steps.between, steps.first
    if allowed is not None:
        scores, first = scores[:, :, allowed], first[allowed]
        between = between[np.ix_(allowed, allowed)]
    step = np.exp(between)
    sums = np.empty(scores.shape)
    sums[:, 0] = scores[:, 0] + first
    for t in range(1, scores.shape[1]):
        top = sums[:, t - 1].max(axis=1, keepdims=True)
        with np.errstate(divide="ignore"):
            here = np.log(np.exp(sums[:, t - 1] - top) @ step) + top + scores[:, t]
        sums[:, t] = np.where((t < batch.lengths)[:, None], here, sums[:, t - 1])
    return sums


def log_total(batch: Batch, steps: Steps, allowed: NDArray[np.intp] | None = None) -> Scores:
    """(b,) log of the sum over all chains of the exponential of their scores."""
    return np.asarray(np.logaddexp.reduce(forward(batch, steps, allowed)[:, -1], axis=1))


def _viterbi(batch: Batch, steps: Steps) -> tuple[NDArray[np.intp], Scores]:
    """The best chains (b, longest) and their scores (b,)."""
    count, longest, tags = batch.scores.shape
    best = batch.scores[:, 0] + steps.first
    came = np.empty((count, longest, tags), dtype=np.intp)
    for t in range(1, longest):
        through = best[:, :, None] + steps.between
        going = (t < batch.lengths)[:, None]
        came[:, t] = np.where(going, through.argmax(axis=1), np.arange(tags))
        best = np.where(going, through.max(axis=1) + batch.scores[:, t], best)
    chains = np.empty((count, longest), dtype=np.intp)
    chains[:, -1] = best.argmax(axis=1)
    for t in range(longest - 1, 0, -1):
        chains[:, t - 1] = came[np.arange(count), t, chains[:, t]]
    return chains, best.max(axis=1)
