"""Typed parts of a text, as token tags and as one string: the form in which entities are stored.

An annotation has one label, a string. Where the task is to mark entities, that string is the JSON
list of its spans in the order of the text: `[[5,17,"person","Ada Lovelace"]]`; `[]` says that the
text has none, which is an answer like any other. Spans never overlap. One set of spans has one
string, so two answers agree exactly when their strings are equal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from .errors import UserError

_TOKEN = re.compile(r"\w+|[^\w\s]")
Range = tuple[int, int]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A typed part of a text: characters start to end - 1."""

    start: int
    end: int
    type: str
    text: str


def encode(spans: Iterable[Span]) -> str:
    """The string of a set of spans, given in any order.

    Raises:
        UserError: two of them overlap, or one is empty or not as long as its text.
    """
    found = sorted(spans)
    for span in found:
        if span.start < 0 or not span.text or span.end - span.start != len(span.text):
            raise UserError(f"{span!r} is no part of a text: give its place and what stands there")
    for left, right in pairwise(found):
        if right.start < left.end:
            raise UserError(f"{left.text!r} and {right.text!r} overlap: keep one of them")
    rows = [[span.start, span.end, span.type, span.text] for span in found]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=65_536)
def decode(text: str) -> tuple[Span, ...]:
    """The spans in a string that `encode` made, in the order of the text.

    Raises:
        UserError: it is no list of spans.
    """
    wrong = UserError(f'{text!r} is no list of spans: write it as [[0,3,"person","Ada"]], or []')
    try:
        rows = json.loads(text)
        spans = tuple(Span(start, end, kind, quote) for start, end, kind, quote in rows)
    except (ValueError, TypeError, RecursionError):
        raise wrong from None
    for each in spans:
        places = type(each.start) is int and type(each.end) is int
        if not (places and isinstance(each.type, str) and isinstance(each.text, str)):
            raise wrong
    return spans


def checked(spans: Iterable[Span], text: str, types: Sequence[str]) -> tuple[Span, ...]:
    """Spans that a person, a file or a model gave, once they are known to be parts of the text.

    Args:
        spans: in any order.
        text: what they are parts of.
        types: the types there are.

    Returns:
        They, in the order of the text.

    Raises:
        UserError: one that is not what stands at its place, has an unknown type, is blank, or
            overlaps another.
    """
    found = tuple(sorted(spans))
    for span in found:
        if span.type not in types:
            raise UserError(f"{span.type!r} is not a type: use one of {', '.join(types)}")
        there = text[max(span.start, 0) : span.end]
        if span.start < 0 or there != span.text:
            raise UserError(
                f"characters {span.start} to {span.end} of the text are {there!r} and not "
                f"{span.text!r}: count characters from 0, the end is the one after the last"
            )
        if not span.text.strip():
            raise UserError(f"characters {span.start} to {span.end} are blank: mark words")
    encode(found)
    return found


def shown(text: str) -> str:
    """Stored spans in words for a person: `Ada Lovelace (person), Rome (place)`, or `none`."""
    return ", ".join(f"{span.text} ({span.type})" for span in decode(text)) or "none"


def token_ranges(text: str, tokens: Sequence[str] = ()) -> list[Range]:
    """Start and end of each token in `text`; without tokens, words and single marks.

    Raises:
        UserError: a token does not stand where it should.
    """
    if not tokens:
        return [found.span() for found in _TOKEN.finditer(text)]
    found, place = list[Range](), 0
    for token in tokens:
        start = text.find(token, place)
        if start < 0 or text[place:start].strip():
            raise UserError(
                f"token {token!r} is not the next in the text {text[place : place + 40]!r}: give "
                "the tokens in their order, and all of them"
            )
        place = start + len(token)
        found.append((start, place))
    return found


def iob2(spans: Iterable[Span], ranges: Sequence[Range]) -> list[str]:
    """A tag for each token: `B-type` at the first of a span, `I-type` after it, else `O`.

    A token belongs to a span if they share a character. Ramshaw & Marcus (1995), variant IOB2.
    """
    tags = ["O"] * len(ranges)
    for span in sorted(spans):
        begin = "B"
        for place, (start, end) in enumerate(ranges):
            if start < span.end and span.start < end:
                tags[place] = f"{begin}-{span.type}"
                begin = "I"
    return tags


def spans_of(tags: Sequence[str], ranges: Sequence[Range], text: str) -> tuple[Span, ...]:
    """The spans of IOB2 tags; an `I-` that continues nothing begins a span."""
    found, start, kind = list[Span](), 0, ""

    def close(place: int) -> None:
        if kind:
            first, last = ranges[start][0], ranges[place - 1][1]
            found.append(Span(first, last, kind, text[first:last]))

    for place, tag in enumerate(tags):
        mark, _, name = tag.partition("-")
        if mark == "I" and name == kind:
            continue
        close(place)
        start, kind = place, "" if mark == "O" else name
    close(len(tags))
    return tuple(found)


def span_f1(first: Iterable[Span], second: Iterable[Span]) -> float:
    """F1 of exact spans and types, in [0, 1]; 1 where neither has any."""
    one, two = set(first), set(second)
    return 2 * len(one & two) / (len(one) + len(two)) if one or two else 1.0
