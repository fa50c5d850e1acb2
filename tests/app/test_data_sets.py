"""Gold columns with sets of labels, in every format, and what is wrong with a cell."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from labelwright.app.data import gold_names, load
from labelwright.store.errors import UserError

NAMES = ["billing", "bug", "praise"]
SETS = [["bug", "billing"], [], ["praise"]]
STORED = ['["billing","bug"]', "[]", '["praise"]']


def as_csv(folder: Path, cells: list[str]) -> str:
    path = folder / "data.csv"
    quoted = ['"{}"'.format(cell.replace('"', '""')) for cell in cells]
    lines = [f"text {i},{cell}" for i, cell in enumerate(quoted)]
    path.write_text("text,gold\n" + "\n".join(lines), encoding="utf-8")
    return str(path)


def gold(data: str, names: list[str] | None = NAMES) -> list[str]:
    loaded = load(data, gold_column="gold", several=True, label_names=names)
    assert loaded.gold is not None
    found: list[str] = loaded.gold.to_pylist()
    return found


@pytest.mark.parametrize(
    "cells",
    [
        ["bug;billing", "", "praise"],
        ['["bug", "billing"]', "[]", '["praise"]'],
        [" billing ; bug ", "  ", '["praise"]'],
    ],
)
def test_csv_cells_are_read_as_names_or_as_json(tmp_path: Path, cells: list[str]) -> None:
    assert gold(as_csv(tmp_path, cells)) == STORED


def test_lists_in_json_lines_are_sets(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    rows = [{"text": f"text {i}", "gold": each} for i, each in enumerate(SETS)]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    assert gold(str(path)) == STORED


def test_list_columns_of_parquet_are_sets_and_null_is_the_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    sets = pa.array([SETS[0], None, SETS[2]], pa.list_(pa.string()))
    pq.write_table(pa.table({"text": ["a", "b", "c"], "gold": sets}), path)
    assert gold(str(path)) == STORED


def test_without_a_spec_the_order_is_by_name(tmp_path: Path) -> None:
    assert gold(as_csv(tmp_path, ["praise;bug", "", "bug"]), None) == [
        '["bug","praise"]',
        "[]",
        '["bug"]',
    ]


def test_a_name_that_is_no_label_is_refused_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"row 2 holds 'bugs'.*labels.*'bug'"):
        gold(as_csv(tmp_path, ["bug", "praise;bugs", ""]))


def test_a_broken_cell_is_refused_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"column .gold., row 3.*empty label"):
        gold(as_csv(tmp_path, ["bug", "praise", "bug;;praise"]))


def test_rows_without_text_keep_the_numbers_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("text,gold\n,bug\nb,what\n", encoding="utf-8")
    with pytest.raises(UserError, match="row 2"):
        gold(str(path))


def test_numbers_in_lists_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"text": ["a"], "gold": pa.array([[1]])}), path)
    with pytest.raises(UserError, match="lists of label names"):
        gold(str(path))


def test_the_names_are_those_in_the_sets(tmp_path: Path) -> None:
    data = as_csv(tmp_path, ["bug;billing", "", "praise;bug"])
    assert gold_names(data, "gold", several=True) == ["bug", "billing", "praise"]


def test_a_column_of_empty_sets_names_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="blank in every row"):
        gold_names(as_csv(tmp_path, ["", "[]"]), "gold", several=True)


def test_lists_without_multi_label_are_refused_with_the_option(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--multi-label"):
        load(as_csv(tmp_path, ['["bug"]', "[]"]), gold_column="gold")
