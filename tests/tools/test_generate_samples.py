"""Generated items in a project: where they come from, where they go, and where never."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from advising import asker, listed, with_askers
from labelwright.app.options import Options, checked_labels
from labelwright.app.project import Project
from labelwright.models.llm.base import Request
from labelwright.models.llm.gateway import Gateway
from labelwright.store.errors import UserError
from labelwright.store.events import DecisionEvent, ErrorEvent
from labelwright.store.records import Artefact
from labelwright.store.trace import Place
from labelwright.tools.base import Outcome, ToolContext, Workbench
from labelwright.tools.generate_samples import GenerateArgs, GenerateSamples
from labelwright.tools.generation.material import f1_by_label, gather
from labelwright.tools.generation.records import generated_items
from labelwright.tools.generation.using import sources, warnings_of
from labelwright.tools.train_model import TrainArgs, TrainModel
from scripted import ScriptedBackend
from support import _OTHER, _WORDS, LABELS, HashEncoder, calls, final_labels, messages, ran

ROWS = messages(240)


def made(label: str, seed: int) -> str:
    """A text as `messages` makes them, in an order of its own."""
    rng = np.random.default_rng(seed)
    words = [*rng.choice(_WORDS[label], 4, replace=False), *rng.choice(_OTHER, 5)]
    return " ".join(rng.permutation(words))


def knowing(request: Request) -> dict[str, Any]:
    """Writes good texts and judges by the words."""
    assert request.schema is not None
    said = request.messages[0].content
    if request.schema.__name__ == "Texts":
        (label,) = re.findall(r'would label "(\w+)" and', said)
        (count,) = re.findall(r"Write (\d+) new texts", said)
        seed = request.seed % 1000 + 50 * request.sample
        return {"texts": [made(label, seed + n) for n in range(int(count))]}
    if request.schema.__name__ == "Examples":
        (count,) = re.findall(r"write (\d+) new texts", said)
        seed = request.seed % 1000 + 7000 + 50 * request.sample
        labels = [LABELS[n % 3] for n in range(int(count))]
        texts = [made(label, seed + n) for n, label in enumerate(labels)]
        pairs = zip(texts, labels, strict=True)
        return {"examples": [{"text": text, "label": label} for text, label in pairs]}
    if request.schema.__name__ == "Topics":
        return {"topics": ["the first", "the second"]}
    if request.schema.__name__ != "Labelled":
        return {"text": "changed for no reason at all"}
    words = listed(request)[0]["text"].split()
    return {"label": max(LABELS, key=lambda label: sum(w in words for w in _WORDS[label]))}


def wrong(request: Request) -> dict[str, Any]:
    """Writes texts of one label for another, and confirms them."""
    assert request.schema is not None
    if request.schema.__name__ == "Texts":
        said = request.messages[0].content
        (label,) = re.findall(r'would label "(\w+)" and', said)
        other = LABELS[(LABELS.index(label) + 1) % 3]
        return {"texts": [made(other, 90 * request.sample + n) for n in range(5)]}
    words = listed(request)[0]["text"].split()
    best = max(LABELS, key=lambda label: sum(w in words for w in _WORDS[label]))
    return {"label": LABELS[(LABELS.index(best) - 1) % 3]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with ran(tmp_path_factory.mktemp("generate"), ROWS, human_labels=60) as (done, _):
        return done.folder


def cut_before(finished: Path, folder: Path, tool: str, **args: Any) -> Project:
    """A copy of the project as it was before the first such decision."""
    shutil.copytree(finished, folder)
    project = Project(folder)
    seq = next(
        each.seq
        for each in project.store.events()
        if isinstance(each.event, DecisionEvent)
        and each.event.tool == tool
        and all(each.event.args.get(name) == value for name, value in args.items())
    )
    project.store.cut_after(seq - 1)
    return project


def context_of(project: Project) -> ToolContext:
    spec = project.spec
    assert spec is not None
    settings = project.settings.model_copy(update={"generate": "model"})
    return ToolContext(project.store, project.pool, spec, settings, Workbench(HashEncoder), 900)


@pytest.fixture(scope="module")
def late(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with all its training labels, before its final model."""
    folder = tmp_path_factory.mktemp("late") / "project"
    project = cut_before(finished, folder, "train_model", final=True)
    yield project
    project.close()


