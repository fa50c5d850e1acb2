"""The usual texts of a pool, shifted from round to round towards what is not labelled yet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ....store.errors import UserError
from ..base import Candidates, Need, Selection, Strategy, prepare
from .base import Wrapper, no_smaller, pass_on
from .ngrams import log_perplexity

_TEXTS: frozenset[Need] = frozenset({"texts"})


@dataclass(frozen=True, slots=True)
class Prune(Wrapper):
    """ActivePrune (Azeemi 2024): shows the `share` of the pool with the lowest n-gram perplexity.

    After Azeemi, Qazi & Raza, "Language Model-Driven Data Pruning Enables Efficient Active
    Learning" (2024): unusual texts are left out, and the order is re-weighted towards what the
    labels do not cover, P'(x) = P(x) - beta mean_l |P(x) - P(l)| over labelled texts l. It differs
    in three ways: the n-gram model (`order` words, Kneser-Ney, each text judged by the others) is
    learnt from the pool itself, P is the log of the perplexity, as perplexities of odd texts would
    outweigh all others, and P starts anew each round, with all labelled items at once. The second
    filter of the paper, a language model that rates texts, is not part of it. Labelled texts come
    from the source; without one nothing is re-weighted.
    """

    called: ClassVar[str] = "prune"
    inner: Strategy
    share: float = 0.25
    beta: float = 0.5
    order: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UserError(f"prune was given share={self.share!r}: give above 0 and at most 1")
        no_smaller(self, "beta", 0)
        no_smaller(self, "order", 1)

    @property
    def needs(self) -> frozenset[Need]:
        """See `Strategy.needs`."""
        return self.inner.needs | _TEXTS

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Keep the usual texts, then let the inner strategy choose; see `Strategy.select`."""
        ordered = prepare(candidates, k, self, _TEXTS)
        assert ordered.texts is not None
        n, known = len(ordered), _labelled_texts(ordered)
        perplexity = log_perplexity([*ordered.texts, *known], order=self.order)
        own, theirs = perplexity[:n], perplexity[n:]
        value = own - np.float32(self.beta) * _mean_apart(own, theirs)
        least = min(n, max(math.ceil(self.share * n), k))
        kept = np.sort(np.argsort(value, kind="stable")[:least])
        shifted = f", shifted away from those of {len(known)} labelled texts" if known else ""
        how = f"It saw the {len(kept)} of {n} items with the lowest n-gram perplexity{shifted}."
        return pass_on(ordered, kept, self.inner, k, seed, how)


def _labelled_texts(ordered: Candidates) -> Sequence[str]:
    rows = ordered.labelled_rows
    if ordered.source is None or rows is None or len(rows) == 0:
        return ()
    return ordered.source.texts(rows)


def _mean_apart(values: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of |x - l| over `others` l for each value x, shape (n,); 0 where there are none."""
    if len(others) == 0:
        return np.zeros(len(values), dtype=np.float32)
    line = np.sort(others.astype(np.float64))
    sums = np.concatenate([[0.0], np.cumsum(line)])
    below = np.searchsorted(line, values)
    apart = values * (2 * below - len(line)) + sums[-1] - 2 * sums[below]
    return np.asarray(apart / len(line), dtype=np.float32)
