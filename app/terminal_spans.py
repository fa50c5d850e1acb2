"""Marking parts of a text at the terminal: words are typed after the number of their type.

`1 Ada Lovelace` marks these words, wherever they stand, as the first type; `x2` takes the second
mark away; Enter gives what is marked, and `-` says that nothing is. What is suggested is marked at
the start. Marks stand in brackets with their type, so that they can be read without colour.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.text import Text

from ..store.errors import UserError
from ..store.spans import Span
from ..tools.annotators.spans import locate
from .keys import Numbered
from .screen import Display
from .terminal_sets import NONE

REMOVE = "x"
STYLES = ("bold cyan", "bold magenta", "bold green", "bold yellow", "bold blue", "bold red")
"""Colours of the types, in turn."""
_ADD = re.compile(r"(\d+)\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks on a text while its question is open.

    Attributes:
        text: the whole text.
        spans: what is marked, in the order of the text.
        suggested: what was suggested, if that is shown.
    """

    text: str
    spans: tuple[Span, ...]
    suggested: tuple[Span, ...] | None


def changed(marks: Marks, numbered: Numbered, command: str) -> tuple[Marks, str]:
    """The marks after a command that adds or removes some, and a note where one is due.

    Raises:
        UserError: it is no such command, or cannot be done.
    """
    if re.fullmatch(rf"{REMOVE}\s*\d+", command):
        return _removed(marks, int(command[len(REMOVE) :])), ""
    typed = _ADD.fullmatch(command)
    if typed is None:
        raise UserError(
            f"{command!r} marks nothing: type the number of a type and then the words, like "
            f"'{numbered.numbers[0]} {_example(marks.text)}', or {REMOVE} and a mark's number"
        )
    number, words = typed.groups()
    if number not in numbered.numbers:
        raise UserError(f"no type has the number {number}: {_listed(numbered)}")
    if not words.strip():
        raise UserError(f"type the words after the number: '{number} {_example(marks.text)}'")
    kind = numbered.labels[numbered.numbers.index(number)]
    return _added(marks, kind, words.strip())


def confirmed(marks: Marks, command: str) -> tuple[Span, ...]:
    """The answer that Enter or `-` gives.

    Raises:
        UserError: Enter with nothing marked, where that was not suggested either.
    """
    if command == NONE:
        return ()
    if not marks.spans and marks.suggested != ():
        raise UserError(f"nothing is marked: mark words, or give {NONE} for nothing to mark")
    return marks.spans


def page_of(display: Display, marks: Marks, types: Sequence[str], start: int, part: str) -> Text:
    """A part of the text that begins at character `start`, with the marks in it."""
    shown, place, end = display.text(""), start, start + len(part)
    for span in marks.spans:
        if span.end <= start or span.start >= end:
            continue
        first, last = max(span.start, start), min(span.end, end)
        style = STYLES[types.index(span.type) % len(STYLES)]
        shown.append_text(display.text(marks.text[place:first]))
        words = marks.text[first:last]
        shown.append_text(display.text(f"[{words}]({span.type})", style))
        place = last
    shown.append_text(display.text(marks.text[place:end]))
    return shown


def lines_of(marks: Marks, numbered: Numbered) -> list[str]:
    """The types with their numbers, and what is typed to take each mark away."""
    found = [
        f"{REMOVE}{place} {' '.join(span.text.split())} ({span.type})"
        for place, span in enumerate(marks.spans, 1)
    ]
    return [f"Types: {_listed(numbered)}", *(found or ["Nothing is marked."])]


def keys_of(numbered: Numbered) -> list[str]:
    """What the keys do, for the line under the question."""
    return [
        "Enter gives what is marked",
        f"{NONE} nothing to mark",
        f"{numbered.numbers[0]} WORDS mark as {numbered.labels[0]}",
        f"{REMOVE}1 unmark",
    ]


def saved(spans: Sequence[Span]) -> str:
    """An answer in words: how many parts of which types."""
    return f"{len(spans)} marked" if spans else "nothing marked"


def _removed(marks: Marks, number: int) -> Marks:
    if not 1 <= number <= len(marks.spans):
        raise UserError(f"there is no mark {REMOVE}{number}: there are {len(marks.spans)}")
    left = tuple(span for place, span in enumerate(marks.spans, 1) if place != number)
    return replace(marks, spans=left)


def _added(marks: Marks, kind: str, words: str) -> tuple[Marks, str]:
    found = locate([(words, kind)], marks.text)
    if not found.spans:
        raise UserError(f"{found.issues[0]}: copy the words as they stand there")
    new, kept = list[Span](), list(marks.spans)
    for span in found.spans:
        same = [each for each in kept if (each.start, each.end) == (span.start, span.end)]
        over = [each for each in kept if each.start < span.end and span.start < each.end]
        if same or not over:
            kept = [each for each in kept if each not in same]
            new.append(span)
    if not new:
        raise UserError(f"{words!r} overlaps what is marked: take that away first")
    several = f"{words!r} occurs {len(new)} times and is marked each time." if new[1:] else ""
    return replace(marks, spans=tuple(sorted([*kept, *new]))), several


def _listed(numbered: Numbered) -> str:
    return ", ".join(numbered.named(label) for label in numbered.labels)


def _example(text: str) -> str:
    words = text.split()
    return words[0][:20] if words else "words"
