"""`select_samples` gives each strategy what it needs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from advising import asker, sensible, with_askers
from labelwright.app.project import Project
from labelwright.store.database import Store
from labelwright.store.errors import UserError
from labelwright.tools.base import ToolContext, Workbench
from labelwright.tools.labels import human_labels, unlabelled_rows
from labelwright.tools.predictions import PREDICTIONS
from labelwright.tools.select_samples import SelectArgs, SelectSamples
from labelwright.tools.strategies import STRATEGIES
from labelwright.tools.strategies.wrappers import WRAPPERS
from support import HashEncoder, messages, ran

OF_A_MODEL = {"probabilities", "samples"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with ran(tmp_path_factory.mktemp("select"), messages(160)) as (done, result):
        assert result.status == "finished"
        yield done


@pytest.fixture
def context(project: Project) -> ToolContext:
    spec = project.spec
    assert spec is not None
    bench = Workbench(HashEncoder)
    return ToolContext(project.store, project.pool, spec, project.settings, bench, step=99)


ASKING = [name for name, one in STRATEGIES.items() if "adviser" in one.needs]


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in ASKING])
def test_every_strategy_chooses_in_a_project_with_a_model(context: ToolContext, name: str) -> None:
    outcome = SelectSamples().run(context, SelectArgs(strategy=name, k=7))
    batch = outcome.artefacts[0].value
    left = set(unlabelled_rows(context.store, context.pool).tolist())
    assert len(set(batch["rows"])) == 7
    assert set(batch["rows"]) <= left
    assert outcome.result["of"] == len(left)
    assert outcome.result["why"] == batch["reason"]


@pytest.mark.parametrize("name", ASKING)
def test_a_chat_model_chooses_where_there_is_one(context: ToolContext, name: str) -> None:
    asking = with_askers(context, main=asker(sensible))
    outcome = SelectSamples().run(asking, SelectArgs(strategy=name, k=7))
    left = set(unlabelled_rows(context.store, context.pool).tolist())
    assert len(set(outcome.artefacts[0].value["rows"]) & left) == 7
    assert "chat model" in outcome.result["why"]


@pytest.mark.parametrize("name", [*ASKING, "subsample(llm_pick, 40)"])
def test_without_a_chat_model_it_says_what_to_do(context: ToolContext, name: str) -> None:
    with pytest.raises(UserError, match=r"this run has none: give one with --llm, or use one of"):
        SelectSamples().run(context, SelectArgs(strategy=name, k=7))


def test_contrastive_sees_predictions_of_labelled_items(context: ToolContext) -> None:
    outcome = SelectSamples().run(context, SelectArgs(strategy="contrastive", k=3))
    known = len(human_labels(context.store))
    assert known >= 10
    assert f"{known} labelled items" in outcome.result["why"]


@pytest.mark.parametrize("name", [n for n, one in STRATEGIES.items() if one.needs & OF_A_MODEL])
def test_without_scores_it_says_what_to_do(context: ToolContext, tmp_path: Path, name: str) -> None:
    fresh = Store.create(tmp_path)
    try:
        with pytest.raises(UserError, match=r"needs a model's scores.*random, k_center, cluster"):
            SelectSamples().run(replace(context, store=fresh), SelectArgs(strategy=name, k=3))
    finally:
        fresh.close()


def test_the_description_names_every_strategy_by_what_it_needs() -> None:
    plain, wrapped = SelectSamples.description.split(" Wrappers around them: ")
    without, rest = plain.split("With the current model's scores: ")
    scored, advised = rest.split(" With a chat model that chooses: ")
    assert advised.strip(".").split(", ") == ASKING
    assert all(name in wrapped for name in WRAPPERS)
    for name, one in STRATEGIES.items():
        if name in ASKING:
            continue
        assert (f"{name}," in scored + ",") or (f" {name}." in scored) or name in without
        assert (name in scored.strip(".").split(", ")) == bool(one.needs & OF_A_MODEL)


@pytest.mark.parametrize(
    "name", ["subsample(margin, 40)", "anchor(margin, 40)", "seals(entropy, 1)"]
)
def test_a_wrapper_has_only_what_it_keeps_predicted(context: ToolContext, name: str) -> None:
    # As if nothing of the pool had been predicted by the model yet.
    model = context.store.artefact("model") or {}
    shutil.rmtree(context.store.folder / model["folder"] / PREDICTIONS, ignore_errors=True)
    outcome = SelectSamples().run(context, SelectArgs(strategy=name, k=5))
    assert 5 <= outcome.result["predicted"] < outcome.result["of"]


def test_adaptive_remembers_what_each_batch_gained(tmp_path: Path) -> None:
    with ran(tmp_path, messages(120), recipe="adaptive") as (done, result):
        assert result.status == "finished"
        gains = done.store.artefact_history("gain")
        batches = {each["round"]: each["arm"] for each in done.store.artefact_history("batch")}
    assert gains
    assert all(batches[each["round"]] == each["arm"] for each in gains)
    assert len({each["round"] for each in gains}) == len(gains)
