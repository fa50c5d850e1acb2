"""JSON lines and JSON arrays: pyarrow where every value has the expected type, else the stdlib.

pyarrow refuses what it cannot hold in one typed column (a number among strings, half of a
surrogate pair). The lines are then read one by one, which either names the line that is wrong or
reads what pyarrow could not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..models.pairs import record_text
from ..store.errors import UserError
from .data_errors import first_bad_utf8, one_line, refuse_broken_utf8, shown
from .data_sheet import Sheet

if TYPE_CHECKING:
    import pyarrow as pa

_HEAD_LINES = 1000
_BLOCK = 8 << 20
_MAX_BLOCK = 2**31 - 1


def open_json(data: bytes, place: str) -> Sheet:
    """Open one object a line, or one array of objects, given as UTF-8 bytes.

    The columns are the keys of the first 1,000 objects. Reading raises a `UserError` that names
    the line for broken JSON, anything but an object, and a text that is not a string.

    Raises:
        UserError: bytes that are not UTF-8; an array that is not JSON; a wrong line among the
            first 1,000; no object at all.
    """
    objects = _array(data, place) if data.lstrip().startswith(b"[") else None
    unit = "line" if objects is None else "item"
    head = list(islice(_lines(data, place) if objects is None else objects, _HEAD_LINES))
    kinds = _kinds(head, unit, place)
    for name in kinds:
        if first_bad_utf8(name.encode("utf-8", "surrogatepass")) is not None:
            raise UserError(f"{place} has a field name that is not text, {name!r}: rename it")
    if not kinds:
        raise UserError(f"{place} holds no objects with fields: it needs rows of texts")

    def read(names: Sequence[str], texts: Sequence[str]) -> pa.Table:
        if objects is not None:
            return _slow_table(objects, unit, place, names, texts)
        fast = _fast_table(data, kinds, names, texts)
        if fast is not None:
            return fast
        return _slow_table(_lines(data, place), unit, place, names, texts)

    return Sheet(place, {name: found <= {str} for name, found in kinds.items()}, read)


def _refuse_bad_bytes(data: bytes, place: str) -> None:
    bad = first_bad_utf8(data)
    if bad is not None:
        refuse_broken_utf8(data, place, f"line {data.count(bytes([10]), 0, bad) + 1}")


def _array(data: bytes, place: str) -> list[tuple[int, Any]]:
    _refuse_bad_bytes(data, place)
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{place} begins with '[' but is not one JSON array ({one_line(error)}): "
            "mend it there, or write one object a line"
        ) from None
    return list(enumerate(values, 1))


def _lines(data: bytes, place: str) -> Iterator[tuple[int, Any]]:
    """Each line that is not blank, with its 1-based number, as a Python value."""
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except UnicodeDecodeError:
            _refuse_bad_bytes(data, place)
        except (ValueError, RecursionError) as error:
            raise UserError(
                f"{place}: line {number} is not JSON ({one_line(error)}): write one whole object "
                f"on each line; the line begins {shown(line[:60].decode(errors='replace'), 40)}"
            ) from None


def _object(value: Any, number: int, unit: str, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(
            f"{place}: {unit} {number} is {shown(value, 40)}, not an object: "
            'write it as {"text": "…"}'
        )
    return value


def _kinds(head: list[tuple[int, Any]], unit: str, place: str) -> dict[str, set[type]]:
    """The types met in each field, null left out."""
    kinds: dict[str, set[type]] = {}
    for number, value in head:
        for name, cell in _object(value, number, unit, place).items():
            found = kinds.setdefault(name, set())
            if cell is not None:
                found.add(type(cell))
    return kinds


def _fast_table(
    data: bytes, kinds: dict[str, set[type]], names: Sequence[str], texts: Sequence[str]
) -> pa.Table | None:
    """The columns through pyarrow, or None where it cannot hold them in one type each."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    types = {str: pa.large_string(), int: pa.int64(), bool: pa.bool_()}
    fields = []
    for name in names:
        found = {str} if name in texts else (kinds[name] or {str})
        kind = next(iter(found))
        if len(found) != 1 or kind not in types:
            return None
        fields.append((name, types[kind]))
    options = arrow_json.ParseOptions(
        explicit_schema=pa.schema(fields), unexpected_field_behavior="ignore"
    )
    for block in (_BLOCK, min(max(len(data) + 1, _BLOCK), _MAX_BLOCK)):
        try:
            table = arrow_json.read_json(
                pa.BufferReader(data),
                read_options=arrow_json.ReadOptions(block_size=block),
                parse_options=options,
            )
            table.validate(full=True)
            return table
        except pa.ArrowInvalid as error:
            if "straddling" not in str(error):
                return None
    return None


def _slow_table(
    objects: Iterable[tuple[int, Any]],
    unit: str,
    place: str,
    names: Sequence[str],
    texts: Sequence[str],
) -> pa.Table:
    import pyarrow as pa

    must_be_text = [name in texts for name in names]
    columns: list[list[str | None]] = [[] for _ in names]
    for number, value in objects:
        item = _object(value, number, unit, place)
        for name, column, is_text in zip(names, columns, must_be_text, strict=True):
            column.append(_cell(item.get(name), is_text, f"{place}: {unit} {number}", name))
    return pa.table([pa.array(column, pa.large_string()) for column in columns], list(names))


def _cell(value: Any, is_text: bool, where: str, name: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        # Half of a surrogate pair is legal in JSON and has no UTF-8 form.
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if is_text and isinstance(value, dict):
        return _record(value, where, name)
    if isinstance(value, list) and not is_text and _is_answer(value):
        return json.dumps(value, ensure_ascii=False)
    if is_text or isinstance(value, dict | list):
        wanted = "text in double quotes" if is_text else "one string or number"
        raise UserError(f"{where}: {name!r} is {shown(value, 40)}: it must be {wanted}")
    return json.dumps(value)


def _is_answer(value: list[Any]) -> bool:
    """Whether a list may be an answer: names or tags, or parts of a text, lists or objects."""
    return any(all(isinstance(each, kind) for each in value) for kind in (str, list, dict))


def _record(value: dict[str, Any], where: str, name: str) -> str:
    """A record as a text, field by field."""
    fields = {field: _cell(cell, False, where, f"{name}.{field}") for field, cell in value.items()}
    return record_text({field: cell for field, cell in fields.items() if cell is not None})
