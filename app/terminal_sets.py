"""Answering with a set of labels at the terminal: ticking, confirming, or one line with all.

With single keys a label's number ticks or unticks it and Enter gives what is ticked; the
suggested set is ticked at the start. A line of a pipe gives the whole set at once. That an item
has none of the labels is said by `-` and never by silence.
"""

from __future__ import annotations

import re

from ..store.errors import UserError
from .keys import Numbered

NONE = "-"
"""The key, and the line, that says that the item has none of the labels."""

Chosen = tuple[str, ...]


def toggled(chosen: Chosen, numbered: Numbered, typed: str) -> Chosen:
    """The ticked labels after one more was ticked, or unticked.

    Args:
        chosen: what is ticked.
        numbered: the labels.
        typed: a number, or a part of a name that fits one label only.

    Raises:
        UserError: no label, or more than one.
    """
    label = numbered.choose(typed, narrowed=True)
    if label in chosen:
        return tuple(each for each in chosen if each != label)
    return tuple(each for each in numbered.labels if each in chosen or each == label)


def confirmed(chosen: Chosen, suggestion: Chosen | None, typed: str) -> Chosen:
    """The answer that Enter or `-` gives.

    Args:
        chosen: what is ticked.
        suggestion: the set that is suggested, if one is shown.
        typed: empty for Enter, or `-`.

    Raises:
        UserError: Enter with nothing ticked, where that was not suggested either.
    """
    if typed == NONE:
        return ()
    if not chosen and suggestion != ():
        raise UserError(f"nothing is ticked: tick labels, or press {NONE} for none of them")
    return chosen


def from_line(line: str, numbered: Numbered, suggestion: Chosen | None) -> Chosen:
    """The set that one line gives: `1 3`, `billing; bug`, `-`; an empty line is the suggestion.

    Raises:
        UserError: a part is no label, or the line is empty and nothing is suggested.
    """
    if line == NONE:
        return ()
    if not line:
        if suggestion is None:
            raise UserError(
                f"there is no suggestion to accept: give labels, or {NONE} for none of them"
            )
        return suggestion
    parts = [part.strip() for part in re.split("[;,]", line) if part.strip()]
    if len(parts) == 1 and all(word in numbered.numbers for word in parts[0].split()):
        parts = parts[0].split()
    found = {numbered.choose(part, narrowed=False) for part in parts}
    return tuple(each for each in numbered.labels if each in found)


def named(chosen: Chosen, numbered: Numbered) -> str:
    """A set as it is shown: numbers and names, or that there is none."""
    return ", ".join(numbered.named(each) for each in chosen) or "none of the labels"
