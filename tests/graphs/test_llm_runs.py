"""Whole runs in which a chat model decides, well or badly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from labelwright.agent import llm_policy
from labelwright.agent.understand import Draft, DraftLabel
from labelwright.app.project import Project
from labelwright.models.llm.base import Reply
from labelwright.store.errors import OperatorError
from labelwright.store.events import ErrorEvent, GoalEvent, SpecEvent
from support import (
    LABELS,
    ScriptedChat,
    call,
    calls,
    decisions,
    final_labels,
    follows_playbook,
    messages,
    ran,
)

ROWS = messages(40)


def draft(*names: str) -> Draft:
    labels = [DraftLabel(name=name, definition=f"all of {name}") for name in names]
    return Draft(labels=labels, guidelines="When in doubt, bug.")


def chat_of(*replies: Any, drafts: list[Any] | None = None) -> ScriptedChat:
    return ScriptedChat(replies=list(replies), drafts=drafts or [draft(*LABELS)])


def options(chat: ScriptedChat, **changed: Any) -> dict[str, Any]:
    return {
        "chat": chat,
        "llm": "scripted:chat",
        "annotator": "embedded",
        "policy": "llm",
        "human_labels": 16,
        **changed,
    }


def test_a_model_that_follows_the_playbook_comes_to_the_same_labels(tmp_path: Path) -> None:
    with ran(tmp_path / "llm", ROWS, **options(chat_of(follows_playbook))) as (project, result):
        assert result.status == "finished"
        assert {each.policy for each in decisions(project)} == {"llm:scripted:chat"}
        assert project.verify() == []
        led = calls(project), len(final_labels(project))
    with ran(tmp_path / "playbook", ROWS, human_labels=16) as (project, _):
        assert [each[0] for each in calls(project)] == [each[0] for each in led[0]]
        assert led[1] == len(ROWS)


def test_a_model_that_never_makes_a_valid_call_costs_nothing_but_its_calls(tmp_path: Path) -> None:
    chat = chat_of(Reply("no"))
    with ran(tmp_path, ROWS, **options(chat)) as (project, result):
        assert result.status == "finished"
        made = decisions(project)
        assert {each.policy for each in made} == {"playbook"}
        assert all(len(each.attempts) == 3 and each.fallback == "3 invalid calls" for each in made)
        assert len(chat.heard) == 3 * len(made)


def test_a_stubborn_model_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm_policy, "MAX_STEPS", 15)
    with ran(tmp_path, ROWS, **options(chat_of(call("train_model")))) as (project, result):
        assert result.status == "finished"
        made = decisions(project)
        assert any(each.policy.startswith("llm") for each in made)
        assert all(each.fallback == "15 steps were taken" for each in made[15:])
        assert len(final_labels(project)) == len(ROWS)


def test_tokens_are_charged_at_their_price(tmp_path: Path) -> None:
    reply = Reply("no", tokens_in=1000, tokens_out=10)
    prices = {"price_in": 2.0, "price_out": 50.0}
    with ran(tmp_path, ROWS, **options(chat_of(reply), **prices)) as (project, result):
        tries = 3 * len(decisions(project))
        assert result.totals.tokens == 1010 * tries
        assert result.totals.usd == pytest.approx(tries * (1000 * 2 + 10 * 50) / 1e6)


def spec_of(project: Project) -> SpecEvent:
    (event,) = [e.event for e in project.store.events() if isinstance(e.event, SpecEvent)]
    return event


def test_a_draft_becomes_the_spec_after_a_person_has_seen_it(tmp_path: Path) -> None:
    chat = chat_of(follows_playbook, drafts=[draft(*LABELS)])
    found = options(chat, goal="Sort my messages")
    with ran(tmp_path, ROWS, **found) as (project, _):
        assert project.spec is not None
        assert project.spec.label_names == list(LABELS)
        assert project.spec.guidelines == "When in doubt, bug."
        assert spec_of(project).origin == "chat model scripted:chat"
        approved = [event.key for event in project.store.events() if "approval:spec" in event.key]
        assert len(approved) == 1


def test_a_draft_with_other_labels_is_recorded_and_not_taken(tmp_path: Path) -> None:
    chat = chat_of(follows_playbook, drafts=[draft("good", "bad")])
    with ran(tmp_path, ROWS, **options(chat)) as (project, _):
        assert project.spec is not None
        assert project.spec.label_names == list(LABELS)
        errors = [e.event for e in project.store.events() if isinstance(e.event, ErrorEvent)]
        assert "changed the labels" in errors[0].message
        assert spec_of(project).origin == "goal and options"


def test_where_labels_and_guidelines_are_written_nothing_is_drafted(tmp_path: Path) -> None:
    chat = chat_of(follows_playbook, drafts=[draft("good", "bad")])
    labels = "; ".join(f"{name}: all of {name}" for name in LABELS)
    written = {"labels": labels, "guidelines": "When in doubt, bug."}
    with ran(tmp_path, ROWS, **options(chat, **written)) as (project, _):
        assert spec_of(project).origin == "goal and options"
        assert not [e for e in project.store.events() if isinstance(e.event, ErrorEvent)]
        assert all(each.why != "understand" for each in project.store.model_calls())


def test_without_labels_and_without_a_draft_the_run_stops_and_can_be_resumed(
    tmp_path: Path,
) -> None:
    chat = chat_of(follows_playbook, drafts=[TimeoutError("no answer")])
    with (
        pytest.raises(OperatorError, match=r"no answer.*--labels"),
        ran(tmp_path, ROWS, **options(chat, goal="Sort my messages")),
    ):
        pass
    project = Project(tmp_path / "project")
    assert not [e for e in project.store.events() if isinstance(e.event, GoalEvent)]
    assert project.verify() == []
    project.close()
