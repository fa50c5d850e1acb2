"""Which tools are legal when, and why not otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.agent.legal import (
    PRECONDITIONS,
    check_call,
    legal_tools,
    review_purposes,
    why_illegal,
)
from labelwright.agent.observation import Observation
from labelwright.store.errors import UserError
from labelwright.tools.registry import TOOLS
from support import seen

REVIEWED = {"batch": {"reviewed": True, "annotated": True, "filtered": True}}
TRAINED: dict[str, Any] = {
    **REVIEWED,
    "training_items": 12,
    "model": {"name": "step-0005", "final": False},
    "model_is_current": True,
}
SCORED = {**TRAINED, "scores_are_current": True, "gold_items": 10, "gold_asked": True}
FINAL = {**SCORED, "model": {"name": "step-0009", "final": True}}
FROZEN = {**FINAL, "frozen": True}
CERTIFIED = {**FROZEN, "audited": 15, "certificate": {"n_audited": 15}}
MEASURED = {**SCORED, "quality": [{"model": "step-0005", "round": 1}]}
JUDGED = {**SCORED, "verdict": {"round": 1, "stop": False}}

GENERATION = {"by": "model", "round": None, "items": 0, "unweighed": False, "gate": None}
GENERATING = {**MEASURED, "generation": GENERATION}

PILOT = {"verdict": "usable", "why": "kappa 0.9", "accuracy": 0.95}
ADVISED = {
    **SCORED,
    "quality": [{"model": "step-0005", "round": 1, "estimate": 0.9, "n": 20}],
    "chat_models": [{"model": "m", "accept_above_score": None, "pilot": PILOT}],
}


def advised(**pilot: Any) -> dict[str, Any]:
    """A state with a chat model whose pilot has other findings."""
    return {**ADVISED, "chat_models": [{"accept_above_score": None, "pilot": {**PILOT, **pilot}}]}


def told(verdict: str, accuracy: float, **more: Any) -> dict[str, Any]:
    """What gold says of a chat model."""
    pilot = {"verdict": verdict, "why": "kappa", "accuracy": accuracy, "n": 20}
    return {"accept_above_score": None, "pilot": pilot, **more}


def advised_by(*models: dict[str, Any]) -> dict[str, Any]:
    """A state with these chat models."""
    return {**ADVISED, "chat_models": list(models)}


LEGAL: list[tuple[str, dict[str, Any]]] = [
    ("embed_pool", {"embedded": False}),
    ("select_samples", REVIEWED),
    ("select_samples", {"batch": None}),
    ("select_samples", {"batch": {"size": 0}}),
    ("annotate_samples", {}),
    ("filter_samples", {}),
    ("request_review", {"batch": {"annotated": True}, "gold_asked": True}),
    ("request_review", {}),
    ("request_review", {"gold_asked": True, "gold_more": True}),
    ("request_review", FROZEN),
    ("train_model", {"training_items": 3}),
    ("train_model", TRAINED),
    ("measure_uncertainty", TRAINED),
    ("estimate_quality", SCORED),
    ("estimate_quality", {**FROZEN, "audited": 15}),
    ("estimate_quality", {**FROZEN, "audited": 20, "certificate": {"n_audited": 15}}),
    ("label_pool", ADVISED),
    (
        "label_pool",
        {**ADVISED, "chat_models": [{"pilot": {**PILOT, "verdict": "constant"}}, {"pilot": PILOT}]},
    ),
    ("label_pool", advised_by(told("weak", 0.95, may_label=True))),
    ("label_pool", advised_by(told("weak", 0.8, votes_in="committee"), told("usable", 0.95))),
    # What was learned has the classifier in it: one gold item of 20 is no proof that it is worse.
    ("label_pool", advised_by(told("weak", 0.85, may_label=True, learned_from=40))),
    ("generate_samples", GENERATING),
    ("generate_samples", {**GENERATING, "round": 2}),
    ("decide_stop", SCORED),
    ("decide_stop", {**JUDGED, "round": 2}),
    ("finish", FROZEN),
    ("finish", CERTIFIED),
]

ILLEGAL: list[tuple[str, dict[str, Any], str]] = [
    ("embed_pool", {}, "some items have no vector yet"),
    ("select_samples", {}, "no batch is open"),
    ("select_samples", {**REVIEWED, "embedded": False}, "items are embedded"),
    ("select_samples", {**REVIEWED, "unlabelled": 0}, "unlabelled items are left"),
    ("select_samples", {**REVIEWED, "human_labels_left": 0}, "budget is left"),
    ("select_samples", {**REVIEWED, "usd_left": 0.0}, "budget is left"),
    ("select_samples", {**REVIEWED, "minutes_left": 0.0}, "budget is left"),
    ("annotate_samples", REVIEWED, "a batch is open"),
    ("annotate_samples", {"batch": None}, "a batch is open"),
    ("annotate_samples", {"batch": {"annotated": True}}, "it was not annotated"),
    ("filter_samples", {"batch": {"filtered": True}}, "it was not filtered"),
    ("filter_samples", REVIEWED, "a batch is open"),
    ("request_review", {"gold_asked": True}, "annotated batch is open"),
    ("request_review", {"human_labels_left": 0}, "budget is left"),
    ("train_model", {}, "there are labels"),
    ("train_model", {"training_items": 3, "embedded": False}, "items are embedded"),
    ("train_model", FINAL, "labels are new since the last model"),
    ("measure_uncertainty", {}, "there is a model"),
    ("measure_uncertainty", SCORED, "its scores are missing"),
    ("estimate_quality", {}, "the current model is not measured"),
    ("estimate_quality", MEASURED, "the current model is not measured"),
    ("estimate_quality", {**SCORED, "gold_items": 0}, "the current model is not measured"),
    ("estimate_quality", FINAL, "the current model is not measured"),
    ("estimate_quality", FROZEN, "the current model is not measured"),
    ("estimate_quality", CERTIFIED, "the current model is not measured"),
    ("label_pool", SCORED, "a chat model annotates"),
    ("label_pool", advised(accuracy=0.9), "better on gold than the classifier"),
    ("label_pool", advised(verdict="constant"), "better on gold than the classifier"),
    ("label_pool", advised(verdict="weak"), "better on gold than the classifier"),
    (
        "label_pool",
        # The best member of a committee does not label by itself.
        advised_by(told("usable", 0.99, votes_in="committee"), told("usable", 0.85)),
        "better on gold than the classifier",
    ),
    (
        "label_pool",
        advised_by(told("weak", 0.7, may_label=True, learned_from=40)),
        "better on gold than the classifier",
    ),
    ("label_pool", {**ADVISED, "pool_labelled": True}, "not asked about the pool before"),
    ("label_pool", {**ADVISED, "scores_are_current": False}, "a model's scores are there"),
    ("label_pool", {**ADVISED, "frozen": True}, "labels are not frozen"),
    ("label_pool", {**ADVISED, "usd_left": 0.0}, "budget is left"),
    ("generate_samples", MEASURED, "generation is switched on"),
    ("generate_samples", {**GENERATING, "embedded": False}, "items are embedded"),
    (
        "generate_samples",
        {**GENERATING, "generation": {**GENERATION, "round": 1}},
        "nothing was generated this round",
    ),
    ("generate_samples", {**GENERATING, "frozen": True}, "labels are not frozen"),
    ("generate_samples", {**GENERATING, "usd_left": 0.0}, "budget is left"),
    ("decide_stop", TRAINED, "a model's scores are there"),
    ("decide_stop", JUDGED, "no verdict was given this round"),
    ("decide_stop", FROZEN, "labels are not frozen"),
    ("finish", SCORED, "labels are frozen"),
    ("finish", {**FROZEN, "audited": 15}, "the audit's answers are certified"),
]


@pytest.mark.parametrize(("tool", "changes"), LEGAL)
def test_legal_when_what_it_needs_is_there(tool: str, changes: dict[str, Any]) -> None:
    assert why_illegal(tool, seen(**changes)) == ""
    assert tool in legal_tools(seen(**changes))


@pytest.mark.parametrize(("tool", "changes", "reason"), ILLEGAL)
def test_illegal_with_the_reason(tool: str, changes: dict[str, Any], reason: str) -> None:
    assert reason in why_illegal(tool, seen(**changes))
    assert tool not in legal_tools(seen(**changes))
    with pytest.raises(UserError, match="not legal now"):
        check_call(tool, {}, seen(**changes))


def test_every_tool_is_in_the_table_and_in_these_tests() -> None:
    assert set(PRECONDITIONS) == set(TOOLS)
    assert {tool for tool, _ in LEGAL} == set(TOOLS)
    assert {tool for tool, _, _ in ILLEGAL} == set(TOOLS)


def test_an_unknown_tool_is_never_legal() -> None:
    assert why_illegal("rm", seen()) == "no tool is called 'rm'"
    with pytest.raises(UserError, match="no tool is called 'rm'"):
        check_call("rm", {}, seen())


@pytest.mark.parametrize(
    ("changes", "purposes"),
    [
        ({}, ["gold"]),
        ({"batch": {"annotated": True}}, ["train", "gold"]),
        ({"batch": {"annotated": True}, "gold_asked": True}, ["train"]),
        ({"gold_asked": True, "gold_reserved": 10}, []),
        ({"gold_asked": True, "gold_reserved": 10, "gold_more": True}, ["gold"]),
        ({"plan": {"train": 5, "gold": 0, "audit": 5, "batch": 5}}, []),
        (SCORED, []),
        (FROZEN, ["audit"]),
        ({**FROZEN, "gold_reserved": 10, "gold_more": True}, ["audit"]),
    ],
)
def test_what_a_review_may_be_for(changes: dict[str, Any], purposes: list[str]) -> None:
    assert review_purposes(seen(**changes)) == purposes


def test_a_review_for_something_else_is_refused() -> None:
    with pytest.raises(UserError, match="a review for 'audit' is not legal now: legal are gold"):
        check_call("request_review", {"purpose": "audit", "k": 5}, seen())


def test_more_questions_than_labels_left_are_refused() -> None:
    check_call("request_review", {"purpose": "gold", "k": 60}, seen())
    with pytest.raises(UserError, match="61 questions are more than the 60 labels left"):
        check_call("request_review", {"purpose": "gold", "k": 61}, seen())
    check_call("request_review", {"purpose": "gold", "k": 61}, seen(human_labels_left=None))


flags = st.booleans()
states = st.builds(
    seen,
    embedded=flags,
    unlabelled=st.integers(0, 3),
    human_labels_left=st.none() | st.integers(0, 3),
    usd_left=st.none() | st.sampled_from([0.0, 1.0]),
    gold_items=st.sampled_from([0, 10]),
    gold_asked=flags,
    gold_more=flags,
    training_items=st.sampled_from([0, 12]),
    batch=st.fixed_dictionaries({"annotated": flags, "filtered": flags, "reviewed": flags}),
    model=st.none() | st.builds(lambda final: {"name": "m", "final": final}, flags),
    model_is_current=flags,
    scores_are_current=flags,
    frozen=flags,
    audited=st.sampled_from([0, 5]),
    certificate=st.none() | st.just({"n_audited": 5}),
)


@settings(max_examples=300)
@given(states)
def test_quality_is_never_measured_on_items_that_trained_the_model(state: Observation) -> None:
    if "estimate_quality" in legal_tools(state):
        from_audit = state.frozen and state.audited > 0
        from_gold = not state.frozen and state.gold_items > 0 and not (state.model or {})["final"]
        assert from_audit or from_gold


@settings(max_examples=300)
@given(states)
def test_nothing_is_asked_without_budget(state: Observation) -> None:
    if state.human_labels_left == 0 or state.usd_left == 0:
        assert not {"request_review", "select_samples"} & set(legal_tools(state))


@settings(max_examples=300)
@given(states)
def test_nothing_is_handed_over_before_labels_are_frozen(state: Observation) -> None:
    if "finish" in legal_tools(state):
        assert state.frozen
        assert state.scores_are_current
        assert not state.audited or state.certificate


def test_a_model_that_has_seen_all_labels_is_not_trained_again_but_for_the_end() -> None:
    state = seen(**SCORED)
    with pytest.raises(UserError, match="has seen all labels"):
        check_call("train_model", {"final": False}, state)
    check_call("train_model", {"final": True}, state)
