"""Every format gives the same table; files that cannot be read are refused by their kind."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from labelwright.app.data import load
from labelwright.store.errors import LabelwrightError, UserError
from reading import refusal


def csv_bytes(rows: list[list[str]], delimiter: str = ",") -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter).writerows(rows)
    return buffer.getvalue().encode()


TABLE = {
    "id": ["a7", "b2", "c9"],
    "text": ['say "hi",\nthen go', "naïve 日本 🙂", "=SUM(A1:A9)"],
    "label": ["greeting", "other", "other"],
}
ROWS = [dict(zip(TABLE, cells, strict=True)) for cells in zip(*TABLE.values(), strict=True)]


def save_arrow(folder: Path, table: pa.Table, features: dict[str, Any] | None = None) -> None:
    """The layout of `datasets.save_to_disk`."""
    folder.mkdir(parents=True)
    part = str(folder / "data-00000-of-00001.arrow")
    with pa.OSFile(part, "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features or {}}))


def as_csv(path: Path) -> Path:
    path.with_suffix(".csv").write_bytes(
        csv_bytes([list(TABLE), *[list(row.values()) for row in ROWS]])
    )
    return path.with_suffix(".csv")


def as_csv_gz(path: Path) -> Path:
    target = path.with_suffix(".csv.gz")
    target.write_bytes(gzip.compress(as_csv(path).read_bytes()))
    return target


def as_tsv(path: Path) -> Path:
    rows = [list(TABLE), *[list(row.values()) for row in ROWS]]
    path.with_suffix(".tsv").write_bytes(csv_bytes(rows, "\t"))
    return path.with_suffix(".tsv")


def as_jsonl(path: Path) -> Path:
    path.with_suffix(".jsonl").write_text("\n".join(json.dumps(row) for row in ROWS))
    return path.with_suffix(".jsonl")


def as_ndjson_gz(path: Path) -> Path:
    target = path.with_suffix(".ndjson.gz")
    target.write_bytes(gzip.compress(as_jsonl(path).read_bytes()))
    return target


def as_json_array(path: Path) -> Path:
    path.with_suffix(".json").write_text(json.dumps(ROWS, indent=1))
    return path.with_suffix(".json")


def as_json_lines(path: Path) -> Path:
    return as_jsonl(path).rename(path.with_suffix(".json"))


def as_parquet(path: Path) -> Path:
    pq.write_table(pa.table(TABLE), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def as_saved(path: Path) -> Path:
    save_arrow(path / "saved", pa.table(TABLE))
    return path / "saved"


@pytest.mark.parametrize(
    "write",
    [
        as_csv,
        as_csv_gz,
        as_tsv,
        as_jsonl,
        as_ndjson_gz,
        as_json_array,
        as_json_lines,
        as_parquet,
        as_saved,
    ],
)
def test_every_format_gives_the_same_table(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    loaded = load(str(write(tmp_path / "table")), gold_column="label")
    assert loaded.ids.to_pylist() == TABLE["id"]
    assert loaded.texts.to_pylist() == TABLE["text"]
    assert loaded.gold is not None
    assert loaded.gold.to_pylist() == TABLE["label"]
    assert loaded.text_columns == ("text",)
    assert loaded.notes == ()
    kinds = [loaded.ids.type, loaded.texts.type, loaded.gold.type]
    assert kinds == [pa.string(), pa.large_string(), pa.string()]


def test_what_datasets_itself_saves_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra 'hub' is not installed")
    names = ["no", "yes"]
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)}
    )
    rows = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, 1]}, features)
    datasets.DatasetDict({"train": rows.select([2, 0])}).save_to_disk(str(tmp_path / "saved"))
    loaded = load(str(tmp_path / "saved"), gold_column="label")
    assert loaded.texts.to_pylist() == ["c", "a"]
    assert loaded.gold is not None
    assert loaded.gold.to_pylist() == ["yes", "yes"]


def test_class_numbers_of_a_saved_folder_become_names(tmp_path: Path) -> None:
    features = {"label": {"_type": "ClassLabel", "names": ["no", "yes"]}}
    save_arrow(tmp_path / "d", pa.table({"text": ["a", "b"], "label": [1, 0]}), features)
    loaded = load(str(tmp_path / "d"), gold_column="label", label_names=["yes", "no"])
    assert loaded.gold is not None
    assert loaded.gold.to_pylist() == ["yes", "no"]


def test_a_hidden_class_counts_as_blank_gold(tmp_path: Path) -> None:
    features = {"label": {"_type": "ClassLabel", "names": ["no", "yes"]}}
    save_arrow(tmp_path / "d", pa.table({"text": ["a", "b"], "label": [1, -1]}), features)
    assert "blank in row 2" in refusal(str(tmp_path / "d"), gold_column="label")


def test_a_saved_folder_with_splits_asks_which(tmp_path: Path) -> None:
    for split in ("train", "test"):
        save_arrow(tmp_path / "d" / split, pa.table({"text": [split]}))
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert "'test', 'train'" in refusal(str(tmp_path / "d"))
    assert load(str(tmp_path / "d" / "test")).texts.to_pylist() == ["test"]


def test_a_saved_folder_cannot_point_outside_itself(tmp_path: Path) -> None:
    save_arrow(tmp_path / "secret", pa.table({"text": ["secret"]}))
    save_arrow(tmp_path / "d", pa.table({"text": ["mine"]}))
    outside = {"_data_files": [{"filename": "../secret/data-00000-of-00001.arrow"}]}
    (tmp_path / "d" / "state.json").write_text(json.dumps(outside))
    assert load(str(tmp_path / "d")).texts.to_pylist() == ["mine"]


def test_a_saved_folder_with_a_part_missing_is_refused(tmp_path: Path) -> None:
    save_arrow(tmp_path / "d", pa.table({"text": ["mine"]}))
    (tmp_path / "d" / "data-00000-of-00001.arrow").unlink()
    assert "not a whole saved data set" in refusal(str(tmp_path / "d"))


# --- the hub -------------------------------------------------------------------------------------


def test_a_hub_id_without_the_package_says_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "labelwright[hub]" in refusal("no-such-owner/no-such-name")


def test_an_unreachable_hub_is_one_clear_error(tmp_path: Path) -> None:
    pytest.importorskip("datasets", reason="the extra 'hub' is not installed")
    code = "from labelwright.app.data import load; load('no-such-owner/no-such-name')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "Error: 'no-such-owner/no-such-name' is no file here" in last
    assert issubclass(LabelwrightError, Exception)
    assert "labelwright.store.errors." in last


# --- files that cannot be read -------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "does not exist" in refusal(str(tmp_path / "none.csv"))
    assert "does not exist" in refusal(str(tmp_path / "none"))


@pytest.mark.parametrize("data", ["", "nowhere", "nowhere.csv", "nodir/none.csv", "/"])
def test_nothing_useful_as_data_is_refused(data: str) -> None:
    with pytest.raises(UserError, match=r"does not exist|is a folder"):
        load(data)


def test_a_path_that_is_too_long_is_refused() -> None:
    with pytest.raises(UserError, match="no usable path"):
        load("x" * 5000 + ".csv")


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    assert "not one written by datasets.save_to_disk" in refusal(str(tmp_path))


@pytest.mark.parametrize("name", ["m.csv", "m.tsv", "m.jsonl", "m.json"])
@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
def test_an_empty_file_is_refused(put: Any, name: str, content: str) -> None:
    assert "is empty" in refusal(put(content, name))


@pytest.mark.parametrize(
    ("name", "content"), [("m.csv", "text,label\n"), ("m.csv", "text"), ("m.json", "[]")]
)
def test_a_file_without_rows_is_refused(put: Any, name: str, content: str) -> None:
    assert "rows of texts" in refusal(put(content, name))


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "n.parquet")
    assert "no rows" in refusal(str(tmp_path / "n.parquet"))


def test_an_unknown_ending_is_refused_with_those_known(put: Any) -> None:
    assert ".parquet" in refusal(put("text\na\n", "m.txt"))


@contextmanager
def without_root() -> Iterator[None]:
    """Root may read anything; step down for as long as it lasts."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_file_that_may_not_be_read_is_refused(put: Any) -> None:
    path = put("text\na\n")
    load(path)
    os.chmod(path, 0)
    with without_root():
        assert "may not be read" in refusal(path)


