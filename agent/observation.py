"""What the policy sees: small JSON of numbers, never a text of the pool.

That no pool text is here is what keeps a text that gives orders from steering the agent.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict

from ..store.database import Store
from ..store.pool import Pool
from ..store.spec import Kind, Settings, TaskSpec
from ..tools.audit_sample import audited
from ..tools.budget import (
    BudgetLeft,
    LabelPlan,
    budget_left,
    gold_asked,
    gold_wanted,
    label_plan,
)
from ..tools.generation.records import GATE, KEY, generated_items, unweighed
from ..tools.gold import second_part_due
from ..tools.labels import label_counts, training_labels, unlabelled_rows

HISTORY = 12
"""Rounds of history that are shown: keeps the observation small in long runs."""


class Batch(BaseModel):
    """The open batch, if there is one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    round: int
    size: int
    strategy: str
    annotated: bool
    filtered: bool
    reviewed: bool
    asked: int = 0
    """Questions that the reviewed batch came to; the rest was accepted or left."""


class Observation(BaseModel):
    """The state of the project in numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    goal: str
    labels: list[str]
    kind: Kind = "single_label"
    target_accuracy: float | None
    step: int
    round: int
    items: int
    unlabelled: int
    embedded: bool
    human_labels: int
    human_labels_left: int | None
    training_labels_left: int
    usd_left: float | None
    minutes_left: float | None
    plan: dict[str, int]
    labels_by_class: dict[str, int]
    gold_items: int
    gold_asked: bool
    gold_reserved: int = 0
    """Labels kept back from training until it is known whether they are asked as more gold."""
    gold_more: bool = False
    """Whether the first gold items say that the rest of the sample is worth asking."""
    training_items: int
    batch: Batch | None
    model: dict[str, Any] | None
    model_is_current: bool
    scores: dict[str, Any] | None
    scores_are_current: bool
    quality: list[dict[str, Any]]
    uncertainty: list[float]
    gains: list[dict[str, Any]]
    suggestion_agreement: dict[str, int]
    chat_models: list[dict[str, Any]] = []
    """What the chat models' last suggestions were worth on gold; empty while none annotates."""
    pool_labelled: bool = False
    """Whether a chat model was asked about what the classifier doubts in the pool."""
    generation: dict[str, Any] | None = None
    """Who may write texts for training, what was kept so far, and the last comparison on gold."""
    verdict: dict[str, Any] | None
    frozen: bool
    audited: int
    certificate: dict[str, Any] | None
    last_result: dict[str, Any] | None


def observe(
    store: Store,
    pool: Pool,
    spec: TaskSpec,
    *,
    settings: Settings,
    step: int,
    last_result: dict[str, Any] | None,
) -> Observation:
    """Build the observation from the store; the same store gives the same observation."""
    with store.remembering():
        plan = label_plan(
            spec.budgets,
            len(pool.unique_rows),
            settings.learner,
            gold_wanted=gold_wanted(spec.target_accuracy, by_model=settings.by_model),
        )
        left = budget_left(store, spec.budgets, plan, settings.label_price)
        seen = _observed(store, pool, spec, plan, left, step, last_result)
        return seen.model_copy(update={"generation": _generation(store, settings, seen.round)})


