"""One strategy while there are few labels, another afterwards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ....store.errors import UserError
from ..base import Candidates, Need, Selection, Strategy, prepare
from .base import NOTHING_YET, Wrapper, no_smaller

_OF_A_MODEL: frozenset[Need] = frozenset({"probabilities", "samples"})
_EACH = 2


@dataclass(frozen=True, slots=True)
class WarmStart(Wrapper):
    """Lets `first` choose while there are fewer than `labels` labels or no model, then `then`.

    Without `labels` it is two for each label of the task. Only what the one that chooses needs is
    fetched.
    """

    called: ClassVar[str] = "warm_start"
    first: Strategy
    then: Strategy
    labels: int | None = None

    def __post_init__(self) -> None:
        if self.labels is not None:
            no_smaller(self, "labels", 1)

    @property
    def needs(self) -> frozenset[Need]:
        """Those of `first`: what `then` needs besides is not there at the start."""
        return self.first.needs

    def select(self, candidates: Candidates, k: int, *, seed: int) -> Selection:
        """Let the one whose turn it is choose; see `Strategy.select`."""
        ordered = prepare(candidates, k, self, NOTHING_YET)
        known, enough = _labelled(ordered), self._enough(ordered)
        if known < enough:
            chooses, why = self.first, f"there are {known} labels and {enough} are wanted first"
        elif not _has_model(ordered, self.then):
            chooses, why = self.first, "there is no model yet"
        else:
            chooses, why = self.then, f"there are {known} labels, {enough} were wanted first"
        found = chooses.select(ordered, k, seed=seed)
        return replace(found, reason=f"{found.reason} By {chooses.name}, as {why}.")

    def _enough(self, ordered: Candidates) -> int:
        if self.labels is not None:
            return self.labels
        if ordered.classes is not None:
            return _EACH * ordered.classes
        if ordered.probabilities is not None:
            return _EACH * int(ordered.probabilities.shape[1])
        if _labelled(ordered) == 0:
            return 1
        raise UserError(
            f"strategy {self.name!r} waits for {_EACH} labels of each class, and the number of "
            f"classes is not known: give `classes`, or write warm_start({self.first.name}, "
            f"{self.then.name}, 20)"
        )


def _labelled(ordered: Candidates) -> int:
    """How many items are labelled, by whichever field says so."""
    known: int = 0
    for field in (ordered.labelled_rows, ordered.labelled_vectors, ordered.labelled_probabilities):
        known = max(known, 0 if field is None else len(field))
    return known


def _has_model(ordered: Candidates, then: Strategy) -> bool:
    """Whether what `then` needs of a model is there or can be fetched."""
    source = ordered.source
    return all(
        getattr(ordered, need) is not None or (source is not None and source.has_model)
        for need in then.needs & _OF_A_MODEL
    )
