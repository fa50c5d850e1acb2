"""Whole runs in which parts of texts are marked, from the data file to the certificate."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from labelwright.app import run
from labelwright.app.answering import answer_and_keep
from labelwright.app.audit_item import item_life
from labelwright.app.cli import cli
from labelwright.app.fork import fork_project
from labelwright.app.options import Options, checked_labels
from labelwright.app.plan import make_plan, print_plan
from labelwright.app.project import Project
from labelwright.app.reviewers import Desk, NobodyReviews, SimulatedReviewer
from labelwright.app.runs import RunResult, drive
from labelwright.models.progress import NoProgress
from labelwright.store.errors import UserError
from labelwright.store.events import DecisionEvent, MetricEvent
from labelwright.store.files import file_digest
from labelwright.store.pool import read_gold
from labelwright.store.spans import Span, decode, encode, span_f1
from labelwright.store.trace import Place
from labelwright.tools.cards import data_card, model_card
from labelwright.tools.duplicates import duplicate_groups
from labelwright.tools.report import render_report
from rich.console import Console
from support import HashEncoder, PlainReviewer
from taggers import use_word_tagger

GOAL = "Mark the people and the places"
TYPES = ("person", "place")
NAMES = {
    "person": ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald"],
    "place": ["Rome", "Oslo", "Lima", "Kyoto", "Cairo"],
}
OTHER = ["met", "saw", "the", "red", "house", "near", "a", "river", "today", "left", "slowly"]


def rows(n: int = 90, seed: int = 0) -> list[tuple[str, str, list[list[Any]]]]:
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
        "human_labels": 60,
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


def test_the_same_seed_gives_the_same_files(
    tmp_path: Path, done: tuple[Project, RunResult]
) -> None:
    with marked(tmp_path, target_accuracy=0.7) as (_, again):
        names = ("labels.csv", "labels.jsonl", "labels.parquet", "entities_iob2.jsonl")
        for name in names:
            assert again.files[f"exports/{name}"] == done[1].files[f"exports/{name}"]


def test_a_run_is_forked_at_a_decision(done: tuple[Project, RunResult], tmp_path: Path) -> None:
    project, _ = done
    events = project.store.events()
    at = next(
        e.place.step
        for e in events
        if isinstance(e.event, DecisionEvent) and e.event.tool == "select_samples"
    )
    other = {"tool": "select_samples", "args": {"strategy": "random", "k": 9}, "reason": "other"}
    with closing(fork_project(project, at, json.dumps(other), tmp_path / "fork")) as forked:
        drive(forked, encoder=HashEncoder())
        assert forked.finished
        assert forked.verify() == []
        assert delivered(forked).keys() == truth().keys()


def test_exports_are_written_again(done: tuple[Project, RunResult], tmp_path: Path) -> None:
    project, result = done
    said = CliRunner().invoke(cli, ["export", str(project.folder), "--to", str(tmp_path)])
    assert said.exit_code == 0, said.output
    for name in ("labels.csv", "entities_iob2.jsonl"):
        assert file_digest(tmp_path / name) == result.files[f"exports/{name}"]


def test_a_paused_run_is_answered_and_resumed(tmp_path: Path, patched: None) -> None:
    gold = truth()
    with marked(tmp_path, reviewer=NobodyReviews(), human_labels=30) as (project, result):
        assert result.exit_code == 10
        waiting, spec = project.waiting(), project.spec
        assert waiting is not None
        assert spec is not None
        request = project.store.review(waiting["review"])
        place = Place(project.run_id, project.step, "app")
        desk = Desk(project.store, project.pool, spec, request, place, "ann", "human")
        _refuses_what_is_no_part(desk)
        reviewer = PlainReviewer(lambda _item, _text: None)
        reviewer._label = lambda item, _text: gold[item]  # type: ignore[assignment, return-value]
        assert answer_and_keep(project, reviewer)
        drive(project, reviewer=reviewer, encoder=HashEncoder())
        assert project.finished
        assert delivered(project).keys() == gold.keys()


def _refuses_what_is_no_part(desk: Desk) -> None:
    question = desk.open_questions()[0]
    text = desk.text(question)
    strange: list[Any] = [
        '[[0,3,"person","Zuse"]]',
        '[[0,400,"person","Ada"]]',
        encode([Span(0, 3, "planet", text[:3])]),
        '["person"]',
        "person",
        ["person"],
        [Span(0, 3, "person", text[:3]), Span(1, 4, "person", text[1:4])],
    ]
    for answer in strange:
        with pytest.raises(UserError):
            desk.answer(question, answer)
    assert desk.answered() == []
    desk.answer(question, [Span(0, 2, "person", text[:2])])
    assert desk.answered()[0].label == encode([Span(0, 2, "person", text[:2])])
    desk.undo()


def test_the_simulated_reviewer_errs_span_by_span(done: tuple[Project, RunResult]) -> None:
    project, _ = done
    reviewer = SimulatedReviewer(project.folder, error_rate=0.4, seed=0, progress=NoProgress())
    missed = retyped = right = 0
    for row, text in enumerate(read_gold(project.folder)):
        given = reviewer._spans(row, list(TYPES))
        assert given is not None
        assert given == reviewer._spans(row, list(TYPES))
        said = {(span.start, span.end): span.type for span in given}
        for span in decode(str(text)):
            kind = said.pop((span.start, span.end), None)
            missed += kind is None
            right += kind == span.type
            retyped += kind not in (None, span.type)
        assert said == {}
    total = missed + retyped + right
    assert 0.25 < (missed + retyped) / total < 0.55
    assert min(missed, retyped) > 0.08 * total


def test_one_type_of_tokens_is_enough(tmp_path: Path, patched: None) -> None:
    path = tmp_path / "tokens.jsonl"
    lines = []
    for _, text, parts in rows(40):
        tokens, kinds = text.split(), {text[a:b]: kind for a, b, kind in parts}
        tags = [f"B-{kinds[t]}" if t in kinds else "O" for t in tokens]
        lines.append(json.dumps({"tokens": tokens, "tags": tags}))
    path.write_text("\n".join(lines), encoding="utf-8")
    result = run(
        "Mark the places",
        path,
        entities=True,
        labels="place",
        gold_column="tags",
        reviewer="simulated",
        encoder=HashEncoder(),
        human_labels=20,
        autonomy="auto",
        project=tmp_path / "project",
        recipe="adaptive",
    )
    with closing(Project(result.project)) as project:
        assert project.finished
        assert project.settings.tokens
        exported = project.folder / "exports" / "entities_iob2.jsonl"
        found = [json.loads(x) for x in exported.read_text(encoding="utf-8").splitlines()]
        given = [json.loads(line)["tokens"] for line in lines]
        assert [line["tokens"] for line in found] == given
        assert {tag for line in found for tag in line["tags"]} <= {"O", "B-place"}


def test_texts_that_differ_in_a_character_have_answers_of_their_own() -> None:
    texts = ["Ada met Bob.", "ada met bob", "Ada met Bob.", "Ada  met Bob."]
    assert duplicate_groups(texts).tolist() == [0, 0, 0, 0]
    assert duplicate_groups(texts, exact=True).tolist() == [0, 1, 0, 3]


def test_a_plan_names_the_types(tmp_path: Path) -> None:
    path = data(tmp_path, rows(40))
    plan = make_plan(goal=GOAL, data=str(path), entities=True, labels="person,place")
    assert plan["kind"] == "entities"
    assert plan["learner"] == "linear"
    shown = io.StringIO()
    print_plan(Console(file=shown, width=200), plan)
    assert "types of marked parts (a text may have any number, or none): person, place" in (
        shown.getvalue()
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"multi_label": True}, "--multi-label"),
        ({"second_columns": ("b",), "text_columns": ("a",)}, "not of pairs"),
        ({"learner": "svm"}, "use one of linear, bert"),
        ({"learner": "setfit"}, "use one of linear, bert"),
        ({"generate": "augment"}, "not for entities"),
        ({"strategy": "bald"}, "needs one label"),
        ({"labels": None}, "--labels"),
    ],
    ids=str,
)
def test_what_cannot_be_had_with_entities_is_refused(options: dict[str, Any], why: str) -> None:
    given = {"goal": GOAL, "data": "x.csv", "entities": True, "labels": "person,place", **options}
    with pytest.raises(UserError, match=why):
        checked_labels(Options(**given))


def test_the_command_line_marks_entities(tmp_path: Path, patched: None) -> None:
    said = CliRunner().invoke(
        cli,
        [
            *("plan", GOAL, "--data", str(data(tmp_path, rows(40)))),
            *("--entities", "--labels-from-gold", "--gold-column", "marks"),
        ],
    )
    assert said.exit_code == 0, said.output
    assert "types of marked parts" in said.output
