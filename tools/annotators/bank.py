"""Where demonstrations come from: items that a person labelled for training, and no others.

A demonstration that is also a gold item would show the model an answer that it is then measured
on; an audit item would spoil the certificate. So a `Bank` cannot be made from rows and labels: only
`training_bank` makes one from a project, leaving out whatever is or was asked as gold or audit, and
`written_bank` from examples that a person wrote, which must be told what is held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from ...store.database import Store
from ...store.errors import UserError
from ...store.pool import Pool
from ..duplicates import normalised
from .items import Item, V
from .prompting import Shown

_MAKERS = object()
"""Known to this module only: what shows that a bank was made here."""


class Bank(Generic[V]):
    """Labelled items that may be shown; made by `training_bank` or `written_bank`."""

    def __init__(
        self, shown: Sequence[Shown[V]], vectors: NDArray[np.float32] | None, *, maker: object
    ) -> None:
        """Not for use outside of this module.

        Raises:
            TypeError: always, elsewhere.
        """
        if maker is not _MAKERS:
            raise TypeError(
                "a bank of demonstrations is made by training_bank (from a project) or "
                "written_bank (from examples of your own): they keep gold and audit items out"
            )
        self.shown = tuple(shown)
        self.vectors = vectors
        self.keys: tuple[str, ...] = tuple(normalised([each.item.shown for each in shown]))

    def __len__(self) -> int:
        return len(self.shown)

    def clean(self, predicted: Sequence[V | None]) -> Bank[V]:
        """The part on which a learner agrees with the person (FreeAL, Xiao et al. 2023).

        Args:
            predicted: what the learner says of each, in the order of `shown`; best out of fold, as
                a learner mostly agrees with what it was trained on.

        Raises:
            UserError: another number of predictions than of demonstrations.
        """
        if len(predicted) != len(self):
            raise UserError(
                f"{len(predicted)} predictions for {len(self)} demonstrations: give one for each"
            )
        pairs = zip(self.shown, predicted, strict=True)
        kept = [place for place, (each, said) in enumerate(pairs) if each.value == said]
        vectors = None if self.vectors is None else self.vectors[kept]
        return Bank([self.shown[place] for place in kept], vectors, maker=_MAKERS)


def training_bank(
    store: Store,
    pool: Pool,
    vectors: NDArray[np.float32] | None = None,
    *,
    read: Callable[[str], Any] = str,
) -> Bank[Any]:
    """The items that people labelled for training in a project, in ascending order of rows.

    Left out are labels that no person gave, and every item whose text is that of one that was ever
    put before a person as gold or audit item, whether it was answered or not.

    Args:
        store: of the project.
        pool: of the project.
        vectors: unit vectors, (m, d), of the items at `training_rows`; `None` for kinds of
            demonstrations that need none.
        read: makes the task's value of a stored label; the label itself by default.

    Raises:
        UserError: another number of vectors than of items.
    """
    rows = training_rows(store, pool)
    if vectors is not None and len(vectors) != len(rows):
        raise UserError(f"{len(vectors)} vectors for {len(rows)} items: give one for each")
    given = store.human_labels(("train",))
    texts, ids = pool.texts(rows), pool.ids(rows)
    shown = [
        Shown(Item(name, text), read(given[int(row)]))
        for row, name, text in zip(rows, ids, texts, strict=True)
    ]
    return Bank(shown, vectors, maker=_MAKERS)


def training_rows(store: Store, pool: Pool) -> NDArray[np.int64]:
    """The rows that `training_bank` shows, ascending."""
    given = np.array(sorted(store.human_labels(("train",))), dtype=np.int64)
    kept = [
        question.row
        for review in store.reviews()
        if review.purpose in ("gold", "audit")
        for question in review.questions
    ]
    held = np.array(sorted({*kept, *store.human_labels(("gold", "audit"))}), dtype=np.int64)
    groups = np.asarray(pool.groups)
    found: NDArray[np.int64] = given[~np.isin(groups[given], groups[held])]
    return found


def written_bank(
    examples: Sequence[Shown[V]],
    *,
    held_out: Sequence[str],
    vectors: NDArray[np.float32] | None = None,
) -> Bank[V]:
    """Examples that a person wrote or chose outside of a project.

    Args:
        examples: items with their values.
        held_out: every text that anything is measured on (gold, audit, test); must be given.
        vectors: unit vectors, (m, d), of the examples, in their order.

    Raises:
        UserError: an example has the text of a held-out item, or the vectors do not fit.
    """
    if vectors is not None and len(vectors) != len(examples):
        raise UserError(f"{len(vectors)} vectors for {len(examples)} examples: give one for each")
    bank = Bank(examples, vectors, maker=_MAKERS)
    held = set(normalised(list(held_out)))
    for each, key in zip(bank.shown, bank.keys, strict=True):
        if key in held:
            raise UserError(
                f"example {each.item.id!r} has the text of a held-out item: what is shown cannot "
                "be measured on; leave it out"
            )
    return bank
