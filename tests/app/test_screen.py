"""What untrusted text looks like on a screen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.app.screen import SHOWN_CHARACTERS, SHOWN_LINES, inert, pages, percent


@given(st.text())
def test_inert_text_holds_nothing_that_acts_on_a_terminal(text: str) -> None:
    safe = inert(text)
    assert all(
        letter == "\n" or not ("\x00" <= letter < " " or "\x7f" <= letter <= "\x9f")
        for letter in safe
    )
    assert inert(safe) == safe
    safe.encode("utf-8")
    inert(text, "ascii").encode("ascii")


def test_harmless_text_of_any_script_stays_as_it_is() -> None:
    text = "naïve 字 😀 👩\u200d👩 می\u200cخواهم שלום\nline [b]"
    assert inert(text) == text


@given(st.text("ab\n", max_size=300).map(lambda text: text * 20))
def test_the_parts_of_a_text_are_the_text(text: str) -> None:
    parts = list(pages(text))
    assert "".join(parts) == text
    assert all(len(p) <= SHOWN_CHARACTERS and p.count("\n") <= SHOWN_LINES for p in parts)


@pytest.mark.parametrize(
    ("confidence", "words"),
    [(None, "not known"), (0.0, "0%"), (0.754, "75%"), (0.9999, "over 99%"), (1.0, "100%")],
)
def test_confidence_in_words(confidence: float | None, words: str) -> None:
    assert percent(confidence) == f"confidence {words}"
