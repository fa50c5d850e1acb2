"""Marked texts in: the forms in which tools write them, and one clear line for what is none."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from labelwright.app.data import Loaded, gold_names, load
from labelwright.store.errors import UserError

TEXT = "Ada left Rome 😀 Ada"
ADA, ROME = '[0,3,"person","Ada"]', '[9,13,"place","Rome"]'
NAMES = ["person", "place"]


def lines(folder: Path, *given: dict[str, Any]) -> str:
    path = folder / "data.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in given), encoding="utf-8")
    return str(path)


def read(data: str, **options: Any) -> Loaded:
    given = {"gold_column": "gold", "label_names": NAMES, "marked": True, **options}
    return load(data, **given)


@pytest.mark.parametrize(
    ("cell", "stored"),
    [
        ([[0, 3, "person"], [9, 13, "place"]], f"[{ADA},{ROME}]"),
        ([[9, 13, "place"], [0, 3, "person", "Ada"]], f"[{ADA},{ROME}]"),
        ([{"start": 0, "end": 3, "label": "person"}], f"[{ADA}]"),
        ([{"start": 0, "end": 3, "text": "Ada", "labels": ["person"]}], f"[{ADA}]"),
        ([{"id": 1, "label": "place", "start_offset": 9, "end_offset": 13}], f"[{ROME}]"),
        ([[16, 19, "person"]], '[[16,19,"person","Ada"]]'),
        ([], "[]"),
        (None, "[]"),
        ("", "[]"),
        ('[[0, 3, "person"]]', f"[{ADA}]"),
    ],
    ids=str,
)
def test_parts_are_read_as_tools_write_them(tmp_path: Path, cell: Any, stored: str) -> None:
    loaded = read(lines(tmp_path, {"text": TEXT, "gold": cell}))
    assert loaded.gold is not None
    assert loaded.gold.to_pylist() == [stored]
    assert not loaded.tokens


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ([[0, 4, "person", "Ada"]], r"row 1: characters 0 to 4 of the text are 'Ada '"),
        ([[0, 400, "person", "Ada"]], "row 1: characters 0 to 400"),
        ([[-3, 3, "person"]], "row 1"),
        ([[3, 3, "person"]], "blank"),
        ([[3, 4, "person"]], "blank"),
        ([[0, 8, "person"], [4, 13, "place"]], "overlap"),
        ([["0", "3", "person"]], "no whole numbers"),
        ([[0.0, 3, "person"]], "no whole numbers"),
        ([[True, 3, "person"]], "no whole numbers"),
        ([[0, 3]], "no marked part with one type"),
        ([{"start": 0, "end": 3, "labels": ["person", "place"]}], "no marked part with one type"),
        ([[0, 3, ""]], "no marked part with one type"),
        (["B-person", "O"], "2 tags for 5 tokens"),
        ("Ada", "no list"),
        ("5", "no list of marked parts"),
    ],
    ids=str,
)
def test_what_is_no_part_of_the_text_is_refused_with_its_row(
    tmp_path: Path, cell: Any, why: str
) -> None:
    data = lines(tmp_path, {"text": TEXT, "gold": cell})
    with pytest.raises(UserError, match=why) as found:
        read(data)
    assert "\n" not in str(found.value)


def test_tokens_become_a_text_and_tags_its_parts(tmp_path: Path) -> None:
    data = lines(
        tmp_path,
        {
            "tokens": ["Ada", "King", "left", "Rome"],
            "gold": ["B-person", "I-person", "O", "B-place"],
        },
        {"tokens": ["Nobody", "."], "gold": ["O", "O"]},
        {"tokens": [], "gold": []},
    )
    loaded = read(data)
    assert loaded.tokens
    assert loaded.text_columns == ("tokens",)
    assert loaded.texts.to_pylist() == ["Ada King left Rome", "Nobody ."]
    assert loaded.gold is not None
    assert loaded.gold.to_pylist() == [
        '[[0,8,"person","Ada King"],[14,18,"place","Rome"]]',
        "[]",
    ]
    assert "1 of 3 rows have no text" in loaded.notes[0]


@pytest.mark.parametrize(
    ("tokens", "tags", "why"),
    [
        (["Ada", "b c"], ["O", "O"], "'b c' in row 1"),
        (["Ada", ""], ["O", "O"], "'' in row 1"),
        (["Ada"], ["O", "O"], "2 tags for 1 tokens"),
        (["Ada"], ["S-person"], "'S-person' is no IOB2 tag"),
        (["Ada"], ["B-"], "'B-' is no IOB2 tag"),
        (["Ada"], [1], "'gold' is \\[1\\]"),
        ([1], ["O"], "'tokens' is \\[1\\]"),
        ("Ada", ["O", "O"], "2 tags for 1 tokens"),
    ],
    ids=str,
)
def test_tokens_and_tags_that_do_not_fit_are_refused(
    tmp_path: Path, tokens: list[Any], tags: list[Any], why: str
) -> None:
    with pytest.raises(UserError, match=why):
        read(lines(tmp_path, {"tokens": tokens, "gold": tags}))


def test_csv_and_parquet_hold_the_same(tmp_path: Path) -> None:
    table = tmp_path / "data.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "gold"], [TEXT, '[[0,3,"person"]]'], ["none", ""]])
    of_csv = read(str(table))
    parts = [[{"start": 0, "end": 3, "label": "person"}], None]
    pq.write_table(pa.table({"text": [TEXT, "none"], "gold": parts}), tmp_path / "data.parquet")
    of_parquet = read(str(tmp_path / "data.parquet"))
    assert of_csv.gold is not None
    assert of_parquet.gold is not None
    assert of_csv.gold.to_pylist() == of_parquet.gold.to_pylist() == [f"[{ADA}]", "[]"]


def test_parquet_may_have_lists_of_tokens(tmp_path: Path) -> None:
    tokens, tags = [["Ada", "left"], ["so"]], [["B-person", "O"], ["O"]]
    pq.write_table(pa.table({"words": tokens, "gold": tags}), tmp_path / "data.parquet")
    loaded = read(str(tmp_path / "data.parquet"), text_columns=["words"])
    assert loaded.texts.to_pylist() == ["Ada left", "so"]
    assert loaded.gold is not None
    assert loaded.gold.to_pylist() == [f"[{ADA}]", "[]"]


def test_types_that_are_not_asked_for_are_left_out_and_told(tmp_path: Path) -> None:
    data = lines(tmp_path, {"text": TEXT, "gold": [[0, 3, "person"], [9, 13, "place"]]})
    loaded = read(data, label_names=["person"])
    assert loaded.gold is not None
    assert loaded.gold.to_pylist() == [f"[{ADA}]"]
    assert any("1 'place'" in note for note in loaded.notes)


def test_a_type_that_nobody_marked_is_a_slip(tmp_path: Path) -> None:
    data = lines(tmp_path, {"text": TEXT, "gold": [[0, 3, "person"]]})
    with pytest.raises(UserError, match="marks no 'persons', and 'person'"):
        read(data, label_names=["persons"])


def test_types_are_found_in_the_gold_column(tmp_path: Path) -> None:
    data = lines(
        tmp_path,
        {"tokens": ["a", "b"], "gold": ["O", "B-place"]},
        {"tokens": ["a", "b"], "gold": ["B-person", "I-person"]},
    )
    assert gold_names(data, "gold", marked=True) == ["place", "person"]
    with pytest.raises(UserError, match="nothing is marked"):
        gold_names(lines(tmp_path, {"text": "a", "gold": []}), "gold", marked=True)


def test_lists_of_parts_are_no_single_labels(tmp_path: Path) -> None:
    data = lines(tmp_path, {"text": TEXT, "gold": [[0, 3, "person"]]})
    with pytest.raises(UserError, match="holds lists"):
        load(data, gold_column="gold")


def test_parts_are_of_one_text(tmp_path: Path) -> None:
    data = lines(tmp_path, {"a": "x", "b": "y", "gold": []})
    with pytest.raises(UserError, match="one text"):
        read(data, text_columns=["a", "b"])