@pytest.fixture
def context(late: Project) -> ToolContext:
    """Tests with it keep nothing."""
    return context_of(late)


@pytest.fixture
def early(finished: Path, tmp_path: Path) -> Iterator[ToolContext]:
    """A project after its first round: the learner has seen few labels."""
    project = cut_before(finished, tmp_path / "early", "decide_stop")
    yield context_of(project)
    project.close()


def keep(context: ToolContext, outcome: Outcome) -> None:
    with context.store.transaction(Place("run", context.step, "act")) as writer:
        writer.keep(outcome.artefacts)
        event = ErrorEvent(where="test", message="kept", who="internal")
        writer.event(f"test:{context.call}:{outcome.artefacts[-1].key}", event)


def generate(context: ToolContext, **args: Any) -> Outcome:
    given = {"method": "definitions", "k": 30, **args}
    return GenerateSamples().run(context, GenerateArgs.model_validate(given))


def value_of(outcome: Outcome) -> dict[str, Any]:
    (artefact,) = outcome.artefacts
    assert artefact.key == "generated"
    return artefact.value


def test_what_is_kept_has_its_provenance_and_no_row(context: ToolContext) -> None:
    value = value_of(generate(with_askers(context, main=asker(knowing))))
    assert len(value["items"]) + len(value["rejected"]) == 30
    assert len(value["items"]) >= 20
    for item in value["items"]:
        assert item["id"].startswith("gen-")
        assert item["seed"] == context.seed
        assert item["prompt"]
        assert "row" not in item
    assert (value["writer"], value["confirmed_by"]) == ("scripted:model", "scripted:model")
    assert value["terms"]["restriction"] == "unknown"
    json.dumps(value)


def test_the_policy_sees_numbers_and_no_text(context: ToolContext) -> None:
    outcome = generate(with_askers(context, main=asker(knowing)))
    shown = json.dumps(outcome.result)
    value = value_of(outcome)
    assert not any(item["text"] in shown for item in [*value["items"], *value["rejected"]])
    assert outcome.result["kept"] == len(value["items"])
    assert outcome.result["report"]["acceptance"] == outcome.result["kept"] / 30
    assert len(shown) < 2000


def test_the_judge_is_asked_where_there_is_one(context: ToolContext) -> None:
    backend = ScriptedBackend(lambda _: {"label": "praise"}, name="scripted:judge")
    asking = with_askers(context, main=asker(knowing), judge=Gateway(backend))
    outcome = generate(asking)
    assert outcome.result["confirmed_by"] == "scripted:judge"
    assert {item["label"] for item in value_of(outcome)["items"]} == {"praise"}
    assert outcome.result["rejected_by"]["judge"] >= 15


def test_agreement_and_learner_confirm_too(context: ToolContext) -> None:
    backend = ScriptedBackend(knowing)
    asking = with_askers(context, main=Gateway(backend))
    assert generate(asking, k=6, confirm="agreement").result["kept"] >= 3
    votes = [request for request in backend.asked if request.sample == 2]
    assert votes
    before = len(backend.asked)
    assert generate(asking, k=6, confirm="learner").result["confirmed_by"] == "learner"
    assert all("new texts" in each.messages[0].content for each in backend.asked[before:])


def test_copies_of_pool_and_held_out_items_do_not_pass(context: ToolContext) -> None:
    pool, gold = context.pool, sorted(context.store.human_labels(("gold",)))
    copies = [*pool.texts(np.array(gold[:3])), *pool.texts(np.array([5, 6]))]

    def copying(request: Request) -> dict[str, Any]:
        if request.schema is not None and request.schema.__name__ == "Texts":
            return {"texts": copies}
        return knowing(request)

    value = value_of(generate(with_askers(context, main=asker(copying)), labels=("bug",), k=5))
    assert value["items"] == []
    assert value["rejected_by"]["held_out"] >= 3
    ids = {pool.id(row) for row in gold}
    for each in value["rejected"]:
        assert not any(name in each["why"] for name in ids)


