"""Items that are pairs: from two columns of a file to labels with both texts."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelwright.app.audit_item import item_life
from labelwright.app.data import load
from labelwright.app.project import Project
from labelwright.app.reviewers import Desk
from labelwright.app.runs import run
from labelwright.graphs.state import ApprovalAnswer
from labelwright.models import encoders
from labelwright.models.pairs import SEPARATOR, join_pair
from labelwright.store.errors import UserError
from labelwright.store.records import AnnotatorKind
from labelwright.store.spec import TaskSpec
from support import HashEncoder

WORDS = [
    "river",
    "stone",
    "cloud",
    "apple",
    "table",
    "window",
    "garden",
    "music",
    "winter",
    "silver",
    "copper",
    "forest",
]


def pairs(n: int, seed: int = 3) -> list[tuple[str, str, str]]:
    """Two lists of words each: the same ones in another order, or others."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(n):
        first = rng.choice(WORDS, size=5, replace=False)
        same = bool(number % 2)
        second = rng.permutation(first) if same else rng.choice(WORDS, size=5, replace=False)
        label = "match" if same else "different"
        found.append((" ".join(first) + f" {number}", " ".join(second) + f" {number}", label))
    return found


def write_pairs(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["left", "right", "label"])
        writer.writerows(rows)
    return path


class Knowing:
    """Answers from the gold label of the row, and remembers what it was shown."""

    name = "tester"
    kind: AnnotatorKind = "simulated"

    def __init__(self, gold: list[str]) -> None:
        self._gold = gold
        self.shown: list[str] = []

    def approve(self, payload: dict[str, Any], spec: TaskSpec) -> ApprovalAnswer | None:
        return ApprovalAnswer(type="approve", by=self.name)

    def review(self, desk: Desk) -> bool:
        for question in desk.open_questions():
            self.shown.append(desk.text(question))
            desk.answer(question, self._gold[question.row])
        return True


def test_two_columns_become_pairs(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "p.csv", [("a", "b", "x"), ("c", "", "x"), ("", "", "x")])
    found = load(str(data), text_columns=["left"], second_columns=["right"])
    assert found.texts.to_pylist() == [join_pair("a", "b"), join_pair("c", "")]
    assert found.notes == ("1 of 3 rows have no text and were left out (row 3).",)


def test_records_become_texts_field_by_field(tmp_path: Path) -> None:
    data = tmp_path / "p.jsonl"
    left, right = {"title": "Query plans", "year": 1994}, {"title": "Plans", "year": None}
    data.write_text(json.dumps({"left": left, "right": right}) + "\n", encoding="utf-8")
    found = load(str(data), text_columns=["left"], second_columns=["right"])
    assert found.texts.to_pylist() == [join_pair("title: Query plans\nyear: 1994", "title: Plans")]


def test_a_separator_in_the_data_makes_no_pair(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "p.csv", [(f"a{SEPARATOR}b", "c", "x")])
    found = load(str(data), text_columns=["left"])
    assert found.texts.to_pylist() == ["a\ufffdb"]
    assert "record separators" in found.notes[0]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ([], ["right"], "--text-column"),
        (["left"], ["nowhere"], "--second-column"),
        (["left"], ["left"], "--second-column"),
        (["left"], ["label"], "--second-column"),
    ],
)
def test_columns_that_make_no_sense_are_refused(
    tmp_path: Path, first: list[str], second: list[str], said: str
) -> None:
    data = write_pairs(tmp_path / "p.csv", [("a", "b", "x")])
    with pytest.raises(UserError, match=said):
        load(str(data), text_columns=first, second_columns=second, gold_column="label")


@pytest.mark.parametrize("learner", ["linear", "svm"])
def test_pairs_go_through_a_whole_run(
    tmp_path: Path,
    learner: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = pairs(90)
    reviewer = Knowing([label for _, _, label in rows])
    result = run(
        "Say of each pair whether it is match or different",
        write_pairs(tmp_path / "pairs.csv", rows),
        text_columns=("left",),
        second_columns=("right",),
        gold_column="label",
        labels="match,different",
        reviewer=reviewer,
        encoder=HashEncoder(),
        learner=learner,
        human_labels=45,
        project=tmp_path / "project",
    )
    assert result.status == "finished"
    project = Project(result.project)
    try:
        assert project.verify(result.head) == []
        table = project.labels()
        life = item_life(project.store, project.pool, "1")
    finally:
        project.close()
    assert table.column_names[:3] == ["id", "text", "second_text"]
    assert table["second_text"].to_pylist() == [second for _, second, _ in rows]
    right = [got == row[2] for got, row in zip(table["label"].to_pylist(), rows, strict=True)]
    assert np.mean(right) > 0.8
    assert all(SEPARATOR not in text and "———" in text for text in reviewer.shown)
    assert life.text.split("\n\n———\n\n") == [rows[0][0], rows[0][1]]
    card = (result.project / "models" / "final" / "README.md").read_text("utf-8")
    code = card.split("```python\n")[1].split("```")[0]
    monkeypatch.setattr(encoders, "load_encoder", lambda _name: HashEncoder())
    monkeypatch.chdir(result.project / "models" / "final")
    exec(compile(code, "card", "exec"), {})
    assert capsys.readouterr().out.strip() in ("['match']", "['different']")
    header = (result.project / "exports" / "labels.csv").read_text("utf-8").splitlines()[0]
    assert '"second_text"' in header
