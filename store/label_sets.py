"""Several labels of one item as one string: the form in which a set of labels is stored.

An annotation has one label, a string. Where items may have several, that string is the JSON list
of their names in the task spec's order, without repetitions: `["billing","bug"]`; `[]` says that
the item has none of the labels, which is an answer like any other. One set has one string, so two
answers agree exactly when their strings are equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache

from .errors import UserError

SEPARATOR = ";"
"""Stands between the names of a set where a cell of a table holds it: `billing;bug`."""


def encode(chosen: Iterable[str], names: Sequence[str]) -> str:
    """The string of a set of labels.

    Args:
        chosen: names of labels in any order, none twice; empty for an item with none.
        names: all labels of the task, in the spec's order.

    Raises:
        UserError: a name that is no label, or one that is given twice.
    """
    given = list(chosen)
    for name in given:
        if name not in names:
            raise UserError(f"{name!r} is not a label: use some of {', '.join(names)}, or none")
    if len(set(given)) < len(given):
        twice = next(name for name in given if given.count(name) > 1)
        raise UserError(f"{twice!r} is given twice for one item: give each label once")
    return _dumped([name for name in names if name in set(given)])


@lru_cache(maxsize=65_536)
def decode(text: str) -> tuple[str, ...]:
    """The names in a string that `encode` made, in its order.

    Raises:
        UserError: it is no JSON list of strings.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise UserError(f'{text!r} is no set of labels: write it as ["a","b"], or [] for none')
    return tuple(found)


def names_in(cell: str) -> list[str]:
    """The names in a cell that a person wrote: `a;b`, or a JSON list; a blank cell has none.

    A cell that begins with `[` is read as a JSON list. Whether the names are labels is for the
    caller to see.

    Raises:
        UserError: a list that is not one of strings, an empty name, or a name given twice.
    """
    text = cell.strip()
    if not text:
        return []
    listed = text.startswith("[")
    names = list(decode(text)) if listed else [part.strip() for part in text.split(SEPARATOR)]
    if not all(name.strip() for name in names):
        raise UserError(f"{cell!r} has an empty label: write a{SEPARATOR}b, or leave it blank")
    if len(set(names)) < len(names):
        raise UserError(f"{cell!r} gives a label twice: give each once")
    return names


def shown(text: str) -> str:
    """A stored set in words for a person: `billing, bug`, and `no label` for the empty one."""
    return ", ".join(decode(text)) or "no label"


def _dumped(names: list[str]) -> str:
    return json.dumps(names, ensure_ascii=False, separators=(",", ":"))
