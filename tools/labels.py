"""Which labels may be used for what: the one place that keeps the samples apart.

Training items are those people labelled for training and those accepted without asking. Gold
items calibrate and measure while the rounds go on, and join the training set only for the final
model. Audit items certify one frozen set of labels; once that set is given up, they may train.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..store.database import Store
from ..store.label_sets import decode
from ..store.pool import Pool
from ..store.records import HUMAN_KINDS
from ..store.spans import decode as decode_spans
from ..store.spec import TaskSpec
from .gold import reserved_rows


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Rows and their labels, aligned, in ascending order of rows."""

    rows: NDArray[np.int64]
    labels: list[str]

    def __len__(self) -> int:
        return len(self.rows)

    def without(self, rows: NDArray[np.int64]) -> LabelledRows:
        """Those that are not among `rows`."""
        stay = ~np.isin(self.rows, rows)
        kept = [label for label, keep in zip(self.labels, stay, strict=True) if keep]
        return LabelledRows(self.rows[stay], kept)


def training_labels(store: Store, *, final: bool) -> LabelledRows:
    """What a model may be trained on now: the final model also learns from the gold items."""
    purposes = {"train", "accept", *(["gold"] if final else [])}
    frozen_review = open_audit_prefix(store)
    found: dict[int, str] = {}
    for each in store.given_labels():
        spent = each.purpose == "audit" and not (
            frozen_review and each.review.startswith(frozen_review)
        )
        if each.purpose in purposes or spent:
            found[each.row] = each.label
    return _sorted(found)


def gold_labels(store: Store) -> LabelledRows:
    """Items drawn evenly from the pool and labelled by a person, for calibration and metrics."""
    return _sorted(store.human_labels(("gold",)))


def human_labels(store: Store) -> LabelledRows:
    """Every item that a person labelled, whatever for."""
    return _sorted(store.human_labels())


def open_audit_prefix(store: Store) -> str:
    """How the review ids of the current audit begin; empty while no labels are frozen."""
    frozen = store.artefact("frozen")
    return f"audit-{frozen['model']}" if frozen else ""


def label_counts(store: Store, spec: TaskSpec) -> dict[str, int]:
    """How many human labels each label has; an item with several counts for each of them.

    Of marked texts, how many have a part of each type.
    """
    counts = store.label_counts()
    if not (spec.several or spec.marked):
        return counts
    found: dict[str, int] = {}
    for text, n in counts.items():
        for name in names_of(text, spec):
            found[name] = found.get(name, 0) + n
    return found


def names_of(label: str, spec: TaskSpec) -> tuple[str, ...]:
    """The labels, or types of parts, that a stored answer has, each once."""
    if spec.marked:
        return tuple(dict.fromkeys(span.type for span in decode_spans(label)))
    return decode(label) if spec.several else (label,)


def unlabelled_rows(store: Store, pool: Pool) -> NDArray[np.int64]:
    """Unique rows that nobody was asked about, no filter dropped and no gold sample keeps back.

    In ascending order.
    """
    taken = store.asked_rows()
    taken.update(reserved_rows(store).tolist())
    for dropped in store.artefact_history("rejected"):
        taken.update(each["row"] for each in dropped["items"])
    taken.update(each.row for each in store.given_labels())
    return pool.unique_rows[~np.isin(pool.unique_rows, np.fromiter(taken, np.int64, len(taken)))]


def is_human(kind: str) -> bool:
    """Whether an annotator kind stands for a person (also a simulated one)."""
    return kind in HUMAN_KINDS


def _sorted(found: dict[int, str]) -> LabelledRows:
    rows = sorted(found)
    return LabelledRows(np.array(rows, dtype=np.int64), [found[row] for row in rows])
