"""Named entities: where the quoted strings stand in the text, and token tags from them.

A model's character offsets are mostly wrong, so none are asked for: it quotes, and the quote is
found here. What cannot be found for certain is left out and said.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...store.errors import UserError

LONGEST = 500
"""Characters of a quote beyond which it is taken to be no entity."""
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
_TOKEN = re.compile(r"\w+|[^\w\s]")
Range = tuple[int, int]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A typed part of a text: characters start to end - 1."""

    start: int
    end: int
    type: str
    text: str


@dataclass(frozen=True, slots=True)
class Located:
    """Spans that were found, in the order of the text, never overlapping; and what was not."""

    spans: tuple[Span, ...]
    issues: tuple[str, ...]
    """What was left out."""
    notes: tuple[str, ...]
    """What was decided here and may be looked at; nothing was left out for it."""


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


def locate(
    quotes: Sequence[tuple[str, str]], text: str, edges: Sequence[Range] | None = None
) -> Located:
    """Find quoted entities in the text.

    A quote is found as it is, else with other spaces than in the text (`don't` for `do n't`); no
    letter may differ. It must begin and end where tokens do (`edges`), or, without tokens, not
    within a word. Longer quotes are placed first and nothing overlaps. A quote that occurs more
    often than it was given is placed everywhere with a note: where an entity's string occurs
    several times in a text, people tagged 80% of the places in WNUT 2017 and 96% in news of eight
    African languages. One that was given under several types and not as often as it occurs is left
    out, as nobody knows which is which.

    Args:
        quotes: quoted text and type, in the model's order.
        text: what the quotes are from.
        edges: start and end of each token where spans must follow tokens.

    Returns:
        Spans, what was left out, and what was decided.
    """
    given: dict[str, list[str]] = {}
    for quote, kind in quotes:
        given.setdefault(" ".join(quote.split()), []).append(kind)
    spans, issues, notes = list[Span](), list[str](), list[str]()
    for quote in sorted(given, key=lambda q: (-len(q), q)):
        kinds = given[quote]
        places, why = _places(quote, text, edges, [(s.start, s.end) for s in spans])
        if not places:
            issues.append(why)
        elif len(set(kinds)) > 1 and len(kinds) != len(places):
            issues.append(
                f"{quote!r} was given as {', '.join(sorted(set(kinds)))} and occurs "
                f"{len(places)} times: left out"
            )
        else:
            if len(places) > len(kinds):
                notes.append(
                    f"{quote!r} occurs {len(places)} times and was given {len(kinds)}: all taken"
                )
            each = kinds if len(set(kinds)) > 1 else kinds[:1] * len(places)
            spans.extend(
                Span(start, end, kind, text[start:end])
                for (start, end), kind in zip(places, each, strict=True)
            )
    return Located(tuple(sorted(spans)), tuple(issues), tuple(notes))


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


def _places(
    quote: str, text: str, edges: Sequence[Range] | None, taken: Sequence[Range]
) -> tuple[list[Range], str]:
    """Where a quote may stand, or why it may not."""
    if not quote or len(quote) > LONGEST:
        return [], f"{quote[:40]!r} is {'empty' if not quote else 'too long for an entity'}"
    found = _occurrences(quote, text)
    if not found:
        return [], f"{quote!r} does not occur in the text"
    whole = [each for each in found if _whole(each, text, edges)]
    if not whole:
        return [], f"{quote!r} occurs only within longer words"
    free = [(a, b) for a, b in whole if not any(a < end and start < b for start, end in taken)]
    return free, "" if free else f"{quote!r} occurs only within longer entities"


def _occurrences(quote: str, text: str) -> list[Range]:
    exact = [found.span() for found in re.finditer(re.escape(quote), text)]
    if exact:
        return exact
    # One optional run of spaces between single characters: linear in the text.
    loose = r"\s*".join(re.escape(char) for char in quote if not char.isspace())
    return [found.span() for found in re.finditer(loose, text)]


def _whole(place: Range, text: str, edges: Sequence[Range] | None) -> bool:
    start, end = place
    if edges is not None:
        return any(a == start for a, _ in edges) and any(b == end for _, b in edges)
    return not (_joined(text, start) or _joined(text, end))


def _joined(text: str, place: int) -> bool:
    """Whether the characters on both sides of a place belong to one word."""
    if not 0 < place < len(text):
        return False
    sides = text[place - 1 : place + 1]
    return all(char.isalnum() for char in sides) and not any(map(_unspaced, sides))


def _unspaced(char: str) -> bool:
    """Whether the character is of a script that writes no spaces between words."""
    return unicodedata.name(char, "").startswith(_UNSPACED)
