"""What is handed over: the labelled data, the classifier, the cards, the report.

The annotations of the final labels are computed first and written once by the graph; the files
are made from the store and can be made again at any time.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..models.pairs import split_pair
from ..store.files import file_digest, folder_digest, replacing, write_folder
from ..store.label_sets import decode
from ..store.pool import Pool
from ..store.records import HUMAN_KINDS, Annotation
from ..store.spec import TaskSpec
from .base import ToolContext
from .cards import data_card, model_card
from .export import SECOND, SETS, write_exports
from .export_entities import ENTITIES, TOKENS_FILE, as_records, entity_type, write_tokens
from .labels import LabelledRows, human_labels
from .machine_labels import machine_labels
from .predictions import PREDICTIONS
from .report import write_report
from .scores import SCORE_FILES, read_scores

BLOCK = 8_192
"""Rows compared with all labelled items at a time: bounds the memory of the similarities."""


def final_annotations(context: ToolContext) -> list[Annotation]:
    """The machine's answer for every unique item that no person labelled."""
    scores, model = read_scores(context.store), context.store.artefact("model")
    if scores is None or model is None:
        raise RuntimeError("finish was reached without a scored model")
    known = human_labels(context.store)
    machine = machine_labels(context, scores)
    rows = machine.rows
    if not len(rows):
        return []
    probabilities = scores.of(rows)
    labels = context.form.written(machine.answers)
    confidence = machine.confidence
    calibrated = model["temperature"] is not None
    reasons = _rationales(context, rows, probabilities, known, str(model["learner"]))
    ids = context.pool.ids(rows)
    return [
        replace(machine.by_model[row], purpose="final", usd=0.0)
        if row in machine.by_model
        else Annotation(
            row=row,
            item=item,
            kind="learner",
            annotator=f"learner:{model['learner']}",
            version=str(model["digest"])[:16],
            purpose="final",
            label=label,
            confidence=sure if calibrated else None,
            rationale=reason,
            round=int(model["round"]),
        )
        for row, item, label, sure, reason in zip(
            rows.tolist(),
            ids,
            labels,
            np.round(confidence.astype(np.float64), 6).tolist(),
            reasons,
            strict=True,
        )
    ]


def labelled_table(context: ToolContext) -> pa.Table:
    """Every pool item with the exported columns, in pool order; call it after `finish`."""
    store, pool = context.store, context.pool
    best: dict[int, Annotation] = {}
    for each in store.annotations(purposes=("final",)):
        best[each.row] = each
    for each in store.annotations(kinds=HUMAN_KINDS):
        if each.label is not None:
            best[each.row] = each
    groups = np.asarray(pool.groups)
    unique = pool.unique_rows
    place = np.searchsorted(unique, groups)
    found = [best[row] for row in unique.tolist()]
    copied = groups != np.arange(len(groups))
    first_ids = pa.array(pool.ids(groups))
    rationale = _spread([each.rationale for each in found], place, pa.string())
    note = pc.binary_join_element_wise("same text as item ", first_ids, "")
    return pa.table(
        {
            "id": pool.table.column("id"),
            **_text_columns(pool, pairs=bool(context.settings.second_columns)),
            **_label_column([each.label for each in found], place, context.spec),
            "confidence": _spread([each.confidence for each in found], place, pa.float64()),
            "source": _spread([each.kind for each in found], place, pa.string()),
            "annotator": _spread([each.annotator for each in found], place, pa.string()),
            "rationale": pc.if_else(pa.array(copied), note, rationale),
            "round": _spread([each.round for each in found], place, pa.int32()),
        }
    )


def _label_column(
    labels: list[str | None], place: NDArray[np.int64], spec: TaskSpec
) -> dict[str, pa.Array]:
    if spec.marked:
        parts = [None if label is None else as_records(label) for label in labels]
        return {ENTITIES: _spread(parts, place, pa.list_(entity_type()))}
    if not spec.several:
        return {"label": _spread(labels, place, pa.string())}
    sets = [None if label is None else list(decode(label)) for label in labels]
    return {SETS: _spread(sets, place, pa.list_(pa.string()))}


def _text_columns(pool: Pool, *, pairs: bool) -> dict[str, pa.ChunkedArray]:
    texts = pool.table.column("text")
    if not pairs:
        return {"text": texts}
    halves = [split_pair(text) for text in texts.to_pylist()]
    return {
        "text": pa.chunked_array([pa.array([first for first, _ in halves], pa.large_string())]),
        SECOND: pa.chunked_array([pa.array([second for _, second in halves], pa.large_string())]),
    }


