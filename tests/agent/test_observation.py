"""What the policy sees of a project: numbers from the store, and nothing that is stale."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from labelwright.agent.observation import HISTORY, Observation, observe, strategy_gains
from labelwright.store.database import Store
from labelwright.store.events import RunEvent
from labelwright.store.pool import Pool
from labelwright.store.records import Annotation, Artefact, Charge, Question, ReviewRequest
from labelwright.store.spec import Budgets, LabelSpec, Settings, TaskSpec
from labelwright.store.trace import Place
from labelwright.tools.generation.records import generated_items


class Desk:
    """A store with a pool of 100 items, and what is seen of it."""

    def __init__(self, folder: Path) -> None:
        texts = pa.array([f"text {n}" for n in range(100)])
        Pool.write(folder, pa.array([f"m{n}" for n in range(100)]), texts, None)
        self.pool = Pool(folder)
        self.pool.write_groups(np.arange(100))
        self.store = Store.create(folder)
        self._events = 0

    def write(self, *annotations: Annotation, charges: Any = (), **artefacts: Any) -> None:
        """Annotations, charges and artefacts, in one transaction."""
        self._events += 1
        with self.store.transaction(Place("r", 1, "act")) as writer:
            writer.annotate(annotations)
            writer.charge(charges)
            writer.keep(Artefact(key, value) for key, value in artefacts.items())
            writer.event(f"e{self._events}", RunEvent(what="resumed"))

    def ask(self, name: str, purpose: Any, *rows: int) -> None:
        """Open a review."""
        self._events += 1
        with self.store.transaction(Place("r", 1, "act")) as writer:
            writer.open_review(ReviewRequest(name, purpose, tuple(map(Question, rows)), 1))
            writer.event(f"e{self._events}", RunEvent(what="resumed"))

    def seen(
        self, *, label_price: float = 0.0, generate: Any = "no", **budgets: Any
    ) -> Observation:
        """The observation under a budget."""
        spec = TaskSpec(
            goal="g",
            labels=[LabelSpec(name="a"), LabelSpec(name="b")],
            text_columns=["text"],
            budgets=Budgets(**{"human_labels": 60, **budgets}),
        )
        return observe(
            self.store,
            self.pool,
            spec,
            settings=Settings(
                data="d", text_columns=["text"], label_price=label_price, generate=generate
            ),
            step=1,
            last_result=None,
        )


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.store.close()


def label(row: int, name: str, purpose: Any = "train", kind: Any = "human") -> Annotation:
    return Annotation(
        row=row, item=f"m{row}", kind=kind, annotator="x", version="1", purpose=purpose, label=name
    )


def model(name: str, *rows: int, final: bool = False) -> dict[str, Any]:
    secret = {"folder": f"models/{name}", "digest": "d"}
    return {"name": name, "rows": list(rows), "final": final, "round": 1, **secret}


def test_a_new_project(desk: Desk) -> None:
    seen = desk.seen()
    assert (seen.items, seen.unlabelled, seen.human_labels, seen.human_labels_left) == (
        100,
        100,
        0,
        60,
    )
    assert (seen.batch, seen.model, seen.certificate, seen.embedded) == (None, None, None, False)
    assert seen.plan["train"] + seen.plan["gold"] + seen.plan["audit"] == 60


def test_the_same_store_gives_the_same_observation(desk: Desk) -> None:
    desk.write(label(1, "a"), model=model("m", 1))
    assert desk.seen() == desk.seen()


def test_labels_and_what_is_left_of_the_budgets(desk: Desk) -> None:
    desk.write(
        label(1, "a"),
        label(2, "a", "gold"),
        label(3, "b", "accept", kind="embedded"),
        charges=[
            Charge("human_label", 2, "x"),
            Charge("usd", 4.0, "x"),
            Charge("seconds", 90, "x"),
        ],
    )
    seen = desk.seen(usd=10.0, minutes=2.0)
    assert seen.labels_by_class == {"a": 2}
    assert (seen.gold_items, seen.training_items) == (1, 2)
    assert (seen.human_labels_left, seen.usd_left, seen.minutes_left) == (58, 6.0, 0.5)


def test_money_limits_the_labels_that_are_left(desk: Desk) -> None:
    assert desk.seen(usd=0.3, label_price=0.1).human_labels_left == 3
    assert desk.seen(usd=9.0, label_price=0.1).human_labels_left == 60
    assert desk.seen(usd=1.0, label_price=0.4, human_labels=None).human_labels_left == 2
    assert desk.seen(human_labels=None).human_labels_left is None


def test_asked_rows_are_no_longer_unlabelled_even_when_skipped(desk: Desk) -> None:
    desk.ask("gold-1", "gold", 3, 4)
    seen = desk.seen()
    assert seen.unlabelled == 98
    assert seen.gold_asked
    assert seen.gold_items == 0


def test_gold_that_is_kept_back_is_counted_and_not_shown(desk: Desk) -> None:
    sample = {"rows": [3, 4, 8, 9], "asked": 2, "round": 0, "step": 1, "closed": False}
    desk.ask("gold-1", "gold", 3, 4)
    before = desk.seen().training_labels_left
    desk.write(gold_sample=sample)
    seen = desk.seen()
    assert (seen.gold_reserved, seen.gold_more, seen.unlabelled) == (2, False, 96)
    assert seen.training_labels_left == before - 2
    usable = {"larger_gold_may_open": True}
    desk.write(suggestions={"round": 0, "step": 2, "models": [usable]})
    assert desk.seen().gold_more
    desk.write(gold_sample={**sample, "asked": 4, "closed": True})
    seen = desk.seen()
    assert (seen.gold_reserved, seen.gold_more) == (0, False)


def test_a_project_of_an_earlier_version_keeps_nothing_back(desk: Desk) -> None:
    desk.ask("gold-1", "gold", 3, 4)
    desk.write(suggestions={"round": 1, "step": 2, "models": [{"pilot": {"verdict": "usable"}}]})
    seen = desk.seen()
    assert (seen.gold_asked, seen.gold_reserved, seen.gold_more) == (True, 0, False)


def test_a_model_is_current_until_there_is_a_new_label(desk: Desk) -> None:
    desk.write(label(1, "a"), model=model("m", 1))
    assert desk.seen().model_is_current
    desk.write(label(2, "a", "gold"))
    assert desk.seen().model_is_current
    desk.write(label(3, "b"))
    assert not desk.seen().model_is_current


def test_scores_of_an_older_model_are_not_current(desk: Desk) -> None:
    scores = {"model": "m1", "mean_uncertainty": 0.25, "folder": "f", "predicted": {"a": 1}}
    desk.write(label(1, "a"), model=model("m1", 1), scores=scores)
    assert desk.seen().scores_are_current
    desk.write(model=model("m2", 1))
    assert not desk.seen().scores_are_current


def test_a_certificate_is_seen_only_of_the_labels_it_certifies(desk: Desk) -> None:
    certificate = {"model": "m1", "n_audited": 2, "estimate": 0.9, "method": "long words"}
    frozen = {"model": "m1"}
    desk.write(label(1, "a"), model=model("m1", 1, final=True), frozen=frozen)
    desk.ask("audit-m1-step-0009", "audit", 5, 6)
    desk.write(certificate=certificate)
    seen = desk.seen()
    assert (seen.frozen, seen.audited) == (True, 2)
    assert seen.certificate == {"model": "m1", "n_audited": 2, "estimate": 0.9}
    desk.write(model=model("m2", 1, final=True))
    later = desk.seen()
    assert (later.frozen, later.audited, later.certificate) == (False, 0, None)


def test_neither_rows_nor_places_of_files_are_shown(desk: Desk) -> None:
    desk.write(label(1, "a"), model=model("m", 1))
    assert desk.seen().model == {"name": "m", "final": False, "round": 1}


def test_agreement_compares_what_was_shown_with_what_was_said(desk: Desk) -> None:
    desk.write(
        label(1, "a", "suggest", "embedded"),
        label(2, "a", "suggest", "embedded"),
        label(3, "a", "suggest", "embedded"),
    )
    desk.write(label(1, "a"), label(2, "b"), label(4, "b"))
    assert desk.seen().suggestion_agreement == {"agreed": 1, "of": 2}


def test_gains_are_those_of_the_strategy_of_the_round(desk: Desk) -> None:
    for number, (estimate, strategy) in enumerate([(0.5, "cluster"), (0.7, "margin")], start=1):
        desk.write(
            batch={"round": number, "strategy": strategy, "rows": []},
            quality={"round": number, "estimate": estimate, "human_labels": 10 * number},
        )
    assert strategy_gains(desk.store) == [
        {"round": 2, "strategy": "margin", "gain": 0.2, "labels": 10}
    ]


def test_history_does_not_grow_for_ever(desk: Desk) -> None:
    for number in range(HISTORY + 5):
        desk.write(
            quality={"round": number, "estimate": 0.5, "human_labels": number},
            scores={"model": "m", "mean_uncertainty": number / 100},
        )
    seen = desk.seen()
    assert len(seen.quality) == len(seen.uncertainty) == len(seen.gains) == HISTORY
    assert seen.quality[-1]["round"] == HISTORY + 4


def test_a_second_model_of_a_round_is_no_gain_of_its_batch(desk: Desk) -> None:
    desk.write(batch={"round": 1, "rows": [0], "strategy": "cluster"})
    for number, estimate, labels in ((1, 0.5, 10), (1, 0.8, 10), (2, 0.7, 20), (2, 0.9, 20)):
        desk.write(quality={"round": number, "estimate": estimate, "human_labels": labels})
    (gain,) = strategy_gains(desk.store)
    assert (gain["round"], gain["gain"], gain["labels"]) == (2, 0.2, 10)


def test_generation_is_seen_only_where_it_is_switched_on(desk: Desk) -> None:
    assert desk.seen().generation is None
    assert desk.seen(generate="model").generation == {
        "by": "model",
        "round": None,
        "items": 0,
        "unweighed": False,
        "gate": None,
    }


def test_generated_items_wait_until_gold_has_weighed_them_in_this_round(desk: Desk) -> None:
    item = {"id": "gen-1", "text": "a secret text", "label": "a"}
    batch = {"round": 1, "rows": [0], "strategy": "cluster"}
    desk.write(batch=batch, generated={"round": 1, "items": [item]})
    seen = desk.seen(generate="model")
    assert seen.generation is not None
    assert (seen.generation["items"], seen.generation["unweighed"]) == (1, True)
    assert "secret" not in seen.model_dump_json()
    gate = {"round": 1, "generated": generated_items(desk.store).digest, "used": True}
    desk.write(gate=gate)
    assert not (desk.seen(generate="model").generation or {})["unweighed"]
    desk.write(batch={**batch, "round": 2})
    assert (desk.seen(generate="model").generation or {})["unweighed"]
