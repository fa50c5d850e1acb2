"""Annotation with recorded answers of real models, which come back as they were given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from annotating import GOAL
from labelwright.models.chat import load_backend
from labelwright.models.llm.base import Asker
from labelwright.models.llm.gateway import Gateway
from labelwright.store.spec import LabelSpec
from labelwright.tools.annotators import Item, LLMAnnotator, SingleLabel, judge_pilot

RECORDED = Path(__file__).parents[4] / "shared" / "data" / "recorded"
pytestmark = pytest.mark.skipif(not RECORDED.exists(), reason="../shared/data is absent")
COMMITTEE = ("gemma2", "gpt-4o-mini-2024-07-18", "llama3.1")


def asker(file: Path, model: str) -> Asker:
    backend = load_backend(f"replay:{file}#{model}")
    assert backend is not None
    return Gateway(backend)


def read(name: str, n: int) -> tuple[Path, list[Item], list[str], SingleLabel]:
    file = RECORDED / name
    lines = file.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:n]]
    labels = sorted({json.loads(line)["label"] for line in lines})
    task = SingleLabel(tuple(LabelSpec(name=label) for label in labels))
    items = [Item(str(place), row["text"]) for place, row in enumerate(rows)]
    return file, items, [row["label"] for row in rows], task


def test_a_committee_is_right_more_often_where_it_agrees() -> None:
    file, items, gold, task = read("toxicity_en.jsonl", 300)
    askers = [asker(file, model) for model in COMMITTEE]
    found = LLMAnnotator(askers, task, GOAL, confidence="votes").annotate(items)
    right = np.array([each.label == label for each, label in zip(found, gold, strict=True)])
    agreed = np.array([each.score == 1.0 for each in found])
    assert right[agreed].mean() > 0.93 > right[~agreed].mean() + 0.1


def test_unusable_answers_are_no_labels_and_the_rest_are_as_recorded() -> None:
    file, items, gold, task = read("policy_en.jsonl", 200)
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()[:200]]
    names = [label.name for label in task.labels]
    bad = {m: sum(row["llm"][m] not in names for row in rows) for m in rows[0]["llm"]}
    model = max(bad, key=lambda name: bad[name])
    assert bad[model] > 0
    found = LLMAnnotator(asker(file, model), task, GOAL).annotate(items)
    for each, row in zip(found, rows, strict=True):
        said = row["llm"][model]
        assert each.label == (said if said in names else None)
        assert each.status == ("ok" if said in names else "invalid")
    invalid = judge_pilot([each.label for each in found], gold, task).invalid
    assert invalid == pytest.approx(bad[model] / 200)
