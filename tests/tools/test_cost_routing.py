"""What is left to a model and what goes to a person, where a wrong label has a price."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from labelwright.app.project import Project
from labelwright.store.events import ErrorEvent
from labelwright.store.records import Annotation
from labelwright.store.trace import Place
from labelwright.tools.base import ToolContext, Workbench
from labelwright.tools.cost_routing import accepted_by_cost, price_of_item, worth_asking
from support import HashEncoder, messages, ran

PRICE = 0.1


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with ran(tmp_path_factory.mktemp("cost"), messages(60), human_labels=10) as (done, _):
        yield done


def context(project: Project, wrong: float, **budgets: Any) -> ToolContext:
    """A context in which a person costs 10 cents, with enough labels left unless told otherwise."""
    assert project.spec is not None
    settings = project.settings.model_copy(update={"wrong_label_usd": wrong, "label_price": PRICE})
    limits = project.spec.budgets.model_copy(update={"human_labels": 60, **budgets})
    spec = project.spec.model_copy(update={"budgets": limits})
    return ToolContext(project.store, project.pool, spec, settings, Workbench(HashEncoder), 99)


def strong(accuracy: float, usd: float, verdict: str = "usable") -> Any:
    pilot = SimpleNamespace(accuracy=SimpleNamespace(estimate=accuracy), verdict=verdict)
    notes = [SimpleNamespace(usd=usd), SimpleNamespace(usd=0.0)]
    useful = verdict == "usable"
    return SimpleNamespace(name="strong", kind="llm", pilot=pilot, on_gold=notes, useful=useful)


def test_a_label_is_accepted_where_its_expected_error_costs_less_than_a_person(
    project: Project,
) -> None:
    found = accepted_by_cost(context(project, 1.0), np.array([0.95, 0.89, 0.91, 0.5]))
    assert found.accepted.tolist() == [True, False, True, False]
    assert found.as_result()["labeller"] == {"model": 2, "person": 2}


def test_a_label_without_confidence_goes_to_a_person_however_little_an_error_costs(
    project: Project,
) -> None:
    found = accepted_by_cost(context(project, 0.01), np.array([np.nan, 0.2]))
    assert found.accepted.tolist() == [False, True]
    assert found.as_result()["why"]["no calibrated confidence"] == 1
    nothing = accepted_by_cost(context(project, 0.01), np.array([np.nan]))
    assert nothing.accepted.tolist() == [False]
    assert nothing.as_result()["labeller"] == {"person": 1}


def test_what_is_worth_a_person_is_not_accepted_because_people_are_spent(project: Project) -> None:
    spent = context(project, 1.0, human_labels=10)
    found = accepted_by_cost(spent, np.array([0.95, 0.5]))
    assert found.accepted.tolist() == [True, False]
    assert any("human labels are spent" in why for why in found.as_result()["why"])


def test_the_stronger_model_is_asked_where_it_prevents_more_than_it_costs(project: Project) -> None:
    confidence = np.array([0.99, 0.7, np.nan, 0.5])
    # A person is better than the strong model where an error costs ten times a person.
    assert worth_asking(context(project, 0.5), confidence, strong(0.9, 0.001)).tolist() == [1, 3]
    assert not len(worth_asking(context(project, 0.5), confidence, strong(0.9, 0.2)))
    assert not len(worth_asking(context(project, 0.5), confidence, strong(0.4, 0.001)))
    assert not len(worth_asking(context(project, 0.5), confidence, strong(0.9, 0.001, "constant")))


def test_a_stronger_model_that_costs_nothing_can_be_weighed(project: Project) -> None:
    confidence = np.array([0.99, 0.7])
    assert worth_asking(context(project, 0.5), confidence, strong(0.9, 0.0)).tolist() == [1]


def test_the_price_of_an_item_is_what_was_paid_for_it(project: Project) -> None:
    assert price_of_item(context(project, 1.0), strong(0.9, 0.03)) == pytest.approx(0.03)
    note = Annotation(0, "m0", "llm", "strong", "v", "suggest", "bug", usd=0.05)
    with project.store.transaction(Place("r", 98, "act")) as writer:
        writer.annotate([note, replace(note, usd=0.0)])
        writer.event("paid", ErrorEvent(where="test", message="paid", who="model"))
    assert price_of_item(context(project, 1.0), strong(0.9, 0.03)) == pytest.approx(0.04)
