"""The gold sample in two parts: one even draw, asked as far as it is of use."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.store.database import Store
from labelwright.store.errors import UserError
from labelwright.store.events import RunEvent
from labelwright.store.pool import Pool
from labelwright.store.records import Annotation, Artefact, Charge
from labelwright.store.spec import Budgets, LabelSpec, Settings, TaskSpec
from labelwright.store.trace import Place
from labelwright.tools.base import ToolContext, Workbench
from labelwright.tools.budget import BudgetLeft, LabelPlan, budget_left, gold_wanted, label_plan
from labelwright.tools.gold import KEY, drawn, reserved_rows, second_part_due
from labelwright.tools.labels import unlabelled_rows
from labelwright.tools.request_review import RequestReview, ReviewArgs
from support import HashEncoder

ITEMS, LABELS = 90, 60
GOLD, RESERVE = 10, 10
GOOD, POOR = {"larger_gold_may_open": True}, {"larger_gold_may_open": False}


class World:
    """A project whose steps are taken by hand; 60 labels, a chat model, a target of 0.8."""

    def __init__(self, folder: Path, *, llm: str = "some:model", seed: int = 1) -> None:
        texts = pa.array([f"text {n}" for n in range(ITEMS)])
        Pool.write(folder, pa.array([f"m{n}" for n in range(ITEMS)]), texts, None)
        self.pool = Pool(folder)
        self.pool.write_groups(np.arange(ITEMS))
        self.store = Store.create(folder)
        self.spec = TaskSpec(
            goal="g",
            labels=[LabelSpec(name="a"), LabelSpec(name="b")],
            text_columns=["text"],
            target_accuracy=0.8,
            budgets=Budgets(human_labels=LABELS),
        )
        self.settings = Settings(data="d", text_columns=["text"], llm=llm, seed=seed)
        self.step = self.round = 0

    @property
    def context(self) -> ToolContext:
        bench = Workbench(HashEncoder)
        return ToolContext(self.store, self.pool, self.spec, self.settings, bench, self.step)

    def write(self, *artefacts: Artefact, labels: tuple[Annotation, ...] = (), **more: Any) -> None:
        self.step += 1
        with self.store.transaction(Place("r", self.step, "act")) as writer:
            writer.keep(artefacts)
            writer.annotate(labels)
            writer.charge([Charge("human_label", 1, "x")] * len(labels))
            if more.get("review") is not None:
                writer.open_review(more["review"])
            writer.event(f"e{self.step}", RunEvent(what="resumed"))

    def select(self, *rows: int) -> None:
        self.round += 1
        self.write(Artefact("batch", {"round": self.round, "rows": list(rows)}))

    def suggest(self, *models: dict[str, Any]) -> None:
        value = {"round": self.round, "step": self.step, "models": list(models)}
        self.write(Artefact("suggestions", value))

    def ask(self, k: int = GOLD) -> list[int]:
        """Ask about gold items and label them all; the rows that were asked."""
        outcome = RequestReview().run(self.context, ReviewArgs(purpose="gold", k=k))
        assert outcome.review is not None
        rows = [question.row for question in outcome.review.questions]
        self.write(*outcome.artefacts, labels=labels("gold", *rows), review=outcome.review)
        return rows

    @property
    def plan(self) -> LabelPlan:
        return self.context.plan

    @property
    def left(self) -> BudgetLeft:
        return budget_left(self.store, self.spec.budgets, self.plan, 0.0)

    @property
    def free(self) -> list[int]:
        return unlabelled_rows(self.store, self.pool).tolist()


def labels(purpose: Any, *rows: int) -> tuple[Annotation, ...]:
    return tuple(Annotation(row, f"m{row}", "human", "x", "1", purpose, "a") for row in rows)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.store.close()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    first=st.sets(st.integers(0, ITEMS - 1), max_size=15),
    greedy=st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=1),
)
def test_both_parts_are_one_even_draw_whatever_is_selected_in_between(
    seed: int, first: set[int], greedy: list[tuple[bool, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), seed=seed)
        world.select(*first)
        free = np.array([row for row in range(ITEMS) if row not in first])
        expected = drawn(free, GOLD + RESERVE, seed=seed).tolist()
        asked = world.ask()
        for highest, k in greedy:
            # A strategy that takes all it can get from one end of the pool.
            rows = world.free[::-1][:k] if highest else world.free[:k]
            assert not set(rows) & set(expected)
            world.select(*rows)
            world.write(labels=labels("train", *rows))
        world.suggest(GOOD)
        more = world.ask(RESERVE)
        assert sorted(asked) == sorted(expected[:GOLD])
        assert sorted(more) == sorted(expected[GOLD:])
        world.store.close()


def test_every_row_is_as_likely_in_either_part() -> None:
    rows, seeds = np.arange(30), 4000
    places = np.zeros((2, len(rows)))
    for seed in range(seeds):
        found = drawn(rows, 12, seed=seed)
        for part, chosen in enumerate((found[:6], found[6:])):
            places[part, chosen] += 1
    # Counts of 4000 draws with a chance of 0.2: a standard deviation of 25.
    assert np.abs(places - seeds * 0.2).max() < 4.5 * 25.3
    assert places.sum(axis=1).tolist() == [seeds * 6] * 2


def test_the_same_seed_draws_the_same_list_in_the_same_order() -> None:
    rows = np.arange(50)
    assert drawn(rows, 20, seed=3).tolist() == drawn(rows, 20, seed=3).tolist()
    assert drawn(rows, 20, seed=3).tolist() != drawn(rows, 20, seed=4).tolist()
    assert drawn(rows, 20, seed=3)[:7].tolist() == drawn(rows, 7, seed=3).tolist()
    assert drawn(rows[:5], 20, seed=3).shape == (5,)


def test_rows_kept_back_are_not_there_to_be_selected(world: World) -> None:
    asked = world.ask()
    reserved = set(reserved_rows(world.store).tolist())
    assert len(reserved) == RESERVE
    assert not reserved & set(asked)
    assert set(world.free) == set(range(ITEMS)) - reserved - set(asked)


@pytest.mark.parametrize(
    ("models", "due", "kept"),
    [
        ([GOOD], True, RESERVE),
        ([POOR, GOOD], True, RESERVE),
        ([POOR], False, 0),
    ],
)
def test_the_first_part_decides_whether_the_second_is_asked(
    world: World, models: list[dict[str, Any]], due: bool, kept: int
) -> None:
    world.select(1, 2)
    world.ask()
    assert not second_part_due(world.store)
    world.suggest(*models)
    assert second_part_due(world.store) == due
    assert len(reserved_rows(world.store)) == kept


def test_what_was_said_before_the_draw_or_by_no_model_decides_nothing(world: World) -> None:
    world.select(1, 2)
    world.suggest(POOR)
    world.ask()
    world.write(Artefact("suggestions", {"round": 1, "step": world.step}))
    assert len(reserved_rows(world.store)) == RESERVE
    assert not second_part_due(world.store)


SETTLED: dict[str, Any] = {
    "found no use": lambda world: world.suggest(POOR),
    "asked": lambda world: (world.suggest(GOOD), world.ask(RESERVE)),
    "asked in part": lambda world: (world.suggest(GOOD), world.ask(3)),
    "two batches selected": lambda world: (world.select(1), world.select(2)),
    "the pool labelled": lambda world: world.write(Artefact("pool_labels", {"round": 1})),
    "labels frozen": lambda world: world.write(Artefact("frozen", {"model": "m"})),
}


@pytest.mark.parametrize("how", SETTLED)
def test_once_settled_it_stays_settled_and_the_rows_are_back(world: World, how: str) -> None:
    world.select(0)
    world.ask()
    SETTLED[how](world)
    gold = set(world.store.human_labels(("gold",)))
    world.suggest(GOOD)
    assert not len(reserved_rows(world.store))
    assert not second_part_due(world.store)
    assert set(world.free) == set(range(ITEMS)) - gold
    with pytest.raises(UserError, match="none is kept back"):
        world.ask(1)


def test_a_pool_smaller_than_the_sample_is_asked_as_far_as_it_goes(world: World) -> None:
    world.select(*range(ITEMS - 14))
    first = world.ask()
    world.suggest(GOOD)
    assert sorted(first + world.ask(RESERVE)) == list(range(ITEMS - 14, ITEMS))


def test_without_a_chat_model_nothing_is_kept_back(tmp_path: Path, world: World) -> None:
    other = world.ask()
    world = World(tmp_path / "other", llm="none")
    world.select()
    # The first part is the gold sample of a run without a model: all that differs is what follows.
    assert world.ask() == other
    assert world.store.artefact(KEY) is None
    assert world.plan.reserve == world.left.gold_reserve == 0
    assert len(world.free) == ITEMS - GOLD
    world.store.close()


def test_a_project_that_asked_all_its_gold_at_once_goes_on(world: World) -> None:
    """As one begun before there were two parts."""
    world.ask(GOLD + RESERVE)
    assert world.store.artefact(KEY) is None
    world.suggest(GOOD)
    assert not second_part_due(world.store)
    assert world.left.training_labels == world.plan.train - RESERVE
    assert world.left.gold_reserve == 0
    with pytest.raises(UserError, match="none is kept back"):
        world.ask(1)


def test_the_labels_kept_back_train_only_once_they_are_free(world: World) -> None:
    train = world.plan.train
    assert (world.left.gold_reserve, world.left.training_labels) == (RESERVE, train - RESERVE)
    world.ask()
    assert (world.left.gold_reserve, world.left.training_labels) == (RESERVE, train - RESERVE)
    world.suggest(POOR)
    assert (world.left.gold_reserve, world.left.training_labels) == (0, train)


def test_labels_spent_on_more_gold_are_gone_from_training(world: World) -> None:
    world.ask()
    world.suggest(GOOD)
    world.ask(RESERVE)
    assert (world.left.gold_reserve, world.left.training_labels) == (0, world.plan.train - RESERVE)


def test_more_gold_never_takes_the_labels_of_the_audit(world: World) -> None:
    world.ask()
    # As if a chat model had spent the money of all but three labels beyond the audit.
    spent = LABELS - GOLD - world.plan.audit - 3
    world.write(labels=labels("train", *world.free[:spent]))
    world.suggest(GOOD)
    assert (world.left.gold_reserve, world.left.training_labels) == (3, 0)


@given(st.integers(1, 600), st.sampled_from([0.7, 0.8, 0.9, 0.95, 0.99]))
def test_a_plan_with_a_reserve_is_the_plan_without_a_model(labels: int, target: float) -> None:
    budgets, wanted = Budgets(human_labels=labels), gold_wanted(target, by_model=True)
    plan = label_plan(budgets, 10_000, "linear", gold_wanted=wanted)
    without = label_plan(budgets, 10_000, "linear")
    assert (plan.train, plan.gold, plan.audit, plan.batch) == (
        without.train,
        without.gold,
        without.audit,
        without.batch,
    )
    assert 0 <= plan.reserve < max(1, plan.train)
    if plan.reserve:
        assert wanted / 2 <= plan.gold + plan.reserve <= min(wanted, labels / 3)


def test_no_label_is_kept_back_where_a_third_is_too_little_for_any_threshold() -> None:
    def reserve(labels: int) -> int:
        wanted = gold_wanted(0.9, by_model=True)
        return label_plan(Budgets(human_labels=labels), 999, "linear", gold_wanted=wanted).reserve

    assert reserve(65) == 0  # 21 gold items, all right, do not support an error of 0.1
    assert reserve(66) == 12
