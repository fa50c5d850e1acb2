"""Open a table of texts, whatever its format: a file, a saved `datasets` folder, a hub data set.

Reading is columnar (pyarrow): no types are guessed and nothing is looped over row by row. Only
when a fast reader refuses is the file read again slowly, to name what is wrong.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..store.errors import OperatorError, UserError
from .data_csv import open_csv
from .data_errors import check_encoding, decode, listed, one_line, refuse_binary, unreadable
from .data_json import open_json
from .data_sheet import Sheet, as_text, named_once

if TYPE_CHECKING:
    import pyarrow as pa

_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
_KNOWN = ".csv, .tsv, .jsonl, .ndjson, .json (each also with .gz) or .parquet"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+)?")


def open_sheet(data: str, *, encoding: str = "utf-8") -> Sheet:
    """Open the data without reading its rows.

    Args:
        data: path of a file or of a folder written by `datasets.save_to_disk`, or `owner/name` or
            `owner/name:split` on the Hugging Face hub.
        encoding: of CSV, TSV and JSON files; any text encoding of Python.

    Raises:
        UserError: nothing there, no permission, an unknown or wrong format, duplicate column
            names, bytes that are not in the encoding.
        OperatorError: the disk or the hub does not answer.
    """
    check_encoding(encoding)
    path = Path(data)
    try:
        if data and path.is_dir():
            return _open_saved(path)
        if data and path.exists():
            return _open_file(path, encoding)
        if _HUB_ID.fullmatch(data) and not _ending(path) and not path.parent.exists():
            return _open_hub(data)
        raise FileNotFoundError(data)
    except OSError as error:
        unreadable(data, error)


def _ending(path: Path) -> str:
    name = path.name.lower()
    plain = next((end for end in _ENDINGS if name.removesuffix(".gz").endswith(end)), "")
    return "" if plain == ".parquet" and name.endswith(".gz") else plain


def _open_file(path: Path, encoding: str) -> Sheet:
    kind, place = _ending(path), str(path)
    if not kind:
        raise UserError(f"{place!r} has an ending that is not known here: use {_KNOWN}")
    if kind == ".parquet":
        return _open_parquet(path)
    raw = path.read_bytes()
    if path.name.lower().endswith(".gz"):
        raw = _gunzip(raw, place)
    refuse_binary(raw, place, encoding)
    text = decode(raw, place, encoding)
    if not text.strip():
        raise UserError(f"{place} is empty: it needs the names of the columns and rows of texts")
    if kind in (".csv", ".tsv"):
        return open_csv(text, place, "," if kind == ".csv" else "\t")
    return open_json(text, place)


def _gunzip(raw: bytes, place: str) -> bytes:
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"{place} is not a whole gzip file ({one_line(error)}): compress it again"
        ) from None


def _open_parquet(path: Path) -> Sheet:
    import pyarrow as pa
    from pyarrow import parquet

    place = str(path)
    try:
        schema = parquet.read_schema(path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _no_parquet(place, error) from None
    named_once(schema.names, place)

    def read(names: Sequence[str], texts: Sequence[str]) -> pa.Table:
        try:
            table = parquet.ParquetFile(path).read(columns=list(names))
        except (pa.ArrowInvalid, OSError) as error:
            raise _no_parquet(place, error) from None
        return _typed(table, names, texts, place)

    return Sheet(place, _texts_of(schema), read)


def _no_parquet(place: str, error: Exception) -> UserError:
    return UserError(
        f"{place} cannot be read as Parquet ({one_line(error)}): write it again, or give a file "
        "of another format its own ending"
    )


def _texts_of(schema: pa.Schema) -> dict[str, bool]:
    empty = schema.empty_table()
    return {name: as_text(empty[name]) is not None for name in schema.names}


def _typed(table: pa.Table, names: Sequence[str], texts: Sequence[str], place: str) -> pa.Table:
    import pyarrow as pa

    columns = []
    for name in names:
        column = as_text(table[name])
        if column is None and name in texts:
            raise UserError(
                f"{place}: the column {name!r} holds {table[name].type}, not text: "
                "choose another with --text-column"
            )
        columns.append(table[name] if column is None else column)
    return pa.table(columns, list(names))


def _open_saved(path: Path) -> Sheet:
    """Read what `datasets.save_to_disk` writes: Arrow streams named by `state.json`."""
    place = str(path)
    if (path / "dataset_dict.json").is_file():
        splits = sorted(entry.name for entry in path.iterdir() if (entry / "state.json").is_file())
        if len(splits) == 1:
            return _open_saved(path / splits[0])
        raise UserError(
            f"{place!r} holds the splits {listed(splits)}: give one, like {place}/{splits[0]}"
            if splits
            else f"{place!r} is a saved data set without a split: save it again"
        )
    if not (path / "state.json").is_file():
        raise UserError(
            f"{place!r} is a folder, but not one written by datasets.save_to_disk: "
            f"give a file ({_KNOWN})"
        )
    try:
        table, class_names = _saved_table(path), _class_names(path)
    except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError) as error:
        raise UserError(
            f"{place!r} is not a whole saved data set ({one_line(error)}): save it again "
            "with datasets.save_to_disk"
        ) from None
    return _sheet_of(table, class_names, place)


def _saved_table(path: Path) -> pa.Table:
    import pyarrow as pa

    state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    # Only the last part of the name: a file name from data must not lead out of the folder.
    parts = [path / Path(entry["filename"]).name for entry in state["_data_files"]]
    tables = [pa.ipc.open_stream(pa.OSFile(str(part))).read_all() for part in parts]
    return pa.concat_tables(tables)


def _class_names(path: Path) -> dict[str, list[str]]:
    """The names behind whole-number columns of the type `ClassLabel`."""
    info = path / "dataset_info.json"
    if not info.is_file():
        return {}
    features: dict[str, Any] = json.loads(info.read_text(encoding="utf-8")).get("features") or {}
    return {
        name: list(feature["names"])
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and "names" in feature
    }


def _sheet_of(table: pa.Table, class_names: dict[str, list[str]], place: str) -> Sheet:
    named_once(table.column_names, place)

    def read(names: Sequence[str], texts: Sequence[str]) -> pa.Table:
        return _typed(_named_classes(table.select(names), class_names), names, texts, place)

    return Sheet(place, _texts_of(table.schema), read)


def _named_classes(table: pa.Table, class_names: dict[str, list[str]]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, name in enumerate(table.column_names):
        if name in class_names:
            codes = table[name].combine_chunks()
            # -1 is how `datasets` writes "no label", as in hidden test sets.
            known = pc.if_else(pc.greater_equal(codes, 0), codes, None)
            column = pa.array(class_names[name], pa.large_string()).take(known)
            table = table.set_column(place, name, column)
    return table


def _open_hub(data: str) -> Sheet:
    name, _, split = data.partition(":")
    try:
        import datasets
    except ImportError:
        raise UserError(
            f"{data!r} is no file here, and reading it from the hub needs the package datasets: "
            "check the path, or pip install 'labelwright[hub]'"
        ) from None
    try:
        loaded: Any = datasets.load_dataset(name)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise UserError(
            f"{data!r} is no file here and no data set that the hub shows ({one_line(error)}): "
            "check the path or the name"
        ) from None
    except Exception as error:
        # The hub's client raises errors of half a dozen packages; each means no data came.
        raise OperatorError(
            f"{data!r} is no file here, and the hub gave no data ({one_line(error)}): check the "
            "path or the network, or save it with datasets.save_to_disk and give the folder"
        ) from error
    splits = list(loaded)
    if not split and len(splits) == 1:
        split = splits[0]
    if split not in splits:
        raise UserError(
            f"{data!r}: the data set has the splits {listed(splits)}: give one, "
            f"like {name}:{splits[0]}"
        )
    return _hub_sheet(loaded[split], data)


def _hub_sheet(rows: Any, place: str) -> Sheet:
    class_names = {
        name: list(feature.names)
        for name, feature in rows.features.items()
        if type(feature).__name__ == "ClassLabel"
    }
    return _sheet_of(rows.with_format("arrow")[:], class_names, place)
