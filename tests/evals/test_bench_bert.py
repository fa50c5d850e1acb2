"""The benchmark of BERT: the same rows for all, and means against the plain loop."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from labelwright.evals.bench_bert import Measured, draw_task, run, summary


def test_the_same_rows_are_held_out_and_never_trained_on(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((f"text {row}", "ab"[row % 2]) for row in range(100))
    few, many = draw_task(path, 5, 0, 40), draw_task(path, 30, 0, 40)
    assert few.test_texts == many.test_texts
    assert len(many.test_texts) == 40
    assert few.train_texts == many.train_texts[:5]
    assert not set(many.train_texts) & set(many.test_texts)
    assert draw_task(path, 5, 1, 40).test_texts != few.test_texts
    for text, label in zip(many.train_texts, many.train_labels, strict=True):
        assert int(text.split()[1]) % 2 == label


def test_the_summary_compares_means_with_the_plain_loop_of_the_same_data() -> None:
    found = {
        ("a", "plain"): [Measured("plain", 0.5, 1.0, 10.0), Measured("plain", 0.7, 2.0, 30.0)],
        ("a", "bert, later"): [Measured("bert, later", 0.8, 0.5, 5.0)],
        ("b", "bert, later"): [Measured("bert, later", 0.9, 0.4, 5.0)],
    }
    lines = summary(found).splitlines()
    assert lines[3] == "| a | bert, later | 0.800 | +20.0 | 0.500 | 5.0 | 4.0 |"
    assert lines[4] == "| b | bert, later | 0.900 | – | 0.400 | 5.0 | – |"


def test_an_unknown_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'bart'"):
        next(run("bart", None, None, 0))  # type: ignore[arg-type]