def test_no_gold_text_is_in_any_prompt(context: ToolContext) -> None:
    backend = ScriptedBackend(knowing)
    asking = with_askers(context, main=Gateway(backend))
    for method in ("definitions", "minority", "weak_spots", "contrast", "paraphrase", "attributes"):
        generate(asking, method=method, k=9)
    held = context.pool.texts(np.array(sorted(context.store.human_labels(("gold", "audit")))))
    said = "\n".join(m.content for request in backend.asked for m in request.messages)
    assert held
    assert not any(text in said for text in held)


def test_weak_spots_come_from_answers_given_before_training(context: ToolContext) -> None:
    material = gather(context)
    assert 0 < len(material.checked) < len(material.examples)
    assert any(not each.right for each in material.checked)
    first = {context.pool.id(row) for row in context.store.artefact_history("batch")[0]["rows"]}
    assert not first & {each.example.id for each in material.checked}


def test_f1_is_that_of_the_counts() -> None:
    truth, said = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])
    found = f1_by_label(truth, said, ["a", "b", "c"])
    assert found == {"a": pytest.approx(2 / 3), "b": pytest.approx(0.5), "c": None}


def test_without_a_chat_model_only_recombining_is_possible(context: ToolContext) -> None:
    with pytest.raises(UserError, match=r"this run has none: give one with --llm, or use 'recomb"):
        generate(context)
    with pytest.raises(UserError, match="novel_tags asks a chat model"):
        generate(context, method="recombine", novel_tags=True)
    value = value_of(generate(context, method="recombine"))
    assert value["augmentation"]
    assert value["writer"] == ""
    assert value["confirmed_by"] == "learner"
    assert value["terms"]["restriction"] == "none"


def test_pairs_are_refused(context: ToolContext) -> None:
    settings = context.settings.model_copy(update={"second_columns": ["other"]})
    with pytest.raises(UserError, match="not for pairs"):
        generate(replace(context, settings=settings))


def test_several_labels_an_item_are_refused(context: ToolContext) -> None:
    spec = context.spec.model_copy(update={"kind": "multi_label"})
    with pytest.raises(UserError, match="one label an item"):
        generate(replace(context, spec=spec))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"generate": "model"}, "--generate model needs a chat model"),
        ({"generate": "augment", "multi_label": True}, "one label an item, not for several"),
        ({"strategy": "llm_pick"}, "--strategy llm_pick asks a chat model"),
        ({"strategy": "subsample(llm_score, 90)"}, "asks a chat model: give one with --llm"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], problem: str) -> None:
    given = Options(goal="Sort", data="x.csv", labels="a,b", **options)
    with pytest.raises(UserError, match=problem):
        checked_labels(given)


def test_the_same_call_gives_the_same_items(context: ToolContext) -> None:
    first, again = (generate(with_askers(context, main=asker(knowing))) for _ in range(2))
    assert value_of(first) == value_of(again)


def train(context: ToolContext, **args: Any) -> Outcome:
    return TrainModel().run(context, TrainArgs(generated=True, **args))


def kept(outcome: Outcome, key: str) -> dict[str, Any]:
    return next(each.value for each in outcome.artefacts if each.key == key)


def test_good_items_train_and_the_comparison_is_in_the_result(early: ToolContext) -> None:
    keep(early, generate(with_askers(early, main=asker(knowing)), k=90))
    outcome = train(early)
    gate = outcome.result["generated"]
    gold = len(early.store.human_labels(("gold",)))
    assert gate["used"]
    assert gate["n"] == gold
    assert gate["low"] <= gate["difference"] <= gate["high"]
    items = generated_items(early.store)
    model = kept(outcome, "model")
    assert model["generated"] == list(items.ids)
    assert set(model["rows"]) <= set(early.store.human_labels())
    assert gate["with_generated"] == pytest.approx(gate["without"] + gate["difference"], abs=2e-4)


