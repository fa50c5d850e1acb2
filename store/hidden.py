"""What a transformer's frozen layers make of each item, kept on disk so that it is computed once.

Items have as many rows of numbers as they have tokens. They lie in one file, block after block;
a block is what the model computed together. It counts as done only after all of it was written,
and is computed again whole if it was not, so a run that was killed ends with the same numbers as
one that was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .files import operator_error, replacing
from .vectors import is_whole, mapped


class Hidden:
    """(tokens, dim) 16-bit numbers for each of n items, for one frozen model.

    Args:
        folder: the project folder.
        key: names the frozen model; the files are `embeddings/<key>.hidden` and its `.done`.
        lengths: (n,) tokens of each item, at least 1.
        blocks: item numbers in the order in which they lie in the file, each once.
        dim: numbers for each token.

    Raises:
        OperatorError: the disk is full or the folder is read-only.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        lengths: NDArray[np.int64],
        blocks: Sequence[NDArray[np.int64]],
        dim: int,
    ) -> None:
        order = np.concatenate(blocks)
        ends = np.cumsum(lengths[order])
        self._ends = np.empty(len(order), dtype=np.int64)
        self._ends[order] = ends
        self._starts = self._ends - lengths
        self._block = np.empty(len(order), dtype=np.int64)
        self._block[order] = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
        self.blocks = list(blocks)
        target = folder / "embeddings"
        try:
            target.mkdir(parents=True, exist_ok=True)
            data, done = target / f"{key}.hidden", target / f"{key}.hidden.done"
            shape = (int(ends[-1]), dim)
            if not is_whole(data, np.uint16, shape):
                # Marks of numbers that are gone would pass zeros off as hidden states.
                done.unlink(missing_ok=True)
            self._data = mapped(data, np.uint16, shape)
            self._done = mapped(done, np.uint8, (len(blocks),))
        except OSError as error:
            raise operator_error(error, "opening the hidden states") from error

    def missing(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of the blocks that hold some of `items` and are not done yet, ascending."""
        found = np.unique(self._block[items])
        missing: NDArray[np.int64] = found[self._done[found] == 0]
        return missing

    def put(self, block: int, states: Sequence[NDArray[np.uint16]]) -> None:
        """Write the states of a block's items, in the block's order; it counts as done then."""
        flat = np.concatenate(states)
        start = self._starts[self.blocks[block][0]]
        self._data[start : start + len(flat)] = flat
        self._done[block] = 1

    def get(self, items: NDArray[np.int64]) -> list[NDArray[np.uint16]]:
        """The (tokens, dim) numbers of each item, mapped and not copied.

        Raises:
            ValueError: an item has none yet.
        """
        if len(self.missing(items)):
            raise ValueError(f"{len(self.missing(items))} blocks have no hidden states yet")
        bounds = zip(self._starts[items], self._ends[items], strict=True)
        return [np.asarray(self._data[start:end]) for start, end in bounds]


def write_tokens(
    folder: Path, key: str, ids: NDArray[np.int32], lengths: NDArray[np.int64]
) -> None:
    """Keep the token ids of all items, one after the other, and how many each has.

    Raises:
        OperatorError: the disk is full or the folder is read-only.
    """
    target = _tokens(folder, key)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise operator_error(error, "opening the hidden states") from error
    with replacing(target) as path, path.open("wb") as file:
        np.savez(file, ids=ids, lengths=lengths)


def read_tokens(folder: Path, key: str) -> tuple[NDArray[np.int32], NDArray[np.int64]] | None:
    """What `write_tokens` kept, or `None` if it did not."""
    target = _tokens(folder, key)
    if not target.is_file():
        return None
    with np.load(target) as found:
        return found["ids"], found["lengths"]


def _tokens(folder: Path, key: str) -> Path:
    return folder / "embeddings" / f"{key}.tokens.npz"
