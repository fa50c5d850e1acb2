"""`decide_stop` on a real run: every rule judges what the store keeps, or says what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from labelwright.app.project import Project
from labelwright.store.errors import UserError
from labelwright.tools.base import ToolContext, Workbench
from labelwright.tools.decide_stop import DecideStop, Rule, StopArgs, round_records
from labelwright.tools.scores import scores_at
from labelwright.tools.uncertainty import margin
from pydantic import ValidationError
from support import HashEncoder, messages, ran

PRICED = {"cost": {"error_price": 0.5}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("stop")
    with ran(folder, messages(220), label_price=0.25, human_labels=150) as (done, result):
        assert result.status == "finished"
        yield done


@pytest.fixture
def context(project: Project) -> ToolContext:
    spec = project.spec
    assert spec is not None
    bench = Workbench(HashEncoder)
    return ToolContext(project.store, project.pool, spec, project.settings, bench, step=99)


def judged(context: ToolContext, rule: Any, **args: Any) -> dict[str, Any]:
    return DecideStop().run(context, StopArgs(rule=rule, **args)).result


def test_what_was_measured_in_each_round_is_what_the_scores_say(project: Project) -> None:
    history = project.store.artefact_history("scores")
    # Of the models of a round the last one counts; the rounds' models come one after another.
    latest = {each["round"]: (each, before) for before, each in zip([None, *history], history)}  # noqa: B905
    records = round_records(project.store)
    assert len(records) == len(latest) >= 3
    for one in records:
        kept, before = latest[one.round]
        scores = scores_at(project.store, kept)
        p = np.asarray(scores.probabilities)
        assert one.uncertainty_measure == "margin"
        assert one.mean_uncertainty == pytest.approx(margin(p).mean(), abs=1e-5)
        assert one.max_uncertainty == pytest.approx(margin(p).max(), abs=1e-5)
        assert one.expected_error == pytest.approx((1 - p.max(axis=1)).mean(), abs=1e-5)
        assert one.calibrated is True
        if before is None:
            assert one.changed_share is None
            continue
        changes = scores_at(project.store, before).labels() != scores.labels()
        assert one.changed_share == pytest.approx(changes.mean())
        assert (one.changed_share == 0) is (one.kappa == 1)


@pytest.mark.parametrize("rule", [name for name in get_args(Rule) if name != "target"])
def test_every_rule_judges_a_finished_run(context: ToolContext, rule: str) -> None:
    found = judged(context, rule, **PRICED.get(rule, {}))
    assert found["rule"] == rule
    assert found["reason"].endswith(".")
    # Nothing that a rule needs is missing from what the store keeps.
    if rule in ("stability", "uncertainty", "change", "expected_error", "cost"):
        assert isinstance(found["signal"], float), found["reason"]


def test_target_needs_a_target_and_counts_where_there_is_one(context: ToolContext) -> None:
    with pytest.raises(UserError, match="no target accuracy was set"):
        judged(context, "target")
    easy = replace(context, spec=context.spec.model_copy(update={"target_accuracy": 0.01}))
    for rule in ("target", "standard", "majority"):
        assert judged(easy, rule)["stop"]
        assert "the target of 0.01" in judged(easy, rule)["reason"]


def test_cost_weighs_the_prices_of_the_run(context: ToolContext) -> None:
    cheap = judged(context, "cost", error_price=1e-6)
    assert cheap["stop"]
    batch = context.plan.batch
    assert f"The next {batch} labels cost {batch * 0.25:.2f}" in cheap["reason"]
    dear = judged(context, "cost", error_price=1e6)
    assert dear["signal"] > cheap["signal"]


def test_cost_says_which_price_is_missing(context: ToolContext) -> None:
    with pytest.raises(UserError, match="rule cost needs error_price"):
        judged(context, "cost")
    free = replace(context, settings=context.settings.model_copy(update={"label_price": 0.0}))
    with pytest.raises(UserError, match="--label-price"):
        judged(free, "cost", error_price=1.0)


def test_a_price_is_refused_where_it_would_do_nothing(context: ToolContext) -> None:
    with pytest.raises(UserError, match="no other rule takes it"):
        judged(context, "plateau", error_price=1.0)
    with pytest.raises(ValidationError):
        StopArgs(rule="cost", error_price=0.0)


def test_scores_of_an_earlier_version_are_read_as_not_measured(
    project: Project, context: ToolContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    new = {"max_uncertainty", "expected_error", "calibrated", "changed_share"}
    kept = {key: project.store.artefact_history(key) for key in ("scores", "quality")}
    kept["scores"] = [{k: v for k, v in each.items() if k not in new} for each in kept["scores"]]
    monkeypatch.setattr(type(project.store), "artefact_history", lambda _, key: kept.get(key, []))
    assert all(one.max_uncertainty is None for one in round_records(project.store))
    for rule in ("uncertainty", "change", "expected_error"):
        found = judged(context, rule)
        assert not found["stop"]
        assert "measured" in found["reason"]
