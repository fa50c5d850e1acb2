"""What every reader of tables returns: a `Sheet`, opened but not yet read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..store.errors import UserError
from .data_errors import listed

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table that has been opened but not read.

    `columns` maps each column name to whether it may hold text. `read(names, texts)` takes the
    columns wanted and which of them must be text, and returns them in the row order of the file:
    text as `large_string`, others as strings or as stored, missing cells as null.
    """

    place: str
    columns: dict[str, bool]
    read: Callable[[Sequence[str], Sequence[str]], pa.Table]


def named_once(columns: Sequence[str], place: str) -> list[str]:
    """The column names, none of them (but the empty one) twice.

    Raises:
        UserError: two columns of the same name.
    """
    twice = [name for name, count in Counter(columns).items() if count > 1 and name.strip()]
    if twice:
        raise UserError(f"{place} has the column {listed(twice)} more than once: rename one")
    return list(columns)


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """A stored column of any string type as `large_string`; None when it holds something else."""
    import pyarrow as pa
    import pyarrow.types as kinds

    stored = column.type.value_type if kinds.is_dictionary(column.type) else column.type
    if kinds.is_null(stored):
        return pa.chunked_array([pa.nulls(len(column), pa.large_string())])
    is_text = kinds.is_string(stored) or kinds.is_large_string(stored)
    if not is_text and not kinds.is_string_view(stored):
        return None
    return column.cast(stored).cast(pa.large_string())
