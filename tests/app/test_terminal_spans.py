"""A person marks parts of a text: typed words, marks taken away, nothing by accident."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from desks import make_desk, make_spec, person, said
from labelwright.app.keys import Keyboard
from labelwright.app.reviewers import Desk
from labelwright.app.terminal import TerminalReviewer
from labelwright.store.records import Question
from labelwright.store.spec import TaskSpec
from rich.console import Console

TYPES = ["person", "place"]
TEXT = "Ada met Grace in Rome; Rome was warm"
ADA, GRACE = '[0,3,"person","Ada"]', '[8,13,"person","Grace"]'
ROME, AGAIN = '[17,21,"place","Rome"]', '[23,27,"place","Rome"]'


def desk(folder: Path, suggestion: str | None, text: str = TEXT, **options: Any) -> Desk:
    """One question that suggests marks."""
    asked = (Question(0, suggestion, 0.4, "seen before", ()),)
    made = make_desk(folder, labels=TYPES, texts=[text], questions=asked, **options)
    spec = TaskSpec.checked({**make_spec(TYPES).model_dump(), "kind": "entities"})
    return Desk(made.store, made.pool, spec, made.request, made.place, made.reviewer, made.kind)


@pytest.mark.parametrize(
    ("suggestion", "keys", "answer"),
    [
        (None, "1 Ada\n\n\n", f"[{ADA}]"),
        (None, "1Ada\n\n\n", f"[{ADA}]"),
        (None, "2 Rome\n1 Grace\n\n\n", f"[{GRACE},{ROME},{AGAIN}]"),
        (None, "2 Rome\nx2\n\n\n", f"[{ROME}]"),
        (f"[{ADA}]", "\n\n", f"[{ADA}]"),
        (f"[{ADA}]", "1 Grace\n\n\n", f"[{ADA},{GRACE}]"),
        (f"[{ADA}]", "2 Ada\n\n\n", '[[0,3,"place","Ada"]]'),
        (f"[{ADA},{GRACE}]", "x1\n\n\n", f"[{GRACE}]"),
        (f"[{ADA}]", "-\n", "[]"),
        ("[]", "\n\n", "[]"),
    ],
)
def test_words_are_marked_after_the_number_of_their_type(
    tmp_path: Path, suggestion: str | None, keys: str, answer: str
) -> None:
    open_desk = desk(tmp_path, suggestion)
    reviewer, _ = person(list(keys))
    assert reviewer.review(open_desk)
    assert said(open_desk) == [(0, "label", answer)]


@pytest.mark.parametrize(
    ("suggestion", "keys", "why"),
    [
        (None, "\n", "nothing is marked"),
        (f"[{ADA}]", "x1\n\n", "nothing is marked"),
        (None, "1 Bob\n", "does not occur"),
        (None, "1 Rom\n", "only within longer words"),
        (None, "3 Ada\n", "no type has the number 3"),
        (None, "1\n", "type the words"),
        (None, "x1\n", "there is no mark x1"),
        (None, "Ada\n", "marks nothing"),
        (f"[{ADA}]", "1 Ada met\n", "overlaps what is marked"),
    ],
)
def test_what_marks_nothing_is_no_answer(
    tmp_path: Path, suggestion: str | None, keys: str, why: str
) -> None:
    open_desk = desk(tmp_path, suggestion)
    reviewer, shown = person(list(keys), width=200)
    assert not reviewer.review(open_desk)
    assert said(open_desk) == []
    assert why in shown.getvalue()


def test_marks_can_be_read_without_colour_and_removed_by_what_is_shown(tmp_path: Path) -> None:
    open_desk = desk(tmp_path, f"[{ADA},{ROME}]")
    reviewer, shown = person([], width=200)
    reviewer.review(open_desk)
    text = shown.getvalue()
    assert "[Ada](person) met Grace in [Rome](place); Rome was warm" in text
    assert "x2 Rome (place)" in text
    assert "Types: 1 person, 2 place" in text
    assert "Suggestion: Ada (person), Rome (place) (confidence 40%)" in text
    assert "1 WORDS mark as person" in text


def test_words_that_occur_again_are_marked_each_time_and_that_is_said(tmp_path: Path) -> None:
    open_desk = desk(tmp_path, None)
    reviewer, shown = person(list("2 Rome\n"), width=200)
    reviewer.review(open_desk)
    assert "'Rome' occurs 2 times and is marked each time" in shown.getvalue()


def test_letters_that_are_commands_can_stand_in_words(tmp_path: Path) -> None:
    open_desk = desk(tmp_path, None, text="squ mq is here")
    reviewer, _ = person(list("1 squ mq\n\n\n"))
    assert reviewer.review(open_desk)
    assert said(open_desk) == [(0, "label", '[[0,6,"person","squ mq"]]')]


def test_an_answer_can_be_taken_back_and_the_suggestion_comes_again(tmp_path: Path) -> None:
    open_desk = desk(tmp_path, f"[{ADA}]")
    reviewer, _ = person(list("-u\n\n"))
    assert reviewer.review(open_desk)
    assert said(open_desk) == [(0, "label", "[]"), (0, "undo", None), (0, "label", f"[{ADA}]")]


def test_gold_items_show_no_marks(tmp_path: Path) -> None:
    open_desk = desk(tmp_path, f"[{ADA}]", purpose="gold")
    reviewer, shown = person(list("1 Grace\n\n\n"), width=200)
    assert reviewer.review(open_desk)
    assert said(open_desk) == [(0, "label", f"[{GRACE}]")]
    assert "[Ada]" not in shown.getvalue()


def test_a_mark_on_a_later_page_of_a_long_text_is_shown_there(tmp_path: Path) -> None:
    text = f"{'word ' * 500}Ada at the end"
    start = text.index("Ada")
    open_desk = desk(tmp_path, f'[[{start},{start + 3},"person","Ada"]]', text=text)
    reviewer, shown = person(["m"], width=200, height=80)
    reviewer.review(open_desk)
    first, second = shown.getvalue().split("shows more.")[:2]
    assert "[Ada](person)" not in first
    assert "[Ada](person) at the end" in second


def test_hostile_text_and_marks_are_shown_inert(tmp_path: Path) -> None:
    text = "\x1b[31mAda\u202e met [bold]you[/bold]"
    open_desk = desk(tmp_path, '[[5,8,"person","Ada"]]', text=text)
    reviewer, shown = person([], width=200)
    reviewer.review(open_desk)
    out = shown.getvalue()
    assert "\x1b[31m" not in out
    assert "␛[31m" in out
    assert "[Ada](person)" in out
    assert "[bold]you[/bold]" in out
    assert "\u202e" not in out


@pytest.mark.parametrize(
    ("lines", "answer"),
    [("1 Ada\n2 Rome\n\n", f"[{ADA},{ROME},{AGAIN}]"), ("-\n", "[]"), ("x1\n-\n", "[]")],
)
def test_lines_of_a_pipe_say_the_same_as_keys(tmp_path: Path, lines: str, answer: str) -> None:
    open_desk, shown = desk(tmp_path, None), io.StringIO()
    reviewer = TerminalReviewer(name="ann", console=Console(file=shown, width=80))
    reviewer._keyboard = lambda: _Lines(lines)  # type: ignore[method-assign]
    assert reviewer.review(open_desk)
    assert said(open_desk) == [(0, "label", answer)]


class _Lines:
    """Standard input that is a pipe."""

    def __init__(self, text: str) -> None:
        self._keyboard = Keyboard(None, io.BytesIO(text.encode()))

    def __enter__(self) -> Keyboard:
        return self._keyboard

    def __exit__(self, *_: object) -> None:
        return None
