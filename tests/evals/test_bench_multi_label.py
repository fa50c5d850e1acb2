"""The benchmark of sets of labels derives its data as it says, and a run on real texts holds."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from labelwright.evals.bench_multi_label import (
    SOURCES,
    Outcome,
    Tagged,
    african,
    measure,
    news,
    row,
    tweets,
)
from support import _WORDS, HashEncoder

DATA = Path(__file__).parents[3] / "shared" / "data"


def test_entity_types_are_those_that_occur(tmp_path: Path) -> None:
    (tmp_path / "wnut17").mkdir()
    lines = [
        {"tokens": ["Ann", "in", "Rome"], "tags": ["B-person", "O", "B-location"]},
        {"tokens": ["Ann", "Lee"], "tags": ["B-person", "I-person"]},
        {"tokens": ["no", "one"], "tags": ["O", "O"]},
    ]
    path = tmp_path / "wnut17" / "train.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in lines), encoding="utf-8")
    found = tweets(tmp_path)
    assert found.texts == ["Ann in Rome", "Ann Lee", "no one"]
    assert found.sets == [["location", "person"], ["person"], []]
    assert found.names == ["location", "person"]


def test_a_sentence_that_several_models_answered_is_taken_once(tmp_path: Path) -> None:
    (tmp_path / "recorded").mkdir()
    line = {"lang": "bam", "id": "r0", "tokens": ["x"], "tags": ["B-LOC"]}
    lines = [{**line, "model": "a"}, {**line, "model": "b"}, {**line, "lang": "ewe"}]
    path = tmp_path / "recorded" / "african_ner.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in lines), encoding="utf-8")
    assert african(tmp_path).sets == [["LOC"], ["LOC"]]


def test_joined_news_have_the_topics_of_all_parts(tmp_path: Path) -> None:
    (tmp_path / "ag_news").mkdir()
    topics = ["world", "sports", "business"]
    with (tmp_path / "ag_news" / "test.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((f"{topic}{n}", topic) for n in range(5) for topic in topics)
    found = news(tmp_path, 50)
    for text, names in zip(found.texts, found.sets, strict=True):
        assert names == sorted({word.rstrip("01234") for word in text.split()})
    assert {len(names) for names in found.sets} == {1, 2, 3}
    assert news(tmp_path, 50) == found


def tagged(n: int) -> Tagged:
    kinds = list(_WORDS)
    sets = [[kind for bit, kind in enumerate(kinds) if place >> bit & 1] for place in range(8)]
    texts = [
        " ".join([f"text {n}", *(word for kind in each for word in _WORDS[kind][n % 6 :][:4])])
        for n, each in enumerate(sets * (n // 8))
    ]
    return Tagged(texts, sets * (n // 8))


def test_what_is_measured_is_what_was_delivered() -> None:
    found = measure(tagged(96), encoder=HashEncoder(), seed=0, human_labels=60)
    assert 50 <= found.labels <= 60
    assert found.machine <= found.exact
    assert found.exact <= found.decisions_truth <= 1.0
    assert found.majority < 0.5
    assert found.held == (
        found.sets[1] <= found.exact <= found.sets[2],
        found.decisions[1] <= found.decisions_truth <= found.decisions[2],
    )


def test_a_line_counts_how_often_the_certificates_held() -> None:
    one = Outcome(0.8, 0.7, 0.6, 0.5, 0.4, (0.8, 0.7, 0.9), (0.9, 0.85, 0.95), 0.99, 60, 2.0)
    line = row("name", "linear", "standard", 96, [one, one])
    assert "0.800 [0.700, 0.900], 2 of 2" in line
    assert "0.900 [0.850, 0.950], 0 of 2" in line


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize("name", list(SOURCES))
def test_on_real_texts_the_certificates_hold_the_truth(name: str) -> None:
    found = measure(SOURCES[name](DATA).first(160), encoder=HashEncoder(), seed=2, human_labels=60)
    assert found.held == (True, True)
