"""CSV and TSV: columns of strings through pyarrow, and the row to name when that refuses."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..store.errors import UserError
from .data_errors import first_bad_utf8, one_line, refuse_broken_utf8, shown
from .data_sheet import Sheet, named_once

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 8 << 20
_MAX_BLOCK = 2**31 - 1


def open_csv(data: bytes, place: str, delimiter: str) -> Sheet:
    """Open delimited text, given as UTF-8 bytes; a quoted cell may hold line breaks.

    Reading raises a `UserError` for a row with too few or too many columns, a quote that is never
    closed, and bytes that are not UTF-8 in a column that is read.

    Raises:
        UserError: an unreadable header, duplicate column names, another separator.
    """
    columns = _header(data, place, delimiter)
    if not data.endswith((b"\n", b"\r")):
        data += b"\n"  # pyarrow refuses a header that does not end its line
    if len(columns) == 1 and (found := [c for c in ";\t,|" if c in columns[0]]):
        raise UserError(
            f"{place} has one column {shown(columns[0])}, which looks like several separated by "
            f"{found[0]!r}: save it with {delimiter!r} between the columns"
        )

    def read(names: Sequence[str], _texts: Sequence[str]) -> pa.Table:
        return _read_csv(data, place, delimiter, names)

    return Sheet(place, dict.fromkeys(columns, True), read)


def _header(data: bytes, place: str, delimiter: str) -> list[str]:
    head = data[: 1 << 20].decode("utf-8", errors="surrogateescape")
    try:
        rows = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
        columns = next((row for row in rows if row), [])
    except csv.Error as error:
        raise UserError(
            f"{place}: the header cannot be read ({one_line(error)}): "
            "look for a quote that is not closed in the first line"
        ) from None
    if any("\udc80" <= char <= "\udcff" for name in columns for char in name):
        refuse_broken_utf8(data, place, "the header")
    return named_once(columns, place)


class _Ragged:
    """Remembers the rows that pyarrow finds too short or too long; told to stop or to go on."""

    def __init__(self, verdict: str) -> None:
        self.verdict = verdict
        self.rows: list[Any] = []

    def __call__(self, row: Any) -> str:
        self.rows.append(row)
        return self.verdict


def _parse_csv(
    data: bytes, delimiter: str, names: Sequence[str], ragged: _Ragged, *, check: bool = True
) -> pa.Table:
    """Read as strings only, on one thread: only then does pyarrow number the rows."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    block = _BLOCK
    while True:
        try:
            return arrow_csv.read_csv(
                pa.BufferReader(data),
                read_options=arrow_csv.ReadOptions(use_threads=False, block_size=block),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=delimiter, newlines_in_values=True, invalid_row_handler=ragged
                ),
                convert_options=arrow_csv.ConvertOptions(
                    include_columns=list(names),
                    column_types={name: pa.large_string() for name in names},
                    strings_can_be_null=False,
                    check_utf8=check,
                ),
            )
        except pa.ArrowInvalid as error:
            if "straddling" not in str(error) or block == _MAX_BLOCK:
                raise
            block = _MAX_BLOCK if block > _BLOCK else min(len(data) + 1, _MAX_BLOCK)


def _read_csv(data: bytes, place: str, delimiter: str, names: Sequence[str]) -> pa.Table:
    import pyarrow as pa

    if _quotes_look_wrong(data, delimiter):
        _refuse_wrong_quotes(data, place, delimiter)
    ragged = _Ragged("error")
    try:
        return _parse_csv(data, delimiter, names, ragged)
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        if ragged.rows:
            _refuse_ragged(ragged.rows[0], place)
        if (bad := first_bad_utf8(data)) is not None:
            row = _row_of(data[:bad], delimiter)
            refuse_broken_utf8(data, place, f"row {row}" if row else "the header")
        raise UserError(
            f"{place} cannot be read as a table ({one_line(error)}): save it again as CSV"
        ) from None


def _quotes_look_wrong(data: bytes, delimiter: str) -> bool:
    """Whether some quote stands where a writer of quoted cells would not put it.

    Without stray quotes, every quote with an even index opens a cell (it follows a separator) or
    is the second of a doubled pair, and every one with an odd index closes a cell or is the first
    of a pair. pyarrow reads other quotes in its own way, and may swallow rows without a word.
    """
    chars = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(chars == ord('"'))
    if len(quotes) % 2:
        return True
    beside = np.frombuffer(b'"\r\n' + delimiter.encode(), np.uint8)
    opening, closing = quotes[::2], quotes[1::2]
    opening, closing = opening[opening > 0], closing[closing < len(chars) - 1]
    return not (
        np.isin(chars[opening - 1], beside).all() and np.isin(chars[closing + 1], beside).all()
    )


def _refuse_wrong_quotes(data: bytes, place: str, delimiter: str) -> None:
    """Refuse what a strict reader refuses; quotes inside cells without quotes around are text."""
    limit = csv.field_size_limit()
    lines = io.StringIO(data.decode("utf-8", errors="replace"), newline="")
    done = 0
    try:
        # The standard library has one limit for the whole process; it is put back at once.
        csv.field_size_limit(len(data) + 1)
        for row in csv.reader(lines, delimiter=delimiter, strict=True):
            done += bool(row)
    except csv.Error as error:
        where = f"row {done}" if done else "the header"
        is_open = "end of data" in str(error)
        what = "is never closed" if is_open else "is closed in the middle of a cell"
        raise UserError(
            f'{place}: {where} opens a quote (") that {what}: write a quote inside a quoted cell '
            "twice, and close the cell with one before the separator"
        ) from None
    finally:
        csv.field_size_limit(limit)


def _refuse_ragged(row: Any, place: str) -> None:
    found = "1 column" if row.actual_columns == 1 else f"{row.actual_columns} columns"
    raise UserError(
        f"{place}: row {row.number - 1} has {found} where the header has {row.expected_columns}: "
        "put a cell that holds the separator in double quotes, or add the missing cell; the row "
        f"begins {shown(row.text, 40)}"
    )


def _row_of(before: bytes, delimiter: str) -> int:
    """The 1-based data row in which the text goes on after `before`; 0 is the header."""
    import pyarrow as pa

    ragged = _Ragged("skip")
    try:
        table = _parse_csv(before + b"x", delimiter, [], ragged, check=False)
    except pa.ArrowInvalid:
        return 0
    return int(table.num_rows) + len(ragged.rows)
