"""Whole runs where an item may have several labels, from the data file to the certificate."""

from __future__ import annotations

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
from labelwright.app.options import Options, checked_labels
from labelwright.app.plan import make_plan
from labelwright.app.project import Project
from labelwright.app.reviewers import Desk, NobodyReviews, SimulatedReviewer
from labelwright.app.runs import RunResult, drive
from labelwright.models.progress import NoProgress
from labelwright.store.errors import UserError
from labelwright.store.events import MetricEvent
from labelwright.store.label_sets import decode
from labelwright.store.trace import Place
from labelwright.tools.cards import data_card, model_card
from labelwright.tools.report import render_report
from support import _OTHER, _WORDS, LABELS, HashEncoder, PlainReviewer

GOAL = "Tag the messages as billing, bug and praise"


def rows(n: int = 110, seed: int = 0) -> list[tuple[str, str, list[str]]]:
    """Id, text and labels: the words of a text say which labels it has, none for some."""
    rng = np.random.default_rng(seed)
    found = []
    for place in range(n):
        has = [label for label in LABELS if rng.random() < 0.45]
        words = [word for label in has for word in rng.choice(_WORDS[label], 4, replace=False)]
        words += list(rng.choice(_OTHER, 5))
        rng.shuffle(words)
        found.append((f"m{place:03d}", f"{' '.join(words)} {place}", has))
    return found


