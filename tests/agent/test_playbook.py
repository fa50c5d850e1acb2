"""The written rules, one situation at a time; whole runs are in `tests/graphs`."""

from __future__ import annotations

from typing import Any

import pytest
from labelwright.agent.legal import check_call, legal_tools
from labelwright.agent.playbook import PlaybookPolicy
from labelwright.agent.policy import Decision
from labelwright.agent.recipes import RECIPES, recipe
from labelwright.store.errors import UserError
from labelwright.store.spec import RecipeName
from labelwright.tools.registry import checked_args
from support import seen

DONE = {"reviewed": True, "annotated": True, "filtered": True}
SCORED: dict[str, Any] = {
    "batch": DONE,
    "training_items": 12,
    "gold_asked": True,
    "gold_items": 10,
    "model": {"name": "m", "final": False},
    "model_is_current": True,
    "scores_are_current": True,
    "quality": [{"model": "m", "round": 1}],
}
STOPPED = {**SCORED, "verdict": {"round": 1, "stop": True, "reason": "enough"}}
GO_ON = {**SCORED, "verdict": {"round": 1, "stop": False, "reason": "more"}}
FROZEN = {**STOPPED, "model": {"name": "f", "final": True}, "frozen": True}

IN_PARTS = {"train": 35, "gold": 10, "reserve": 12, "audit": 15, "batch": 12}
GOLD: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    (
        "gold was not asked",
        {"batch": DONE, "training_items": 12},
        "request_review",
        {"purpose": "gold", "k": 10},
    ),
    (
        "gold was not asked and fewer labels are left than planned",
        {"batch": DONE, "training_items": 12, "human_labels_left": 4},
        "request_review",
        {"purpose": "gold", "k": 4},
    ),
    (
        "a chat model is to be measured before it suggests anything",
        {"batch": {"filtered": True}, "plan": IN_PARTS},
        "request_review",
        {"purpose": "gold", "k": 10},
    ),
    (
        "a chat model is not measured yet",
        {"batch": {"filtered": True}, "plan": IN_PARTS, "gold_asked": True, "gold_reserved": 12},
        "annotate_samples",
        {},
    ),
    (
        "more gold is worth asking",
        {
            "batch": {"filtered": True, "annotated": True},
            "plan": IN_PARTS,
            "gold_asked": True,
            "gold_reserved": 12,
            "gold_more": True,
        },
        "request_review",
        {"purpose": "gold", "k": 12},
    ),
    (
        "more gold is not worth asking",
        {"batch": {"filtered": True, "annotated": True}, "plan": IN_PARTS, "gold_asked": True},
        "request_review",
        {"purpose": "train", "k": 12},
    ),
]

GENERATION: dict[str, Any] = {
    "by": "model",
    "round": None,
    "items": 0,
    "unweighed": False,
    "gate": None,
}
EVEN = {"billing": 4, "bug": 4, "praise": 4}
WRITTEN = {**GENERATION, "round": 1, "items": 7}
GENERATING: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    (
        "texts may be written in the first round",
        {**SCORED, "generation": GENERATION, "labels_by_class": EVEN},
        "generate_samples",
        {"method": "definitions", "k": 12},
    ),
    (
        "texts may be written and a label is rare",
        {**SCORED, "generation": GENERATION, "labels_by_class": {**EVEN, "bug": 1}},
        "generate_samples",
        {"method": "minority", "k": 12},
    ),
    (
        "texts may be written in a later round",
        {
            **SCORED,
            "round": 2,
            "generation": WRITTEN,
            "quality": [{"model": "m", "round": 2}],
            "labels_by_class": EVEN,
        },
        "generate_samples",
        {"method": "weak_spots", "k": 12},
    ),
    (
        "texts may be recombined",
        {**SCORED, "generation": {**GENERATION, "by": "augment"}, "labels_by_class": EVEN},
        "generate_samples",
        {"method": "recombine", "k": 12},
    ),
    (
        "there is too little gold to weigh texts with",
        {**SCORED, "generation": GENERATION, "gold_items": 7},
        "decide_stop",
        {"rule": "standard"},
    ),
    (
        "texts were written and not weighed",
        {**SCORED, "generation": {**WRITTEN, "unweighed": True}},
        "train_model",
        {"generated": True},
    ),
    (
        "texts were written and weighed",
        {**SCORED, "generation": {**WRITTEN, "gate": {"used": False}}},
        "decide_stop",
        {"rule": "standard"},
    ),
    (
        "the verdict is to stop and written texts help",
        {**STOPPED, "generation": {**WRITTEN, "gate": {"used": True}}},
        "train_model",
        {"final": True, "generated": True},
    ),
    (
        "the verdict is to stop and written texts do not help",
        {**STOPPED, "generation": {**WRITTEN, "gate": {"used": False}}},
        "train_model",
        {"final": True},
    ),
]

