"""Whole runs with the playbook, from a cold start to labels handed over, in every odd shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelwright.app.project import Project
from labelwright.app.reviewers import Desk
from labelwright.app.runs import RunResult
from labelwright.store.errors import UserError
from labelwright.store.events import MetricEvent, RunEvent, ToolEvent
from labelwright.store.records import Artefact, Charge
from labelwright.store.trace import Place
from labelwright.tools.audit_sample import certificate
from labelwright.tools.labels import training_labels
from support import (
    LABELS,
    PlainReviewer,
    Row,
    calls,
    decisions,
    final_labels,
    knows,
    messages,
    ran,
)

ROWS = messages(100)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, RunResult]]:
    """A finished run that the tests here only read."""
    with ran(tmp_path_factory.mktemp("whole"), ROWS) as found:
        yield found


def test_every_item_gets_a_label_of_the_task(whole: tuple[Project, RunResult]) -> None:
    project, result = whole
    assert (result.status, result.exit_code) == ("finished", 0)
    assert {item for item, _ in final_labels(project)} == {row.id for row in ROWS}
    assert {label for _, label in final_labels(project)} <= set(LABELS)


def test_the_trace_of_a_run_verifies(whole: tuple[Project, RunResult]) -> None:
    project, result = whole
    assert project.verify(result.head) == []


def test_the_budget_is_kept_and_the_certificate_is_given(whole: tuple[Project, RunResult]) -> None:
    project, result = whole
    assert result.totals.human_labels == 60
    certified = project.store.artefact("certificate")
    assert certified is not None
    assert certified["low"] <= certified["estimate"] <= certified["high"]
    metrics = [each.event for each in project.store.events()]
    assert any(isinstance(each, MetricEvent) and each.n > 0 for each in metrics)


def test_every_decision_was_legal_and_has_a_reason(whole: tuple[Project, RunResult]) -> None:
    for each in decisions(whole[0]):
        assert each.tool in each.legal
        assert each.reason
        assert not each.fallback


def test_every_decision_was_acted_on_once(whole: tuple[Project, RunResult]) -> None:
    project, _ = whole
    ran_tools = [e.event for e in project.store.events() if isinstance(e.event, ToolEvent)]
    decided = decisions(project)
    # `prepare` ran without a decision; `finish` is carried out by its node and not by a tool.
    assert decided[-1].tool == "finish"
    assert [each.tool for each in ran_tools] == ["prepare", *(each.tool for each in decided[:-1])]


def test_no_audit_item_was_trained_on(whole: tuple[Project, RunResult]) -> None:
    store = whole[0].store
    audit = set(store.human_labels(("audit",)))
    gold = set(store.human_labels(("gold",)))
    assert audit
    assert gold
    assert not audit & set(training_labels(store, final=True).rows.tolist())
    assert not gold & set(training_labels(store, final=False).rows.tolist())
    for model in store.artefact_history("model"):
        assert not audit & set(model["rows"])
        assert model["final"] or not gold & set(model["rows"])


def test_gold_and_audit_questions_show_no_suggestion(whole: tuple[Project, RunResult]) -> None:
    for review in whole[0].store.reviews():
        shown = [question.suggestion for question in review.questions]
        assert all(shown) if review.purpose == "train" else not any(shown)


def test_nothing_is_asked_twice(whole: tuple[Project, RunResult]) -> None:
    reviews = whole[0].store.reviews()
    rows = [question.row for review in reviews for question in review.questions]
    assert len(rows) == len(set(rows))


def test_a_certificate_from_items_that_were_trained_on_is_refused(tmp_path: Path) -> None:
    with ran(tmp_path, messages(40), human_labels=16) as (project, _):
        store, spec = project.store, project.spec
        assert spec is not None
        frozen = store.artefact("frozen") or {}
        row = next(iter(store.human_labels(("audit",))))
        with store.transaction(Place("r", 99, "act")) as writer:
            writer.keep([Artefact("frozen", {**frozen, "trained_on": [row]})])
            writer.event("a lie", RunEvent(what="resumed"))
        with pytest.raises(UserError, match="train"):
            certificate(store, project.pool, spec)


def told(folder: Path, **options: Any) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    with ran(folder, messages(60), human_labels=24, **options) as (project, _):
        return calls(project), final_labels(project)


def test_the_same_seed_gives_the_same_decisions_and_labels(tmp_path: Path) -> None:
    first = told(tmp_path / "a", seed=3)
    assert told(tmp_path / "b", seed=3) == first


def test_another_seed_asks_about_other_items(tmp_path: Path) -> None:
    asked = []
    for seed in (3, 4):
        with ran(tmp_path / str(seed), messages(60), human_labels=24, seed=seed) as (project, _):
            asked.append(project.store.asked_rows())
    assert asked[0] != asked[1]


def finished(folder: Path, rows: list[Row], **options: Any) -> RunResult:
    """A run that must end well, with a label for every item and a trace that verifies."""
    with ran(folder, rows, **options) as (project, result):
        assert result.status == "finished"
        assert len(final_labels(project)) == len(rows)
        assert project.verify(result.head) == []
        return result


def test_a_run_where_every_question_is_skipped_ends_with_a_clear_error(tmp_path: Path) -> None:
    reviewer = PlainReviewer(lambda _item, _text: None)
    with pytest.raises(UserError, match="nothing can be done: no tool is legal") as caught:
        finished(tmp_path, messages(30), human_labels=10, reviewer=reviewer)
    assert "\n" not in str(caught.value)
    assert len(reviewer.shown) == len(set(reviewer.shown)) <= 30


def test_some_skipped_questions_do_no_harm(tmp_path: Path) -> None:
    gold = knows(ROWS)
    reviewer = PlainReviewer(
        lambda item, text: None if int(item[1:]) % 3 == 0 else gold(item, text)
    )
    result = finished(tmp_path, ROWS[:60], human_labels=24, reviewer=reviewer)
    assert 0 < result.totals.human_labels <= 24


def test_ten_items_are_enough(tmp_path: Path) -> None:
    finished(tmp_path, messages(10), human_labels=200)


def test_every_item_of_the_same_label(tmp_path: Path) -> None:
    rows = [Row(row.id, row.text, "bug") for row in messages(40)]
    result = finished(tmp_path, rows, human_labels=20)
    assert result.certificate is not None
    assert result.certificate["n_errors"] == 0


@pytest.mark.parametrize("budget", [1, 2, 3, 15])
def test_fewer_labels_than_any_plan_wants(tmp_path: Path, budget: int) -> None:
    assert finished(tmp_path, messages(40), human_labels=budget).totals.human_labels <= budget


def test_more_classes_than_labels(tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(30)]
    rows = [Row(row.id, row.text, names[number % 30]) for number, row in enumerate(messages(60))]
    finished(tmp_path, rows, human_labels=14, labels=",".join(names))


def test_without_a_limit_all_that_can_be_asked_may_be_asked(tmp_path: Path) -> None:
    result = finished(tmp_path, messages(40), human_labels=None)
    assert 0 < result.totals.human_labels <= 40


def test_a_target_that_is_never_reached_ends(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [Row(row.id, row.text, LABELS[int(rng.integers(3))]) for row in messages(60)]
    result = finished(tmp_path, rows, human_labels=40, target_accuracy=0.99)
    assert result.totals.human_labels <= 40


class SlowReviewer(PlainReviewer):
    """Takes two hours for each review, without keeping anybody waiting."""

    def review(self, desk: Desk) -> bool:
        with desk.store.transaction(desk.place) as writer:
            writer.charge([Charge("seconds", 7200, "clock")])
            writer.event(f"clock:{desk.request.id}", RunEvent(what="resumed"))
        return super().review(desk)


def test_when_the_time_is_over_what_was_learned_is_handed_over(tmp_path: Path) -> None:
    rows = messages(60)
    reviewer = SlowReviewer(knows(rows))
    with ran(tmp_path, rows, reviewer=reviewer, minutes=60.0) as (project, result):
        assert result.status == "finished"
        assert len(project.store.reviews()) == 1
        assert result.certificate is None
        assert len(final_labels(project)) == 60


def test_money_for_human_labels_is_never_overspent(tmp_path: Path) -> None:
    result = finished(tmp_path, messages(60), human_labels=None, usd=20.0, label_price=1.0)
    assert 0 < result.totals.usd <= 20


def test_what_was_known_before_a_decision_is_in_its_event(
    whole: tuple[Project, RunResult],
) -> None:
    found = decisions(whole[0])
    assert found[0].observation["human_labels"] == 0
    assert found[-1].observation["human_labels"] == 60
    assert [each.observation["step"] for each in found] == list(range(1, len(found) + 1))
    json.dumps(found[-1].observation)
