"""The benchmark of entity matching reads, draws and counts as it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from labelwright.evals.bench_pairs import NAMES, Pairs, answer, draw, embed, f1_of_match, read_pairs
from labelwright.models.encoders import load_encoder
from labelwright.models.pairs import split_pair
from sklearn.metrics import f1_score


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    names = ["ann", "bob", "cleo", "dan", "eve", "finn", "gus", "hal"]
    rows = [
        {
            "left": {"name": name, "born": 1990 + place, "phone": None},
            "right": {"name": name if match else names[place - 3], "born": 1990 + place * match},
            "label": NAMES[1 - match],
        }
        for place, name in enumerate(names)
        for match in (0, 1)
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_pairs(path)


def test_records_are_read_as_pairs_of_texts(pairs: Pairs) -> None:
    assert split_pair(pairs.texts[1]) == ("name: ann\nborn: 1990", "name: ann\nborn: 1990")
    assert pairs.labels.tolist() == [1, 0] * 8


def test_fewer_labels_of_a_seed_are_the_first_of_more(pairs: Pairs) -> None:
    few, more = draw(pairs, 4, 0), draw(pairs, 10, 0)
    assert few.texts == more.texts[:4]
    assert len(set(more.texts)) == 10
    assert draw(pairs, 10, 1).texts != more.texts


def test_f1_is_that_of_match() -> None:
    rng = np.random.default_rng(0)
    given, gold = rng.integers(0, 2, (2, 50))
    assert f1_of_match(given, gold) == pytest.approx(f1_score(gold, given, pos_label=0))
    assert f1_of_match(np.ones(3, np.int64), np.ones(3, np.int64)) == 0


@pytest.mark.parametrize("method", ["cosine", "linear", "svm"])
def test_every_method_answers_what_it_learned(pairs: Pairs, method: str) -> None:
    vectors = embed(pairs.texts, load_encoder())
    found = answer(method, pairs, pairs, vectors, 0)
    assert f1_of_match(found, pairs.labels) > 0.9