STEPS: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("nothing is embedded", {"embedded": False}, "embed_pool", {}),
    ("a batch is new", {}, "filter_samples", {}),
    ("a batch is filtered", {"batch": {"filtered": True}}, "annotate_samples", {}),
    (
        "a batch is annotated",
        {"batch": {"filtered": True, "annotated": True}},
        "request_review",
        {"purpose": "train", "k": 12},
    ),
    (
        "a batch is annotated and few labels are left",
        {"batch": {"filtered": True, "annotated": True}, "training_labels_left": 3},
        "request_review",
        {"purpose": "train", "k": 3},
    ),
    (
        "a batch is annotated and fewer labels are left than planned",
        {"batch": {"filtered": True, "annotated": True}, "human_labels_left": 2},
        "request_review",
        {"purpose": "train", "k": 2},
    ),
    *GOLD,
    ("labels are new", {**SCORED, "model_is_current": False}, "train_model", {}),
    (
        "a model is new",
        {**SCORED, "scores_are_current": False},
        "measure_uncertainty",
        {"measure": "margin"},
    ),
    ("scores are new", {**SCORED, "quality": []}, "estimate_quality", {}),
    *GENERATING,
    ("the round is measured", SCORED, "decide_stop", {"rule": "standard"}),
    (
        "the verdict is to go on",
        GO_ON,
        "select_samples",
        {"strategy": "uncertainty_diversity", "k": 14},
    ),
    ("the verdict is to stop", STOPPED, "train_model", {"final": True}),
    ("training labels are spent", {**GO_ON, "training_labels_left": 0}, "train_model", {}),
    ("nothing is left to choose", {**GO_ON, "unlabelled": 0}, "train_model", {"final": True}),
    ("labels are frozen", FROZEN, "request_review", {"purpose": "audit", "k": 15}),
    (
        "labels are frozen and few are left",
        {**FROZEN, "human_labels_left": 4},
        "request_review",
        {"purpose": "audit", "k": 4},
    ),
    ("no label is left for an audit", {**FROZEN, "human_labels_left": 0}, "finish", {}),
    ("the audit is answered", {**FROZEN, "audited": 15}, "estimate_quality", {}),
    (
        "the labels are certified",
        {**FROZEN, "audited": 15, "certificate": {"n_audited": 15}},
        "finish",
        {},
    ),
]


def decide(recipe_name: RecipeName = "standard", **changes: Any) -> Decision:
    state = seen(**changes)
    return PlaybookPolicy(recipe(recipe_name)).decide(state, legal_tools(state))


@pytest.mark.parametrize(
    ("changes", "tool", "args"), [step[1:] for step in STEPS], ids=[step[0] for step in STEPS]
)
def test_what_comes_next(changes: dict[str, Any], tool: str, args: dict[str, Any]) -> None:
    decision = decide(**changes)
    assert decision.tool == tool
    assert args.items() <= decision.args.items()
    assert decision.reason
    assert decision.policy == "playbook"
    clean = checked_args(decision.tool, decision.args).model_dump(mode="json")
    check_call(decision.tool, clean, seen(**changes))


def test_the_audit_goes_on_while_the_target_is_likely_but_not_certain() -> None:
    def after(estimate: float, low: float) -> str:
        certificate = {"n_audited": 15, "estimate": estimate, "delivered_low": low}
        return decide(**FROZEN, target_accuracy=0.9, audited=15, certificate=certificate).tool

    assert after(0.95, 0.85) == "request_review"
    assert after(0.95, 0.91) == "finish"
    assert after(0.80, 0.70) == "finish"


@pytest.mark.parametrize("name", [each.name for each in RECIPES])
def test_a_recipe_says_how_samples_are_chosen(name: RecipeName) -> None:
    cold = decide(name, batch=None, gold_asked=True)
    warm = decide(name, **GO_ON)
    assert (cold.args["strategy"], warm.args["strategy"]) == (
        recipe(name).cold,
        recipe(name).warm,
    )
    assert cold.reason == recipe(name).cold_reason


def test_where_no_rule_fits_the_person_is_told() -> None:
    state = seen(**GO_ON)
    with pytest.raises(UserError, match="train_model"):
        PlaybookPolicy(recipe("standard")).decide(state, ["train_model"])
