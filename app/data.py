"""Files in: any table of texts becomes ids, texts and, for simulation only, gold labels.

Two rules. A bad file is refused in one line that names the place and the fix, before anything is
written. What is merely unusual (an empty cell, a NUL byte, a very long text) is read, and told in
`Loaded.notes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..models.pairs import SEPARATOR
from ..store.errors import UserError
from .data_entities import gold_marks, joined_tokens, mark_types, text_column_of_tokens
from .data_errors import listed, nearest, no_such_column, rows_text, shown
from .data_formats import open_sheet
from .data_sets import gold_sets, set_names
from .data_sheet import Sheet

if TYPE_CHECKING:
    import pyarrow as pa

_LIST = r'^\[["\[{]|^\[\]$'
"""How a list of strings, lists or objects begins as JSON."""
LONG_TEXT = 2000
"""Characters from which a text is told to be longer than the models read (about 500 tokens)."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The pool as read from the file; all arrays have one entry for each item, in file order.

    Attributes:
        ids: `StringArray`, unique; the id column, or the 1-based data row number.
        texts: `LargeStringArray`, none null or blank, exactly as in the file but for NUL bytes.
        gold: `StringArray` of label names, of sets of them (`label_sets`) or of marked parts
            (`spans`), without nulls; None when no gold column was asked.
        text_columns: the columns the texts came from, joined by a newline.
        notes: what the user should know, one sentence each.
        tokens: whether the texts were lists of tokens, which a space now separates.
    """

    ids: pa.StringArray
    texts: pa.LargeStringArray
    gold: pa.StringArray | None
    text_columns: tuple[str, ...]
    notes: tuple[str, ...]
    tokens: bool = False


def load(
    data: str,
    *,
    text_columns: Sequence[str] = (),
    second_columns: Sequence[str] = (),
    id_column: str | None = None,
    gold_column: str | None = None,
    encoding: str = "utf-8",
    several: bool = False,
    marked: bool = False,
    label_names: Sequence[str] | None = None,
) -> Loaded:
    """Read a pool of texts.

    Args:
        data: a CSV, TSV, JSON lines (or array) or Parquet file, the first three also gzipped; a
            folder written by `datasets.save_to_disk`; or `owner/name[:split]` on the hub.
        text_columns: joined with a newline, blank parts left out. Empty: the column `text`, else
            the only column that can hold text and is neither id nor gold.
        second_columns: of the second text, where items are pairs (`models.pairs`); joined likewise.
        id_column: None: the column `id` where there is one, else the 1-based data row number.
        gold_column: read only when named; never taken as text.
        encoding: of text files.
        several: gold cells hold sets of labels: `a;b`, a JSON list or a list column; a blank one
            is the empty set.
        marked: gold cells hold marked parts of the text (`data_entities`), and the text column may
            hold lists of tokens.
        label_names: when given, the only gold values allowed.

    Rows whose text is null or blank are left out, with a note; the others keep their row number.

    Raises:
        UserError: anything wrong with the file, the columns or the cells; one line with the place
            and the fix.
        OperatorError: the disk or the hub does not answer.
    """
    sheet = open_sheet(data, encoding=encoding)
    for name, option in ((id_column, "--id-column"), (gold_column, "--gold-column")):
        if name is not None and name not in sheet.columns:
            no_such_column(sheet.place, name, sheet.columns, option)
    taken = (gold_column, *text_columns, *second_columns)
    if id_column is None and "id" in sheet.columns and "id" not in taken:
        id_column = "id"
    tokens = text_column_of_tokens(sheet, text_columns) if marked else None
    wanted = [tokens] if tokens else text_columns
    chosen = _text_columns(sheet, wanted, id_column, gold_column)
    second = _second_columns(sheet, second_columns, text_columns, gold_column)
    others = [name for name in (id_column, gold_column) if name is not None]
    needed = list(dict.fromkeys([*chosen, *second, *others]))
    table = sheet.read(needed, [] if tokens else [*chosen, *second])
    if table.num_rows == 0:
        raise UserError(f"{sheet.place} has columns but no rows: it needs rows of texts")
    if tokens:
        table = joined_tokens(table, tokens, sheet.place)

    notes: list[str] = []
    texts, rows = _texts(table, chosen, second, sheet.place, notes)
    ids = _ids(table, id_column, rows, sheet.place)
    gold = None
    if gold_column is not None and marked:
        given = (table, gold_column, texts.to_pylist(), rows, label_names, sheet.place)
        gold, more = gold_marks(*given)
        notes += more
    elif gold_column is not None:
        read = gold_sets if several else _gold
        gold = read(table, gold_column, rows, label_names, sheet.place)
    return Loaded(ids, texts, gold, tuple(chosen), tuple(notes), bool(tokens))


def gold_names(
    data: str,
    gold_column: str,
    *,
    encoding: str = "utf-8",
    several: bool = False,
    marked: bool = False,
) -> list[str]:
    """The distinct values of the gold column, by first appearance; which row has which is not read.

    With `several` cells hold sets of labels, and the values are the labels in them; with `marked`
    they hold marked parts, and the values are their types.

    Raises:
        UserError: as `load`; also when the column is blank throughout.
        OperatorError: as `load`.
    """
    import pyarrow.compute as pc

    sheet = open_sheet(data, encoding=encoding)
    if gold_column not in sheet.columns:
        no_such_column(sheet.place, gold_column, sheet.columns, "--gold-column")
    table = sheet.read([gold_column], [])
    if marked:
        return mark_types(table, gold_column, sheet.place)
    if several:
        return set_names(table, gold_column, sheet.place)
    values = _as_strings(table, gold_column, sheet.place)
    names = [name for name in pc.unique(values).to_pylist() if name is not None and name.strip()]
    if not names:
        raise UserError(f"{sheet.place}: the gold column {gold_column!r} is blank in every row")
    return names


def _text_columns(
    sheet: Sheet, wanted: Sequence[str], id_column: str | None, gold_column: str | None
) -> list[str]:
    if not wanted:
        return [_default_text_column(sheet, id_column, gold_column)]
    for name in wanted:
        if name not in sheet.columns:
            no_such_column(sheet.place, name, sheet.columns, "--text-column")
        if name == gold_column:
            raise UserError(
                f"{sheet.place}: {name!r} is given as text and as gold, so that the text would "
                "hold the answer: choose another with --text-column"
            )
    if len(set(wanted)) < len(wanted):
        raise UserError(
            f"{sheet.place}: --text-column names a column twice ({listed(wanted)}): name each once"
        )
    return list(wanted)


def _second_columns(
    sheet: Sheet, wanted: Sequence[str], first: Sequence[str], gold_column: str | None
) -> list[str]:
    if wanted and not first:
        raise UserError(
            f"--second-column {wanted[0]!r} needs the column of the first text too: "
            "give --text-column"
        )
    for name in wanted:
        if name not in sheet.columns:
            no_such_column(sheet.place, name, sheet.columns, "--second-column")
        if name == gold_column or name in first:
            raise UserError(
                f"{sheet.place}: {name!r} is given as second text and as something else: "
                "choose another with --second-column"
            )
    return list(dict.fromkeys(wanted))


def _default_text_column(sheet: Sheet, id_column: str | None, gold_column: str | None) -> str:
    free = [name for name in sheet.columns if name not in (id_column, gold_column)]
    if "text" in free:
        return "text"
    candidates = [name for name in free if sheet.columns[name]]
    if len(candidates) != 1:
        raise UserError(
            f"{sheet.place} has no column 'text' and {len(candidates)} others that could be it: "
            f"its columns are {listed(sheet.columns)}; choose with --text-column"
        )
    return candidates[0]


def _texts(
    table: pa.Table,
    columns: Sequence[str],
    second: Sequence[str],
    place: str,
    notes: list[str],
) -> tuple[pa.LargeStringArray, NDArray[np.int64]]:
    """The texts that are not blank, and the 1-based data row of each; pairs joined as one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts, blank = _joined(table, columns, place)
    rows = np.arange(1, len(texts) + 1)
    texts = _without_marks(texts, rows, notes)
    if second:
        others, none = _joined(table, second, place)
        others = _without_marks(others, rows, notes)
        kind = pa.large_string()
        halves = [pc.fill_null(half, pa.scalar("", kind)) for half in (texts, others)]
        texts = pc.binary_join_element_wise(*halves, pa.scalar(SEPARATOR, kind))
        blank = pc.and_(blank, none)
    empty = blank.to_numpy(zero_copy_only=False)
    if empty.any():
        gone = rows[empty]
        notes.append(
            f"{len(gone):,} of {len(rows):,} rows have no text and were left out "
            f"({rows_text(gone[:6].tolist())})."
        )
        texts, rows = texts.filter(pc.invert(blank)), rows[~empty]
    _note_long(texts, rows, notes)
    return texts, rows