def deliver(context: ToolContext) -> dict[str, str]:
    """Write exports, classifier, cards and report; the same store gives the same files.

    Returns:
        Path of each file or folder, relative to the project, and its SHA-256.

    Raises:
        OperatorError: the disk is full or the folder is read-only; run it again afterwards.
    """
    store, pool, spec, settings = context.store, context.pool, context.spec, context.settings
    exports = context.folder("exports")
    table = labelled_table(context)
    paths = list(write_exports(table, exports).values())
    if spec.marked:
        paths.append(write_tokens(table, exports / TOKENS_FILE, split=settings.tokens))
    final = context.folder("models") / "final"
    write_folder(final, lambda folder: _fill_model(context, folder))
    _write_text(exports / "data_card.md", data_card(store, pool, spec, settings))
    _write_text(
        exports / "certificate.json",
        json.dumps(store.artefact("certificate"), indent=2, sort_keys=True) + "\n",
    )
    write_report(store, pool, spec, settings, store.folder / "report.html")
    paths += [exports / "data_card.md", exports / "certificate.json", store.folder / "report.html"]
    files = {path.relative_to(store.folder).as_posix(): file_digest(path) for path in paths}
    files["models/final"] = folder_digest(final)
    return files


def _fill_model(context: ToolContext, folder: Path) -> None:
    model: dict[str, Any] = context.store.artefact("model") or {}
    source = context.store.folder / model["folder"]
    left_out = shutil.ignore_patterns(*SCORE_FILES, "frozen.npz", PREDICTIONS, ".*")
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=left_out)
    card = model_card(context.store, context.pool, context.spec, context.settings)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _spread(values: list[Any], place: NDArray[np.int64], kind: pa.DataType) -> pa.Array:
    """Values of the unique rows, given to every row of their group."""
    return pa.array(values, type=kind).take(pa.array(place))


def _rationales(
    context: ToolContext,
    rows: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    known: LabelledRows,
    learner: str,
) -> list[str]:
    """For each row: how sure the learner is, what came second, and the nearest labelled item."""
    names, shown = pa.array(context.spec.label_names), context.form.shown
    # The two likeliest labels; where there may be several, the three nearest to a change.
    order, between = np.argsort(-probabilities, axis=1)[:, :2], ", then "
    if context.spec.several:
        order = np.argsort(np.abs(probabilities - 0.5), axis=1, kind="stable")[:, :3]
        between = "labels nearest to a change "
    if context.spec.marked:
        between = "chance of any "
    near, similarity = _nearest(context, rows, known)
    ids = pa.array(context.pool.ids(known.rows)).take(pa.array(near))
    labels = pa.array([shown(each) for each in known.labels]).take(pa.array(near))
    parts = [
        pa.array([f"{learner}: "] * len(rows)),
        *_named(names, probabilities, order, between),
        "; nearest labelled item ",
        ids,
        " (",
        labels,
        ", similarity ",
        _decimals(similarity),
        ")",
        "",
    ]
    joined: list[str] = pc.binary_join_element_wise(*parts).to_pylist()
    return joined


def _named(
    names: pa.Array, probabilities: NDArray[np.float32], order: NDArray[np.int64], words: str
) -> list[Any]:
    """Columns of text: the labels in the order given, each with its probability.

    The words stand between them if they begin with a comma, and else before them.
    """
    between = words if words.startswith(",") else ", "
    parts: list[Any] = [] if words == between else [words]
    for place, column in enumerate(order.T):
        values = probabilities[np.arange(len(column)), column]
        parts += [*([between] if place else []), names.take(pa.array(column)), " "]
        parts.append(_decimals(values))
    return parts


def _nearest(
    context: ToolContext, rows: NDArray[np.int64], known: LabelledRows
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    reference = context.vectors(known.rows)
    near = np.zeros(len(rows), dtype=np.int64)
    similarity = np.zeros(len(rows), dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        cosines = context.vectors(rows[part]) @ reference.T
        near[part] = cosines.argmax(axis=1)
        similarity[part] = cosines.max(axis=1)
    return near, similarity


def _decimals(values: NDArray[np.float32]) -> pa.Array:
    return pa.array(np.char.mod("%.2f", values))
