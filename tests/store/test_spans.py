"""Spans: tags and spans are the same thing, and a set of them is one string."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.store.spans import (
    Span,
    decode,
    encode,
    iob2,
    shown,
    span_f1,
    spans_of,
    token_ranges,
)


def test_tags_follow_iob2() -> None:
    text = "Ada Lovelace met Bob"
    ranges = token_ranges(text, text.split())
    spans = (Span(0, 12, "person", "Ada Lovelace"), Span(17, 20, "person", "Bob"))
    assert iob2(spans, ranges) == ["B-person", "I-person", "O", "B-person"]


def test_neighbours_of_one_type_stay_apart() -> None:
    text = "Ada Bob"
    spans = (Span(0, 3, "person", "Ada"), Span(4, 7, "person", "Bob"))
    assert iob2(spans, token_ranges(text)) == ["B-person", "B-person"]
    assert spans_of(["B-person", "B-person"], token_ranges(text), text) == spans


def test_an_inside_tag_that_continues_nothing_begins_a_span() -> None:
    assert [span.text for span in spans_of(["O", "I-x"], token_ranges("a b"), "a b")] == ["b"]
    tags = ["B-x", "I-y"]
    assert [span.type for span in spans_of(tags, token_ranges("a b"), "a b")] == ["x", "y"]


def test_tokens_that_are_not_those_of_the_text_are_an_error() -> None:
    with pytest.raises(UserError, match="'Eve' is not the next"):
        token_ranges("Ada Bob", ["Ada", "Eve"])
    with pytest.raises(UserError, match="'Bob' is not the next"):
        token_ranges("Ada x Bob", ["Ada", "Bob"])


@given(
    st.lists(
        st.tuples(st.text("abc", min_size=1, max_size=3), st.sampled_from(["O", "B-x", "B-y"])),
        min_size=1,
        max_size=8,
    )
)
def test_tags_to_spans_and_back_is_the_same(pairs: list[tuple[str, str]]) -> None:
    tokens = [text for text, _ in pairs]
    tags = [tag for _, tag in pairs]
    text = " ".join(tokens)
    ranges = token_ranges(text, tokens)
    assert iob2(spans_of(tags, ranges, text), ranges) == tags


def test_agreement_is_f1_of_exact_spans() -> None:
    one = (Span(0, 1, "x", "a"), Span(2, 3, "x", "b"))
    assert span_f1(one, one) == 1.0
    assert span_f1((), ()) == 1.0
    assert span_f1(one, ()) == 0.0
    assert span_f1(one, (Span(0, 1, "y", "a"), Span(2, 3, "x", "b"))) == 0.5


ADA = Span(5, 17, "person", "Ada Lovelace")
ROME = Span(21, 25, "place", "Rome")


def test_spans_are_one_string_whatever_their_order() -> None:
    assert encode([ROME, ADA]) == '[[5,17,"person","Ada Lovelace"],[21,25,"place","Rome"]]'
    assert decode(encode([ROME, ADA])) == (ADA, ROME)
    assert encode([]) == "[]"
    assert decode("[]") == ()


def test_spans_in_words() -> None:
    assert shown(encode([ROME, ADA])) == "Ada Lovelace (person), Rome (place)"
    assert shown("[]") == "none"


def test_overlapping_spans_are_refused() -> None:
    with pytest.raises(UserError, match="overlap: keep one"):
        encode([ADA, Span(16, 18, "person", "e ")])


def test_a_span_that_is_no_part_of_a_text_is_refused() -> None:
    with pytest.raises(UserError, match="is no part of a text"):
        encode([Span(5, 16, "person", "Ada Lovelace")])


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '[["0",3,"person","Ada"]]', '[[0,3,"person"]]', "[[0,3,4,5]]", "3"]
)
def test_what_is_no_list_of_spans_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no list of spans"):
        decode(text)


@given(st.text(min_size=1, max_size=40), st.lists(st.integers(0, 40), max_size=8, unique=True))
def test_strings_and_spans_are_the_same(text: str, cuts: list[int]) -> None:
    places = [place for place in sorted(cuts) if place <= len(text)]
    spans = [Span(a, b, "x", text[a:b]) for a, b in list(pairwise(places))[::2]]
    assert decode(encode(spans)) == tuple(spans)