def _joined(
    table: pa.Table, columns: Sequence[str], place: str
) -> tuple[pa.LargeStringArray, pa.BooleanArray]:
    """The cells of some columns in one text, and where that is blank."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = []
    for name in columns:
        part = table[name].combine_chunks()
        blank = pc.fill_null(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(part)), 0), True)
        if pc.all(blank).as_py():
            raise UserError(
                f"{place}: the column {name!r} is blank in every row: choose another "
                f"with --text-column, or fill it"
            )
        parts.append(part if len(columns) == 1 else pc.if_else(blank, None, part))
    texts = parts[0]
    if len(columns) > 1:
        newline = pa.scalar("\n", pa.large_string())
        texts = pc.binary_join_element_wise(*parts, newline, null_handling="skip")
        blank = pc.equal(pc.binary_length(texts), 0)
    return texts, blank


def _without_marks(
    texts: pa.LargeStringArray, rows: NDArray[np.int64], notes: list[str]
) -> pa.LargeStringArray:
    """Replace what would be taken for something else by U+FFFD.

    NUL ends a string for SQLite's tools, terminals and spreadsheets; the record separator stands
    between the two texts of a pair.
    """
    import pyarrow.compute as pc

    for mark, name in (("\0", "NUL bytes"), (SEPARATOR, "record separators (U+001E)")):
        found = pc.fill_null(pc.match_substring(texts, mark), False)
        where = rows[found.to_numpy(zero_copy_only=False)]
        if len(where):
            notes.append(
                f"{len(where):,} texts hold {name}, replaced by U+FFFD "
                f"({rows_text(where[:6].tolist())})."
            )
            texts = pc.replace_substring(texts, mark, "\ufffd")
    return texts


def _note_long(texts: pa.LargeStringArray, rows: NDArray[np.int64], notes: list[str]) -> None:
    import pyarrow.compute as pc

    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
    long = np.flatnonzero(lengths > LONG_TEXT)
    if len(long):
        longest = int(lengths.argmax())
        notes.append(
            f"{len(long):,} texts are longer than {LONG_TEXT:,} characters "
            f"({rows_text(rows[long[:6]].tolist())}; the longest has {lengths[longest]:,}): "
            "kept whole, but the models read only the first part."
        )


def _as_strings(table: pa.Table, name: str, place: str) -> pa.StringArray:
    """A column of strings, whole numbers or booleans as strings, NUL replaced."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        values = table[name].cast(pa.string()).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise UserError(
            f"{place}: column {name!r} holds {table[name].type}, which is neither text nor number: "
            "choose another column"
        ) from None
    if pc.any(pc.match_substring_regex(values, _LIST)).as_py():
        raise UserError(
            f"{place}: column {name!r} holds lists: give one value a row, or --multi-label where "
            "an item has several labels"
        )
    return pc.replace_substring(values, "\0", "\ufffd")


