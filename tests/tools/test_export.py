"""Exports: the three files say the same, are whole or absent, and run nothing in a spreadsheet."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelwright.store.errors import OperatorError, UserError
from labelwright.tools.export import COLUMNS, write_exports


def rows_table(texts: list[str | None], **columns: Any) -> pa.Table:
    n = len(texts)
    cells: dict[str, Any] = {
        "id": [f"item-{i}" for i in range(n)],
        "text": texts,
        "label": ["billing"] * n,
        "confidence": pa.array([0.25 * (i % 5) if i % 2 else None for i in range(n)], pa.float64()),
        "source": ["learner"] * n,
        "annotator": ["linear@3"] * n,
        "rationale": pa.array([None] * n, pa.string()),
        "round": pa.array([i if i % 3 else None for i in range(n)], pa.int32()),
    }
    return pa.table({**cells, **columns})


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    content = path.read_bytes().decode("utf-8")
    assert content == "" or content.endswith("\n")
    return [json.loads(line) for line in content.split("\n")[:-1]]


TEXTS: list[str | None] = ["plain", "naïve 日本 🙂", 'a "b", c\\d\r\ne\tf', "g\x01\x7f\u2028\x85h"]


def test_all_files_have_exactly_the_columns_in_order(tmp_path: Path) -> None:
    table = rows_table(TEXTS, extra=["x"] * len(TEXTS)).select(["extra", *reversed(COLUMNS)])
    paths = write_exports(table, tmp_path)
    assert {kind: path.name for kind, path in paths.items()} == {
        "csv": "labels.csv",
        "jsonl": "labels.jsonl",
        "parquet": "labels.parquet",
    }
    assert tuple(read_csv(paths["csv"])[0]) == COLUMNS
    assert all(tuple(row) == COLUMNS for row in read_jsonl(paths["jsonl"]))
    assert tuple(pq.read_schema(paths["parquet"]).names) == COLUMNS


def test_json_lines_and_parquet_hold_the_table_exactly(tmp_path: Path) -> None:
    table = rows_table([*TEXTS, "=1+1", "nul\0"])
    paths = write_exports(table, tmp_path)
    assert read_jsonl(paths["jsonl"]) == table.to_pylist()
    assert pq.read_table(paths["parquet"]).to_pylist() == table.to_pylist()


def test_csv_holds_harmless_cells_exactly_and_absent_ones_empty(tmp_path: Path) -> None:
    table = rows_table(TEXTS)
    back = read_csv(write_exports(table, tmp_path)["csv"])
    for row, wanted in zip(back, table.to_pylist(), strict=True):
        assert row["text"] == wanted["text"]
        assert row["rationale"] == ""
        assert (float(row["confidence"]) if row["confidence"] else None) == wanted["confidence"]
        assert (int(row["round"]) if row["round"] else None) == wanted["round"]


def test_the_types_of_parquet_are_those_promised(tmp_path: Path) -> None:
    table = rows_table(TEXTS, round=pa.array([1, 2, None, 3], pa.int64()))
    schema = pq.read_schema(write_exports(table, tmp_path)["parquet"])
    assert schema.field("confidence").type == pa.float64()
    assert schema.field("round").type == pa.int32()


FORMULAS = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\tword",
    "\r=1",
    "\nword",
    " =1",
    "\u00a0\u3000=1",
    "\ufeff=1",
    "\u200b@x",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("column", ["id", "text", "label", "source", "annotator", "rationale"])
def test_csv_disarms_formulas_in_every_column_of_strings(
    tmp_path: Path, formula: str, column: str
) -> None:
    table = rows_table(["a"], **{column: [formula]})
    paths = write_exports(table, tmp_path)
    assert read_csv(paths["csv"])[0][column] == "'" + formula
    assert read_jsonl(paths["jsonl"])[0][column] == formula
    assert pq.read_table(paths["parquet"])[column][0].as_py() == formula


@pytest.mark.parametrize("text", ["a=b", "1-2", "", " ", "me@here", "'quoted'", "日本=x"])
def test_csv_leaves_other_cells_alone(tmp_path: Path, text: str) -> None:
    assert read_csv(write_exports(rows_table([text]), tmp_path)["csv"])[0]["text"] == text


def test_every_csv_value_is_quoted_so_that_no_separator_splits_it(tmp_path: Path) -> None:
    line = write_exports(rows_table(["a;=1+1"]), tmp_path)["csv"].read_text().splitlines()[1]
    assert '"a;=1+1"' in line


def test_csv_holds_no_nul(tmp_path: Path) -> None:
    path = write_exports(rows_table(["a\0b"]), tmp_path)["csv"]
    assert b"\0" not in path.read_bytes()
    assert read_csv(path)[0]["text"] == "a\ufffdb"


def test_an_empty_table_gives_files_without_rows(tmp_path: Path) -> None:
    paths = write_exports(rows_table(TEXTS).slice(0, 0), tmp_path)
    assert read_csv(paths["csv"]) == []
    assert read_jsonl(paths["jsonl"]) == []
    assert pq.read_table(paths["parquet"]).num_rows == 0


def test_chunks_slices_and_dictionaries_are_written_like_plain_columns(tmp_path: Path) -> None:
    table = rows_table([f"text {i}" for i in range(45_000)])
    coded = table.set_column(2, "label", table["label"].dictionary_encode())
    sliced = pa.concat_tables([coded, coded]).slice(44_990, 40_000)
    paths = write_exports(sliced, tmp_path)
    assert read_jsonl(paths["jsonl"]) == sliced.to_pylist()
    assert [row["id"] for row in read_csv(paths["csv"])] == sliced["id"].to_pylist()


def test_only_the_formats_asked_for_are_written(tmp_path: Path) -> None:
    assert list(write_exports(rows_table(TEXTS), tmp_path / "new", formats=["jsonl"])) == ["jsonl"]
    assert os.listdir(tmp_path / "new") == ["labels.jsonl"]


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'xlsx': use csv, jsonl, parquet"):
        write_exports(rows_table(TEXTS), tmp_path / "new", formats=["csv", "xlsx"])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("value", [float("nan"), 1.5, -0.1, float("inf")])
def test_a_confidence_that_is_none_is_refused(tmp_path: Path, value: float) -> None:
    table = rows_table(["a", "b"], confidence=[None, value])
    with pytest.raises(ValueError, match=r"item-1.*outside \[0, 1\]"):
        write_exports(table, tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_missing_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rationale"):
        write_exports(rows_table(TEXTS).drop_columns(["rationale"]), tmp_path)


def test_a_second_export_replaces_the_first_and_a_killed_one(tmp_path: Path) -> None:
    (tmp_path / ".labels.csv.part").write_text("left by a run that was killed")
    write_exports(rows_table(TEXTS), tmp_path)
    write_exports(rows_table(["only"]), tmp_path)
    assert len(read_csv(tmp_path / "labels.csv")) == 1
    assert sorted(os.listdir(tmp_path)) == ["labels.csv", "labels.jsonl", "labels.parquet"]


@contextmanager
def small_disk(limit: int) -> Iterator[None]:
    """No file of this process may grow beyond `limit` bytes: the kernel refuses the write."""
    resource = pytest.importorskip("resource", reason="limits of POSIX")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_full_disk_keeps_the_old_file_and_is_resumable(tmp_path: Path, kind: str) -> None:
    write_exports(rows_table(["old"]), tmp_path, formats=[kind])
    before = (tmp_path / f"labels.{kind}").read_bytes()
    big = rows_table([os.urandom(200).hex() for _ in range(2000)])
    with small_disk(20_000), pytest.raises(OperatorError, match=r"labelwright export PROJECT") as e:
        write_exports(big, tmp_path, formats=[kind])
    assert repr(str(tmp_path / f"labels.{kind}")) in str(e.value)
    assert (tmp_path / f"labels.{kind}").read_bytes() == before
    assert os.listdir(tmp_path) == [f"labels.{kind}"]
    write_exports(big, tmp_path, formats=[kind])
    assert (tmp_path / f"labels.{kind}").stat().st_size > 20_000


def test_a_folder_that_cannot_be_made_is_an_operator_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OperatorError, match=r"labels\.csv"):
        write_exports(rows_table(TEXTS), tmp_path / "file" / "exports")


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(cells, cells | st.none(), st.floats(0, 1) | st.none()), max_size=5))
def test_any_strings_come_back(
    tmp_path: Path, rows: list[tuple[str, str | None, float | None]]
) -> None:
    table = rows_table(
        [text for text, _, _ in rows],
        label=pa.array([label for _, label, _ in rows], pa.string()),
        confidence=pa.array([confidence for _, _, confidence in rows], pa.float64()),
    )
    paths = write_exports(table, tmp_path)
    assert read_jsonl(paths["jsonl"]) == table.to_pylist()
    assert pq.read_table(paths["parquet"]).to_pylist() == table.to_pylist()
    for row, (text, _, confidence) in zip(read_csv(paths["csv"]), rows, strict=True):
        assert row["text"].removeprefix("'") == text.replace("\0", "\ufffd").removeprefix("'")
        assert row["text"].lstrip()[:1] not in tuple("=+-@＝＋－＠")
        assert (float(row["confidence"]) if row["confidence"] else None) == confidence


def test_every_row_of_a_large_table_is_written(tmp_path: Path) -> None:
    table = rows_table(["an ordinary message of two hundred characters " * 4] * 100_000)
    write_exports(table, tmp_path)
    with (tmp_path / "labels.jsonl").open(encoding="utf-8") as lines:
        assert sum(1 for _ in lines) == 100_000
    with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as lines:
        assert sum(1 for _ in csv.DictReader(lines)) == 100_000