def _observed(
    store: Store,
    pool: Pool,
    spec: TaskSpec,
    plan: LabelPlan,
    left: BudgetLeft,
    step: int,
    last_result: dict[str, Any] | None,
) -> Observation:
    items = len(pool.unique_rows)
    trained, model = training_labels(store, final=False), store.artefact("model")
    scores, frozen = store.artefact("scores"), store.artefact("frozen")
    gold = store.human_labels(("gold",))
    current = bool(model and _trained_on(model) == _trainable(store, model))
    live = bool(frozen and model and frozen["model"] == model["name"] and current)
    certificate = store.artefact("certificate") if live else None
    return Observation(
        goal=spec.goal,
        labels=spec.label_names,
        kind=spec.kind,
        target_accuracy=spec.target_accuracy,
        step=step,
        round=int((store.artefact("batch") or {}).get("round", 0)),
        items=items,
        unlabelled=len(unlabelled_rows(store, pool)),
        embedded=store.artefact("vectors") is not None,
        human_labels=store.totals().human_labels,
        human_labels_left=left.human_labels,
        training_labels_left=left.training_labels,
        usd_left=left.usd,
        minutes_left=None if left.minutes is None else round(left.minutes, 1),
        plan={
            "train": plan.train,
            "gold": plan.gold,
            "reserve": plan.reserve,
            "audit": plan.audit,
            "batch": plan.batch,
        },
        labels_by_class=label_counts(store, spec),
        gold_items=len(gold),
        gold_asked=gold_asked(store),
        gold_reserved=left.gold_reserve,
        gold_more=left.gold_reserve > 0 and second_part_due(store),
        training_items=len(trained),
        batch=_batch(store),
        model=None if model is None else _without(model, ("rows", "folder", "digest", "generated")),
        model_is_current=current,
        scores=None if scores is None else _without(scores, ("folder", "predicted")),
        scores_are_current=bool(scores and model and scores["model"] == model["name"]),
        quality=store.artefact_history("quality")[-HISTORY:],
        uncertainty=[s["mean_uncertainty"] for s in store.artefact_history("scores")][-HISTORY:],
        gains=strategy_gains(store)[-HISTORY:],
        suggestion_agreement=_agreement(store),
        chat_models=_chat_models(store),
        pool_labelled=store.artefact("pool_labels") is not None,
        verdict=store.artefact("stop"),
        frozen=live,
        audited=audited(store) if live else 0,
        certificate=_certificate(certificate, model),
        last_result=last_result,
    )


def strategy_gains(store: Store) -> list[dict[str, Any]]:
    """What each round's strategy gained in gold accuracy for the labels it cost."""
    batches = {batch["round"]: batch["strategy"] for batch in store.artefact_history("batch")}
    # The first model of a round: a later one of it differs by generated items, not by the batch.
    first = {each["round"]: each for each in reversed(store.artefact_history("quality"))}
    quality = [first[number] for number in sorted(first)]
    return [
        {
            "round": after["round"],
            "strategy": batches.get(after["round"], "none"),
            "gain": round(after["estimate"] - before["estimate"], 4),
            "labels": after["human_labels"] - before["human_labels"],
        }
        for before, after in pairwise(quality)
    ]


def _trained_on(model: dict[str, Any]) -> set[int]:
    return set(model["rows"])


def _trainable(store: Store, model: dict[str, Any]) -> set[int]:
    return {int(row) for row in training_labels(store, final=bool(model["final"])).rows}


def _batch(store: Store) -> Batch | None:
    batch = store.artefact("batch")
    if batch is None:
        return None
    notes = store.artefact("suggestions")
    return Batch(
        round=batch["round"],
        size=len(batch["rows"]),
        strategy=batch["strategy"],
        annotated=bool(notes and notes["round"] == batch["round"]),
        filtered=bool(batch.get("filtered")),
        reviewed="reviewed" in batch,
        asked=batch.get("asked", 0),
    )


def _chat_models(store: Store) -> list[dict[str, Any]]:
    """The last measure of each chat model, also where another annotator has taken over since."""
    measured = [
        each["models"] for each in store.artefact_history("suggestions") if "models" in each
    ]
    return list(measured[-1]) if measured else []


def _generation(store: Store, settings: Settings, now: int) -> dict[str, Any] | None:
    if settings.generate == "no":
        return None
    last, gate = store.artefact(KEY), store.artefact(GATE)
    return {
        "by": settings.generate,
        "round": None if last is None else last["round"],
        "items": len(generated_items(store)),
        "unweighed": unweighed(store, now),
        "gate": gate,
    }


def _agreement(store: Store) -> dict[str, int]:
    """How often the person agreed with the suggestion that was shown."""
    shown = store.suggested_labels()
    given = store.human_labels(("train",))
    compared = [row for row in given if row in shown]
    agreed = sum(given[row] == shown[row] for row in compared)
    return {"agreed": agreed, "of": len(compared)}


def _certificate(
    value: dict[str, Any] | None, model: dict[str, Any] | None
) -> dict[str, Any] | None:
    if value is None or model is None or value["model"] != model["name"]:
        return None
    return _without(value, ("method", "corrected", "human_share", "spans"))


def _without(value: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: each for name, each in value.items() if name not in names}
