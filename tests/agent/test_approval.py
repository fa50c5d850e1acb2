"""Who must agree to what, at each level of autonomy."""

from __future__ import annotations

from typing import Any

import pytest
from labelwright.agent.approval import HARMLESS, RULES, needs_approval
from labelwright.agent.policy import Decision
from labelwright.store.spec import Autonomy
from labelwright.tools.registry import TOOLS
from support import seen


def asks(autonomy: Autonomy, tool: str, **args: Any) -> bool:
    decision = Decision(tool=tool, args=args, reason="r", policy="playbook")
    return needs_approval(autonomy, decision, seen()).ask


@pytest.mark.parametrize("tool", [*TOOLS, "a_new_tool"])
def test_ask_all_asks_for_everything(tool: str) -> None:
    assert asks("ask-all", tool, k=1)


@pytest.mark.parametrize("tool", [*TOOLS, "a_new_tool"])
def test_auto_asks_for_nothing(tool: str) -> None:
    assert not asks("auto", tool, k=1000)


@pytest.mark.parametrize("tool", sorted(HARMLESS))
def test_ask_labels_lets_go_what_costs_only_time(tool: str) -> None:
    assert not asks("ask-labels", tool)


@pytest.mark.parametrize(("k", "ask"), [(1, False), (18, False), (19, True), (1000, True)])
def test_ask_labels_asks_before_a_large_part_of_the_labels_is_spent(k: int, ask: bool) -> None:
    # 30% of the 60 planned labels are 18.
    assert asks("ask-labels", "request_review", purpose="train", k=k) is ask


def test_ask_labels_asks_before_handing_over() -> None:
    assert asks("ask-labels", "finish")


def test_what_no_rule_knows_is_asked() -> None:
    decision = Decision(tool="a_new_tool", args={}, reason="r", policy="p")
    verdict = needs_approval("ask-labels", decision, seen())
    assert verdict.ask
    assert "no rule matches" in verdict.rule


def test_every_tool_is_matched_by_a_rule_of_the_default_level() -> None:
    for tool in TOOLS:
        decision = Decision(tool=tool, args={"k": 1}, reason="r", policy="p")
        state = seen(generation={})
        assert any(rule.matches(decision, state) for rule in RULES["ask-labels"]), tool
