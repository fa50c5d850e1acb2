"""Who must agree before a decision is carried out: rules in order, and no match means ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..store.spec import Autonomy
from .observation import Observation
from .policy import Decision

LARGE_SHARE = 0.3
"""A review that asks for more than this share of the budget in one go wants a person's word."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to ask, and the rule that said so."""

    ask: bool
    rule: str


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """One rule: where `matches` holds, its answer is taken."""

    name: str
    answer: Literal["ask", "go"]
    matches: Callable[[Decision, Observation], bool]


def _finishes(decision: Decision, _: Observation) -> bool:
    return decision.tool == "finish"


def _asks_about_the_pool(decision: Decision, _: Observation) -> bool:
    return decision.tool == "label_pool"


def _costs_much(decision: Decision, seen: Observation) -> bool:
    if decision.tool != "request_review":
        return False
    total = seen.plan["train"] + seen.plan["gold"] + seen.plan["audit"]
    return int(decision.args.get("k", 0)) > LARGE_SHARE * total


def _harmless(decision: Decision, _: Observation) -> bool:
    return decision.tool in HARMLESS


def _affordable(decision: Decision, seen: Observation) -> bool:
    return decision.tool == "request_review" and not _costs_much(decision, seen)


def _switched_on(decision: Decision, seen: Observation) -> bool:
    return decision.tool == "generate_samples" and seen.generation is not None


HARMLESS = frozenset(
    {
        "embed_pool",
        "select_samples",
        "annotate_samples",
        "filter_samples",
        "train_model",
        "measure_uncertainty",
        "estimate_quality",
        "decide_stop",
    }
)
"""Tools that spend time on this machine, and a chat model's calls for a batch at most: those are
held to the budget one by one."""

RULES: dict[Autonomy, tuple[ApprovalRule, ...]] = {
    "ask-all": (),
    "ask-labels": (
        ApprovalRule("handing over", "ask", _finishes),
        ApprovalRule("asking a chat model about the pool", "ask", _asks_about_the_pool),
        ApprovalRule("a large share of the label budget", "ask", _costs_much),
        ApprovalRule("within the label budget", "go", _affordable),
        ApprovalRule("switched on with --generate, within the budget", "go", _switched_on),
        ApprovalRule("costs only time", "go", _harmless),
    ),
    "auto": (ApprovalRule("full autonomy", "go", lambda _decision, _seen: True),),
}


def needs_approval(autonomy: Autonomy, decision: Decision, seen: Observation) -> Verdict:
    """Whether a person must agree to a decision.

    Args:
        autonomy: the level the person chose.
        decision: what the policy wants.
        seen: what it saw.
    """
    for rule in RULES[autonomy]:
        if rule.matches(decision, seen):
            return Verdict(rule.answer == "ask", rule.name)
    return Verdict(True, "no rule matches: ask")
