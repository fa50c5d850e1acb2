"""Marked texts in: gold cells that hold parts of the text, or tags of its tokens.

A cell is a list of parts, `[start, end, type]` each, or objects as Label Studio, doccano and
Prodigy write them, places counted in characters; or a list of IOB2 tags, where the text column
holds lists of tokens. Tokens become a text with a space between them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from ..store.spans import Span, checked, encode, spans_of, token_ranges
from .data_errors import listed, shown
from .data_sheet import Sheet, as_text

if TYPE_CHECKING:
    import pyarrow as pa

TOKENS = "tokens"
"""The text column of a file of tokens, where none is named."""
_STARTS, _ENDS = ("start", "start_offset"), ("end", "end_offset")
_TYPES = ("label", "labels", "type", "entity_group")
_FORMS = (
    'write [[0,3,"person"]], or [{"start":0,"end":3,"label":"person"}], places in characters; '
    "for tags, name the column of the tokens with --text-column"
)


def text_column_of_tokens(sheet: Sheet, wanted: Sequence[str]) -> str | None:
    """The column of tokens that is to be the text: the one that is named, or `tokens`.

    Returns:
        `None` where the text column is one of texts.

    Raises:
        UserError: several columns are named.
    """
    if len(wanted) > 1:
        raise UserError(
            f"{sheet.place}: parts are marked in one text, and --text-column names {listed(wanted)}"
        )
    if not wanted and "text" in sheet.columns:
        return None
    name = wanted[0] if wanted else TOKENS
    return name if sheet.columns.get(name) is False else None


def joined_tokens(table: pa.Table, column: str, place: str) -> pa.Table:
    """The table with each list of tokens as a text, a space between them; none is null.

    Raises:
        UserError: a cell that is no list of strings, or a token that is empty or has a space.
    """
    import pyarrow as pa

    texts: list[str | None] = []
    for row, cell in enumerate(_values(table, column, place), 1):
        tokens = [] if cell is None else cell
        if not isinstance(tokens, list) or not all(isinstance(each, str) for each in tokens):
            raise UserError(f"{place}: {column!r} in row {row} is {shown(cell)}: give its tokens")
        wrong = [token for token in tokens if not token or any(c.isspace() for c in token)]
        if wrong:
            raise UserError(
                f"{place}: the token {shown(wrong[0])} in row {row} of {column!r} is empty or has "
                "a space in it, which stands between tokens: mend it, or give the text instead"
            )
        texts.append(" ".join(tokens) or None)
    index = table.column_names.index(column)
    return table.set_column(index, column, pa.array(texts, pa.large_string()))


def gold_marks(
    table: pa.Table,
    column: str,
    texts: Sequence[str],
    rows: NDArray[np.int64],
    names: Sequence[str] | None,
    place: str,
) -> tuple[pa.StringArray, list[str]]:
    """The marked parts of some rows, each as the store writes them, and what to know of them.

    A blank cell says that nothing is marked. Parts of types that are none of the task's are left
    out, as a person who is not asked for them would leave them.

    Args:
        table: as read.
        column: the gold column.
        texts: the texts of `rows`.
        rows: 1-based data rows that have a text.
        names: the types of the task; `None` takes those that occur.
        place: the file, for messages.

    Raises:
        UserError: a cell of another form, or a part that is not in its text, with its row; or a
            type of the task that is nowhere while others are.
    """
    import pyarrow as pa

    cells, kinds = _values(table, column, place), Counter[str]()
    found = list[str]()
    for row, text in zip(rows.tolist(), texts, strict=True):
        try:
            spans = _spans(cells[row - 1], text)
            kinds.update(span.type for span in spans)
            kept = [span for span in spans if names is None or span.type in names]
            found.append(encode(checked(kept, text, sorted(kinds))))
        except UserError as error:
            raise UserError(f"{place}: column {column!r}, row {row}: {error}") from None
    return pa.array(found, pa.string()), _notes(kinds, names, f"{place}: column {column!r}")


def mark_types(table: pa.Table, column: str, place: str) -> list[str]:
    """The types in a gold column, by first appearance.

    Raises:
        UserError: a cell of another form, or none with a part.
    """
    found: dict[str, None] = {}
    for row, cell in enumerate(_values(table, column, place), 1):
        try:
            found.update(dict.fromkeys(_types(cell)))
        except UserError as error:
            raise UserError(f"{place}: column {column!r}, row {row}: {error}") from None
    if not found:
        raise UserError(f"{place}: nothing is marked in the gold column {column!r}")
    return list(found)


def _notes(kinds: Counter[str], names: Sequence[str] | None, place: str) -> list[str]:
    other = {name: n for name, n in kinds.items() if names is not None and name not in names}
    if not other or names is None:
        return []
    nowhere = [name for name in names if not kinds[name]]
    if nowhere:
        raise UserError(
            f"{place} marks no {nowhere[0]!r}, and {listed(sorted(kinds))}: name types as the "
            "column has them with --labels"
        )
    words = ", ".join(f"{n:,} {shown(name)}" for name, n in sorted(other.items()))
    return [f"Marked parts of types that the task does not have are left out: {words}."]


def _values(table: pa.Table, column: str, place: str) -> list[Any]:
    """The cells as Python values: those of lists as they are, those of text read as JSON."""
    stored = table[column]
    text = as_text(stored)
    if text is None:
        values: list[Any] = stored.to_pylist()
        return values
    found = []
    for row, cell in enumerate(text.to_pylist(), 1):
        try:
            found.append(json.loads(cell) if cell is not None and cell.strip() else None)
        except (ValueError, RecursionError):
            raise UserError(
                f"{place}: {column!r} in row {row} is {shown(cell)}, which is no list: {_FORMS}"
            ) from None
    return found


def _spans(cell: Any, text: str) -> list[Span]:
    """The marked parts that a cell gives."""
    if _is_tags(cell):
        tokens = text.split(" ")
        if len(tokens) != len(cell):
            raise UserError(
                f"{len(cell)} tags for {len(tokens)} tokens: give one tag a token, and the tokens "
                "as lists"
            )
        _types(cell)
        return list(spans_of(cell, token_ranges(text, tokens), text))
    return [_part(each, text) for each in _listed(cell)]


def _types(cell: Any) -> list[str]:
    """The types in a cell."""
    if not _is_tags(cell):
        return [_type(each) for each in _listed(cell)]
    for tag in cell:
        mark, dash, name = tag.partition("-")
        if tag != "O" and not (mark in ("B", "I") and dash and name):
            raise UserError(f"the tag {tag!r} is no IOB2 tag: write O, B-type or I-type")
    return [tag.partition("-")[2] for tag in cell if tag != "O"]


def _is_tags(cell: Any) -> bool:
    return isinstance(cell, list) and bool(cell) and all(isinstance(each, str) for each in cell)


def _listed(cell: Any) -> list[Any]:
    if cell is None:
        return []
    if not isinstance(cell, list):
        raise UserError(f"{shown(cell)} is no list of marked parts: {_FORMS}")
    return cell


def _part(given: Any, text: str) -> Span:
    kind, (start, end) = _type(given), _place(given)
    quote = given.get("text") if isinstance(given, dict) else None
    if isinstance(given, list) and len(given) == 4:
        quote = given[3]
    return Span(start, end, kind, text[max(start, 0) : end] if quote is None else quote)


def _place(given: Any) -> tuple[int, int]:
    if isinstance(given, list):
        start, end = given[:2]
    else:
        start, end = _first(given, _STARTS), _first(given, _ENDS)
    if type(start) is not int or type(end) is not int:
        raise UserError(f"{shown(given)} has no whole numbers for start and end: {_FORMS}")
    return start, end


def _type(given: Any) -> str:
    if isinstance(given, list) and len(given) in (3, 4):
        kind = given[2]
    elif isinstance(given, dict):
        kind = _first(given, _TYPES)
        kind = kind[0] if isinstance(kind, list) and len(kind) == 1 else kind
    else:
        kind = None
    if not isinstance(kind, str) or not kind:
        raise UserError(f"{shown(given)} is no marked part with one type: {_FORMS}")
    return kind


def _first(given: dict[str, Any], names: Sequence[str]) -> Any:
    return next((given[name] for name in names if given.get(name) is not None), None)
