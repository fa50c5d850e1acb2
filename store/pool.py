"""The pool: every text once, in Arrow files that are mapped and not read.

`pool/items.arrow` holds id and text, `pool/groups.npy` the row of the first item with the same
text (duplicates share its label), `pool/gold.arrow` the gold labels if the user gave any. Only
the simulated reviewer and the evals open the gold file; nothing that decides can.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .errors import UserError
from .files import file_digest, replacing

ITEMS, GROUPS, GOLD = "items.arrow", "groups.npy", "gold.arrow"


class Pool:
    """Read access to a project's items. Rows are positions 0..len-1 and never change."""

    def __init__(self, folder: Path) -> None:
        """Map the pool in a project folder."""
        self._folder = folder / "pool"
        self._table = _mapped(self._folder / ITEMS)

    @staticmethod
    def write(folder: Path, ids: pa.Array, texts: pa.Array, gold: pa.Array | None) -> None:
        """Write a new pool into a project folder.

        Args:
            folder: the project folder.
            ids: strings, all different.
            texts: strings, aligned with `ids`.
            gold: strings aligned with `ids`, or `None`.
        """
        target = folder / "pool"
        target.mkdir(parents=True, exist_ok=True)
        _write_arrow(target / ITEMS, pa.table({"id": ids, "text": texts}))
        if gold is not None:
            _write_arrow(target / GOLD, pa.table({"gold": gold}))

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the items file."""
        return file_digest(self._folder / ITEMS)

    @property
    def table(self) -> pa.Table:
        """The mapped table with columns `id` and `text`."""
        return self._table

    def ids(self, rows: Sequence[int] | NDArray[np.int64]) -> list[str]:
        """Item ids of the given rows."""
        return [str(value) for value in self._take("id", rows)]

    def texts(self, rows: Sequence[int] | NDArray[np.int64]) -> list[str]:
        """Texts of the given rows."""
        return [str(value) for value in self._take("text", rows)]

    def text(self, row: int) -> str:
        """The text of one row."""
        return str(self._table.column("text")[int(row)].as_py())

    def id(self, row: int) -> str:
        """The id of one row."""
        return str(self._table.column("id")[int(row)].as_py())

    def row_of(self, item: str) -> int:
        """The row of an item id.

        Raises:
            UserError: no item has this id.
        """
        row = pc.index(self._table.column("id"), pa.scalar(item)).as_py()
        if row < 0:
            raise UserError(
                f"no item has the id {item!r}: ids in this pool run from {self.id(0)!r} "
                f"to {self.id(len(self) - 1)!r}"
            )
        return int(row)

    def write_groups(self, groups: NDArray[np.int64]) -> None:
        """Keep, for each row, the row of the first item with the same text."""
        if groups.shape != (len(self),):
            raise ValueError(f"groups has shape {groups.shape!r}, the pool {len(self)} rows")
        with replacing(self._folder / GROUPS) as path, path.open("wb") as file:
            np.save(file, groups.astype(np.int64))

    @property
    def groups(self) -> NDArray[np.int64]:
        """(n,) row of the first item with the same text; itself where there is no duplicate."""
        groups: NDArray[np.int64] = np.load(self._folder / GROUPS, mmap_mode="r")
        return groups

    @cached_property
    def unique_rows(self) -> NDArray[np.int64]:
        """Rows that stand for themselves and their duplicates, ascending."""
        groups = self.groups
        return np.flatnonzero(groups == np.arange(len(groups))).astype(np.int64)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """(n,) share of the pool that each row stands for: its group's size / n; 0 for copies."""
        counts = np.bincount(self.groups, minlength=len(self))
        return counts / len(self)

    def _take(self, column: str, rows: Sequence[int] | NDArray[np.int64]) -> list[object]:
        index = pa.array(np.asarray(rows, dtype=np.int64))
        values: list[object] = self._table.column(column).take(index).to_pylist()
        return values


def read_gold(folder: Path) -> list[str | None]:
    """The gold labels of a project: for the simulated reviewer and the evals only.

    Raises:
        UserError: the project was made without `--gold-column`.
    """
    path = folder / "pool" / GOLD
    if not path.is_file():
        raise UserError(
            "the simulated reviewer needs gold labels and this project has none: start it with "
            "`--gold-column COLUMN`"
        )
    values: list[str | None] = _mapped(path).column("gold").to_pylist()
    return values


def _mapped(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def _write_arrow(path: Path, table: pa.Table) -> None:
    with (
        replacing(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table, max_chunksize=65_536)
