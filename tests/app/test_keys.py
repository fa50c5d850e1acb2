"""Keys from a real pseudo-terminal, and the labels that typing chooses."""

from __future__ import annotations

import os
import pty
import select
import termios
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.app.keys import Keyboard, Numbered, press, read_key, single_keys
from labelwright.store.errors import UserError

MANY = [
    f"{kind} {what}"
    for kind in ("card", "cash", "loan", "login")
    for what in ("lost", "late", "new")
]


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """Master and slave of a pseudo-terminal."""
    master, slave = pty.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def fails_in_single_keys(descriptor: int) -> None:
    with single_keys(descriptor):
        raise RuntimeError("boom")


def test_the_terminal_is_restored_after_an_exception(ends: tuple[int, int]) -> None:
    before = termios.tcgetattr(ends[1])
    with pytest.raises(RuntimeError, match="boom"):
        fails_in_single_keys(ends[1])
    assert termios.tcgetattr(ends[1]) == before


def test_what_was_typed_before_the_question_is_thrown_away(ends: tuple[int, int]) -> None:
    master, slave = ends
    os.write(master, b"1\n")
    assert select.select([slave], [], [], 5)[0]
    with single_keys(slave):
        assert not select.select([slave], [], [], 0.05)[0]
        os.write(master, b"2")
        assert read_key(slave) == "2"


@pytest.mark.parametrize(
    "key", ["7", "\n", "é", "字", "😀", "\x1b", "\x1b[A", "\x1bOP", "\x1b[3~", "\x1bx"]
)
def test_a_key_is_read_whole(ends: tuple[int, int], key: str) -> None:
    master, slave = ends
    with single_keys(slave):
        os.write(master, key.encode())
        assert read_key(slave) == key
        assert not select.select([slave], [], [], 0)[0]


def test_a_terminal_that_hangs_up_ends_the_input() -> None:
    master, slave = pty.openpty()
    os.close(master)
    assert read_key(slave) == ""
    os.close(slave)


def test_a_line_is_edited_with_backspace_and_given_up_with_escape() -> None:
    keys = iter("ab字\x7fc\x1b")
    echoed: list[str] = []
    keyboard = Keyboard(lambda: next(keys, ""))
    assert keyboard.line(echoed.append) is None
    assert "".join(echoed) == "ab字\b\b  \b\bc\n"
    keys = iter(" ab\x7fc \r")
    assert keyboard.line(echoed.append) == "ac"
    with pytest.raises(EOFError):
        keyboard.line(echoed.append)


@pytest.mark.parametrize(
    ("typed", "key", "many", "then"),
    [
        ("", "2", False, ("2", True)),
        ("", "2", True, ("2", False)),
        ("1", "2", True, ("12", False)),
        ("12", "\n", True, ("12", True)),
        ("ca", "s", True, ("cas", False)),
        ("", "s", True, ("s", True)),
        ("", "x", False, ("", False)),
        ("", "x", True, ("x", False)),
        ("12", "\x7f", True, ("1", False)),
        ("12", "\x1b", True, ("", False)),
        ("12", "\x1b[A", True, ("12", False)),
        ("", "²", False, ("²", True)),
    ],
)
def test_what_a_key_does(typed: str, key: str, many: bool, then: tuple[str, bool]) -> None:
    assert press(typed, key, "suq?", many=many) == then


@pytest.mark.parametrize(
    ("typed", "label"),
    [
        ("12", "login new"),
        ("/card lost", "card lost"),
        ("CARD LOST", "card lost"),
        ("/cash l5", "cash late"),
        ("cash 4", "cash lost"),
    ],
)
def test_a_label_by_number_or_name(typed: str, label: str) -> None:
    assert Numbered.of(MANY).choose(typed, narrowed=False) == label


def test_a_part_of_a_name_is_enough_only_where_the_one_label_left_was_shown() -> None:
    numbered = Numbered.of(MANY)
    assert numbered.choose("ard lo", narrowed=True) == "card lost"
    with pytest.raises(UserError, match="'ard lo' is in 1 card lost: type a number"):
        numbered.choose("ard lo", narrowed=False)


@pytest.mark.parametrize(
    "typed", ["0", "13", "999999999999", "/", "zzz", "zzz4x", "²", "-1", "card12"]
)
def test_what_is_no_label_is_refused(typed: str) -> None:
    with pytest.raises(UserError, match="is no label"):
        Numbered.of(MANY).choose(typed, narrowed=True)


def test_a_name_that_is_part_of_another_can_be_chosen() -> None:
    assert Numbered.of(["card", "card lost", *MANY[3:]]).choose("card", narrowed=True) == "card"


def test_labels_that_are_numbers_are_typed_as_themselves() -> None:
    ratings = Numbered.of(["0", "1", "2"])
    assert ratings.choose("1", narrowed=False) == "1"
    assert not ratings.typed
    assert Numbered.of(["5", "10"]).typed


@given(
    st.lists(st.text("abAB1 2", min_size=1), min_size=2, max_size=12, unique=True),
    st.text("/abAB12 "),
)
def test_choosing_gives_a_label_or_a_user_error(labels: list[str], typed: str) -> None:
    numbered = Numbered.of(labels)
    try:
        assert numbered.choose(typed, narrowed=True) in labels
    except UserError:
        assert typed not in numbered.numbers
