"""What to say when a file cannot be read: one line that names the place and the fix.

The readers in `data_formats` are fast and know little about what went wrong. The functions here
are slow and run only after a reader has refused, so they may look at every byte.
"""

from __future__ import annotations

import codecs
import errno
import reprlib
from collections.abc import Iterable, Sequence
from typing import NoReturn

from ..store.errors import OperatorError, UserError

_SHOWN_ROWS = 5
_HEAD = 4096

_MAGIC = (
    (b"\x89PNG", "a PNG image", "give the table of texts itself"),
    (b"\xff\xd8\xff", "a JPEG image", "give the table of texts itself"),
    (b"%PDF", "a PDF document", "extract its text into a CSV file"),
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "save the sheet as CSV (UTF-8)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save the sheet as CSV (UTF-8)"),
    (b"SQLite format 3", "an SQLite database", "export the table as CSV"),
    (b"PAR1", "a Parquet file", "give it the ending .parquet"),
    (b"ARROW1", "an Arrow file", "save it as Parquet"),
    (b"\x1f\x8b", "a gzip file", "add .gz to its name"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "decompress it first"),
    (b"BZh", "a bzip2 file", "decompress it first"),
    (b"\xfd7zXZ", "an xz file", "decompress it first"),
)


def shown(value: object, limit: int = 80) -> str:
    """The value with `repr` on one line, shortened in the middle to at most `limit` characters."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = limit
    return short.repr(value)


def listed(values: Iterable[str], limit: int = 20) -> str:
    """Values with `repr`, separated by commas; beyond `limit` only their number is told."""
    names = list(values)
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(shown(name) for name in names[:limit]) + rest


def rows_text(rows: Sequence[int]) -> str:
    """Name the first few of 1-based data row numbers: `row 3` or `rows 3, 7, 9, …`."""
    if len(rows) == 1:
        return f"row {rows[0]}"
    more = ", …" if len(rows) > _SHOWN_ROWS else ""
    return "rows " + ", ".join(str(row) for row in rows[:_SHOWN_ROWS]) + more


def one_line(error: BaseException) -> str:
    """An exception's message with all white space folded, for use inside a message of ours."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def nearest(value: str, names: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the name closest to `value`, or nothing."""
    import difflib

    by_folded = {name.casefold(): name for name in names}
    found = difflib.get_close_matches(value.casefold(), by_folded, n=1, cutoff=0.6)
    return f" (did you mean {by_folded[found[0]]!r}?)" if found else ""


def no_such_column(place: str, wanted: str, columns: Iterable[str], option: str) -> NoReturn:
    """Refuse a column name that the data does not have."""
    names = list(columns)
    raise UserError(
        f"{place} has no column {wanted!r}{nearest(wanted, names)}: "
        f"its columns are {listed(names)}; choose one with {option}"
    )


def unreadable(place: str, error: OSError) -> NoReturn:
    """Turn an error of the operating system on opening or reading into one of ours."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        raise UserError(f"{place!r} does not exist: check the path given with --data") from None
    if isinstance(error, PermissionError):
        raise UserError(f"{place!r} may not be read: allow reading it (chmod u+r)") from None
    if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        raise UserError(f"{shown(place)} is no usable path ({error.strerror}): check it") from None
    raise OperatorError(
        f"{place!r} could not be read ({one_line(error)}): run the same command again "
        "when the disk answers"
    ) from error


def check_encoding(encoding: str) -> None:
    """Refuse a name that is no text encoding of Python.

    Raises:
        UserError: unknown name, or a codec that is not for text (such as `hex`).
    """
    try:
        "".encode(encoding)
    except (LookupError, ValueError, UnicodeError):
        raise UserError(
            f"unknown encoding {encoding!r}: use one that Python knows, "
            "like --encoding utf-8, utf-16, latin-1 or cp1252"
        ) from None


def is_utf8(encoding: str) -> bool:
    """Whether the (known) encoding is UTF-8 under any of its names."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")


def refuse_binary(data: bytes, place: str, encoding: str) -> None:
    """Refuse bytes that are no text in this encoding, judged by their first 4 kB.

    Raises:
        UserError: a known binary format, UTF-16 or UTF-32 read as something else, or bytes that
            are mostly control characters.
    """
    head = data[:_HEAD]
    for magic, what, fix in _MAGIC:
        if head.startswith(magic):
            raise UserError(f"{place} is {what}, not a text file: {fix}")
    if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
        return
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise UserError(f"{place} is UTF-32 text: add --encoding utf-32")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"{place} is UTF-16 text: add --encoding utf-16")
    _refuse_control_bytes(head, place)


def _refuse_control_bytes(head: bytes, place: str) -> None:
    if not head:
        return
    nul_share = head.count(0) / len(head)
    odd_nuls, even_nuls = head[1::2].count(0), head[::2].count(0)
    if nul_share > 0.3 and min(odd_nuls, even_nuls) == 0:
        name = "utf-16-le" if odd_nuls else "utf-16-be"
        raise UserError(f"{place} looks like UTF-16 text without a mark: add --encoding {name}")
    control = sum(head.count(byte) for byte in range(32) if byte not in b"\t\n\v\f\r\x1b")
    if nul_share > 0.3 or (control / len(head) > 0.05 and _first_bad_byte(head) is not None):
        raise UserError(
            f"{place} is a binary file, not a table of texts: save it as CSV, JSON lines or Parquet"
        )


def _first_bad_byte(data: bytes) -> int | None:
    """Offset of the first byte that is not UTF-8; a character cut off at the end is fine."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError as error:
        return error.start
    return None


def decode(data: bytes, place: str, encoding: str) -> bytes:
    """The same text as UTF-8 bytes without a byte order mark.

    Bytes said to be UTF-8 are passed on unchecked, because the readers check what they use.

    Raises:
        UserError: bytes that are not in the encoding, with line and byte.
    """
    if is_utf8(encoding):
        return data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode(encoding).removeprefix("\ufeff").encode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{place}: line {line}, byte {error.start} cannot be read as {encoding!r}: "
            "check --encoding"
        ) from None
    except UnicodeEncodeError:
        raise UserError(
            f"{place} read as {encoding!r} is not valid text: check --encoding"
        ) from None


def refuse_broken_utf8(data: bytes, place: str, where: str) -> None:
    """Refuse UTF-8 with a bad byte, naming it; `where` names the row, like `row 7`.

    Raises:
        UserError: always when there is a bad byte; returns when there is none.
    """
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{place}: {where} has a byte that is not UTF-8 "
            f"({data[error.start]:#04x} at byte {error.start}): "
            "save the file as UTF-8, or try --encoding latin-1 (or cp1252)"
        ) from None


def first_bad_utf8(data: bytes) -> int | None:
    """Offset of the first byte at which `data` is not UTF-8, or None."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None
