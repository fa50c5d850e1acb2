"""Spans: quotes are found where they stand or reported; tags and spans are the same thing."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.store.spans import iob2, spans_of, token_ranges
from labelwright.tools.annotators.spans import locate

WNUT = Path(__file__).parents[4] / "shared" / "data" / "wnut17" / "dev.jsonl"


def found(quotes: list[tuple[str, str]], text: str, tokens: list[str] | None = None) -> list[str]:
    edges = None if tokens is None else token_ranges(text, tokens)
    located = locate(quotes, text, edges)
    assert all(text[span.start : span.end] == span.text for span in located.spans)
    return [f"{span.text}/{span.type}@{span.start}" for span in located.spans]


def test_a_quote_is_placed_where_it_stands() -> None:
    assert found([("Ada Lovelace", "person")], "Then Ada Lovelace wrote.") == [
        "Ada Lovelace/person@5"
    ]


def test_a_quote_that_does_not_occur_is_reported_and_not_placed() -> None:
    located = locate([("Bob", "person"), ("Ada", "person")], "Ada wrote.")
    assert [span.text for span in located.spans] == ["Ada"]
    assert located.issues == ("'Bob' does not occur in the text",)


def test_other_case_is_another_quote() -> None:
    assert locate([("ada", "person")], "Ada wrote.").spans == ()


def test_spaces_may_differ_and_nothing_else() -> None:
    tokens = ["I", "do", "n't", "know", "New", "York"]
    text = " ".join(tokens)
    assert found([("don't", "x")], text, tokens) == ["do n't/x@2"]
    assert found([("New  York", "city")], text, tokens) == ["New York/city@14"]
    assert found([("do nt", "x")], text, tokens) == []


def test_a_quote_within_a_longer_word_is_not_taken() -> None:
    located = locate([("art", "x")], "The party starts.")
    assert located.spans == ()
    assert located.issues == ("'art' occurs only within longer words",)


def test_scripts_without_spaces_have_no_words_to_be_within() -> None:
    assert found([("東京", "city")], "私は東京に行く") == ["東京/city@2"]


def test_tokens_decide_where_spans_may_begin() -> None:
    tokens = ["e-mail", "Ada", "-", "B"]
    text = " ".join(tokens)
    assert found([("mail", "x")], text, tokens) == []
    assert found([("mail", "x")], "e-mail Ada") == ["mail/x@2"]


def test_a_quote_that_occurs_more_often_than_given_is_placed_everywhere_with_a_note() -> None:
    located = locate([("Ada", "person")], "Ada met Ada and Adam.")
    assert [span.start for span in located.spans] == [0, 8]
    assert located.issues == ()
    assert located.notes == ("'Ada' occurs 2 times and was given 1: all taken",)


def test_a_quote_under_two_types_is_placed_in_order_if_it_occurs_as_often() -> None:
    quotes = [("Paris", "person"), ("Paris", "city")]
    assert found(quotes, "Paris left Paris.") == ["Paris/person@0", "Paris/city@11"]


def test_a_quote_under_two_types_that_occurs_otherwise_is_left_out() -> None:
    located = locate([("Paris", "person"), ("Paris", "city")], "Paris.")
    assert located.spans == ()
    assert "given as city, person and occurs 1 times" in located.issues[0]


def test_the_longer_of_two_overlapping_quotes_is_kept() -> None:
    quotes = [("York", "city"), ("New York", "city")]
    assert found(quotes, "New York is not York.") == ["New York/city@0", "York/city@16"]
    assert locate(quotes, "New York.").issues == ("'York' occurs only within longer entities",)


@pytest.mark.parametrize("quote", ["", "   ", "a" * 600])
def test_what_can_be_no_entity_is_reported(quote: str) -> None:
    located = locate([(quote, "x")], "a" * 1000)
    assert located.spans == ()
    assert len(located.issues) == 1


def test_a_quote_full_of_pattern_characters_is_a_quote() -> None:
    assert found([("(a+)+$", "x")], "so (a+)+$ it is") == ["(a+)+$/x@3"]


@given(st.text("ab ", max_size=12), st.lists(st.text("ab ", max_size=4), max_size=4))
def test_spans_never_overlap_and_quote_the_text(text: str, quotes: list[str]) -> None:
    located = locate([(quote, "x") for quote in quotes], text)
    assert all(text[span.start : span.end] == span.text for span in located.spans)
    ends = [(span.start, span.end) for span in located.spans]
    assert all(a[1] <= b[0] for a, b in pairwise(ends))


@pytest.mark.skipif(not WNUT.exists(), reason="../shared/data is absent")
def test_gold_entities_of_real_texts_are_found_again() -> None:
    same = texts = 0
    for line in WNUT.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        text = " ".join(record["tokens"])
        ranges = token_ranges(text, record["tokens"])
        spans = spans_of(record["tags"], ranges, text)
        assert iob2(spans, ranges) == record["tags"]
        located = locate([(span.text, span.type) for span in spans], text, ranges)
        same += located.spans == spans
        texts += 1
    assert same / texts > 0.99
