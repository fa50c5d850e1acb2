"""The pool as read: columns, ids, cells, gold, and how fast."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from labelwright.app.data import LONG_TEXT, gold_names, load
from labelwright.store.errors import UserError
from reading import refusal

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def test_several_text_columns_are_joined_by_a_newline_without_blank_parts(put: Any) -> None:
    loaded = load(
        put("title,body\nHelp,It broke\nOnly title,\n,Only body\n"), text_columns=["title", "body"]
    )
    assert loaded.texts.to_pylist() == ["Help\nIt broke", "Only title", "Only body"]
    assert loaded.text_columns == ("title", "body")


def test_the_only_other_column_is_the_text(put: Any) -> None:
    assert load(put("message\nhello\n")).texts.to_pylist() == ["hello"]
    loaded = load(put("id,message,answer\n1,hello,yes\n"), gold_column="answer")
    assert loaded.text_columns == ("message",)


def test_the_gold_column_is_never_taken_as_text(put: Any) -> None:
    assert "no column 'text'" in refusal(put("label\nyes\n"), gold_column="label")
    assert "--text-column" in refusal(put("text\nyes\n"), gold_column="text")


def test_gold_as_text_is_refused_when_asked_for(put: Any) -> None:
    path = put("text,label\nhello,yes\n")
    assert "would hold the answer" in refusal(path, text_columns=["label"], gold_column="label")


def test_several_candidates_are_listed(put: Any) -> None:
    message = refusal(put("message,answer\nhello,yes\n"))
    assert "'message', 'answer'" in message
    assert "--text-column" in message


def test_numbers_of_typed_formats_are_no_candidates_for_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"stars": [3], "review": ["good"]}), tmp_path / "r.parquet")
    assert load(str(tmp_path / "r.parquet")).text_columns == ("review",)
    (tmp_path / "r.jsonl").write_text('{"stars": 3, "review": "good"}\n')
    assert load(str(tmp_path / "r.jsonl")).text_columns == ("review",)


def test_a_column_of_numbers_cannot_be_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"stars": [3], "review": ["good"]}), tmp_path / "r.parquet")
    assert "holds int64, not text" in refusal(str(tmp_path / "r.parquet"), text_columns=["stars"])


@pytest.mark.parametrize("option", ["text_columns", "id_column", "gold_column"])
def test_a_missing_column_gets_the_nearest_name(put: Any, option: str) -> None:
    wanted: Any = ["Mesage"] if option == "text_columns" else "Mesage"
    message = refusal(put("message,answer\nhello,yes\n"), **{option: wanted})
    assert "no column 'Mesage'" in message
    assert "did you mean 'message'" in message
    assert "'message', 'answer'" in message


def test_ids_are_data_row_numbers_when_there_is_no_id(put: Any) -> None:
    assert load(put("text\na\nb\n")).ids.to_pylist() == ["1", "2"]


def test_an_id_column_is_used_and_numbers_become_strings(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"id": 12345678901234567, "text": "a"}\n')
    assert load(str(tmp_path / "m.jsonl")).ids.to_pylist() == ["12345678901234567"]


def test_another_id_column_can_be_named(put: Any) -> None:
    loaded = load(put("id,key,text\n1,x,a\n1,y,b\n"), id_column="key")
    assert loaded.ids.to_pylist() == ["x", "y"]


def test_duplicated_ids_name_both_rows(put: Any) -> None:
    message = refusal(put("id,text\nx,a\ny,b\nz,\ny,c\n"))
    assert "'y'" in message
    assert "row 2 and again in row 4" in message
    assert "--id-column" in message


def test_ids_that_differ_only_in_nul_and_its_stand_in_are_duplicates(put: Any) -> None:
    assert "again in row 2" in refusal(put("id,text\nx\0,a\nx\ufffd,b\n"))


def test_a_blank_id_is_refused(put: Any) -> None:
    assert "blank in row 2" in refusal(put("id,text\nx,a\n ,b\n"))


def test_a_column_named_twice_is_refused(put: Any) -> None:
    assert "column 'text' more than once" in refusal(put("text,text\na,b\n"))
    assert "twice" in refusal(put("text,more\na,b\n"), text_columns=["text", "text"])


def test_unnamed_extra_columns_do_no_harm(put: Any) -> None:
    assert load(put(",text,,\n0,a,,\n")).texts.to_pylist() == ["a"]


# --- cells: kept, left out, told -----------------------------------------------------------------


def test_blank_texts_are_left_out_and_told_and_ids_keep_their_row(put: Any) -> None:
    loaded = load(put('n,text\n1,a\n2,\n3,"  \t"\n4,d\n'))
    assert loaded.ids.to_pylist() == ["1", "4"]
    assert loaded.texts.to_pylist() == ["a", "d"]
    assert loaded.notes == ("2 of 4 rows have no text and were left out (rows 2, 3).",)


def test_null_texts_of_json_are_left_out(put: Any) -> None:
    content = '{"text": null, "g": "x"}\n{"text": "b", "g": "y"}\n{"g": "z"}\n'
    loaded = load(put(content, "m.jsonl"), gold_column="g")
    assert loaded.ids.to_pylist() == ["2"]
    assert loaded.gold is not None
    assert loaded.gold.to_pylist() == ["y"]


@pytest.mark.parametrize("content", ["n,text\n1,\n2, \n", "n,text\n1,\u3000\n"])
def test_a_column_blank_throughout_is_refused(put: Any, content: str) -> None:
    assert "'text' is blank in every row" in refusal(put(content))


def test_a_column_null_throughout_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.nulls(3)}), tmp_path / "n.parquet")
    assert "'text' is blank in every row" in refusal(str(tmp_path / "n.parquet"))


def test_words_that_mean_missing_elsewhere_are_texts(put: Any) -> None:
    words = ["NA", "null", "None", "nan", "#N/A", "true", "007", "2020-01-01"]
    assert load(put("text\n" + "\n".join(words))).texts.to_pylist() == words


def test_dates_in_json_stay_strings(put: Any) -> None:
    path = put('{"text": "2020-01-01T00:00:00Z"}\n', "m.jsonl")
    assert load(path).texts.to_pylist() == ["2020-01-01T00:00:00Z"]


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl", "m.json"])
def test_nul_bytes_are_replaced_and_told(put: Any, name: str) -> None:
    content = {
        "m.csv": "text\nfine\na\0b\n",
        "m.jsonl": '{"text": "fine"}\n{"text": "a\\u0000b"}\n',
        "m.json": '[{"text": "fine"}, {"text": "a\\u0000b"}]',
    }[name]
    loaded = load(put(content, name))
    assert loaded.texts.to_pylist() == ["fine", "a\ufffdb"]
    assert len(loaded.notes) == 1
    assert "NUL" in loaded.notes[0]
    assert "row 2" in loaded.notes[0]


@pytest.mark.parametrize("size", [1 << 20, 20 << 20])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_huge_cell_is_kept_whole_and_told(put: Any, size: int, kind: str) -> None:
    text = "x" * size
    content = f'text\na\n"{text}"\nb\n' if kind == "csv" else f'{{"text":"a"}}\n{{"text":"{text}"}}'
    loaded = load(put(content, f"m.{kind}"))
    assert loaded.texts[1].as_py() == text
    assert "only the first part" in loaded.notes[0]
    assert f"row 2; the longest has {size:,}" in loaded.notes[0]


def test_a_text_of_ordinary_length_is_not_told(put: Any) -> None:
    assert load(put("text\n" + "x" * LONG_TEXT)).notes == ()


def test_formulas_are_kept_on_reading(put: Any) -> None:
    formulas = ["=1+1", "+49 30", "-5", "@here"]
    assert load(put("text\n" + "\n".join(formulas))).texts.to_pylist() == formulas


def test_half_a_surrogate_pair_in_json_becomes_the_replacement_character(put: Any) -> None:
    path = put('{"text": "a\\ud83d b"}\n{"text": "\\ud83d\\ude42"}\n', "m.jsonl")
    assert load(path).texts.to_pylist() == ["a\ufffd b", "🙂"]


def test_mixed_numbers_and_strings_in_json_are_read_as_strings(put: Any) -> None:
    path = put('{"id": 1, "text": "a"}\n\n{"id": "x", "text": "b"}\n', "m.jsonl")
    assert load(path).ids.to_pylist() == ["1", "x"]


def test_the_fast_and_the_slow_json_reader_agree(put: Any) -> None:
    lines = [json.dumps({"id": i, "text": f"t{i} é\u2028", "ok": i % 2 == 0}) for i in range(50)]
    fast = load(put("\n".join(lines), "fast.jsonl"), gold_column="ok")
    array = load(put("[" + ",".join(lines) + "]", "slow.json"), gold_column="ok")
    for one, other in ((fast.ids, array.ids), (fast.texts, array.texts), (fast.gold, array.gold)):
        assert one.to_pylist() == other.to_pylist()  # type: ignore[union-attr]


# --- gold ----------------------------------------------------------------------------------------


def test_a_gold_value_outside_the_labels_is_named_with_its_row(put: Any) -> None:
    path = put("text,label\na,yes\n,never\nc,Yes\n")
    message = refusal(path, gold_column="label", label_names=["yes", "no"])
    assert "'Yes' in row 3" in message
    assert "did you mean 'yes'" in message
    assert "they are 'yes', 'no'" in message


def test_blank_gold_is_refused(put: Any) -> None:
    message = refusal(put("text,label\na,yes\nb,\nc, \n"), gold_column="label")
    assert "blank in rows 2, 3" in message


def test_gold_names_come_by_first_appearance(put: Any) -> None:
    path = put("text,label\na,zebra\nb,ant\nc,zebra\nd,\n")
    assert gold_names(path, "label") == ["zebra", "ant"]


def test_gold_names_of_a_missing_or_blank_column_are_refused(put: Any) -> None:
    path = put("text,label\na,\n")
    with pytest.raises(UserError, match="did you mean 'label'"):
        gold_names(path, "labels")
    with pytest.raises(UserError, match="blank in every row"):
        gold_names(path, "label")


def test_nested_gold_is_refused(put: Any) -> None:
    path = put('{"text": "a", "gold": {"x": 1}}\n', "m.jsonl")
    assert "line 1: 'gold'" in refusal(path, gold_column="gold")


# --- size and real data --------------------------------------------------------------------------


def test_a_hundred_thousand_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    sentence = "an ordinary message, of no great interest; " * 5
    path.write_text("id,text,label\n" + "".join(f'k{i},"{sentence}",a\n' for i in range(100_000)))
    loaded = load(str(path), gold_column="label", label_names=["a", "b"])
    assert len(loaded.texts) == 100_000


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data on this machine")
@pytest.mark.parametrize(
    ("name", "items", "labels"),
    [
        ("ag_news/test.csv", 7600, 4),
        ("trec/train.csv", 5452, 6),
        ("banking77/train.csv", 10003, 77),
    ],
)
def test_real_files_agree_with_the_csv_module(name: str, items: int, labels: int) -> None:
    names = gold_names(str(SHARED / name), "label")
    loaded = load(str(SHARED / name), gold_column="label", label_names=names)
    with (SHARED / name).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert loaded.texts.to_pylist() == [row["text"] for row in rows]
    assert loaded.gold is not None
    assert loaded.gold.to_pylist() == [row["label"] for row in rows]
    assert (len(loaded.ids), len(names)) == (items, labels)


def test_importing_loads_no_arrow() -> None:
    code = (
        "import sys, labelwright.app.data, labelwright.tools.export;"
        "sys.exit(' '.join({'pyarrow', 'pandas', 'datasets', 'torch'} & set(sys.modules)) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
