"""The model card and the data card: Markdown that travels with what was handed over.

Both open with front matter as the Hugging Face hub reads it. What is not known (licence,
language, where the texts come from) is not filled in: the cards say that it has to be added.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from ..store.database import Store
from ..store.pool import Pool
from ..store.spec import Settings, TaskSpec
from .export import SECOND, SETS, columns_of
from .export_entities import ENTITIES
from .generation.using import sources
from .rendering import page
from .report import calibration_words, certificate_words, inside_words
from .summary import NO_LABEL, NOTHING_MARKED, Summary, duration, level_words, percent, summarise

TAGS = ["active-learning", "labelwright"]
LIBRARIES = {
    "linear": "sklearn",
    "svm": "sklearn",
    "bert": "transformers",
    "setfit": "sentence-transformers",
}
DEFAULT_BASE = "sentence-transformers/all-MiniLM-L6-v2"

COLUMN_WORDS = {
    "id": "the item's id, from the data file or its row number",
    "text": "the text, unchanged (in CSV, cells that a spreadsheet would run as a formula begin "
    "with an apostrophe)",
    SECOND: "the second text of the pair, likewise",
    "label": "one of the labels above",
    SETS: "the labels of the item, a list of some of those above, empty for none (in CSV joined "
    "by `;`)",
    ENTITIES: "the marked parts: a list of start and end (characters of the text, the end is the "
    "one after the last), label (the type) and text; empty for none (in CSV as JSON)",
    "confidence": "calibrated probability that the label, or the whole set or answer, is right; "
    "empty where it is not known and for labels given by hand",
    "source": "what kind of annotator the label comes from",
    "annotator": "which one",
    "rationale": "what the label rests on; for a copy, the item whose text it repeats",
    "round": "the round in which the label, or the model that gave it, came to be",
}


def model_card(store: Store, pool: Pool, spec: TaskSpec, settings: Settings) -> str:
    """The card of the classifier in `models/final`, as Markdown with front matter.

    Raises:
        ValueError: no model was trained.
    """
    summary = summarise(store, pool, spec)
    model = summary.model
    if model is None:
        raise ValueError("there is no model to write a card for: train one first")
    return page("model_card.md").render(
        front=_front_matter(_model_front(model, spec, settings)),
        model=model,
        spec=spec,
        settings=settings,
        summary=summary,
        trained=_trained_on(store, model),
        generated=[each.words for each in sources(store, model)],
        encoder_literal=json.dumps(settings.encoder),
        labels_literal=json.dumps(spec.label_names),
        metrics=_model_metrics(summary),
        calibration=calibration_words(summary),
        inside=inside_words(summary),
        thresholds=_thresholds(model, spec),
        percent=percent,
    )


def data_card(store: Store, pool: Pool, spec: TaskSpec, settings: Settings) -> str:
    """The card of the labelled data in `exports`, as Markdown with front matter."""
    summary = summarise(store, pool, spec)
    balance = dict(summary.balance)
    answer = ENTITIES if spec.marked else SETS if spec.several else "label"
    front = {
        "task_categories": [_category(spec)],
        "tags": ["active-learning", "labelwright"],
        "labels": spec.label_names,
        "size_categories": [_size_category(summary.items)],
        "configs": [{"config_name": "default", "data_files": "labels.parquet"}],
    }
    return page("data_card.md").render(
        front=_front_matter(front),
        spec=spec,
        settings=settings,
        summary=summary,
        counts=dict(summary.balance),
        certificate=certificate_words(summary, spec),
        calibration=calibration_words(summary),
        columns=[
            (name, COLUMN_WORDS[name])
            for name in columns_of(pairs=bool(settings.second_columns), answer=answer)
        ],
        no_label=balance.get(NO_LABEL, balance.get(NOTHING_MARKED)),
        inside=inside_words(summary),
        digest=pool.digest,
        percent=percent,
        duration=duration,
    )


def _library(learner: str, spec: TaskSpec) -> str:
    """What loads the model; the linear tagger only this package does."""
    return "labelwright" if spec.marked and learner == "linear" else LIBRARIES[learner]


def _category(spec: TaskSpec) -> str:
    return "token-classification" if spec.marked else "text-classification"


def _thresholds(model: Mapping[str, Any], spec: TaskSpec) -> list[float]:
    """The model's own probability from which an item has a label; empty for one label an item."""
    if not spec.several:
        return []
    return list(model.get("thresholds") or [0.5] * len(spec.labels))


