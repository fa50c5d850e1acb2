"""Files out: the labelled pool as CSV, JSON lines and Parquet, each whole or not there at all.

JSON lines and Parquet hold the texts exactly. CSV is what people open in spreadsheets, where a cell
that begins like a formula is run; such cells get a leading apostrophe (OWASP, "CSV Injection",
https://owasp.org/www-community/attacks/CSV_Injection) and every value is quoted, so that a
spreadsheet set to another separator cannot split a cell into a formula either.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from ..store.errors import OperatorError, UserError
from ..store.label_sets import SEPARATOR
from .export_entities import ENTITIES, as_json, entity_type

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("id", "text", "label", "confidence", "source", "annotator", "rationale", "round")
"""The exported columns, in this order in every format."""

SECOND = "second_text"
"""Comes after `text` where items are pairs."""

SETS = "labels"
"""In place of `label` where items may have several: lists of names, in CSV `a;b`."""

_NUMBERS = ("confidence", "round")
_ROWS_AT_ONCE = 20_000
# Spaces of any kind, byte order marks and zero-width characters may precede the sign; the
# full-width forms count as signs in East Asian editions. TAB, CR and LF count by themselves.
_FORMULA = "^[\\t\\r\\n]|^[\\p{Z}\\p{Cc}\\p{Cf}]*[=+\\-@＝＋－＠]"
_JSON_SHORT = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Legal inside JSON strings, but line ends to many readers of lines.
_JSON_LINE_ENDS = "\x85\u2028\u2029"


def write_exports(
    table: pa.Table,
    folder: Path,
    *,
    formats: Iterable[str] = ("csv", "jsonl", "parquet"),
) -> dict[str, Path]:
    """Write `labels.csv`, `labels.jsonl` and `labels.parquet`, replacing older ones at once.

    Args:
        table: has the columns `COLUMNS`, `SECOND` for pairs, and in place of `label` lists of
            strings in `SETS` where items may have several, or of `entity_type()` in `ENTITIES`
            where parts are marked (others are left out); `confidence` in [0, 1] or null, `round`
            a whole number or null, the rest strings or null.
        folder: made when it is not there.
        formats: which of the three.

    Returns:
        The path of each file, by format.

    Raises:
        UserError: an unknown format; nothing is written then.
        ValueError: a column is missing or of the wrong type, or a confidence is outside [0, 1].
        OperatorError: the disk refuses; files that were finished before stay, no partial file is
            left.
    """
    wanted = list(dict.fromkeys(formats))
    for name in wanted:
        if name not in _WRITERS:
            raise UserError(f"unknown export format {name!r}: use {', '.join(_WRITERS)}")
    checked = _checked(table)
    written = {}
    for name in wanted:
        path = folder / f"labels.{name}"
        _write_whole(path, checked, _WRITERS[name])
        written[name] = path
    return written


def columns_of(*, pairs: bool, answer: str = "label") -> list[str]:
    """The exported columns of single texts or of pairs.

    Args:
        pairs: whether there is a second text.
        answer: the column of what an item was given: `label`, `SETS` or `ENTITIES`.
    """
    names = [answer if name == "label" else name for name in COLUMNS]
    place = COLUMNS.index("text") + 1
    return [*names[:place], SECOND, *names[place:]] if pairs else names


def _checked(table: pa.Table) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    answer = next((name for name in (SETS, ENTITIES) if name in table.column_names), "label")
    wanted = columns_of(pairs=False, answer=answer)
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise ValueError(f"the export lacks the columns {missing!r}: it needs {wanted!r}")
    sets = pa.list_(pa.large_string())
    kinds = {
        "confidence": pa.float64(),
        "round": pa.int32(),
        SETS: sets,
        ENTITIES: pa.list_(entity_type()),
    }
    columns = columns_of(pairs=SECOND in table.column_names, answer=answer)
    schema = pa.schema([(name, kinds.get(name, pa.large_string())) for name in columns])
    checked = table.select(columns).cast(schema)
    confidence = checked["confidence"]
    # NaN fails both comparisons; absent confidence is null and is left alone.
    inside = pc.and_(pc.greater_equal(confidence, 0.0), pc.less_equal(confidence, 1.0))
    if pc.all(inside).as_py() is False:
        row = pc.index(inside, False).as_py()
        raise ValueError(
            f"confidence {confidence[row].as_py()!r} of item {checked['id'][row].as_py()!r} is "
            "outside [0, 1]: a confidence that is not known must be null"
        )
    return checked


def _write_whole(path: Path, table: pa.Table, write: Callable[[pa.Table, IO[bytes]], None]) -> None:
    """Write beside the path and then rename, so that a reader sees the old file or the new one."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                write(table, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise OperatorError(
            f"{str(path)!r} could not be written ({error.strerror or error}): make room or allow "
            "writing there; the labels are safe, and `labelwright export PROJECT` writes the "
            "files again"
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where the system lets a folder be opened."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_csv(table: pa.Table, file: IO[bytes]) -> None:
    import pyarrow as pa
    from pyarrow import csv

    safe = pa.table(
        [
            table[name] if name in _NUMBERS else neutralised(_cells(table[name]))
            for name in table.column_names
        ],
        table.column_names,
    )
    csv.write_csv(safe, file, csv.WriteOptions(quoting_style="all_valid"))


