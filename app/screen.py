"""Showing untrusted text on a terminal.

Everything that reaches the screen passes through `inert`: pool text, and labels and reasons that
may come from a chat model, could otherwise move the cursor, hide what follows or imitate the
program's own lines. Nothing is ever read as markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

SHOWN_CHARACTERS, SHOWN_LINES = 2000, 60
"""How much of a text one screen shows."""

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


def pages(text: str) -> Iterator[str]:
    """The text in parts of at most `SHOWN_CHARACTERS` and `SHOWN_LINES`; at least one."""
    start = 0
    while True:
        part = text[start : start + SHOWN_CHARACTERS]
        lines = part.split("\n", SHOWN_LINES)
        if len(lines) > SHOWN_LINES:
            part = part[: len(part) - len(lines[-1])]
        yield part
        start += len(part)
        if start >= len(text):
            return


def percent(confidence: float | None) -> str:
    """A confidence in words; never 100% for what is less than certain."""
    if confidence is None:
        return "confidence not known"
    shown = f"{confidence:.0%}"
    return f"confidence {'over 99%' if shown == '100%' and confidence < 1 else shown}"


class Display:
    """Prints plain text, wrapped to the terminal's width."""

    def __init__(self, console: Console) -> None:
        """Print on `console`."""
        self.console = console

    def text(self, text: str, style: str = "") -> Text:
        """Text that is safe to show, for the console's own tables."""
        return Text(inert(text, self.console.encoding), style)

    def say(self, text: str, style: str = "", *, end: str = "\n") -> None:
        """Print a text as it is, whatever it contains."""
        self.console.print(self.text(text, style), end=end)

    def clear(self) -> None:
        """Begin a new screen."""
        self.console.clear()

    def echo(self, typed: str) -> None:
        """Show what is being typed; the keyboard gives printable characters and backspaces."""
        encoding = self.console.encoding
        self.console.file.write(typed.encode(encoding, "backslashreplace").decode(encoding))
        self.console.file.flush()


def _picture(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"<U+{code:04X}>"