def _front_matter(fields: Mapping[str, Any]) -> str:
    body = yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True)
    return f"---\n{body}---\n"


def _model_front(model: Mapping[str, Any], spec: TaskSpec, settings: Settings) -> dict[str, Any]:
    front: dict[str, Any] = {
        "library_name": _library(str(model["learner"]), spec),
        "pipeline_tag": _category(spec),
        "tags": [_category(spec), *TAGS],
        "labels": spec.label_names,
    }
    if model["learner"] in ("bert", "setfit"):
        default = settings.encoder == DEFAULT_BASE.partition("/")[2]
        front["base_model"] = DEFAULT_BASE if default else settings.encoder
    return front


def _trained_on(store: Store, model: Mapping[str, Any]) -> dict[str, int]:
    """How many training items come from which kind of annotator; a person's word goes first."""
    kinds: dict[int, str] = {}
    for each in store.annotations(purposes=("accept", "train", "gold", "audit")):
        if each.label is not None and (each.purpose != "accept" or each.row not in kinds):
            kinds[each.row] = each.kind
    counts: dict[str, int] = {}
    for row in model["rows"]:
        kind = kinds[int(row)]
        counts[kind] = counts.get(kind, 0) + 1
    return counts


def _model_metrics(summary: Summary) -> list[str]:
    """What was measured of the model, each with its interval, its n and its origin."""
    metrics = []
    found, measured = summary.certificate, summary.last_quality
    if found is not None and found["human_share"] < 1:
        low, middle, high = (_machine_share(found, name) for name in ("low", "estimate", "high"))
        metrics.append(
            f"{_right(found)} on the "
            f"{percent(1 - found['human_share'])} of this pool that no person had "
            f"labelled when its answers were frozen: {percent(middle)}, interval {percent(low)} "
            f"to {percent(high)} at {level_words(found['level'])}, valid at every look "
            f"(n = {found['n_audited']} audit items drawn by known probabilities, "
            f"{found['n_errors']} wrong or left open)."
        )
    if measured is not None:
        metrics.append(
            f"{_right(measured)} of the model of round "
            f"{measured['round']}, which did not learn from the "
            f"gold items: {percent(measured['estimate'])}, interval {percent(measured['low'])} to "
            f"{percent(measured['high'])} at {level_words(measured['level'])} (n = {measured['n']} "
            "gold items, drawn evenly from the pool). The model of this card has learned from "
            "them too and cannot be measured on them."
        )
    return metrics or ["Nothing was measured: no item was set aside to measure on."]


def _right(measured: Mapping[str, Any]) -> str:
    """What a share of right answers is called, by what was measured beside it."""
    if any(name.startswith(("span_", "text_f1")) for name in measured):
        return "Exact answers"
    sets = "decisions" in measured or "micro_f1" in measured
    return "Exact sets" if sets else "Accuracy"


def _machine_share(certificate: Mapping[str, Any], name: str) -> float:
    """Accuracy of the machine labels alone, from that of all labels: those by hand are right."""
    mass = 1 - float(certificate["human_share"])
    return min(1.0, max(0.0, 1 - (1 - float(certificate[name])) / mass))


def _size_category(n: int) -> str:
    bounds = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M")]
    return next((name for bound, name in bounds if n < bound), "1M<n<10M")