def _cells(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column as text: the names of a set joined, marked parts as a JSON list."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_list(column.type):
        return column
    if pa.types.is_struct(column.type.value_type):
        return pa.chunked_array([_json_value(each) for each in column.chunks], pa.large_string())
    return pc.binary_join(column, pa.scalar(SEPARATOR, pa.large_string()))


def neutralised(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """The strings (`large_string`) as they may stand in a CSV file.

    Those that a spreadsheet could take for a formula get a leading apostrophe; NUL, at which many
    readers of CSV stop, becomes U+FFFD.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = pa.large_string()
    cells = pc.replace_substring(cells, "\0", "\ufffd")
    apostrophe, nothing = pa.scalar("'", kind), pa.scalar("", kind)
    guarded = pc.binary_join_element_wise(apostrophe, cells, nothing)
    return pc.if_else(pc.match_substring_regex(cells, _FORMULA), guarded, cells)


def _write_jsonl(table: pa.Table, file: IO[bytes]) -> None:
    for start in range(0, table.num_rows, _ROWS_AT_ONCE):
        lines = _json_lines(table.slice(start, _ROWS_AT_ONCE))
        _, offsets, data = lines.buffers()
        # The values of an Arrow string array lie one after the other: that is the file.
        ends = np.frombuffer(offsets, np.int64)[lines.offset : lines.offset + len(lines) + 1]
        file.write(memoryview(data)[ends[0] : ends[-1]])


def _json_lines(table: pa.Table) -> pa.LargeStringArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = pa.large_string()
    parts = []
    for place, name in enumerate(table.column_names):
        before = ("{" if place == 0 else ", ") + f'"{name}": '
        column = table[name].combine_chunks()
        value = column.cast(kind) if name in _NUMBERS else _json_value(column)
        parts += [pa.scalar(before, kind), pc.fill_null(value, pa.scalar("null", kind))]
    return pc.binary_join_element_wise(*parts, pa.scalar("}\n", kind), pa.scalar("", kind))


def _json_value(cells: pa.Array) -> pa.LargeStringArray:
    """Strings in quotes; lists of strings, or of marked parts, as JSON lists."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_list(cells.type):
        return _json_string(cells)
    kind = pa.large_string()
    lengths = pc.fill_null(pc.list_value_length(cells), 0)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths.to_numpy())]), pa.int32())
    inside = cells.flatten()
    records = pa.types.is_struct(inside.type)
    values = as_json(inside, _json_string) if records else _json_string(inside)
    quoted = pa.ListArray.from_arrays(offsets, values)
    joined = pc.binary_join(quoted, pa.scalar(", ", kind))
    listed = pc.binary_join_element_wise(
        pa.scalar("[", kind), joined, pa.scalar("]", kind), pa.scalar("", kind)
    )
    return pc.if_else(cells.is_valid(), listed, pa.scalar(None, kind))


def _json_string(cells: pa.LargeStringArray) -> pa.LargeStringArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    for char, escaped in _JSON_SHORT.items():
        cells = pc.replace_substring(cells, char, escaped)
    rare = f"[\\x00-\\x1f{_JSON_LINE_ENDS}]"
    if pc.any(pc.match_substring_regex(cells, rare)).as_py():
        for char in [chr(code) for code in range(32)] + list(_JSON_LINE_ENDS):
            cells = pc.replace_substring(cells, char, f"\\u{ord(char):04x}")
    kind = pa.large_string()
    quote, nothing = pa.scalar('"', kind), pa.scalar("", kind)
    return pc.binary_join_element_wise(quote, cells, quote, nothing)


def _write_parquet(table: pa.Table, file: IO[bytes]) -> None:
    from pyarrow import parquet

    parquet.write_table(table, file, compression="zstd")


_WRITERS: dict[str, Callable[[pa.Table, IO[bytes]], None]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
}
