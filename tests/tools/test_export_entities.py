"""Marked texts out: every format says the same, and tokens carry their tags."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from labelwright.store.spans import encode, spans_of, token_ranges
from labelwright.tools.export import write_exports
from labelwright.tools.export_entities import ENTITIES, as_records, entity_type, write_tokens

TEXTS = ["Ada King, of Rome", "=nothing\u2028here", 'a "b\\ x']
ANSWERS = ['[[0,8,"person","Ada King"],[13,17,"place","Rome"]]', "[]", '[[2,5,"p\\"q","\\"b\\\\"]]']


def table() -> pa.Table:
    n = len(TEXTS)
    parts: list[Any] = [as_records(each) for each in ANSWERS]
    return pa.table(
        {
            "id": [f"i{k}" for k in range(n)],
            "text": TEXTS,
            ENTITIES: pa.array(parts, pa.list_(entity_type())),
            "confidence": pa.array([0.5, None, 1.0]),
            **{name: ["x"] * n for name in ("source", "annotator", "rationale")},
            "round": pa.array([1] * n, pa.int32()),
        }
    )


def test_all_formats_hold_the_same_parts(tmp_path: Path) -> None:
    paths = write_exports(table(), tmp_path)
    expected = [as_records(each) for each in ANSWERS]
    assert pq.read_table(paths["parquet"])[ENTITIES].to_pylist() == expected
    lines = paths["jsonl"].read_bytes().decode().split("\n")[:-1]
    assert [json.loads(line)[ENTITIES] for line in lines] == expected
    with paths["csv"].open(newline="", encoding="utf-8") as file:
        cells = [row[ENTITIES] for row in csv.DictReader(file)]
    assert [json.loads(cell) for cell in cells] == expected


def test_what_was_written_is_written_again_from_parquet(tmp_path: Path) -> None:
    first = write_exports(table(), tmp_path / "a")
    again = write_exports(pq.read_table(first["parquet"]), tmp_path / "b")
    for name in ("csv", "jsonl", "parquet"):
        assert first[name].read_bytes() == again[name].read_bytes()


@pytest.mark.parametrize("split", [True, False])
def test_tokens_carry_tags_that_give_the_parts_back(tmp_path: Path, split: bool) -> None:
    path = write_tokens(table(), tmp_path / "tokens.jsonl", split=split)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    assert [line["id"] for line in lines] == ["i0", "i1", "i2"]
    first = lines[0]
    ranges = token_ranges(TEXTS[0], first["tokens"])
    words = ["Ada", "King,", "of", "Rome"] if split else ["Ada", "King", ",", "of", "Rome"]
    assert first["tokens"] == words
    found = encode(spans_of(first["tags"], ranges, TEXTS[0]))
    # Split at spaces, the comma belongs to the token and so to the part.
    whole = (
        ANSWERS[0]
        if not split
        else ANSWERS[0].replace('[0,8,"person","Ada King"]', '[0,9,"person","Ada King,"]')
    )
    assert found == whole
    assert set(lines[1]["tags"]) == {"O"}
