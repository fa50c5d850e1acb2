"""The shapes of CSV and JSON, good and bad, in any encoding; properties over random tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelwright.app.data import load
from labelwright.store.errors import UserError
from reading import refusal


def test_broken_utf8_names_row_and_byte(put: Any) -> None:
    message = refusal(put(b'text,n\nfine,1\n"two\nlines",2\ncaf\xe9,3\n'))
    assert "row 3" in message
    assert "0xe9 at byte 31" in message
    assert "--encoding latin-1" in message


@pytest.mark.parametrize("row", [1, 2, 500])
def test_broken_utf8_is_found_in_its_row(put: Any, row: int) -> None:
    lines = [b"text,n"] + [b"fine,1"] * 600
    lines[row] = b"\xff,1"
    assert f": row {row} has a byte" in refusal(put(b"\n".join(lines)))


def test_broken_utf8_in_the_header_is_told(put: Any) -> None:
    assert "the header has a byte" in refusal(put(b"text,caf\xe9\na,b\n"))


@pytest.mark.parametrize("name", ["m.jsonl", "m.json"])
def test_broken_utf8_in_json_names_the_line(put: Any, name: str) -> None:
    content = b'{"text": "a"}\n{"text": "caf\xe9"}\n'
    if name == "m.json":
        content = b"[" + content.replace(b"\n", b",\n", 1) + b"]"
    assert "line 2 has a byte" in refusal(put(content, name))


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-8-sig"])
def test_other_encodings_are_read(put: Any, encoding: str) -> None:
    loaded = load(put("text,n\ncafé,1\n".encode(encoding)), encoding=encoding)
    assert loaded.texts.to_pylist() == ["café"]


@pytest.mark.parametrize(
    ("used", "advised"),
    [("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"), ("utf-32", "utf-32")],
)
def test_utf16_and_utf32_are_recognised(put: Any, used: str, advised: str) -> None:
    path = put("text,n\nplain words,1\n".encode(used))
    assert f"--encoding {advised}" in refusal(path)


def test_a_byte_order_mark_is_no_part_of_the_first_column(put: Any) -> None:
    assert load(put("\ufefftext,n\na,1\n")).text_columns == ("text",)
    assert load(put('\ufeff{"text": "a"}\n', "m.jsonl")).text_columns == ("text",)


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "", "a\0b"])
def test_an_unknown_encoding_is_refused(put: Any, encoding: str) -> None:
    with pytest.raises(UserError, match="unknown encoding"):
        load(put("text\na\n"), encoding=encoding)


def test_bytes_that_the_encoding_does_not_have_are_refused(put: Any) -> None:
    assert "line 3" in refusal(put(b"text\na\n\x81\n"), encoding="cp1252")


# --- CSV -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("line", "found"), [("x,2,3", "3 columns"), ("x", "1 column")])
def test_a_ragged_row_is_named(put: Any, line: str, found: str) -> None:
    message = refusal(put(f'text,n\n"a\nb",1\n\n{line}\ny,4\n'))
    assert f"row 2 has {found} where the header has 2" in message


def test_a_ragged_row_far_down_is_named(put: Any) -> None:
    content = "text,n\n" + "some words here,1\n" * 700_000 + "a,b,c\n"
    assert "row 700001 has 3 columns" in refusal(put(content))


@pytest.mark.parametrize(
    "content",
    [
        'text,n\na,1\n"b,2\nc,3\n',
        'n,text\n1,a\n2,"b\n3,c\n',
        'n,text\n1,a\n2,"b\n3,""c\n',
        'text\na\n"b\nc',
        'text,n\n5" disk,1\n"b,2\nc,3\n',
    ],
)
def test_an_open_quote_is_named(put: Any, content: str) -> None:
    message = refusal(put(content))
    assert "row 2 opens a quote" in message
    assert "never closed" in message


@pytest.mark.parametrize(
    "content",
    [
        'text,n\na,1\n"b"" ,2\nc,3\n"d",4\n',
        'text,n\na,1\n"b,2\nc,3\n"d,4\n',
        'text,n\na,1\n"say "hi" now",2\n',
        'text,n\na,1\n"' + "b" * 200_000 + '"b,2\n',
    ],
)
def test_a_quote_that_would_swallow_rows_is_named(put: Any, content: str) -> None:
    message = refusal(put(content))
    assert "row 2 opens a quote" in message
    assert "middle of a cell" in message


def test_reading_leaves_the_limit_of_the_csv_module_alone(put: Any) -> None:
    before = csv.field_size_limit()
    refusal(put('text\n"a'))
    assert csv.field_size_limit() == before


def test_a_stray_quote_inside_a_cell_is_text(put: Any) -> None:
    assert load(put('text,n\n5" disk,1\n')).texts.to_pylist() == ['5" disk']


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_another_separator_is_recognised(put: Any, separator: str) -> None:
    message = refusal(put(f"text{separator}n\na{separator}1\n"))
    assert repr(separator) in message
    assert "save it with ','" in message


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_any_line_end_is_read(put: Any, end: str, last: bool) -> None:
    content = end.join(["text,n", "a,1", "b,2"]) + (end if last else "")
    assert load(put(content)).texts.to_pylist() == ["a", "b"]


# --- JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "b"', "line 3 is not JSON"),
        ("hello", "line 3 is not JSON"),
        ('{"text": "b"} {"text": "c"} x', "line 3 is not JSON"),
        ("[" * 100_000, "line 3 is not JSON"),
        ('["b"]', "not an object"),
        ('"b"', "not an object"),
        ("3", "not an object"),
        ('{"text": 3}', "'text' is 3: it must be text"),
        ('{"text": ["b"]}', "'text' is ['b']"),
        ('{"text": true}', "'text' is True"),
    ],
)
@pytest.mark.parametrize("lines_before", [1, 3000])
def test_a_wrong_line_is_named(put: Any, line: str, said: str, lines_before: int) -> None:
    content = '{"text": "a"}\n' * lines_before + "\n" + line + '\n{"text": "c"}\n'
    said = said.replace("line 3", f"line {lines_before + 2}")
    message = refusal(put(content, "m.jsonl"))
    assert said in message
    assert f"line {lines_before + 2}" in message


def test_a_broken_array_is_refused(put: Any) -> None:
    assert "not one JSON array" in refusal(put('[{"text": "a"},\n {"text": }]', "m.json"))
    assert "item 2 is 7" in refusal(put('[{"text": "a"}, 7]', "m.json"))


def test_a_field_name_that_is_no_text_is_refused(put: Any) -> None:
    assert "rename it" in refusal(put('{"te\\ud800xt": "a"}', "m.jsonl"))


def test_objects_without_fields_are_refused(put: Any) -> None:
    assert "no objects with fields" in refusal(put("{}\n{}\n", "m.jsonl"))


# --- properties ----------------------------------------------------------------------------------

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\x1e"), max_size=30)
nasty = st.text(st.sampled_from("\",\n\r\t '=;a\u2028\x85\x0b"), max_size=8)
solid = st.builds(lambda a, b: a + "x" + b, words | nasty, words | nasty)


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cells=st.lists(st.tuples(solid, words | nasty), min_size=1, max_size=6),
    header=st.lists(solid, min_size=2, max_size=2, unique=True),
    delimiter=st.sampled_from([",", "\t"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_csv_writes_is_read_back(
    tmp_path: Path,
    cells: list[tuple[str, str]],
    header: list[str],
    delimiter: str,
    quoting: Any,
) -> None:
    path = tmp_path / ("t.csv" if delimiter == "," else "t.tsv")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=quoting)
        writer.writerow(header)
        writer.writerows(cells)
    loaded = load(str(path), text_columns=header[:1])
    assert loaded.texts.to_pylist() == [first for first, _ in cells]
    assert loaded.notes == ()


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(solid, min_size=1, max_size=6), ascii_only=st.booleans())
def test_what_json_writes_is_read_back(tmp_path: Path, texts: list[str], ascii_only: bool) -> None:
    path = tmp_path / "t.jsonl"
    lines = [json.dumps({"text": text}, ensure_ascii=ascii_only) for text in texts]
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    assert load(str(path)).texts.to_pylist() == texts


@settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.binary(max_size=200)
    | st.text(st.sampled_from('text,"\n\r{}[]:\\u0\xe9'), max_size=60).map(
        lambda text: text.encode()
    ),
    name=st.sampled_from(["f.csv", "f.tsv", "f.jsonl", "f.json", "f.parquet", "f.csv.gz"]),
)
def test_any_bytes_are_read_or_refused_by_a_user_error(
    tmp_path: Path, content: bytes, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    try:
        loaded = load(str(path))
    except UserError:
        refusal(str(path))
    else:
        assert len(loaded.ids) == len(loaded.texts) > 0
