"""Marked texts out: a column of parts, and a file of tokens with a tag each.

The parts are what Label Studio, doccano and spaCy call spans: start and end in characters of the
text, the end being the one after the last, and the type as `label`. The file of tokens is what
trainers of taggers read: IOB2 tags, a line of JSON an item.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..store.files import replacing
from ..store.spans import Span, decode, iob2, token_ranges

if TYPE_CHECKING:
    import pyarrow as pa

ENTITIES = "entities"
"""The column in place of `label` where texts are marked: in CSV a JSON list."""
TOKENS_FILE = "entities_iob2.jsonl"


def entity_type() -> pa.DataType:
    """The type of one marked part in the column."""
    import pyarrow as pa

    places, words = pa.int32(), pa.large_string()
    return pa.struct([("start", places), ("end", places), ("label", words), ("text", words)])


def as_records(label: str) -> list[dict[str, Any]]:
    """The parts of a stored answer as the column has them."""
    return [
        {"start": span.start, "end": span.end, "label": span.type, "text": span.text}
        for span in decode(label)
    ]


def write_tokens(table: pa.Table, path: Path, *, split: bool) -> Path:
    """Write `id`, `tokens` and `tags` of every item, a line of JSON each; replaced whole.

    Args:
        table: with `id`, `text` and `entities`, as it is exported.
        path: the file.
        split: the texts are tokens with a space between; else words and single marks are tokens.
            A part that begins or ends within a token has the whole of it.

    Raises:
        OperatorError: the disk is full or the folder is read-only.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for batch in table.select(["id", "text", ENTITIES]).to_batches(max_chunksize=4096):
            for row in batch.to_pylist():
                _write_line(file, row, split=split)
    return path


def _write_line(file: IO[str], row: dict[str, Any], *, split: bool) -> None:
    text = row["text"]
    ranges = token_ranges(text, text.split(" ") if split else ())
    spans = [Span(e["start"], e["end"], e["label"], e["text"]) for e in row[ENTITIES] or []]
    tokens = [text[start:end] for start, end in ranges]
    line = {"id": row["id"], "tokens": tokens, "tags": iob2(spans, ranges)}
    # Line ends beyond ASCII, which are legal in JSON strings, break what reads line by line.
    file.write(json.dumps(line, ensure_ascii=True) + "\n")


def as_json(parts: pa.StructArray, quote: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Each part as a JSON object; `quote` makes JSON strings of strings."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = pa.large_string()
    columns: list[Any] = []
    for place, field in enumerate(entity_type()):
        value = pc.struct_field(parts, field.name)
        text = value.cast(kind) if pa.types.is_integer(field.type) else quote(value.cast(kind))
        columns += [pa.scalar(("{" if place == 0 else ", ") + f'"{field.name}": ', kind), text]
    return pc.binary_join_element_wise(*columns, pa.scalar("}", kind), pa.scalar("", kind))
