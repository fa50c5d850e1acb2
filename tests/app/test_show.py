"""What a run says of the steps that it takes."""

from __future__ import annotations

import io

from labelwright.app.show import FAILURE, Narrator
from rich.console import Console


def told(what: str, detail: dict[str, object]) -> str:
    out = io.StringIO()
    Narrator(Console(file=out, width=80))(what, detail)
    return out.getvalue()


def test_a_draft_that_failed_is_told_and_how_it_goes_on() -> None:
    said = told("spec", {"drafted": False, "failure": "the chat model gave\n no [b]task spec[/b]"})
    assert said == (
        "    ! the chat model gave no [b]task spec[/b]\n"
        "      going on with the labels as they were named\n"
    )


def test_a_long_failure_is_cut() -> None:
    first = told("spec", {"failure": "word " * 200}).splitlines()[0]
    assert len(first) == FAILURE + len("    ! ")
    assert first.endswith("…")


def test_a_draft_that_worked_and_what_is_not_known_are_not_told() -> None:
    assert told("spec", {"drafted": True, "failure": ""}) == ""
    # A project of an earlier version does not say whether it failed.
    assert told("spec", {"drafted": True}) == ""
    assert told("something", {}) == ""
