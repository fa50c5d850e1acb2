"""A chat model as the policy: whatever it says, the step is one legal tool call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from labelwright.agent.legal import legal_tools
from labelwright.agent.llm_policy import MAX_STEPS, TRIES, LLMPolicy
from labelwright.agent.playbook import PlaybookPolicy
from labelwright.agent.policy import Decision
from labelwright.agent.recipes import recipe
from labelwright.models.llm.base import Call, Reply
from labelwright.models.llm.gateway import Gateway
from support import ScriptedChat, call, follows_playbook, seen

PLAYBOOK = PlaybookPolicy(recipe("standard"))
GOOD = call("filter_samples", reason="it repeats itself", cosine=0.9)


def decide(*replies: Any, **changes: Any) -> tuple[Decision, ScriptedChat]:
    """The decision of a model with a script; a state that it may find."""
    chat = ScriptedChat(replies=list(replies))
    state = seen(**changes)
    return policy_of(chat).decide(state, legal_tools(state)), chat


def policy_of(chat: ScriptedChat) -> LLMPolicy:
    return LLMPolicy(lambda _: Gateway(chat), "scripted", PLAYBOOK)


def two_calls() -> Reply:
    return Reply("", calls=(*GOOD.calls, *call("annotate_samples").calls))


BROKEN_JSON = Reply("", calls=(Call("filter_samples", '{"cosine": '),))

INVALID: dict[str, tuple[Reply, str]] = {
    "an argument of the wrong type": (call("filter_samples", cosine="high"), "argument 'cosine'"),
    "an argument out of range": (call("filter_samples", cosine=7), "argument 'cosine'"),
    "an argument that there is not": (call("filter_samples", colour="red"), "argument 'colour'"),
    "a missing argument": (call("request_review", purpose="gold"), "argument 'k'"),
    "an unknown tool": (call("delete_everything"), "'delete_everything' is not offered now"),
    "a tool that is not legal": (call("finish"), "'finish' is not offered now"),
    "a review that is not legal": (
        call("request_review", purpose="audit", k=5),
        "a review for 'audit' is not legal now",
    ),
    "more than is left": (call("request_review", purpose="gold", k=61), "more than the 60"),
    "two calls at once": (two_calls(), "2 calls were made: call exactly one tool"),
    "no call": (Reply("I would rather talk about it"), "0 calls were made"),
    "no reason": (call("filter_samples", reason=""), "gives no reason"),
    "a reason of spaces": (call("filter_samples", reason="  "), "gives no reason"),
    "a reason that is no text": (call("filter_samples", reason=5), "gives no reason"),
    "broken JSON": (BROKEN_JSON, "not valid JSON"),
}


def test_a_valid_call_is_the_decision() -> None:
    decision, chat = decide(GOOD)
    assert (decision.tool, decision.reason) == ("filter_samples", "it repeats itself")
    assert decision.args == {"cosine": 0.9, "rouge_l": 0.85}
    assert (decision.policy, decision.fallback, decision.attempts) == ("llm:scripted", "", [])
    assert len(chat.heard) == 1


def test_the_model_is_offered_the_legal_tools_and_must_call_one() -> None:
    _, chat = decide(GOOD)
    assert chat.offered == [legal_tools(seen())]


@pytest.mark.parametrize("kind", INVALID)
def test_an_invalid_call_goes_back_with_its_error_and_is_mended(kind: str) -> None:
    reply, error = INVALID[kind]
    decision, chat = decide(reply, GOOD)
    assert (decision.tool, decision.policy, decision.fallback) == (
        "filter_samples",
        "llm:scripted",
        "",
    )
    assert [error in attempt["error"] for attempt in decision.attempts] == [True]
    assert error in str(chat.heard[1][-1].content)
    json.dumps(decision.attempts)


@pytest.mark.parametrize("kind", INVALID)
def test_after_three_invalid_calls_the_playbook_takes_the_step(kind: str) -> None:
    reply, error = INVALID[kind]
    decision, chat = decide(reply)
    assert len(chat.heard) == TRIES == 3
    expected = PLAYBOOK.decide(seen(), legal_tools(seen()))
    assert (decision.tool, decision.args) == (expected.tool, expected.args)
    assert (decision.policy, decision.fallback) == ("playbook", "3 invalid calls")
    assert [error in attempt["error"] for attempt in decision.attempts] == [True] * 3


def test_a_model_that_fails_hands_the_step_to_the_playbook_at_once() -> None:
    decision, chat = decide(ConnectionError("no route to host"))
    assert len(chat.heard) == 1
    assert decision.policy == "playbook"
    assert "ConnectionError: no route to host" in decision.fallback
    assert decision.attempts == [{"call": None, "error": decision.fallback}]


def test_a_failure_with_a_long_message_is_cut() -> None:
    decision, _ = decide(RuntimeError("x" * 10_000))
    assert len(decision.fallback) <= 500


def test_a_tool_that_was_refused_is_not_accepted_again() -> None:
    chat = ScriptedChat(replies=[GOOD])
    legal = [name for name in legal_tools(seen()) if name != "filter_samples"]
    decision = policy_of(chat).decide(seen(), legal)
    assert decision.tool in legal
    assert decision.policy == "playbook"
    assert "annotate_samples" in decision.attempts[0]["error"]


def test_after_too_many_steps_the_model_is_not_asked_any_more() -> None:
    decision, chat = decide(GOOD, step=MAX_STEPS)
    assert chat.heard == []
    assert decision.fallback == f"{MAX_STEPS} steps were taken"
    before, _ = decide(GOOD, step=MAX_STEPS - 1)
    assert before.policy == "llm:scripted"


def test_the_model_sees_the_goal_the_target_and_the_state() -> None:
    _, chat = decide(GOOD, goal="Sort my mail into a and b", target_accuracy=0.95)
    system, state = (str(message.content) for message in chat.heard[0])
    assert "Sort my mail into a and b" in system
    assert "95.0%" in system
    told = json.loads(state.partition("\n")[2])
    assert told["human_labels_left"] == 60
    assert "goal" not in told


def test_the_state_is_enough_to_decide_as_the_playbook() -> None:
    decision, _ = decide(follows_playbook)
    expected = PLAYBOOK.decide(seen(), legal_tools(seen()))
    assert (decision.tool, decision.reason) == (expected.tool, expected.reason)