def data(folder: Path, given: list[tuple[str, str, list[str]]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "messages.jsonl"
    lines = [json.dumps({"id": i, "text": text, "tags": has}) for i, text, has in given]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@contextmanager
def tagged(folder: Path, **options: Any) -> Iterator[tuple[Project, RunResult]]:
    given = {
        "multi_label": True,
        "gold_column": "tags",
        "reviewer": "simulated",
        "learner": "linear",
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
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, RunResult]]:
    with tagged(tmp_path_factory.mktemp("sets"), target_accuracy=0.7) as found:
        yield found


def delivered(project: Project) -> dict[str, list[str]]:
    table = project.labels()
    return dict(zip(table["id"].to_pylist(), table["labels"].to_pylist(), strict=True))


def truth() -> dict[str, list[str]]:
    return {item: has for item, _, has in rows()}


def test_every_item_gets_a_set_and_most_are_right(done: tuple[Project, RunResult]) -> None:
    project, result = done
    found, gold = delivered(project), truth()
    assert result.status == "finished"
    assert found.keys() == gold.keys()
    assert np.mean([found[item] == gold[item] for item in gold]) > 0.8
    assert any(each == [] for each in found.values())
    assert any(len(each) > 1 for each in found.values())


def test_both_certificates_hold_what_is_true(done: tuple[Project, RunResult]) -> None:
    project, result = done
    found, gold, sure = delivered(project), truth(), result.certificate
    assert sure is not None
    exact = np.mean([found[item] == gold[item] for item in gold])
    single = np.mean([(n in found[i]) == (n in gold[i]) for i in gold for n in LABELS])
    assert sure["delivered_low"] <= exact <= sure["delivered_high"]
    by_label = sure["decisions"]
    assert by_label["delivered_low"] <= single <= by_label["delivered_high"]
    assert by_label["estimate"] >= sure["estimate"]


def test_a_persons_sets_are_delivered_as_given(done: tuple[Project, RunResult]) -> None:
    project, _ = done
    found, gold = delivered(project), truth()
    human = project.store.annotations(kinds=("simulated",))
    assert human
    assert all(found[each.item] == gold[each.item] for each in human)
    assert all(decode(str(each.label)) == tuple(gold[each.item]) for each in human)


def test_the_trace_holds_and_metrics_have_intervals(done: tuple[Project, RunResult]) -> None:
    project, _ = done
    assert project.verify() == []
    metrics = [e.event for e in project.store.events() if isinstance(e.event, MetricEvent)]
    names = {each.name for each in metrics}
    assert names >= {"gold_accuracy", "gold_micro_f1", "gold_macro_f1", "certified_accuracy"}
    assert all(each.low <= each.value <= each.high for each in metrics)


def test_the_measured_f1_is_of_the_sets_that_the_model_gave(
    done: tuple[Project, RunResult],
) -> None:
    _, result = done
    assert result.quality is not None
    middle, low, high = result.quality["micro_f1"]
    assert low <= middle <= high
    assert middle >= result.quality["estimate"]


def test_suggestions_learn_from_the_answers(done: tuple[Project, RunResult]) -> None:
    project, _ = done
    agreed: dict[int, list[bool]] = {}
    given = project.store.human_labels(("train",))
    for each in project.store.annotations(purposes=("suggest",)):
        if each.row in given:
            agreed.setdefault(each.round, []).append(each.label == given[each.row])
    assert np.mean(agreed[max(agreed)]) > np.mean(agreed[1])


def test_the_report_speaks_of_sets(done: tuple[Project, RunResult]) -> None:
    project, _ = done
    spec = project.spec
    assert spec is not None
    page = render_report(project.store, project.pool, spec, project.settings)
    assert "delivered label sets are right" in page
    assert "Only machine" in page
    assert "(no label)" in page
    assert "micro F1" in page


def test_the_cards_speak_of_sets(done: tuple[Project, RunResult]) -> None:
    project, _ = done
    assert project.spec is not None
    given = (project.store, project.pool, project.spec, project.settings)
    assert "| labels | the labels of the item" in data_card(*given)
    assert "| (none) |" in data_card(*given)
    assert "any number of these labels, or none" in model_card(*given)


def test_the_code_of_the_model_card_gives_the_sets_that_were_delivered(
    done: tuple[Project, RunResult], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    project, _ = done
    folder = project.folder / "models" / "final"
    card = (folder / "README.md").read_text(encoding="utf-8")
    code = card.split("```python\n")[1].split("```")[0]
    texts = {item: text for item, text, _ in rows()}
    machine = [
        (row["labels"], texts[row["id"]])
        for row in project.labels().to_pylist()
        if row["source"] == "learner"
    ][:20]
    assert machine
    code = code.replace('["a text to classify"]', repr([text for _, text in machine]))
    monkeypatch.chdir(folder)
    monkeypatch.setattr("labelwright.models.encoders.load_encoder", lambda _name: HashEncoder())
    exec(compile(code, "card", "exec"), {})
    assert capsys.readouterr().out.strip() == repr([has for has, _ in machine])


def test_the_life_of_an_item_names_its_labels(done: tuple[Project, RunResult]) -> None:
    project, _ = done
    item = next(i for i, has in delivered(project).items() if len(has) == 2)
    life = item_life(project.store, project.pool, item)
    assert life.label == ", ".join(delivered(project)[item])
    assert any(stage.title.startswith("predicted by") for stage in life.stages)
    none = next(i for i, has in delivered(project).items() if not has)
    assert item_life(project.store, project.pool, none).label == "no label"


def test_the_audit_shows_sets_in_words(done: tuple[Project, RunResult], tmp_path: Path) -> None:
    project, _ = done
    folder = str(project.folder)
    item = next(i for i, has in delivered(project).items() if has == ["billing", "bug"])
    shown = CliRunner().invoke(cli, ["audit", folder, "--item", item])
    assert "label: billing, bug" in shown.output
    page = tmp_path / "audit.html"
    timeline = CliRunner().invoke(cli, ["audit", folder, "--html", str(page)])
    assert timeline.exit_code == 0
    assert "billing, bug" in page.read_text(encoding="utf-8")
    assert '["billing","bug"]' not in page.read_text(encoding="utf-8").replace("&#34;", '"')


@pytest.mark.parametrize("recipe", ["adaptive", "coverage"])
def test_other_recipes_run(tmp_path: Path, recipe: str) -> None:
    with tagged(tmp_path, recipe=recipe, human_labels=40) as (project, _):
        assert project.finished


def test_the_policy_sees_labels_and_not_sets(done: tuple[Project, RunResult]) -> None:
    from labelwright.agent.observation import observe

    project, _ = done
    assert project.spec is not None
    seen = observe(
        project.store,
        project.pool,
        project.spec,
        settings=project.settings,
        step=1,
        last_result=None,
    )
    assert seen.kind == "multi_label"
    assert seen.labels_by_class.keys() <= set(LABELS)
    assert sum(seen.labels_by_class.values()) > len(project.store.human_labels())


def test_the_same_seed_gives_the_same_files(
    tmp_path: Path, done: tuple[Project, RunResult]
) -> None:
    with tagged(tmp_path, target_accuracy=0.7) as (_, again):
        for name in ("exports/labels.csv", "exports/labels.jsonl", "exports/labels.parquet"):
            assert again.files[name] == done[1].files[name]


def test_svm_labels_sets_too(tmp_path: Path) -> None:
    with tagged(tmp_path, learner="svm", human_labels=40) as (project, result):
        assert result.certificate is not None
        found, gold = delivered(project), truth()
        assert np.mean([found[item] == gold[item] for item in gold]) > 0.5


def test_without_gold_items_there_is_no_confidence(tmp_path: Path) -> None:
    with tagged(tmp_path, human_labels=20) as (project, _):
        rows = project.labels().to_pylist()
        assert all(row["confidence"] is None for row in rows)
        model = project.store.artefact("model")
        assert model is not None
        assert model["temperature"] is None


def test_pairs_can_have_several_labels(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    lines = [
        json.dumps({"left": text, "right": f"answer {has and has[0]}", "tags": has})
        for _, text, has in rows(40)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    result = run(
        GOAL,
        path,
        text_columns=("left",),
        second_columns=("right",),
        multi_label=True,
        gold_column="tags",
        reviewer="simulated",
        encoder=HashEncoder(),
        human_labels=20,
        autonomy="auto",
        project=tmp_path / "project",
    )
    with closing(Project(result.project)) as project:
        assert project.labels().column_names[1:4] == ["text", "second_text", "labels"]


def test_simulated_errors_are_made_label_by_label(tmp_path: Path) -> None:
    gold = truth()
    with tagged(tmp_path, reviewer=NobodyReviews(), human_labels=100) as (project, _):
        waiting = project.waiting()
        assert waiting is not None
        request = project.store.review(waiting["review"])
        spec, place = project.spec, Place(project.run_id, project.step, "app")
        assert spec is not None
        desk = Desk(project.store, project.pool, spec, request, place, "s", "simulated")
        reviewer = SimulatedReviewer(project.folder, error_rate=0.25, seed=0, progress=NoProgress())
        assert reviewer.review(desk)
        wrong = [
            (name in decode(str(each.label))) != (name in gold[project.pool.id(each.row)])
            for each in desk.answered()
            for name in LABELS
        ]
        assert 0.1 < np.mean(wrong) < 0.4


def test_a_paused_run_is_answered_and_resumed(tmp_path: Path) -> None:
    gold = truth()
    with tagged(tmp_path, reviewer=NobodyReviews(), human_labels=30) as (project, result):
        assert result.exit_code == 10
        reviewer = PlainReviewer(lambda _item, _text: None)
        reviewer._label = lambda item, _text: gold[item]  # type: ignore[assignment, return-value]
        assert answer_and_keep(project, reviewer)
        drive(project, reviewer=reviewer, encoder=HashEncoder())
        assert project.finished
        assert delivered(project).keys() == gold.keys()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    caught: list[Desk] = []

    class Catcher(NobodyReviews):
        def review(self, desk: Desk) -> bool:
            caught.append(desk)
            return False

    with tagged(tmp_path, reviewer=Catcher(), human_labels=30):
        yield caught[0]


@pytest.mark.parametrize("answer", [["praise", "bug"], ("bug", "praise"), '["praise","bug"]'])
def test_an_answer_may_be_a_list_or_its_string(desk: Desk, answer: Any) -> None:
    question = desk.open_questions()[0]
    desk.answer(question, answer)
    assert desk.answered()[0].label == '["bug","praise"]'


@pytest.mark.parametrize("answer", [["bugs"], "bug", ["bug", "bug"], '["Bug"]', '["bug"'])
def test_an_answer_that_is_no_set_of_the_labels_is_refused(desk: Desk, answer: Any) -> None:
    with pytest.raises(UserError):
        desk.answer(desk.open_questions()[0], answer)
    assert desk.answered() == []


def test_the_kind_may_not_change_once_questions_were_asked(tmp_path: Path) -> None:
    with tagged(tmp_path, reviewer=NobodyReviews(), human_labels=30) as (project, _):
        task = project.folder / "task.yaml"
        text = task.read_text(encoding="utf-8")
        assert "kind: multi_label" in text
        task.write_text(text.replace("multi_label", "single_label"), encoding="utf-8")
        with pytest.raises(UserError, match="kind changed"):
            project.take_edits()


@pytest.mark.parametrize("strategy", ["bald", "anchor(region)", "class_balance(margin)"])
def test_a_strategy_for_one_label_is_refused_before_anything_is_written(
    tmp_path: Path, strategy: str
) -> None:
    with (
        pytest.raises(UserError, match="needs one label an item"),
        tagged(tmp_path, strategy=strategy),
    ):
        pass
    assert not (tmp_path / "project").exists()


def test_generation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one label an item"), tagged(tmp_path, generate="augment"):
        pass


def test_labels_can_be_taken_from_the_sets(tmp_path: Path) -> None:
    options = Options(
        goal="Tag them",
        data=str(data(tmp_path, rows())),
        multi_label=True,
        gold_column="tags",
        labels_from_gold=True,
    )
    assert {label.name for label in checked_labels(options)} == set(LABELS)


def test_the_plan_says_that_there_may_be_several(tmp_path: Path) -> None:
    path = data(tmp_path, rows())
    plan = make_plan(goal=GOAL, data=str(path), multi_label=True, gold_column="tags")
    assert plan["kind"] == "multi_label"
    shown = CliRunner().invoke(cli, ["plan", GOAL, "--data", str(path), "--multi-label"])
    assert "an item may have several, or none" in " ".join(shown.output.split())


def test_export_writes_the_sets_again(done: tuple[Project, RunResult], tmp_path: Path) -> None:
    project, result = done
    said = CliRunner().invoke(cli, ["export", str(project.folder), "--to", str(tmp_path)])
    assert said.exit_code == 0
    for name in ("labels.csv", "labels.jsonl"):
        again = (tmp_path / name).read_bytes()
        assert again == (result.project / "exports" / name).read_bytes()
