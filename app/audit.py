"""`labelwright audit`: the trace of a project as a person reads it in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..tools.summary import SOURCE_WORDS, percent
from .audit_html import write_audit_html
from .audit_item import ItemLife, Stage, item_life
from .audit_lines import Details, Line, events_json, timeline, verify_report
from .screen import inert

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console
    from rich.text import Text

__all__ = [
    "ItemLife",
    "Line",
    "Stage",
    "events_json",
    "item_life",
    "print_item",
    "print_timeline",
    "print_verification",
    "timeline",
    "verify_report",
    "write_audit_html",
]

STYLES = {
    "decision": "bold cyan",
    "approval": "green",
    "tool": "default",
    "review": "magenta",
    "answer": "magenta",
    "metric": "bold yellow",
    "calls": "default",
    "error": "bold red",
    "finish": "bold green",
}
TEXT_SHOWN = 2_000
"""Characters of an item's text that are shown: a cell of a megabyte would bury the rest."""


def print_timeline(console: Console, lines: Iterable[Line]) -> None:
    """Print the timeline: a heading for each step, a line for each event, its details below."""
    step = None
    for line in lines:
        if line.step != step:
            step = line.step
            console.print(_text(f"── step {step} " + "─" * 20, "dim"))
        console.print(_heading(line))
        _print_details(console, line.details)


def print_item(console: Console, life: ItemLife) -> None:
    """Print the life of one label, from the text to why it is what it is."""
    console.print(_text(f"item {life.item} (row {life.row})", "bold"))
    cut = len(life.text) > TEXT_SHOWN
    console.print(_text(life.text[:TEXT_SHOWN] + "…" * cut), soft_wrap=True)
    if cut:
        console.print(_text(f"({len(life.text):,} characters in all)", "dim"))
    if life.copy_of:
        console.print(_text(f"same text as item {life.copy_of}, whose label it has", "dim"))
    if life.copies:
        others = "1 item has" if life.copies == 1 else f"{life.copies} items have"
        console.print(_text(f"{others} the same text", "dim"))
    for stage in life.stages:
        console.print(_text(f"round {stage.round}  ", "dim").append(_text(stage.title)))
        _print_details(console, stage.details)
    if life.label is None:
        console.print(_text(life.why, "bold"))
        return
    sure = "" if life.confidence is None else f", confidence {percent(life.confidence)}"
    words = SOURCE_WORDS.get(life.source, life.source)
    console.print(_text(f"label: {life.label}  ", "bold green").append(_text(f"({words}{sure})")))
    console.print(_text(life.why, "dim"))


def print_verification(console: Console, ok: bool, lines: Iterable[str]) -> None:
    """Print what `verify_report` returned."""
    title = "The trace holds: nothing was changed." if ok else "The trace does NOT hold."
    console.print(_text(title, "bold green" if ok else "bold red"))
    for line in lines:
        console.print(_text(f"  {line}"), soft_wrap=True)


def _heading(line: Line) -> Text:
    number = str(line.seq) if line.seq == line.last else f"{line.seq}-{line.last}"
    text = _text(f"{line.time[:10]} {line.time[11:19]}  #{number}  ", "dim")
    text.append(_text(line.title, STYLES.get(line.kind, "default")))
    if line.cost:
        text.append(_text(f"  [{line.cost}]", "dim"))
    return text


def _print_details(console: Console, details: Details) -> None:
    from rich.padding import Padding

    for name, value in details:
        if value:
            text = _text(f"{name}: ", "dim").append(_text(value))
            console.print(Padding(text, (0, 0, 0, 4)))


def _text(text: str, style: str = "") -> Text:
    """Text that is only text: no markup is read in it, and nothing in it acts on a terminal."""
    from rich.text import Text

    return Text(inert(text), style=style)
