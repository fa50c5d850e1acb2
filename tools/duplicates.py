"""Exact duplicates: texts that differ only in case, width, spacing or punctuation.

Whole pools go through this, so the work is done on many texts joined into one string, by the
compiled string functions, and gives exactly what each text alone would give.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..models.pairs import SEPARATOR

# Texts joined at once: bounds the memory, and one emoji makes a joined string four bytes wide.
_BATCH = 4096
# The picture of the separator: a symbol, which a key keeps.
_PAIR_MARK = "\u241e"


def normalise(text: str) -> str:
    """The key under which texts count as the same.

    Unicode compatibility form (NFKC) with full case folding; invisible
    format characters dropped; punctuation, spaces and control characters become one space, none
    at the ends. Symbols (`+`, `€`, emoji) and combining marks stay, as they change meaning. A text
    of punctuation alone keeps it.

    Returns:
        The key; `normalise(normalise(t)) == normalise(t)`.
    """
    return normalised([text])[0]


def normalised(texts: Sequence[str]) -> list[str]:
    """`normalise` of every text, a second for 100,000 short ones."""
    keys: list[str] = []
    for top in range(0, len(texts), _BATCH):
        keys.extend(_batch(texts[top : top + _BATCH]))
    return keys


def duplicate_groups(texts: Sequence[str], *, exact: bool = False) -> NDArray[np.int64]:
    """For each text, the row of the first one with the same key (see `normalise`).

    Args:
        texts: n texts.
        exact: only the same characters are the same text: where an answer is about places in it,
            it would not fit another.

    Returns:
        Shape (n,): `groups[i] <= i`, and `groups[i] == i` for the first of each group.
    """
    # One dictionary look-up a text, 0.04 s for 100,000: handing the keys to compiled code takes
    # longer than that.
    first: dict[str, int] = {}
    keys = texts if exact else normalised(texts)
    rows = [first.setdefault(key, row) for row, key in enumerate(keys)]
    return np.array(rows, dtype=np.int64)


def _batch(texts: Sequence[str]) -> list[str]:
    # A line feed stands between texts: it takes no part in folding, composition or reordering.
    # Where the first text of a pair ends is part of what the pair says: a word of its own.
    joined = "\n".join(texts).replace(SEPARATOR, f" {_PAIR_MARK} ")
    if joined.count("\n") >= len(texts):
        joined = "\n".join([text.replace("\n", " ") for text in texts])
        joined = joined.replace(SEPARATOR, f" {_PAIR_MARK} ")
    folded = _fold(joined)
    keys = [key.strip(" ") for key in _spaced(folded).split("\n")]
    if "" in keys:
        spaced = [" ".join(text.split()) for text in folded.split("\n")]
        keys = [key or other for key, other in zip(keys, spaced, strict=True)]
    return keys


def _fold(text: str) -> str:
    """Compatibility form, case folded, without format marks."""
    # Folding can leave the normal form, so it is restored; after that, a second round of both
    # changes no character.
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    for char in set(text):
        if unicodedata.category(char) == "Cf":
            text = text.replace(char, "")
    return text


def _spaced(text: str) -> str:
    """Runs of punctuation, spaces and control characters as one space; line feeds as they are."""
    # Few different characters occur, and replacing one everywhere runs at the speed of memory: a
    # regular expression over their class takes fifty times as long.
    for char in set(text) - {"\n", " "}:
        category = unicodedata.category(char)
        if category[0] in "PZ" or category == "Cc":
            text = text.replace(char, " ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text
