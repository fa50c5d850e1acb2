"""Approving a spec or a decision at the terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from labelwright.app.approving import edited_args
from labelwright.app.terminal import TerminalReviewer
from labelwright.store.errors import UserError
from labelwright.store.spec import TaskSpec
from rich.console import Console

DECISION: dict[str, Any] = {
    "subject": "decision",
    "allowed": ["approve", "edit", "reject"],
    "step": 4,
    "tool": "select_samples",
    "args": {"strategy": "random", "k": 5},
    "reason": "the pool is \x1b[31mcold",
}
SPEC_ASKED = {"subject": "spec", "allowed": ["approve", "reject"]}
SPEC = TaskSpec.checked(
    {
        "goal": "Sort messages",
        "labels": [{"name": "billing"}, {"name": "bug", "definition": "what bug means"}],
        "guidelines": "Money goes first.",
        "text_columns": ["text"],
        "budgets": {"human_labels": 40},
    }
)


def approve(keys: str, payload: dict[str, Any]) -> tuple[Any, str]:
    """The answer of a person who presses these keys and hangs up, and what they were shown."""
    shown, given_keys = io.StringIO(), iter(keys)
    console = Console(file=shown, width=80, height=40)
    reviewer = TerminalReviewer(name="ann", console=console, read_key=lambda: next(given_keys, ""))
    answer = reviewer.approve(payload, SPEC)
    return answer and answer.model_dump(exclude_defaults=True), shown.getvalue()


@pytest.mark.parametrize("keys", ["y", "Y", "\n", "r\n"])
def test_a_decision_is_shown_and_approved(keys: str) -> None:
    answer, shown = approve(keys, DECISION)
    assert answer == {"type": "approve", "by": "ann"}
    for part in ("Step 4", "select_samples", "strategy = random", "k = 5", "is ␛[31mcold"):
        assert part in shown
    assert "respond" not in shown


@pytest.mark.parametrize("keys", ["q", "", "n", "nbecause", "e"])
def test_a_question_left_open_pauses(keys: str) -> None:
    assert approve(keys, DECISION)[0] is None


def test_ctrl_c_pauses_an_approval() -> None:
    assert approve("n\x03", DECISION)[0] is None


def test_a_rejection_carries_its_reason_and_escape_takes_it_back() -> None:
    assert approve("ntoo early\n", DECISION)[0] == {
        "type": "reject",
        "message": "too early",
        "by": "ann",
    }
    assert approve("n\x1by", DECISION)[0]["type"] == "approve"
    assert approve("n\n", DECISION)[0] == {"type": "reject", "by": "ann"}


def test_respond_is_there_only_where_it_is_allowed() -> None:
    allowed = {**DECISION, "allowed": ["approve", "respond"]}
    assert approve("r\nrtrain first\n", allowed)[0] == {
        "type": "respond",
        "message": "train first",
        "by": "ann",
    }
    assert approve("n", allowed)[0] is None


@pytest.mark.parametrize(
    ("line", "args"),
    [
        ("k=7", {"strategy": "random", "k": 7}),
        ('{"strategy": "random", "k": 9}', {"strategy": "random", "k": 9}),
    ],
)
def test_arguments_are_edited_as_pairs_or_json(line: str, args: dict[str, Any]) -> None:
    answer, _ = approve(f"e{line}\n", DECISION)
    assert answer["type"] == "edit"
    assert answer["edited_action"] == {"name": "select_samples", "args": args}


def test_arguments_that_do_not_fit_are_refused_on_the_spot() -> None:
    answer, shown = approve("ek=none\ney=1\nehm\ne\ny", DECISION)
    assert answer == {"type": "approve", "by": "ann"}
    assert "argument 'k'" in shown
    assert "argument 'y'" in shown
    assert "'hm' is not key=value" in shown


@pytest.mark.parametrize("line", ["{", "{]", '{"k": NaN}', "k", "=5", "'k=5"])
def test_what_is_neither_pairs_nor_json_is_a_user_error(line: str) -> None:
    with pytest.raises(UserError):
        edited_args(line, {"k": 1})


def test_pairs_keep_text_json_and_the_other_arguments() -> None:
    changed = edited_args("a=1 b='two words' c=null d=[1,2] e=NaN f=", {"z": 0, "a": 0})
    assert changed == {
        "z": 0, "a": 1, "b": "two words", "c": None, "d": [1, 2], "e": "NaN", "f": ""
    }  # fmt: skip


def test_a_spec_is_shown_whole_and_edited_in_its_file() -> None:
    answer, shown = approve("e", SPEC_ASKED)
    assert answer is None
    for part in (
        "Sort messages",
        "bug: what bug means",
        "Money goes first.",
        "40 labels",
        "task.yaml",
    ):
        assert part in shown
    assert approve("y", SPEC_ASKED)[0] == {"type": "approve", "by": "ann"}
    assert approve("nno\n", SPEC_ASKED)[0]["type"] == "reject"


def test_why_an_edit_was_refused_is_shown() -> None:
    _, shown = approve("q", {**DECISION, "problem": "k is above the budget"})
    assert shown.count("k is above the budget") == 1
