"""The gold sample in two parts: enough for a verdict first, the rest only where it is of use.

What tells whether a chat model is of use needs few gold items; a threshold above which its labels
need no person needs many. So the whole sample is drawn evenly at once, as an ordered list, and
its first part is asked. The rest is kept back: no batch may choose from it, else what is asked
later would be what the strategies left over and no even draw. It is asked only where the first
part says so; otherwise its labels train, and its rows go back to the pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..store.database import Store
from ..store.errors import UserError
from ..store.records import Artefact

KEY = "gold_sample"
"""The artefact with the ordered list: `rows`, how many were `asked`, `round` and `step` of the
draw, and whether it is `closed`."""

STREAM = 1
"""Keeps the draw apart from what else is drawn by the seed of the project."""


def drawn(rows: NDArray[np.int64], size: int, *, seed: int) -> NDArray[np.int64]:
    """An even draw of at most `size` of `rows`, in random order: any part of it is one as well.

    A larger draw begins with the smaller one of the same seed.
    """
    return np.asarray(np.random.default_rng((seed, STREAM)).permutation(rows)[:size])


def first_part(rows: Sequence[int], asked: int, *, at_round: int, step: int) -> Artefact:
    """What is remembered of a draw of which the first `asked` rows are put before the person."""
    value = {"rows": [int(row) for row in rows], "asked": asked, "round": at_round, "step": step}
    return Artefact(KEY, {**value, "closed": False})


def second_part(store: Store, k: int) -> tuple[NDArray[np.int64], Artefact]:
    """The first `k` of the rows kept back, and what is remembered once they are asked.

    Raises:
        UserError: none is kept back, or no longer.
    """
    sample, rows = store.artefact(KEY), reserved_rows(store)[:k]
    if sample is None or not len(rows):
        raise UserError("gold items were asked and none is kept back: ask for another purpose")
    return rows, Artefact(KEY, {**sample, "asked": sample["asked"] + len(rows), "closed": True})


def reserved_rows(store: Store) -> NDArray[np.int64]:
    """Rows kept back for the second part, in the order of the draw; empty once that is settled.

    It is settled when they were asked, when the first part does not support asking them, when two
    batches were selected since the draw, or when the pool's labels were given or frozen. Settled
    stays settled: a row that was given back may have been trained on.
    """
    sample = store.artefact(KEY)
    if sample is None or _settled(store, sample):
        return np.empty(0, dtype=np.int64)
    return np.array(sample["rows"][sample["asked"] :], dtype=np.int64)


def second_part_due(store: Store) -> bool:
    """Whether the first part supports asking the rows kept back."""
    sample = store.artefact(KEY)
    return sample is not None and not _settled(store, sample) and _supported(store, sample) is True


def _settled(store: Store, sample: dict[str, Any]) -> bool:
    batch = store.artefact("batch")
    return (
        bool(sample["closed"])
        or sample["asked"] >= len(sample["rows"])
        or (batch is not None and batch["round"] > sample["round"] + 1)
        or any(store.artefact(key) is not None for key in ("pool_labels", "frozen"))
        or _supported(store, sample) is False
    )


def _supported(store: Store, sample: dict[str, Any]) -> bool | None:
    """What the first suggestions after the draw say; `None` while there are none."""
    for notes in store.artefact_history("suggestions"):
        if "models" in notes and notes["step"] > sample["step"]:
            return any(model["larger_gold_may_open"] for model in notes["models"])
    return None