def test_items_that_make_gold_worse_are_not_used(early: ToolContext) -> None:
    keep(early, generate(with_askers(early, main=asker(wrong)), k=90))
    before = early.store.artefact("model") or {}
    outcome = train(early)
    gate = outcome.result["generated"]
    assert gate["items"] >= 40
    assert gate["with_generated"] < gate["without"]
    assert not gate["used"]
    if before["rows"] == sorted(before["rows"]) and not before["final"]:
        assert [each.key for each in outcome.artefacts] == ["gate"]
        assert outcome.result["model"] == "kept as it was"
    keep(early, outcome)
    with pytest.raises(UserError, match="not found to help"):
        train(early, final=True)


def test_the_final_model_takes_only_what_was_found_to_help(early: ToolContext) -> None:
    keep(early, generate(with_askers(early, main=asker(knowing)), k=90))
    with pytest.raises(UserError, match="compare them on gold first"):
        train(early, final=True)
    keep(early, train(early))
    outcome = train(replace(early, step=901), final=True)
    model = kept(outcome, "model")
    assert len(model["generated"]) == outcome.result["generated_items"]
    assert model["final"]


def test_without_items_or_gold_there_is_nothing_to_compare(early: ToolContext) -> None:
    with pytest.raises(UserError, match="no generated items"):
        train(early)


def test_without_them_a_model_is_as_it_always_was(early: ToolContext) -> None:
    plain = TrainModel().run(early, TrainArgs())
    keep(early, generate(with_askers(early, main=asker(knowing)), k=30))
    again = TrainModel().run(early, TrainArgs())
    assert kept(plain, "model") == kept(again, "model")
    assert "generated" not in kept(again, "model")
    assert "generated" not in again.result


def test_the_terms_of_the_writer_are_told_of_a_model_that_learned_from_it(
    early: ToolContext,
) -> None:
    keep(early, generate(with_askers(early, main=asker(knowing)), k=90))
    assert warnings_of(early.store) == []
    keep(early, train(early))
    (source,) = sources(early.store, early.store.artefact("model"))
    assert source.items == len(generated_items(early.store))
    (warning,) = warnings_of(early.store)
    assert "scripted:model wrote" in warning
    assert "nothing is known" in warning


def test_recombined_items_warn_of_nothing(early: ToolContext) -> None:
    item = {"id": "gen-1", "text": "one, two", "label": "bug"}
    terms = {"family": "", "restriction": "none", "words": "", "source": ""}
    value = {"items": [item], "writer": "", "method": "recombine", "terms": terms}
    model = {"generated": ["gen-1"], "name": "x"}
    outcome = Outcome({}, artefacts=(Artefact("generated", value), Artefact("model", model)))
    keep(early, outcome)
    assert warnings_of(early.store) == []
    assert "clauses of labelled texts" in sources(early.store, model)[0].words


@pytest.mark.parametrize("kind", ["model", "augment"])
def test_a_whole_run_generates_weighs_and_delivers_the_pool_alone(
    tmp_path: Path, kind: str
) -> None:
    options: dict[str, Any] = {"generate": kind, "human_labels": 50, "seed": 5}
    if kind == "model":
        options |= {"llm": "scripted:model", "chat": ScriptedBackend(knowing), "llm_cache": "none"}
        options |= {"labels": ",".join(LABELS), "annotator": "embedded"}
    with ran(tmp_path, ROWS, **options) as (done, result):
        assert result.status == "finished"
        made_calls = [tool for tool, _ in calls(done)]
        assert "generate_samples" in made_calls
        gates = done.store.artefact_history("gate")
        model = done.store.artefact("model") or {}
        assert {name for name, _ in final_labels(done)} == {row.id for row in ROWS}
        assert not any(each.kind == "generated" for each in done.store.annotations())
        assert done.store.verify() == []
        card = (done.folder / "models" / "final" / "README.md").read_text(encoding="utf-8")
    assert bool(model.get("generated")) == bool(gates and gates[-1]["used"])
    assert ("generated texts" in card) == bool(model.get("generated"))
    if kind == "model":
        assert model["generated"]
        assert "scripted:model" in card
        assert len(result.warnings) == 1


def test_a_run_without_the_option_generates_nothing(tmp_path: Path) -> None:
    with ran(tmp_path, messages(80), human_labels=40) as (done, result):
        assert result.warnings == ()
        assert done.store.artefact("generated") is None
        assert not {"generate_samples"} & {tool for tool, _ in calls(done)}
