"""Whole runs with entities: the table compares what was certified with what is true."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from labelwright.app import runs
from labelwright.evals.entity_runs import main, row_of, sample
from support import HashEncoder
from taggers import use_word_tagger

NAMES = {"person": ["Ada", "Grace"], "place": ["Rome", "Oslo"]}


def tweets(folder: Path, n: int = 40) -> Path:
    rng = np.random.default_rng(0)
    (folder / "wnut17").mkdir()
    lines = []
    for place in range(n):
        words = [(str(word), "O") for word in rng.choice(["met", "saw", "the", "house"], 4)]
        for kind, names in NAMES.items():
            words += [(str(name), f"B-{kind}") for name in rng.choice(names, rng.integers(0, 2))]
        words += [(str(place), "O")]
        tokens, tags = zip(*words, strict=True)
        lines.append(json.dumps({"tokens": tokens, "tags": tags}))
    (folder / "wnut17" / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_a_row_has_truth_beside_what_was_certified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_word_tagger(monkeypatch)
    monkeypatch.setattr(runs, "load_encoder", lambda _name: HashEncoder())
    given = ["--items", "40", "--seeds", "3", "--human-labels", "24", "--types", "person,place"]
    main([str(tweets(tmp_path)), *given, "--json"])
    found = json.loads(capsys.readouterr().out)
    certificate = found["certificate"]
    assert certificate["delivered_low"] <= found["exact"] <= certificate["delivered_high"]
    assert found["exact"] <= found["text_f1"] <= 1
    cells = row_of(found).split(" | ")
    assert cells[0] == "| linear"
    assert cells[2] == "3"
    assert cells[3] == f"{found['exact']:.3f}"
    assert cells[7] == ("–" if found["precision"] is None else f"{found['precision']:.2f}")


def test_the_sample_is_the_same_for_every_run(tmp_path: Path) -> None:
    data = tweets(tmp_path)
    first = sample(data, 10, tmp_path).read_text(encoding="utf-8")
    assert first == sample(data, 10, tmp_path).read_text(encoding="utf-8")
    assert len(first.splitlines()) == 10
