"""Words as taggers see them, and answers as numbers: one tag a word.

With C types there are K = 2 C + 1 tags: 0 is outside (`O`), 1 + 2 c begins a span of type c (`B`),
2 + 2 c continues it (`I`). Ramshaw & Marcus (1995), variant IOB2.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ....store.spans import Range, Span, iob2, spans_of

# Scripts written without spaces: Thai, Lao, Tibetan, Burmese, Khmer, kana, Chinese characters.
_UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")


def words_of(text: str) -> list[Range]:
    """Start and end of each word and each mark, in order; a combining mark is part of its word.

    A character of a script that is written without spaces is a word by itself.
    """
    found = [match.span() for match in _WORD.finditer(text)]
    if text.isascii() or not any(unicodedata.category(char)[0] == "M" for char in text):
        return found
    return _with_marks(text, found)


def tag_names(types: Sequence[str]) -> list[str]:
    """The K tags by name: `O`, then `B-type` and `I-type` of each type."""
    return ["O", *(f"{mark}-{name}" for name in types for mark in "BI")]


def tags_of(
    spans: Sequence[Span], words: Sequence[Range], names: Sequence[str]
) -> NDArray[np.intp]:
    """(words,) the tag of each word; `names` are those of `tag_names`."""
    place = {name: index for index, name in enumerate(names)}
    return np.array([place[tag] for tag in iob2(spans, words)], dtype=np.intp)


def spans_from(
    tags: NDArray[np.intp], words: Sequence[Range], names: Sequence[str], text: str
) -> tuple[Span, ...]:
    """The spans of tags (words,): the inverse of `tags_of` for spans that follow words."""
    return spans_of([names[tag] for tag in tags.tolist()], words, text)


def _with_marks(text: str, found: list[Range]) -> list[Range]:
    joined: list[Range] = []
    open_end = False
    for start, end in found:
        mark = unicodedata.category(text[start])[0] == "M"
        goes_on = (
            open_end and not re.match(rf"[{_UNSPACED}]", text[start]) and text[start].isalnum()
        )
        if joined and joined[-1][1] == start and (mark or goes_on):
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
        # After a mark the letters that follow belong to the same word.
        open_end = mark and text[joined[-1][0]].isalnum()
    return joined
