"""The chain of filters: who is rejected, by which, and what the reason tells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.filtering import (
    Cosine,
    Exact,
    Filter,
    Form,
    Leakage,
    LearnerDoubts,
    Rouge,
    Written,
    form_like,
    sift,
)
from support import HashEncoder, messages

POOL = [
    "my card was charged twice this month please help",
    "the app shows an error when I press the button",
    "thank you the team was very friendly and fast",
]
NEW = "where can I see the invoice of last year"


def written(
    *texts: str, labels: Sequence[str] = (), parents: Sequence[tuple[str, ...]] = ()
) -> Written:
    return Written(
        texts,
        list(labels) or ["billing"] * len(texts),
        list(parents) or [()] * len(texts),
        HashEncoder().encode(texts),
    )


def kept(filters: Sequence[Filter], *texts: str) -> list[str]:
    return [texts[place] for place in sift(written(*texts), filters).kept]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "one",
        "x " * 3000,
        "Dear [your name], my card was charged",
        "Hello {name}, where is it",
        "1. my card was charged",
        "- my card was charged",
        "Text: my card was charged",
        "Sure! My card was charged twice",
        "Here is an example: my card was charged",
        "As an AI language model I cannot pay",
        "broken \ufffd letters in it",
    ],
)
def test_form_rejects_what_is_no_text_of_the_task(text: str) -> None:
    assert kept([Form()], text) == []


@pytest.mark.parametrize(
    "text", [NEW, "is 1.5 % right?", "here is my card", "I'm sure it is broken", "array[0] fails"]
)
def test_form_lets_real_texts_through(text: str) -> None:
    assert kept([Form()], text) == [text]


def test_form_lets_the_pool_through_that_it_is_made_of() -> None:
    texts = [row.text for row in messages(300)]
    assert len(kept([form_like(texts)], *texts)) == 300


def test_exact_rejects_the_pool_and_repeats_whatever_their_case() -> None:
    texts = (POOL[0].upper() + "!", NEW, NEW.title(), "another one")
    found = sift(written(*texts), [Exact(POOL)])
    assert found.kept == (1, 3)
    assert [each.place for each in found.dropped] == [0, 2]
    assert "item of the pool" in found.dropped[0].why
    assert "written before it" in found.dropped[1].why


def test_rouge_rejects_what_nearly_repeats_the_pool_or_an_earlier_text() -> None:
    close = "my card was charged twice this year please help"
    texts = (close, NEW, NEW + " or so", "refunds take how long on a holiday")
    assert sift(written(*texts), [Rouge(POOL)]).kept == (1, 3)


def test_a_rejected_text_does_not_reject_a_later_one() -> None:
    first, second = POOL[0] + " now", "card was charged twice this month please now"
    found = sift(written(first, second), [Rouge(POOL[:1], limit=0.9)])
    assert found.kept == (1,)


def test_a_parent_may_be_alike_and_no_other() -> None:
    close = "my card was charged once this month please help"
    for filters in ([Rouge(POOL)], [Cosine(POOL, HashEncoder().encode(POOL), 0.8)]):
        alone = written(close, parents=[()])
        of_parent = written(close, parents=[(POOL[0],)])
        of_another = written(close, parents=[(POOL[1],)])
        assert sift(alone, filters).kept == ()
        assert sift(of_parent, filters).kept == (0,)
        assert sift(of_another, filters).kept == ()


def test_cosine_rejects_the_same_words_in_another_order() -> None:
    turned = "please help this month my card was charged twice"
    cosine = Cosine(POOL, HashEncoder().encode(POOL))
    assert kept([Rouge(POOL)], turned) == [turned]
    assert kept([cosine], turned, NEW, " ".join(reversed(NEW.split()))) == [NEW]


def test_cosine_needs_vectors() -> None:
    bare = Written([NEW], ["billing"], [()])
    with pytest.raises(UserError, match="embed them first"):
        sift(bare, [Cosine(POOL, HashEncoder().encode(POOL))])


@pytest.mark.parametrize("limit", [0.0, 1.2])
def test_limits_out_of_range_are_refused(limit: float) -> None:
    with pytest.raises(UserError, match="limit above 0"):
        sift(written(NEW), [Rouge(POOL, limit)])


def test_leakage_says_neither_which_item_nor_how_close() -> None:
    leak = Leakage(POOL[:2], HashEncoder().encode(POOL[:2]))
    texts = (POOL[0], "the app shows an error when I press a key", NEW)
    found = sift(written(*texts), [leak])
    assert found.kept == (2,)
    assert {each.why for each in found.dropped} == {"too close to what is held out to measure on"}


def test_leakage_has_no_exception_for_parents_and_a_lower_bar() -> None:
    close = "my card was charged this week"
    leak = Leakage(POOL[:1], None)
    assert sift(written(close, parents=[(POOL[0],)]), [leak]).kept == ()
    assert sift(written(close), [Rouge(POOL)]).kept == (0,)


def test_leakage_without_held_items_rejects_nothing() -> None:
    assert kept([Leakage([], None)], POOL[0]) == [POOL[0]]


def test_the_learner_rejects_only_where_it_is_sure_of_another_label() -> None:
    names = ["billing", "bug"]
    texts = ("sure other", "unsure other", "sure same")
    said = {
        "sure other": np.array([0.05, 0.95], dtype=np.float32),
        "unsure other": np.array([0.4, 0.6], dtype=np.float32),
        "sure same": np.array([0.97, 0.03], dtype=np.float32),
    }
    assert sift(written(*texts), [LearnerDoubts(said, names)]).kept == (1, 2)


def test_each_text_is_judged_by_the_filters_that_come_before_its_rejection_only() -> None:
    seen: list[list[str]] = []

    class Watch:
        name = "watch"

        def reasons(self, written: Written) -> list[str]:
            seen.append(list(written.texts))
            return ["no"] * len(written)

    found = sift(written("", NEW, POOL[0]), [Form(), Exact(POOL), Watch(), Watch()])
    assert seen == [[NEW]]
    assert found.kept == ()
    assert found.counts() == {"form": 1, "duplicate": 1, "watch": 1}
    assert sorted(each.place for each in found.dropped) == [0, 1, 2]


def test_no_reason_holds_a_word_of_a_text() -> None:
    filters = [Form(), Exact(POOL), Rouge(POOL), Cosine(POOL, HashEncoder().encode(POOL))]
    texts = ("", POOL[0], POOL[1] + " now", "friendly and fast the team was thank you very")
    found = sift(written(*texts), filters)
    assert len(found.dropped) == 4
    words = {word for text in POOL for word in text.split() if len(word) > 5}
    assert not any(word in each.why for each in found.dropped for word in words)


def test_each_of_two_thousand_texts_is_kept_or_dropped_for_a_reason() -> None:
    texts = [row.text for row in messages(12_000)]
    encode = HashEncoder().encode(texts)
    some = Written(texts[10_000:], ["x"] * 2_000, [()] * 2_000, encode[10_000:])
    found = sift(
        some,
        [Exact(texts[:10_000]), Rouge(texts[:10_000]), Cosine(texts[:10_000], encode[:10_000])],
    )
    places = sorted([*found.kept, *(each.place for each in found.dropped)])
    assert places == list(range(2_000))
