"""Single keys from a terminal, or whole lines where there is none, and what they mean.

A key is what it types; an escape sequence (an arrow) comes as one key. The end of the input is
`EOFError` everywhere, so that a closed pipe and a lost connection pause a review alike.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import BinaryIO

from rich.cells import cell_len

from ..store.errors import UserError

ReadKey = Callable[[], str]
"""Waits for one key; an empty string is the end of the input."""

ENTER, ESCAPE = "\n", "\x1b"
BACKSPACES = ("\x7f", "\b")
END_OF_INPUT = ("", "\x04")
SEQUENCE_WAIT = 0.05
"""Seconds in which the rest of an escape sequence must follow; else it was the Escape key."""
LONGEST_LINE = 65_536
SINGLE_KEYS = 9
"""Up to this many labels have a key each; with more, their numbers are typed."""


class Keyboard:
    """Where commands come from: keys one by one (`live`), or a stream of lines."""

    def __init__(self, read_key: ReadKey | None, lines: BinaryIO | None = None) -> None:
        """Read keys with `read_key`; without it, lines from `lines` (`None`: nothing comes)."""
        self._read_key = read_key
        self._lines = lines

    @property
    def live(self) -> bool:
        """Whether single keys can be read."""
        return self._read_key is not None

    def key(self) -> str:
        """One key; Enter is a newline on every terminal.

        Raises:
            EOFError: the input ended, or there are no single keys.
        """
        key = "" if self._read_key is None else self._read_key()
        if key in END_OF_INPUT:
            raise EOFError
        if key == "\x03":
            raise KeyboardInterrupt
        return ENTER if key == "\r" else key

    def line(self, echo: Callable[[str], None]) -> str | None:
        """A line without spaces around it; `None` when Escape was pressed.

        Args:
            echo: shows what is typed, where the terminal does not.

        Raises:
            EOFError: the input ended.
        """
        if self._read_key is not None:
            return self._typed_line(echo)
        raw = b"" if self._lines is None else self._lines.readline(LONGEST_LINE)
        if not raw:
            raise EOFError
        return raw.decode("utf-8", "replace").strip()

    def _typed_line(self, echo: Callable[[str], None]) -> str | None:
        typed = ""
        while (key := self.key()) not in (ENTER, ESCAPE):
            if key in BACKSPACES and typed:
                width = cell_len(typed[-1])
                typed = typed[:-1]
                echo("\b" * width + " " * width + "\b" * width)
            elif key.isprintable():
                typed += key
                echo(key)
        echo("\n")
        return typed.strip() if key == ENTER else None


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

    def named(self, label: str) -> str:
        """A label as it is shown: its number and its name; the name alone of one it lacks."""
        return f"{self.number(label)} {label}" if label in self.labels else label

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
            label = self.labels[self.numbers.index(number)]
            # A number that is not in the narrowed list is a slip, not a choice.
            if wanted.casefold() in label.casefold():
                return label
        exact = [label for label in self.labels if label.casefold() == wanted.casefold()]
        found = exact or self.matching(typed)
        if exact or (narrowed and wanted and len(found) == 1):
            return found[0]
        if number or not found or not wanted:
            raise UserError(f"{typed!r} is no label: type a number, or a part of a label's name")
        some = ", ".join(self.named(label) for label in found[:12])
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


def press(typed: str, key: str, commands: str, *, many: bool) -> tuple[str, bool]:
    """What a key does to a command being typed.

    Args:
        typed: the command so far.
        key: one key.
        commands: the keys that are a command by themselves.
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
    if not typed and (key in tuple(commands) or (not many and key.isdigit())):
        return key, True
    if many and key.isprintable():
        return typed + key, False
    return typed, False


@contextmanager
def standard_keyboard() -> Iterator[Keyboard]:
    """The keyboard of standard input: keys if it is a terminal, lines if not."""
    stdin = sys.stdin
    if stdin is None or stdin.closed:
        yield Keyboard(None)
    elif stdin.isatty() and find_spec("termios"):
        descriptor = stdin.fileno()
        with single_keys(descriptor):
            yield Keyboard(lambda: read_key(descriptor))
    else:
        yield Keyboard(None, stdin.buffer)


@contextmanager
def single_keys(descriptor: int) -> Iterator[None]:
    """Let a terminal give keys at once and unseen; what it was before comes back, always.

    What was typed before is thrown away: an Enter meant for something else must not accept a
    suggestion that nobody has read.
    """
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSAFLUSH)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def read_key(descriptor: int) -> str:
    """One key from a terminal that gives single keys; empty when it hung up."""
    first = _read_byte(descriptor)
    if first == ESCAPE.encode():
        return ESCAPE + _sequence(descriptor)
    raw = first
    while raw and len(raw) < _utf8_length(first[0]):
        more = _read_byte(descriptor)
        if not more:
            break
        raw += more
    return raw.decode("utf-8", "replace")


def _sequence(descriptor: int) -> str:
    """What follows Escape: nothing, a character (Alt), or a sequence up to its final byte."""
    import select

    rest = b""
    while select.select([descriptor], [], [], SEQUENCE_WAIT)[0]:
        byte = _read_byte(descriptor)
        rest += byte
        introduced = rest[:1] in (b"[", b"O")
        if not byte or not introduced or (len(rest) > 1 and 0x40 <= rest[-1] <= 0x7E):
            break
    return rest.decode("utf-8", "replace")


def _utf8_length(first: int) -> int:
    """Bytes of the character that begins with this byte (RFC 3629, section 3)."""
    return 1 + sum(first >= start for start in (0xC0, 0xE0, 0xF0))


def _read_byte(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1)
    except OSError as error:
        # Linux reports a terminal that is gone as an error and not as the end of the input.
        if error.errno != errno.EIO:
            raise
        return b""
