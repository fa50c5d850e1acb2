"""Gold columns whose cells hold sets of labels: `a;b`, a JSON list, or a column of lists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from ..store.label_sets import SEPARATOR, encode, names_in
from .data_errors import listed, nearest, shown

if TYPE_CHECKING:
    import pyarrow as pa


def gold_sets(
    table: pa.Table,
    column: str,
    rows: NDArray[np.int64],
    label_names: Sequence[str] | None,
    place: str,
) -> pa.StringArray:
    """The sets of labels of some rows, each as the store writes it; a blank cell is the empty set.

    Args:
        table: as read.
        column: the gold column.
        rows: 1-based data rows that have a text.
        label_names: the only labels allowed, in the order of the spec; None allows any, and the
            order is then by name.
        place: the file, for messages.

    Raises:
        UserError: a cell that is no set, or a name that is no label; the row is named.
    """
    import pyarrow as pa

    cells = _cells(table, column, place)
    chosen = cells.take(pa.array(rows - 1)).dictionary_encode()
    different = chosen.dictionary.to_pylist()
    sets = _parsed(chosen, rows, f"{place}: column {column!r}")
    known = label_names if label_names is not None else sorted({n for each in sets for n in each})
    for k, each in enumerate(sets):
        for name in each:
            if name not in known:
                row = _row_of(chosen, k, rows)
                raise UserError(
                    f"{place}: the gold cell {shown(different[k])} in row {row} holds "
                    f"{shown(name)}, which is not one of the labels{nearest(name, known)}: they "
                    f"are {listed(known)}; name it with --labels or correct the row"
                )
    texts = pa.array([encode(each, known) for each in sets], pa.string())
    return texts.take(chosen.indices)


def set_names(table: pa.Table, column: str, place: str) -> list[str]:
    """The distinct labels in a gold column, by first appearance.

    Raises:
        UserError: a cell that is no set, or no label in any of them.
    """
    cells = _cells(table, column, place).dictionary_encode()
    rows = np.arange(1, len(cells) + 1)
    found: dict[str, None] = {}
    for names in _parsed(cells, rows, f"{place}: column {column!r}"):
        found.update(dict.fromkeys(names))
    if not found:
        raise UserError(f"{place}: the gold column {column!r} is blank in every row")
    return list(found)


def _parsed(cells: pa.DictionaryArray, rows: NDArray[np.int64], place: str) -> list[list[str]]:
    """The names in each different cell."""
    sets = []
    for k, cell in enumerate(cells.dictionary.to_pylist()):
        try:
            sets.append(names_in(cell))
        except UserError as error:
            raise UserError(f"{place}, row {_row_of(cells, k, rows)}: {error}") from None
    return sets


def _row_of(chosen: pa.DictionaryArray, k: int, rows: NDArray[np.int64]) -> int:
    """The first data row with the k-th different cell."""
    return int(rows[int(np.flatnonzero(chosen.indices.to_numpy() == k)[0])])


def _cells(table: pa.Table, column: str, place: str) -> pa.StringArray:
    """The column as text without nulls; a list of names as JSON."""
    import pyarrow as pa
    import pyarrow.compute as pc

    stored = table[column].combine_chunks()
    kinds = pa.types
    if kinds.is_list(stored.type) or kinds.is_large_list(stored.type):
        values = stored.to_pylist()
        if any(not isinstance(name, str) for each in values if each for name in each):
            raise UserError(
                f"{place}: column {column!r} holds {stored.type}: give lists of label names"
            )
        stored = pa.array(["" if each is None else json.dumps(each) for each in values])
    try:
        cells = stored.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise UserError(
            f"{place}: column {column!r} holds {stored.type}, which is no set of labels: "
            f"write a{SEPARATOR}b, or a JSON list"
        ) from None
    return pc.replace_substring(pc.fill_null(cells, ""), "\0", "\ufffd")