BINARY = {
    "PNG": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0",
    "Excel": b"PK\x03\x04\x14\0\0\0\x08\0",
    "old Excel": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "PDF": b"%PDF-1.7\n",
    "gzip": gzip.compress(b"text\na\n"),
    "binary": bytes(range(256)) * 8,
    "binary file": b"\x7fELF\x02\x01\x01" + bytes(500) + b"\x01\x02\xff" * 30,
}


@pytest.mark.parametrize("what", sorted(BINARY))
@pytest.mark.parametrize("name", ["m.csv", "m.jsonl"])
def test_a_binary_file_is_refused_by_its_kind(put: Any, what: str, name: str) -> None:
    assert what in refusal(put(BINARY[what], name))


def test_a_text_file_named_parquet_is_refused(put: Any) -> None:
    assert "as Parquet" in refusal(put("text\na\n", "m.parquet"))


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table(TABLE), tmp_path / "m.parquet")
    (tmp_path / "m.parquet").write_bytes((tmp_path / "m.parquet").read_bytes()[:-30])
    assert "as Parquet" in refusal(str(tmp_path / "m.parquet"))


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a" * 999, "b"]}), tmp_path / "m.parquet")
    whole = bytearray((tmp_path / "m.parquet").read_bytes())
    whole[4:40] = b"\xff" * 36
    (tmp_path / "m.parquet").write_bytes(whole)
    assert "as Parquet" in refusal(str(tmp_path / "m.parquet"))


def test_a_cut_off_gzip_file_is_refused(put: Any) -> None:
    whole = gzip.compress(b"text\n" + os.urandom(2000).hex().encode())
    assert "not a whole gzip file" in refusal(put(whole[:-500], "m.csv.gz"))
    assert "not a whole gzip file" in refusal(put("text\na\n", "m.csv.gz"))
