"""The terminal reviewer: one question a screen, answered with one key.

Everything shown is untrusted (pool text, and labels and reasons that may come from a chat
model), so it passes through `inert` and is never read as markup. Works over ssh, at 40 columns,
without colour, and line by line where standard input is not a terminal.
"""

from __future__ import annotations

import getpass
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.columns import Columns
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.text import Text

from ..graphs.state import ApprovalAnswer, EditedAction
from ..store.errors import UserError
from ..store.records import AnnotatorKind, Question, ReviewPurpose
from ..store.spec import TaskSpec
from .keys import BACKSPACES, ENTER, ESCAPE, Keyboard, ReadKey, standard_keyboard

if TYPE_CHECKING:
    from .reviewers import Desk

SHOWN_CHARACTERS, SHOWN_LINES = 2000, 60
"""How much of a text one screen shows."""
SINGLE_KEYS = 9
"""Up to this many labels have a key each; with more, their numbers are typed."""
OTHER_ROWS = 16
"""Screen rows kept for all but the labels when there are many."""
BAR_WIDTH = 24

PURPOSES: dict[ReviewPurpose, str] = {
    "train": "These answers train the classifier.",
    "gold": "These answers set how far the machine's labels can be trusted; "
    "no suggestion is shown, so that your answer is your own.",
    "audit": "These answers certify the quality of the labels; "
    "no suggestion is shown, so that your answer is your own.",
}

# All that moves the cursor, hides or reorders what follows: C0 and C1 controls but the newline,
# bidirectional overrides and isolates, invisible spaces and tags, and lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def inert(text: str, encoding: str = "utf-8") -> str:
    """The text with everything visible that could act on a terminal or deceive the eye.

    Controls become their control picture (Escape is ␛), other unsafe characters `<U+202E>`,
    tabs four spaces; newlines stay. What the terminal's encoding lacks is written as an escape.
    """
    plain = text.replace("\r\n", "\n").replace("\t", "    ")
    safe = _UNSAFE.sub(lambda found: _picture(found[0]), plain)
    return safe.encode(encoding, "backslashreplace").decode(encoding)


def _picture(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"<U+{code:04X}>"


@dataclass(frozen=True, slots=True)
class Numbered:
    """Labels and what is typed for each: its number, or itself where all labels are numbers."""

    labels: tuple[str, ...]
    numbers: tuple[str, ...]

    @classmethod
    def of(cls, labels: Sequence[str]) -> Numbered:
        """Number the labels from 1, unless they are numbers already (ratings, say)."""
        if all(label.isascii() and label.isdigit() for label in labels):
            return cls(tuple(labels), tuple(labels))
        return cls(tuple(labels), tuple(str(n) for n in range(1, len(labels) + 1)))

    @property
    def typed(self) -> bool:
        """Whether a label takes several keys and Enter."""
        return len(self.labels) > SINGLE_KEYS or any(len(number) > 1 for number in self.numbers)

    def number(self, label: str) -> str:
        """What is typed for a label."""
        return self.numbers[self.labels.index(label)]

    def matching(self, typed: str) -> list[str]:
        """Labels that contain what was typed (not its number), in any case; all for nothing."""
        wanted = self._split(typed)[0].casefold()
        return [label for label in self.labels if wanted in label.casefold()]

    def choose(self, typed: str, *, narrowed: bool) -> str:
        """The label that was meant by its number, its name or, if `narrowed`, a part of it.

        Args:
            typed: `12`, `sports`, `/spo`.
            narrowed: whether the person saw the one label that is left.

        Raises:
            UserError: no label, or more than one.
        """
        wanted, number = self._split(typed)
        if number in self.numbers:
            return self.labels[self.numbers.index(number)]
        exact = [label for label in self.labels if label.casefold() == wanted.casefold()]
        found = exact or self.matching(typed)
        if exact or (narrowed and wanted and len(found) == 1):
            return found[0]
        if number or not found or not wanted:
            raise UserError(f"{typed!r} is no label: type a number, or a part of a label's name")
        some = ", ".join(f"{self.number(label)} {label}" for label in found[:12])
        raise UserError(f"{typed!r} is in {some}{', …' if len(found) > 12 else ''}: type a number")

    def _split(self, typed: str) -> tuple[str, str]:
        """Part of a name, and number: `card12` is the number 12 unless a label contains it."""
        if typed.isdigit():
            return "", typed
        part = typed.removeprefix("/").strip()
        trailing = re.fullmatch(r"(.*?)(\d+)", part)
        if trailing and not any(part.casefold() in label.casefold() for label in self.labels):
            return trailing[1].strip(), trailing[2]
        return part, ""


def press(typed: str, key: str, *, many: bool) -> tuple[str, bool]:
    """What a key does to a command being typed.

    Args:
        typed: the command so far.
        key: one key.
        many: whether labels are typed and not single keys.

    Returns:
        The command after the key, and whether it is complete.
    """
    if key == ENTER:
        return typed, True
    if key == ESCAPE:
        return "", False
    if key in BACKSPACES:
        return typed[:-1], False
    if not typed and (key in tuple("suqm?") or (not many and key.isdigit())):
        return key, True
    if many and key.isprintable():
        return typed + key, False
    return typed, False


@dataclass(frozen=True, slots=True)
class _Screen:
    """One question as it is shown."""

    question: Question
    text: str
    item: str
    suggestion: str | None
    done: int
    total: int
    agreed: int
    suggested: int
    page: int = 0

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.text) // SHOWN_CHARACTERS))


class TerminalReviewer:
    """A person at a terminal; every answer is saved before the next question is shown."""

    kind: AnnotatorKind = "human"

    def __init__(
        self,
        *,
        name: str | None = None,
        console: Console | None = None,
        read_key: ReadKey | None = None,
    ) -> None:
        """Review as `name` (by default the user's login name).

        Args:
            name: how the trace calls the person.
            console: where questions are shown; by default standard output.
            read_key: gives one key a call and "" at the end; by default standard input is read,
                key by key if it is a terminal and line by line if not.
        """
        self.name = name or getpass.getuser()
        self._console = console or Console(highlight=False)
        self._read_key = read_key

    def review(self, desk: Desk) -> bool:
        """Ask the open questions; `False` pauses the run, with all answers saved."""
        if not desk.open_questions():
            return True
        finished = False
        try:
            with self._keyboard() as keyboard:
                finished = self._ask_all(desk, keyboard)
        except (EOFError, KeyboardInterrupt):
            # The last line of a piped review may come without anything after it.
            finished = not self._live and not desk.open_questions()
        left = len(desk.open_questions())
        total = len(desk.request.questions)
        self._say(f"\n{total - left} of {total} answered and saved.")
        return finished

    def approve(self, payload: dict[str, Any], spec: TaskSpec) -> ApprovalAnswer | None:
        """Ask whether the task spec or a decision may go ahead; `None` pauses the run."""
        try:
            with self._keyboard() as keyboard:
                return self._approval(payload, spec, keyboard)
        except (EOFError, KeyboardInterrupt):
            self._say("\nPaused.")
            return None
