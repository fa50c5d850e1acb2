"""The benchmark of marked entities reads its data as it says, and its tables have their numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from labelwright.evals.bench_entities import (
    CHOICES,
    Marked,
    african,
    choice_table,
    confidence_table,
    drawn,
    marked,
    taggers_table,
    wnut,
)
from labelwright.store.spans import Span
from support import HashEncoder

DATA = Path(__file__).parents[3] / "shared" / "data"


def visits(n: int) -> Marked:
    """Who was where, in a few turns of phrase."""
    rows = []
    for place in range(n):
        name, city = ("Ann", "Bob", "Eve")[place % 3], ("Rome", "Oslo")[place % 2]
        tokens = [name, "saw", city, "today"] if place % 4 else ["nobody", "came", "today"]
        tags = ["B-person", "O", "B-place", "O"] if place % 4 else ["O"] * 3
        rows.append({"tokens": tokens, "tags": tags})
    return marked(rows)


def test_rows_become_texts_with_spans(tmp_path: Path) -> None:
    (tmp_path / "wnut17").mkdir()
    line = {"tokens": ["Ann", "Lee", "'s"], "tags": ["B-person", "I-person", "O"]}
    (tmp_path / "wnut17" / "dev.jsonl").write_text(json.dumps(line), encoding="utf-8")
    found = wnut(tmp_path, "dev")
    assert found == Marked(["Ann Lee 's"], [(Span(0, 7, "person", "Ann Lee"),)])
    assert found.types == ["person"]


def test_a_sentence_is_taken_once_and_only_with_a_tag_for_each_token(tmp_path: Path) -> None:
    (tmp_path / "recorded").mkdir()
    line = {"lang": "bam", "id": "r0", "tokens": ["x"], "tags": ["B-LOC"]}
    lines = [line, line, {**line, "lang": "ewe"}, {**line, "id": "r1", "tags": []}]
    path = tmp_path / "recorded" / "african_ner.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in lines), encoding="utf-8")
    assert len(african(tmp_path)) == 2


def test_what_is_measured_on_is_never_learned_from() -> None:
    source = Marked([str(n) for n in range(50)], [()] * 50)
    pool, test = drawn(source, 1, 20, 10)
    assert len({*pool.texts, *test.texts}) == 30
    assert drawn(source, 1, 20, 10) == (pool, test)


def test_the_tables_have_a_line_for_each_case() -> None:
    source, encoder = visits(440), HashEncoder()
    taggers = taggers_table({"visits": source}, encoder, [0], 220, 20, names=["linear"])
    lines = taggers.splitlines()
    assert [line.split(" | ")[1] for line in lines[2:]] == ["50", "100", "200"]
    assert lines[-1].split(" | ")[3] == "1.000"
    choices = choice_table(source, encoder, [0], 80, 20).splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in choices[2:]] == list(CHOICES)
    assert len(confidence_table(source, encoder, [0, 1], 220, 20).splitlines()) == 4


@pytest.mark.skipif(not DATA.is_dir(), reason="the data of ../shared/data is not here")
def test_real_texts_are_read_whole() -> None:
    found = wnut(DATA, "dev")
    assert (len(found), len(found.types)) == (1009, 6)
    assert sum(len(each) for each in found.spans) == 836
