"""Predictions of the pool: each row computed once for each model, and a count that proves it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from labelwright.models.compute import SILENT
from labelwright.models.learners import Inputs
from labelwright.models.learners.linear import LinearLearner
from labelwright.models.progress import Progress
from labelwright.store.events import ToolEvent
from labelwright.tools.predictions import PREDICTIONS, Predictions
from numpy.typing import NDArray
from support import messages, ran


class Counting:
    """Says (row, 1) of a row, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.largest = 0

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        self.asked += rows.tolist()
        self.largest = max(self.largest, len(rows))
        return np.stack([rows, np.ones(len(rows))], axis=1).astype(np.float32)


def opened(folder: Path, compute: Counting, chunk: int = 20_000) -> Predictions:
    return Predictions(folder, 100, 2, compute, chunk=chunk)


def rows(*given: int) -> NDArray[np.int64]:
    return np.array(given, dtype=np.int64)


def test_values_come_in_the_order_of_the_rows(tmp_path: Path) -> None:
    found = opened(tmp_path, Counting()).of(rows(7, 3, 50), "step-0001")
    np.testing.assert_array_equal(found, [[7, 1], [3, 1], [50, 1]])


def test_a_row_is_computed_once_whoever_asks(tmp_path: Path) -> None:
    compute = Counting()
    kept = opened(tmp_path, compute)
    kept.of(rows(1, 2, 3), "step-0001")
    kept.of(rows(3, 2, 9), "step-0002")
    again = opened(tmp_path, compute)
    np.testing.assert_array_equal(again.of(rows(9, 1, 4), "step-0003")[:, 0], [9, 1, 4])
    assert sorted(compute.asked) == [1, 2, 3, 4, 9]


def test_no_row_is_in_two_files(tmp_path: Path) -> None:
    kept = opened(tmp_path, Counting())
    for number, some in enumerate((rows(1, 2), rows(2, 3), rows(1, 2, 3), rows(3, 4))):
        kept.of(some, f"step-{number:04d}")
    files = sorted((tmp_path / PREDICTIONS).glob("*.npz"))
    assert [np.load(path)["rows"].tolist() for path in files] == [[1, 2], [3], [4]]


def test_what_is_new_is_the_same_when_a_call_is_tried_again(tmp_path: Path) -> None:
    compute = Counting()
    first = opened(tmp_path, compute)
    first.of(rows(1, 2), "step-0001")
    first.of(rows(1, 2, 3), "step-0002")
    assert first.new(rows(1, 2, 3), "step-0002") == 1
    after_a_crash = opened(tmp_path, compute)
    after_a_crash.of(rows(1, 2, 3), "step-0002")
    assert after_a_crash.new(rows(1, 2, 3), "step-0002") == 1
    assert compute.asked == [1, 2, 3]


def test_memory_is_bounded_by_the_chunk(tmp_path: Path) -> None:
    compute = Counting()
    opened(tmp_path, compute, chunk=7).of(np.arange(100), "step-0001")
    assert compute.largest == 7
    assert sorted(compute.asked) == list(range(100))


@pytest.mark.parametrize("recipe", ["standard", "uncertainty"])
def test_a_whole_run_predicts_each_item_once_for_each_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    counted: Counter[tuple[str, str]] = Counter()
    predict = LinearLearner.predict_proba

    def counting(
        self: LinearLearner, inputs: Inputs, *, progress: Progress = SILENT
    ) -> NDArray[np.float32]:
        texts: Sequence[str] = inputs.texts
        counted.update((self.digest, text) for text in texts)
        return predict(self, inputs, progress=progress)

    monkeypatch.setattr(LinearLearner, "predict_proba", counting)
    with ran(tmp_path, messages(90), recipe=recipe) as (project, result):
        assert result.status == "finished"
        models = [model["digest"] for model in project.store.artefact_history("model")]
        results = [
            event.event.result
            for event in project.store.events()
            if isinstance(event.event, ToolEvent) and event.event.tool == "measure_uncertainty"
        ]
    assert len(models) == len(set(models)) >= 2
    for digest in models:
        assert Counter(n for (of, _), n in counted.items() if of == digest) == {1: 90}
    assert [each["computed"] + each["reused"] for each in results] == [90] * len(models)
    assert any(each["reused"] for each in results)
