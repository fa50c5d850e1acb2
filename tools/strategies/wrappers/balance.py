"""Batches that are shared out: over predicted labels, over levels of uncertainty, over clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ....store.errors import UserError
from ...uncertainty import check_probabilities, measures
from ..base import Candidates, Need, Selection, Strategy, nothing, prepare, sample
from ..geometry import k_means
from .base import Wrapper, evened, from_groups, no_smaller

_SCORES: frozenset[Need] = frozenset({"probabilities"})
_VECTORS: frozenset[Need] = frozenset({"vectors"})
# Centres are learnt from as many vectors; all are assigned to them.
_LEARNT = 20_000
_BLOCK = 8192


@dataclass(frozen=True, slots=True)
class ClassBalance(Wrapper):
    """Lets the inner strategy choose within predicted labels, so that labels become even.

    After the class balancer of small-text (Schröder et al. 2023): each pick comes from the label
    that labelled items and picks so far have least of, while candidates predicted as it are left;
    among those the inner strategy chooses. What is predicted may be wrong, so the labels come out
    more even, not even. For tasks with one label an item.
    """

    called: ClassVar[str] = "class_balance"
    inner: Strategy

    @property
    def needs(self) -> frozenset[Need]:
        """See `Strategy.needs`."""
        return self.inner.needs | _SCORES

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Share out the batch, then let the inner strategy choose; see `Strategy.select`."""
        ordered = prepare(candidates, k, self, _SCORES)
        if ordered.multi_label:
            raise UserError(
                f"strategy {self.name!r} balances tasks with one label an item: "
                f"use {self.inner.name!r} by itself"
            )
        assert ordered.probabilities is not None
        p = check_probabilities(ordered.probabilities)
        if len(ordered) == 0:
            return nothing(ordered)
        predicted = p.argmax(axis=1)
        known = np.empty(0, dtype=np.int64) if ordered.labels is None else ordered.labels
        have = np.bincount(known, minlength=p.shape[1])
        room = np.bincount(predicted, minlength=p.shape[1])
        sequence = evened(have, room, k, self.rng(seed))
        found = from_groups(ordered, predicted, sequence, self.inner, seed)
        after = have + np.bincount(sequence, minlength=p.shape[1])
        return replace(
            found,
            reason=f"{len(found)} of {len(ordered)} items chosen by {self.inner.name} within "
            f"{len(np.unique(sequence))} predicted labels, the rarest first: with "
            f"{len(known)} labelled items {int(after.min())} to {int(after.max())} of each label.",
        )


@dataclass(frozen=True, slots=True)
class Quota(Wrapper):
    """Lets the inner strategy choose the same number within each of `groups` groups.

    With `bins`, candidates in order of their margin uncertainty are cut into groups of one size,
    as LDCAL spreads its budget over levels of difficulty (Li et al. 2024); with `clusters` the
    groups are k-means clusters of the vectors, learnt from at most 20,000. Groups take turns; one
    that runs out leaves its share to the others.
    """

    called: ClassVar[str] = "quota"
    inner: Strategy
    by: Literal["bins", "clusters"] = "bins"
    groups: int = 5

    def __post_init__(self) -> None:
        no_smaller(self, "groups", 1)

    @property
    def needs(self) -> frozenset[Need]:
        """See `Strategy.needs`."""
        return self.inner.needs | self._own()

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Share out the batch, then let the inner strategy choose; see `Strategy.select`."""
        ordered = prepare(candidates, k, self, self._own())
        if len(ordered) == 0:
            return nothing(ordered)
        rng = self.rng(seed)
        wanted = min(self.groups, len(ordered))
        groups = _bins(ordered, wanted) if self.by == "bins" else _clusters(ordered, wanted, rng)
        room = np.bincount(groups, minlength=wanted)
        sequence = evened(np.zeros(wanted, dtype=np.int64), room, k, rng)
        found = from_groups(ordered, groups, sequence, self.inner, seed)
        each = np.bincount(sequence, minlength=wanted)
        what = "levels of uncertainty" if self.by == "bins" else "clusters"
        return replace(
            found,
            reason=f"{len(found)} of {len(ordered)} items chosen by {self.inner.name}, "
            f"{int(each.min())} to {int(each.max())} within each of {wanted} {what}.",
        )

    def _own(self) -> frozenset[Need]:
        return _SCORES if self.by == "bins" else _VECTORS


def _bins(ordered: Candidates, groups: int) -> NDArray[np.int64]:
    """Groups of one size by rank of margin uncertainty, the surest in group 0."""
    assert ordered.probabilities is not None
    doubt = measures(multi_label=ordered.multi_label)["margin"](ordered.probabilities)
    rank = np.empty(len(doubt), dtype=np.int64)
    rank[np.argsort(doubt, kind="stable")] = np.arange(len(doubt))
    return rank * groups // len(doubt)


def _clusters(ordered: Candidates, groups: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The k-means cluster of each candidate."""
    vectors = ordered.vectors
    assert vectors is not None
    learnt = sample(len(vectors), _LEARNT, rng)
    found = k_means(vectors[learnt], groups, rng)
    if len(learnt) == len(vectors):
        return found.assigned
    half = 0.5 * np.einsum("ij,ij->i", found.centres, found.centres)
    assigned = np.empty(len(vectors), dtype=np.int64)
    for top in range(0, len(vectors), _BLOCK):
        part = vectors[top : top + _BLOCK] @ found.centres.T - half
        assigned[top : top + _BLOCK] = part.argmax(axis=1)
    return assigned
