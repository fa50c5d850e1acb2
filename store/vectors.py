"""Vectors of the pool, one memory-mapped file for each encoder, filled once.

A row is marked done only after its vector was written, so a run that was killed in the middle
of embedding goes on where it stopped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .files import operator_error


class Vectors:
    """(n, dim) float32 vectors by pool row, for one encoder."""

    def __init__(self, folder: Path, digest: str, rows: int, dim: int) -> None:
        """Open or make `embeddings/<digest>.f32` for `rows` items of `dim` numbers.

        Raises:
            OperatorError: the disk is full or the folder is read-only.
        """
        target = folder / "embeddings"
        try:
            target.mkdir(parents=True, exist_ok=True)
            data, done = target / f"{digest}.f32", target / f"{digest}.done"
            if not is_whole(data, np.float32, (rows, dim)):
                # Marks of vectors that are gone would pass zeros off as vectors.
                done.unlink(missing_ok=True)
            self._data = mapped(data, np.float32, (rows, dim))
            self._done = mapped(done, np.uint8, (rows,))
        except OSError as error:
            raise operator_error(error, "opening the embeddings") from error

    def missing(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of `rows` that have no vector yet."""
        missing: NDArray[np.int64] = rows[self._done[rows] == 0]
        return missing

    def put(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Write vectors; they count as done afterwards."""
        self._data[rows] = vectors
        self._done[rows] = 1

    def get(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(len(rows), dim) vectors, copied out of the file.

        Raises:
            ValueError: a row has no vector yet.
        """
        if len(self.missing(rows)):
            raise ValueError(f"{len(self.missing(rows))} of {len(rows)} rows have no vector yet")
        return np.asarray(self._data[rows])


def mapped(path: Path, dtype: type, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[Any]]:
    """A file as an array that can be written; one of another size is made anew, of zeros."""
    if not is_whole(path, dtype, shape):
        size = _size(dtype, shape)
        with path.open("wb") as file:
            # Written and not only reserved: a full disk must fail here, not as a bus error later.
            block = bytes(1 << 20)
            for start in range(0, size, len(block)):
                file.write(block[: min(len(block), size - start)])
    return np.memmap(path, dtype=dtype, mode="r+", shape=shape)


def is_whole(path: Path, dtype: type, shape: tuple[int, ...]) -> bool:
    """Whether a file has the size of an array of this shape."""
    return path.exists() and path.stat().st_size == _size(dtype, shape)


def _size(dtype: type, shape: tuple[int, ...]) -> int:
    return int(np.prod(shape)) * np.dtype(dtype).itemsize