def _blank_rows(values: pa.StringArray, rows: NDArray[np.int64]) -> list[int]:
    import pyarrow.compute as pc

    blank = pc.fill_null(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(values)), 0), True)
    found: list[int] = rows[blank.to_numpy(zero_copy_only=False)][:6].tolist()
    return found


def _ids(
    table: pa.Table, column: str | None, rows: NDArray[np.int64], place: str
) -> pa.StringArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if column is None:
        return pa.array(rows).cast(pa.string())
    ids = _as_strings(table, column, place).take(pa.array(rows - 1))
    if empty := _blank_rows(ids, rows):
        raise UserError(
            f"{place}: the id column {column!r} is blank in {rows_text(empty)}: fill it, or choose "
            "another with --id-column"
        )
    if pc.count_distinct(ids).as_py() == len(ids):
        return ids
    codes = ids.dictionary_encode().indices.to_numpy()
    second = int(np.setdiff1d(np.arange(len(codes)), np.unique(codes, return_index=True)[1])[0])
    first = int(np.flatnonzero(codes == codes[second])[0])
    raise UserError(
        f"{place}: the id {shown(ids[second].as_py())} in column {column!r} is in row "
        f"{rows[first]} and again in row {rows[second]}: make the ids unique, or choose another "
        "column with --id-column"
    )


def _gold(
    table: pa.Table,
    column: str,
    rows: NDArray[np.int64],
    label_names: Sequence[str] | None,
    place: str,
) -> pa.StringArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    gold = _as_strings(table, column, place).take(pa.array(rows - 1))
    if empty := _blank_rows(gold, rows):
        raise UserError(
            f"{place}: the gold column {column!r} is blank in {rows_text(empty)}: fill those rows "
            "or remove them"
        )
    if label_names is None:
        return gold
    allowed = pc.is_in(gold, value_set=pa.array(list(label_names), pa.string()))
    outside = np.flatnonzero(~allowed.to_numpy(zero_copy_only=False))
    if len(outside):
        value = gold[int(outside[0])].as_py()
        raise UserError(
            f"{place}: the gold value {shown(value)} in row {rows[outside[0]]} is not one of the "
            f"labels{nearest(value, label_names)}: they are {listed(label_names)}; name it with "
            "--labels or correct the row"
        )
    return gold
