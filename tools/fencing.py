"""Showing untrusted texts to a chat model so that no text can end its fence.

Each text is a JSON string on a line of its own between two tags. Within it `<`, all line ends and
the marks of chat templates (`[INST]`) are escaped: a text can write neither the closing tag nor a
line that looks like another item, nor end the user's turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from ..models.pairs import is_pair, split_pair

SHOWN_CHARACTERS = 1_000
"""Characters of a text that a prompt shows; the rest is cut off, and the text says so."""
CUT = " [cut]"
# `<`, marks in brackets, line ends that JSON leaves, and what hides or reorders what follows it.
_ESCAPED = re.compile(r"[<\x7f-\x9f\u200b\u2028-\u202e\u2060-\u2069\ufeff]|\[(?=/?[A-Z_]{1,30}\])")


def fenced_texts(texts: Sequence[str], *, first: int = 1) -> str:
    """Texts with their numbers, one a line, within a fence that none of them can end.

    Args:
        texts: what to show; of each at most `SHOWN_CHARACTERS`. Pairs show both texts.
        first: the number of the first text.
    """
    return fenced({"index": first + place, **_parts(text)} for place, text in enumerate(texts))


def fenced(items: Iterable[Mapping[str, object]]) -> str:
    """Records, one JSON object a line, between `<items>` and `</items>`."""
    lines = [_ESCAPED.sub(_escape, json.dumps(dict(each), ensure_ascii=False)) for each in items]
    return "\n".join(["<items>", *lines, "</items>"])


def shown(text: str) -> str:
    """The part of a text that is shown."""
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + CUT


def _parts(text: str) -> dict[str, str]:
    if is_pair(text):
        first, second = split_pair(text)
        return {"first": shown(first), "second": shown(second)}
    return {"text": shown(text)}


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
