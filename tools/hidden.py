"""Hidden states of the pool: what the frozen layers of BERT make of it, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..models.compute import run_batches, token_batches
from ..models.learners.states import FrozenLayers, States
from ..models.progress import Progress
from ..store.hidden import Hidden, read_tokens, write_tokens
from ..store.pool import Pool

HIDDEN_BYTES = 2_000_000_000
"""A pool whose states would take more on disk is computed anew whenever it is scored."""

_CHUNK = 20_000
_BYTES = np.dtype(np.uint16).itemsize


class PoolHidden:
    """The hidden states of a project's items by the key of the layers that made them.

    The unique items are divided into batches of like length once and for all. States are
    computed batch by whole batch, whatever rows are asked for, because the numbers of a row may
    depend in their last bit on what it was computed with.

    Args:
        folder: the project folder; files go to `embeddings/`.
        pool: the items.
        progress: shows a bar while states are computed.
        budget: bytes that the states of one model may take on disk.
    """

    def __init__(
        self, folder: Path, pool: Pool, progress: Progress, *, budget: int = HIDDEN_BYTES
    ) -> None:
        self.folder = folder
        self._pool = pool
        self._progress = progress
        self._budget = budget
        self._kept: dict[str, _Kept | None] = {}

    def of(self, rows: NDArray[np.int64]) -> RowsHidden:
        """The hidden states of some rows of the pool, for `Inputs`; costs nothing until opened."""
        return RowsHidden(self, rows)

    def open(self, frozen: FrozenLayers, rows: NDArray[np.int64]) -> States | None:
        """See `HiddenStates.open`.

        Raises:
            OperatorError: the disk is full or the folder is read-only.
        """
        if frozen.key not in self._kept:
            self._kept = {frozen.key: self._make(frozen)}
        kept = self._kept[frozen.key]
        if kept is None:
            return None
        items = np.searchsorted(self._pool.unique_rows, self._pool.groups[rows])
        kept.fill(frozen, items, self._progress)
        return _Chosen(kept, items)

    def _make(self, frozen: FrozenLayers) -> _Kept | None:
        found = read_tokens(self.folder, frozen.key) or self._tokenise(frozen)
        if found is None:
            return None
        ids, lengths = found
        blocks = token_batches(lengths)
        hidden = Hidden(self.folder, frozen.key, lengths, blocks, frozen.dim)
        return _Kept(hidden, ids, lengths)

    def _tokenise(self, frozen: FrozenLayers) -> tuple[NDArray[np.int32], NDArray[np.int64]] | None:
        rows = self._pool.unique_rows
        tokens: list[NDArray[np.int32]] = []
        size = 0
        for start in range(0, len(rows), _CHUNK):
            part = frozen.tokenise(self._pool.texts(rows[start : start + _CHUNK]))
            size += sum(map(len, part)) * frozen.dim * _BYTES
            if size > self._budget:
                return None
            tokens += part
        ids = np.concatenate(tokens)
        lengths = np.array([len(each) for each in tokens], dtype=np.int64)
        write_tokens(self.folder, frozen.key, ids, lengths)
        return ids, lengths


@dataclass(frozen=True, slots=True)
class RowsHidden:
    """Some rows of a pool: see `HiddenStates`."""

    pool: PoolHidden
    rows: NDArray[np.int64]

    def open(self, frozen: FrozenLayers) -> States | None:
        """See `HiddenStates.open`."""
        return self.pool.open(frozen, self.rows)


class _Kept:
    def __init__(self, hidden: Hidden, ids: NDArray[np.int32], lengths: NDArray[np.int64]) -> None:
        self.hidden = hidden
        self.lengths = lengths
        self._ids = ids
        self._ends = np.cumsum(lengths)

    def fill(self, frozen: FrozenLayers, items: NDArray[np.int64], progress: Progress) -> None:
        missing = self.hidden.missing(items)
        if not len(missing):
            return
        nothing = np.empty((int(missing[-1]) + 1, 0), dtype=np.float32)

        def work(block: NDArray[np.int64]) -> NDArray[np.float32]:
            number = int(block[0])
            self.hidden.put(number, frozen.states(self._tokens(self.hidden.blocks[number])))
            return nothing[block]

        with progress.task("Computing the frozen layers", len(missing)) as task:
            batches = [np.array([number]) for number in missing]
            run_batches(work, batches, nothing, device=frozen.device, task=task)

    def _tokens(self, items: NDArray[np.int64]) -> list[NDArray[np.int32]]:
        ends, lengths = self._ends[items], self.lengths[items]
        return [self._ids[end - n : end] for end, n in zip(ends, lengths, strict=True)]


class _Chosen:
    def __init__(self, kept: _Kept, items: NDArray[np.int64]) -> None:
        self.lengths = kept.lengths[items]
        self._hidden = kept.hidden
        self._items = items

    def get(self, rows: NDArray[np.int64]) -> list[NDArray[np.uint16]]:
        return self._hidden.get(self._items[rows])
