"""A person gives sets of labels: by ticking, by a line, and never by accident an empty one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from desks import LABELS, MANY, make_desk, make_spec, person, said
from labelwright.app.keys import Keyboard, Numbered
from labelwright.app.reviewers import Desk
from labelwright.app.terminal import TerminalReviewer
from labelwright.app.terminal_sets import confirmed, from_line, named, toggled
from labelwright.store.errors import UserError
from labelwright.store.records import Question
from labelwright.store.spec import TaskSpec
from rich.console import Console


def several(labels: list[str]) -> TaskSpec:
    return TaskSpec.checked({**make_spec(labels).model_dump(), "kind": "multi_label"})


def desk(folder: Path, suggestion: str | None, **options: Any) -> Desk:
    """One question that suggests a set."""
    labels = options.pop("labels", LABELS)
    asked = (Question(0, suggestion, 0.4, "like m7", ()),)
    made = make_desk(folder, labels=labels, texts=["a text"], questions=asked, **options)
    return Desk(
        made.store, made.pool, several(labels), made.request, made.place, made.reviewer, made.kind
    )


@pytest.mark.parametrize(
    ("suggestion", "keys", "answer"),
    [
        (None, "13\n\n", '["billing","other"]'),
        (None, "31\n\n", '["billing","other"]'),
        ('["bug"]', "\n\n", '["bug"]'),
        ('["bug"]', "1\n\n", '["billing","bug"]'),
        ('["bug"]', "21\n\n", '["billing"]'),
        ('["bug"]', "-\n", "[]"),
        ("[]", "\n\n", "[]"),
        ("[]", "3\n\n", '["other"]'),
    ],
)
def test_numbers_tick_and_enter_gives_what_is_ticked(
    tmp_path: Path, suggestion: str | None, keys: str, answer: str
) -> None:
    open_desk = desk(tmp_path, suggestion)
    reviewer, _ = person(list(keys))
    assert reviewer.review(open_desk)
    assert said(open_desk) == [(0, "label", answer)]


@pytest.mark.parametrize("suggestion", [None, '["bug"]'])
def test_enter_with_nothing_ticked_is_no_answer(tmp_path: Path, suggestion: str | None) -> None:
    open_desk = desk(tmp_path, suggestion)
    keys = ["2", "\n"] if suggestion else ["\n"]
    reviewer, shown = person(keys)
    assert not reviewer.review(open_desk)
    assert said(open_desk) == []
    assert "nothing is ticked" in shown.getvalue()


def test_the_screen_shows_ticks_and_keys(tmp_path: Path) -> None:
    open_desk = desk(tmp_path, '["bug","other"]')
    reviewer, shown = person(["2"])
    reviewer.review(open_desk)
    text = shown.getvalue()
    assert "[x] 2 bug" in text
    assert "[ ] 2 bug" in text
    assert "Suggestion: 2 bug, 3 other (confidence 40%)" in text
    assert "1-3 tick" in text
    assert "- none of them" in text


def test_a_set_can_be_taken_back(tmp_path: Path) -> None:
    open_desk = desk(tmp_path, '["bug"]')
    reviewer, _ = person(list("\nu1\n\n"))
    assert reviewer.review(open_desk)
    assert [each[1] for each in said(open_desk)] == ["label", "undo", "label"]
    assert open_desk.answered()[0].label == '["billing","bug"]'


def test_gold_items_show_nothing_ticked(tmp_path: Path) -> None:
    open_desk = desk(tmp_path, '["bug"]', purpose="gold")
    reviewer, shown = person(["3", "\n", "\n"])
    assert reviewer.review(open_desk)
    assert said(open_desk) == [(0, "label", '["other"]')]
    assert "[x] 2 bug" not in shown.getvalue()


def test_many_labels_are_ticked_by_name(tmp_path: Path) -> None:
    open_desk = desk(tmp_path, None, labels=MANY)
    reviewer, shown = person([*"card new", "\n", *"12", "\n", "\n", "\n"])
    assert reviewer.review(open_desk)
    assert said(open_desk) == [(0, "label", '["card new","login new"]')]
    assert "Ticked: 3 card new" in shown.getvalue()


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("1 3", '["billing","other"]'),
        ("other; billing", '["billing","other"]'),
        ("2", '["bug"]'),
        ("-", "[]"),
        ("", '["bug"]'),
    ],
)
def test_a_line_of_a_pipe_gives_the_whole_set(tmp_path: Path, line: str, answer: str) -> None:
    open_desk, shown = desk(tmp_path, '["bug"]'), io.StringIO()
    reviewer = TerminalReviewer(name="ann", console=Console(file=shown, width=80))
    reviewer._keyboard = lambda: _Lines(f"{line}\n")  # type: ignore[method-assign]
    assert reviewer.review(open_desk)
    assert said(open_desk) == [(0, "label", answer)]
    assert "all numbers in one line (1 2)" in shown.getvalue()


class _Lines:
    def __init__(self, text: str) -> None:
        self._lines = io.BytesIO(text.encode())

    def __enter__(self) -> Keyboard:
        return Keyboard(None, self._lines)

    def __exit__(self, *_: object) -> None:
        return None


NUMBERED = Numbered.of(["red", "green", "blue"])


def test_ticking_twice_is_not_ticking() -> None:
    once = toggled((), NUMBERED, "3")
    assert once == ("blue",)
    assert toggled(once, NUMBERED, "3") == ()


def test_what_is_ticked_is_in_the_order_of_the_labels() -> None:
    assert toggled(("blue",), NUMBERED, "red") == ("red", "blue")


def test_a_line_with_a_part_that_is_no_label_is_refused() -> None:
    with pytest.raises(UserError, match="'grey'"):
        from_line("red; grey", NUMBERED, None)


def test_an_empty_line_without_a_suggestion_is_refused() -> None:
    with pytest.raises(UserError, match="no suggestion"):
        from_line("", NUMBERED, None)


def test_an_empty_suggestion_can_be_accepted() -> None:
    assert from_line("", NUMBERED, ()) == confirmed((), (), "") == ()


def test_the_empty_set_has_words() -> None:
    assert named((), NUMBERED) == "none of the labels"
