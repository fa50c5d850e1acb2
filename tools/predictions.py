"""What a model says of the pool, row by row, each row computed once.

Whoever wants probabilities of the current model asks here: uncertainty, selection, calibration,
stopping and the report share what was computed. Every call that computes some writes them under
its own name into the model's folder, so the files of one model are a count of the work: no row
is in two of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..store.files import replacing
from .entity_form import packed, unpacked

PREDICTIONS = "predictions"
_NOBODY = -1


class Said(NamedTuple):
    """What a model said of n items, where that does not follow from numbers alone.

    Attributes:
        values: numbers (n, width).
        answers: n answers as they are stored.
    """

    values: NDArray[np.float32]
    answers: list[str]


Compute = Callable[[NDArray[np.int64]], NDArray[np.float32] | Said]


class Predictions:
    """Uncalibrated probabilities of one model for the rows of a pool, and answers where it has any.

    Args:
        folder: the model's folder; what is kept is in `predictions/`.
        items: the number of rows of the pool.
        classes: C, the number of labels; or how many numbers `compute` gives for a row.
        compute: probabilities (n, C) of n pool rows by the model; with `Said` also its answers.
        chunk: rows computed at a time: bounds the memory that texts and vectors take.
    """

    def __init__(
        self, folder: Path, items: int, classes: int, compute: Compute, *, chunk: int = 20_000
    ) -> None:
        self._folder = folder / PREDICTIONS
        self._compute = compute
        self._chunk = chunk
        self._calls: list[str] = []
        # The place in `_calls` of who computed a row; -1 where nobody has.
        self._by = np.full(items, _NOBODY, dtype=np.int32)
        self._values = np.zeros((items, classes), dtype=np.float32)
        self._answers: dict[int, str] = {}
        for path in sorted(self._folder.glob("*.npz")):
            with np.load(path) as part:
                self._by[part["rows"]] = self._place(path.stem)
                self._values[part["rows"]] = part["values"]
                if "answers" in part:
                    self._keep(part["rows"], unpacked(part["answers"]))

    def of(self, rows: NDArray[np.int64], call: str) -> NDArray[np.float32]:
        """Probabilities (n, C) of pool rows; those nobody asked for before are computed and kept.

        Args:
            rows: pool rows, shape (n,).
            call: the name of the tool call that asks.

        Raises:
            OperatorError: the folder cannot be written.
        """
        missing = np.unique(rows[self._by[rows] == _NOBODY])
        for start in range(0, len(missing), self._chunk):
            part = missing[start : start + self._chunk]
            found = self._compute(part)
            if isinstance(found, Said):
                self._keep(part, found.answers)
                found = found.values
            self._values[part] = found
            self._by[part] = self._place(call)
        if len(missing):
            self._write(call)
        values: NDArray[np.float32] = self._values[rows]
        return values

    def answers(self, rows: NDArray[np.int64], call: str) -> list[str]:
        """The answers of a model that has any, as they are stored; see `of`."""
        self.of(rows, call)
        return [self._answers[row] for row in rows.tolist()]

    def new(self, rows: NDArray[np.int64], call: str) -> int:
        """How many of the rows no earlier call had computed: the same however often it is tried.

        Args:
            rows: distinct pool rows that the call asked for.
            call: its name; names of later calls are greater.
        """
        earlier = [place for place, name in enumerate(self._calls) if name < call]
        return int(np.count_nonzero(~np.isin(self._by[rows], earlier)))

    def _write(self, call: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        mine = np.flatnonzero(self._by == self._place(call))
        values, answers = self._values[mine], [self._answers[row] for row in self._known(mine)]
        with replacing(self._folder / f"{call}.npz") as path, path.open("wb") as file:
            if answers:
                np.savez(file, rows=mine, values=values, answers=packed(answers))
            else:
                np.savez(file, rows=mine, values=values)

    def _known(self, rows: NDArray[np.int64]) -> list[int]:
        return rows.tolist() if self._answers else []

    def _keep(self, rows: NDArray[np.int64], answers: list[str]) -> None:
        self._answers.update(zip(rows.tolist(), answers, strict=True))

    def _place(self, call: str) -> int:
        if call not in self._calls:
            self._calls.append(call)
        return self._calls.index(call)
