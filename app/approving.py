"""Asking at the terminal whether a task spec or a decision may go ahead."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from ..graphs.state import ApprovalAnswer, EditedAction
from ..store.errors import UserError
from ..store.spec import TaskSpec
from .keys import ENTER, Keyboard
from .screen import Display

KEYS = {"y": "approve", "n": "reject", "e": "edit", "r": "respond"}
SHOWN_VALUE = 300
"""Characters of an argument's value that are shown."""


def ask_approval(
    payload: dict[str, Any], spec: TaskSpec, name: str, keyboard: Keyboard, display: Display
) -> ApprovalAnswer | None:
    """Show what is to be approved and ask until there is an answer; `None` pauses.

    Raises:
        EOFError: the input ended.
    """
    about_spec = payload["subject"] == "spec"
    allowed = {*payload["allowed"], *(["edit"] if about_spec else [])}
    keys = {key: answer for key, answer in KEYS.items() if answer in allowed}
    note = ""
    while True:
        display.clear()
        if about_spec:
            show_spec(spec, display)
        else:
            _show_decision(payload, display)
        display.say(_keys_line(keys), "dim")
        if note:
            display.say(note, "yellow")
        choice = _choice(keys, keyboard, display)
        if choice == "edit" and about_spec:
            display.say("Change task.yaml in the project folder, then resume the run.")
        if choice is None or (choice == "edit" and about_spec):
            return None
        try:
            answer = _answer(choice, payload, name, keyboard, display)
        except UserError as error:
            note = str(error)
            continue
        if answer is not None:
            return answer
        note = ""


def edited_args(line: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as a person typed them: a JSON object replaces all, `key=value` changes one.

    Args:
        line: `{"k": 5}`, or `k=5 strategy=margin` with quotes around values that have spaces;
            a value that is JSON is taken as such, any other as text.
        args: the arguments as they were.

    Raises:
        UserError: neither of the two.
    """
    if line.startswith("{"):
        return _json_object(line)
    try:
        parts = shlex.split(line)
    except ValueError as error:
        raise UserError(f"{line!r} cannot be read ({error}): close the quotes") from None
    changed = dict(args)
    for part in parts:
        key, sign, value = part.partition("=")
        if not key or not sign:
            raise UserError(f"{part!r} is not key=value: type for example k=5, or a JSON object")
        changed[key] = _value(value)
    return changed


def show_spec(spec: TaskSpec, display: Display) -> None:
    """The task spec, readable."""
    display.say("Is this the task?", "bold")
    display.say(f"Goal: {spec.goal}")
    if spec.several:
        display.say("An item may have several of these labels, or none:")
    if spec.marked:
        display.say("Parts of the texts that are of these types are marked:")
    for label in spec.labels:
        meaning = f": {label.definition}" if label.definition else ""
        display.say(f"- {label.name}{meaning}")
    if spec.guidelines:
        display.say(f"Guidelines: {spec.guidelines}")
    display.say(f"Text: {', '.join(spec.text_columns)}")
    if spec.target_accuracy is not None:
        level = f"with {spec.confidence_level:.0%} confidence"
        display.say(f"Target: {spec.target_accuracy:.1%} accurate, {level}")
    display.say(f"Budget: {_budget(spec)}")
    display.say(f"Autonomy: {spec.autonomy}")


def _show_decision(payload: Mapping[str, Any], display: Display) -> None:
    display.say(f"Step {payload['step']}: the agent wants to run {payload['tool']}", "bold")
    for key, value in payload["args"].items():
        display.say(f"  {key} = {_shown(value)}")
    if payload.get("reason"):
        display.say(f"Because: {payload['reason']}")
    if payload.get("problem"):
        display.say(str(payload["problem"]), "yellow")


def _keys_line(keys: Mapping[str, str]) -> str:
    words = [
        f"y or Enter {answer}" if key == "y" else f"{key} {answer}" for key, answer in keys.items()
    ]
    return " · ".join([*words, "q pause"])


def _choice(keys: Mapping[str, str], keyboard: Keyboard, display: Display) -> str | None:
    while True:
        typed = keyboard.key() if keyboard.live else (keyboard.line(display.echo) or ENTER)
        typed = typed.lower()
        if typed == "q":
            return None
        if typed == ENTER:
            typed = "y"
        if typed in keys:
            return keys[typed]
        if not keyboard.live:
            display.say(f"{typed!r} is no answer here: {_keys_line(keys)}")


def _answer(
    choice: str, payload: Mapping[str, Any], name: str, keyboard: Keyboard, display: Display
) -> ApprovalAnswer | None:
    """The answer with what belongs to it; `None` to be asked again."""
    if choice == "approve":
        return ApprovalAnswer(type="approve", by=name)
    if choice == "edit":
        return _edit(payload, name, keyboard, display)
    prompt = "Why not? (Enter: no reason) " if choice == "reject" else "What should it know? "
    message = _line(prompt, keyboard, display)
    if message is None or (choice == "respond" and not message):
        return None
    return ApprovalAnswer.model_validate({"type": choice, "message": message, "by": name})


def _edit(
    payload: Mapping[str, Any], name: str, keyboard: Keyboard, display: Display
) -> ApprovalAnswer | None:
    from ..tools.registry import checked_args

    line = _line("Arguments (key=value, or JSON for all; Enter: back) ", keyboard, display)
    if not line:
        return None
    args = edited_args(line, payload["args"])
    checked_args(payload["tool"], args)
    action = EditedAction(name=payload["tool"], args=args)
    return ApprovalAnswer(type="edit", edited_action=action, by=name)


def _line(prompt: str, keyboard: Keyboard, display: Display) -> str | None:
    display.say(prompt, "bold", end=" ")
    return keyboard.line(display.echo)


def _json_object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line, parse_constant=_no_constant)
    except ValueError as error:
        raise UserError(f'{line!r} is not JSON ({error}): write it as {{"k": 5}}') from None
    return dict(value)


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_VALUE else f"{text[:SHOWN_VALUE]}… ({len(text)} characters)"


def _budget(spec: TaskSpec) -> str:
    budgets = spec.budgets
    parts = [
        f"{budgets.human_labels} labels by a person" if budgets.human_labels is not None else "",
        f"{budgets.usd:g} US dollars" if budgets.usd is not None else "",
        f"{budgets.minutes:g} minutes" if budgets.minutes is not None else "",
    ]
    return ", ".join(part for part in parts if part) or "no limit"
