"""Whole runs in which parts of texts are marked, from the data file to the certificate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelwright.app import run
from labelwright.app.audit_item import item_life
from labelwright.app.project import Project
from labelwright.app.runs import RunResult
from labelwright.store.events import DecisionEvent, MetricEvent
from labelwright.store.spans import Span, decode, encode, span_f1
from labelwright.tools.cards import data_card, model_card
from labelwright.tools.report import render_report
from support import HashEncoder
from taggers import use_word_tagger

GOAL = "Mark the people and the places"
TYPES = ("person", "place")
NAMES = {
    "person": ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald"],
    "place": ["Rome", "Oslo", "Lima", "Kyoto", "Cairo"],
}
OTHER = ["met", "saw", "the", "red", "house", "near", "a", "river", "today", "left", "slowly"]


def rows(n: int = 120, seed: int = 0) -> list[tuple[str, str, list[list[Any]]]]:
    """Id, text and marked parts."""
    rng = np.random.default_rng(seed)
    found = []
    for place in range(n):
        words = [(word, "") for word in rng.choice(OTHER, 6)]
        for kind, names in NAMES.items():
            words += [(name, kind) for name in rng.choice(names, rng.integers(0, 2))]
        rng.shuffle(words)
        text, parts = "", []
        for word, kind in [*words, (str(place), "")]:
            if kind:
                parts.append([len(text), len(text) + len(word), str(kind)])
            text += f"{word} "
        found.append((f"t{place:03d}", text, parts))
    return found


def data(folder: Path, given: list[tuple[str, str, list[list[Any]]]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "texts.jsonl"
    lines = [json.dumps({"id": i, "text": text, "marks": parts}) for i, text, parts in given]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@contextmanager
def marked(folder: Path, **options: Any) -> Iterator[tuple[Project, RunResult]]:
    given = {
        "entities": True,
        "labels": ",".join(TYPES),
        "gold_column": "marks",
        "reviewer": "simulated",
        "human_labels": 80,
        "autonomy": "auto",
        "encoder": HashEncoder(),
        "project": folder / "project",
        "seed": 1,
        **options,
    }
    result = run(GOAL, data(folder, rows()), **given)
    with closing(Project(result.project)) as project:
        yield project, result


@pytest.fixture(scope="module")
def patched() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        use_word_tagger(patch)
        yield


@pytest.fixture(scope="module")
def done(
    patched: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Project, RunResult]]:
    with marked(tmp_path_factory.mktemp("marks"), target_accuracy=0.7) as found:
        yield found


def delivered(project: Project) -> dict[str, str]:
    table = project.labels()
    return {
        row["id"]: encode(
            Span(e["start"], e["end"], e["label"], e["text"]) for e in row["entities"]
        )
        for row in table.to_pylist()
    }


def truth() -> dict[str, str]:
    return {
        item: encode(Span(a, b, kind, text[a:b]) for a, b, kind in parts)
        for item, text, parts in rows()
    }


def test_every_text_gets_an_answer_and_most_are_right(done: tuple[Project, RunResult]) -> None:
    project, result = done
    found, gold = delivered(project), truth()
    assert result.status == "finished"
    assert found.keys() == gold.keys()
    assert np.mean([found[item] == gold[item] for item in gold]) > 0.8
    assert "[]" in found.values()
    assert project.verify() == []


def test_what_is_certified_holds_what_is_true(done: tuple[Project, RunResult]) -> None:
    project, result = done
    found, gold, sure = delivered(project), truth(), result.certificate
    assert sure is not None
    exact = np.mean([found[item] == gold[item] for item in gold])
    f1 = np.mean([span_f1(decode(found[item]), decode(gold[item])) for item in gold])
    assert sure["delivered_low"] <= exact <= sure["delivered_high"]
    assert sure["text_f1"]["delivered_low"] <= f1 <= sure["text_f1"]["delivered_high"]
    spans = sure["spans"]
    assert spans["texts"] == sure["n_audited"]
    assert spans["precision"][1] <= spans["precision"][0] <= spans["precision"][2]


def test_a_persons_marks_are_delivered_as_given(done: tuple[Project, RunResult]) -> None:
    project, _ = done
    found, gold = delivered(project), truth()
    human = project.store.annotations(kinds=("simulated",))
    assert human
    assert all(found[each.item] == gold[each.item] == each.label for each in human)


def test_metrics_have_intervals(done: tuple[Project, RunResult]) -> None:
    project, _ = done
    metrics = [e.event for e in project.store.events() if isinstance(e.event, MetricEvent)]
    names = {each.name for each in metrics}
    assert names >= {"gold_accuracy", "gold_span_f1", "gold_span_recall", "certified_accuracy"}
    assert all(each.low <= each.value <= each.high for each in metrics)


def test_suggestions_begin_with_none_and_learn_from_the_answers(
    done: tuple[Project, RunResult],
) -> None:
    project, _ = done
    notes = project.store.annotations(purposes=("suggest",))
    first = [each for each in notes if each.round == 1]
    assert first
    assert all(each.label is None and each.confidence is None for each in first)
    gold, last = truth(), max(each.round for each in notes)
    assert np.mean([each.label == gold[each.item] for each in notes if each.round == last]) > 0.6


def test_the_agent_sees_no_text(done: tuple[Project, RunResult]) -> None:
    project, _ = done
    seen = [e.event for e in project.store.events() if isinstance(e.event, DecisionEvent)]
    words = {word for names in NAMES.values() for word in names}
    said = json.dumps([each.observation for each in seen])
    assert not [word for word in words if word in said]
    assert '"person"' in said


def test_the_tokens_file_has_the_same_answers(done: tuple[Project, RunResult]) -> None:
    project, _ = done
    path = project.folder / "exports" / "entities_iob2.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found = delivered(project)
    assert [line["id"] for line in lines] == list(found)
    for line in lines:
        marked_words = [
            (token, tag[2:])
            for token, tag in zip(line["tokens"], line["tags"], strict=True)
            if tag != "O"
        ]
        assert marked_words == [(span.text, span.type) for span in decode(found[line["id"]])]


def test_report_and_cards_speak_of_marked_parts(done: tuple[Project, RunResult]) -> None:
    project, _ = done
    assert project.spec is not None
    given = (project.store, project.pool, project.spec, project.settings)
    page = render_report(*given)
    assert "delivered answers are right" in page
    assert "Part by part" in page
    assert "(nothing marked)" in page
    assert "precision" in page
    assert "| entities | the marked parts" in data_card(*given)
    assert "token-classification" in model_card(*given)
    assert "load_tagger" in model_card(*given)


def test_the_life_of_a_text_names_its_parts(done: tuple[Project, RunResult]) -> None:
    project, _ = done
    found = delivered(project)
    item = next(i for i, label in found.items() if len(decode(label)) == 2)
    life = item_life(project.store, project.pool, item)
    assert life.label == ", ".join(f"{s.text} ({s.type})" for s in decode(found[item]))
    assert any(stage.title.startswith("predicted by") for stage in life.stages)
