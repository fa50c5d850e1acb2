"""Sets of labels in the exported files: exact in JSON lines and Parquet, readable in CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.tools.export import SETS, columns_of, write_exports

HARD = ["plain", 'q"uote', "back\\slash", "new\nline", "\u2028", "é漢", "=1+1", "a, b"]


def table(sets: list[list[str] | None]) -> pa.Table:
    n = len(sets)
    strings = {name: ["x"] * n for name in ("id", "text", "source", "annotator", "rationale")}
    numbers = {"confidence": pa.array([0.5] * n), "round": pa.array([1] * n, pa.int32())}
    return pa.table({**strings, **numbers, SETS: pa.array(sets, pa.list_(pa.string()))})


@given(st.lists(st.none() | st.lists(st.sampled_from(HARD), unique=True), min_size=1, max_size=6))
def test_json_lines_and_parquet_give_the_sets_back(
    tmp_path_factory: pytest.TempPathFactory, sets: list[list[str] | None]
) -> None:
    written = write_exports(table(sets), tmp_path_factory.mktemp("out"))
    lines = written["jsonl"].read_text(encoding="utf-8").split("\n")[:-1]
    assert [json.loads(line)[SETS] for line in lines] == sets
    assert pq.read_table(written["parquet"])[SETS].to_pylist() == sets


def test_csv_joins_the_names_and_guards_formulas(tmp_path: Path) -> None:
    written = write_exports(table([["bug", "praise"], [], ["=1+1"]]), tmp_path)
    with written["csv"].open(newline="", encoding="utf-8") as file:
        found = [row[SETS] for row in csv.DictReader(file)]
    assert found == ["bug;praise", "", "'=1+1"]


def test_what_was_written_can_be_written_again(tmp_path: Path) -> None:
    first = write_exports(table([["bug"], [], None, HARD]), tmp_path / "one")
    again = write_exports(pq.read_table(first["parquet"]), tmp_path / "two")
    for name, path in first.items():
        assert again[name].read_bytes() == path.read_bytes()


def test_the_column_stands_where_the_single_label_stood() -> None:
    one, several = columns_of(pairs=True), columns_of(pairs=True, answer=SETS)
    assert one.index("label") == several.index(SETS)
    assert len(one) == len(several)


def test_a_table_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lacks"):
        write_exports(table([[]]).drop_columns(["text"]), tmp_path)
