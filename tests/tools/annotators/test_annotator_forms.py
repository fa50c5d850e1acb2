"""The annotator: several items a call, other kinds of values, options that do not fit."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from annotating import (
    GOAL,
    SINGLE,
    SPECS,
    always,
    by_text,
    gateway,
    items,
    label_of,
    shown_to,
    token,
)
from annotating import texts_in as texts
from labelwright.models.llm.base import Reply, Request, Token
from labelwright.models.pairs import join_pair
from labelwright.store.errors import UserError
from labelwright.tools.annotators import (
    Entities,
    Item,
    LLMAnnotator,
    MultiLabel,
    PairLabel,
    Preference,
    Variant,
)

# --- several items a call ---


def answers_for(request: Request, keep: Any = lambda _: True) -> Any:
    shown = texts(request)
    if len(shown) == 1:
        return label_of(shown[0])
    return {
        "answers": [
            {"index": place, **label_of(text)} for place, text in enumerate(shown, 1) if keep(place)
        ]
    }


TEXTS = ("money", "broken", "thanks", "money too", "broken too")
RIGHT = ["billing", "bug", "praise", "billing", "bug"]


def test_several_items_share_a_call_and_its_cost() -> None:
    asker, backend = gateway(answers_for)
    annotator = LLMAnnotator(asker, SINGLE, GOAL, items_per_call=3)
    found = annotator.annotate(items(*TEXTS))
    assert [each.label for each in found] == RIGHT
    assert shown_to(backend) == [list(TEXTS[:3]), list(TEXTS[3:])]
    whole = backend.count(backend.asked[0])
    assert sum(each.tokens_in for each in found[:3]) == pytest.approx(whole)


def test_answers_may_come_in_any_order() -> None:
    def turned(request: Request) -> Any:
        said = answers_for(request)
        return {"answers": said["answers"][::-1]}

    asker, backend = gateway(turned)
    annotator = LLMAnnotator(asker, SINGLE, GOAL, items_per_call=5)
    assert [each.label for each in annotator.annotate(items(*TEXTS))] == RIGHT
    assert len(backend.asked) == 1


def test_an_item_that_was_left_out_is_asked_alone_once() -> None:
    asker, backend = gateway(lambda request: answers_for(request, lambda place: place != 2))
    annotator = LLMAnnotator(asker, SINGLE, GOAL, items_per_call=5)
    found = annotator.annotate(items(*TEXTS))
    assert [each.label for each in found] == RIGHT
    assert shown_to(backend) == [list(TEXTS), ["broken"]]
    assert [len(each.answers) for each in found] == [1, 2, 1, 1, 1]
    whole = sum(backend.count(request) for request in backend.asked)
    assert sum(each.tokens_in for each in found) == pytest.approx(whole)


@pytest.mark.parametrize(
    "indices", [[0, 1, 2, 3, 4], [1, 2, 3, 4, 6], [1, 2, 2, 4, 5], [1, 1, 2, 3, 4, 5]]
)
def test_indices_that_may_have_shifted_spoil_the_whole_answer(indices: list[int]) -> None:
    def script(request: Request) -> Any:
        if len(texts(request)) == 1:
            return label_of(texts(request)[0])
        return {"answers": [{"index": index, "label": "praise"} for index in indices]}

    asker, backend = gateway(script)
    annotator = LLMAnnotator(asker, SINGLE, GOAL, items_per_call=5)
    assert [each.label for each in annotator.annotate(items(*TEXTS))] == RIGHT
    assert shown_to(backend)[1:] == [[text] for text in TEXTS]


def test_a_bad_answer_of_several_is_not_asked_again_as_a_whole() -> None:
    def script(request: Request) -> Any:
        return '{"answers": [{"index": 1,' if len(texts(request)) > 1 else answers_for(request)

    asker, backend = gateway(script)
    annotator = LLMAnnotator(asker, SINGLE, GOAL, items_per_call=5)
    assert [each.label for each in annotator.annotate(items(*TEXTS))] == RIGHT
    assert [len(shown) for shown in shown_to(backend)] == [5, 1, 1, 1, 1, 1]


def test_an_item_that_is_bad_alone_too_is_invalid_and_the_others_are_not() -> None:
    def script(request: Request) -> Any:
        shown = texts(request)
        return "no" if shown == ["thanks"] else answers_for(request, lambda place: place != 3)

    annotator = LLMAnnotator(gateway(script)[0], SINGLE, GOAL, items_per_call=5)
    found = annotator.annotate(items(*TEXTS))
    assert [each.label for each in found] == ["billing", "bug", None, "billing", "bug"]
    assert found[2].status == "invalid"


def test_each_of_several_items_has_its_own_log_probabilities() -> None:
    def script(_: Request) -> Reply:
        tokens = (
            token('{"answers": [{"index": 2, "label": "', 1.0),
            token("bug", 0.9, praise=0.1),
            token('"}, {"index": 1, "label": "', 1.0),
            token("praise", 0.6, bug=0.4),
            token('"}]}', 1.0),
        )
        return Reply("".join(each.text for each in tokens), tokens=tokens)

    annotator = LLMAnnotator(
        gateway(script)[0], SINGLE, GOAL, items_per_call=2, confidence="logprobs"
    )
    found = annotator.annotate(items("a", "b"))
    assert [each.label for each in found] == ["praise", "bug"]
    assert [each.score for each in found] == pytest.approx([0.6, 0.9])


# --- other tasks ---


def test_a_pair_shows_both_texts_and_a_single_text_is_an_error() -> None:
    asker, backend = gateway(lambda _: {"label": "bug"})
    annotator = LLMAnnotator(asker, PairLabel(SPECS), GOAL)
    (found,) = annotator.annotate([Item("1", join_pair("one", "two"))])
    assert found.label == "bug"
    assert shown_to(backend) == [["one", "two"]]
    with pytest.raises(UserError, match="item 'm0' has one text"):
        annotator.annotate(items("alone"))


def test_several_labels_come_in_the_order_of_the_task_and_none_is_an_answer() -> None:
    said = {"both": ["praise", "billing", "praise"], "none": []}
    asker = by_text(lambda text: {"labels": said[text]})
    found = LLMAnnotator(asker, MultiLabel(SPECS), GOAL).annotate(items("both", "none"))
    assert [each.label for each in found] == [("billing", "praise"), ()]
    assert all(each.usable for each in found)


def test_several_labels_are_voted_on_one_by_one() -> None:
    said = [["bug"], ["bug", "praise"], ["billing", "praise"]]
    asker, _ = gateway(lambda request: {"labels": said[request.sample]})
    annotator = LLMAnnotator(asker, MultiLabel(SPECS), GOAL, samples=3, confidence="votes")
    (found,) = annotator.annotate(items("a"))
    assert found.label == ("bug", "praise")
    assert found.distribution == pytest.approx((1 / 3, 2 / 3, 2 / 3))
    assert found.score == pytest.approx((1 / 2 + 1 + 1 / 3) / 3)


def test_entities_are_quoted_and_located_and_what_is_not_there_is_reported() -> None:
    said = [{"text": "Ada", "type": "billing"}, {"text": "Eve", "type": "bug"}]
    annotator = LLMAnnotator(always({"entities": said}), Entities(SPECS), GOAL)
    (found,) = annotator.annotate(items("So Ada wrote."))
    assert found.label is not None
    assert [(span.start, span.end, span.type) for span in found.label] == [(3, 6, "billing")]
    assert found.status == "partial"
    assert found.why == "'Eve' does not occur in the text"


def test_entities_that_most_members_quote_are_kept() -> None:
    quotes = [["Ada", "Bob"], ["Ada"], ["Ada", "Eve"], ["Bob"]]
    asker, _ = gateway(
        lambda r: {"entities": [{"text": q, "type": "bug"} for q in quotes[r.sample]]}
    )
    annotator = LLMAnnotator(asker, Entities(SPECS), GOAL, samples=4, confidence="votes")
    (found,) = annotator.annotate(items("Ada, Bob, Eve"))
    assert found.label is not None
    assert [span.text for span in found.label] == ["Ada"]
    assert found.score == pytest.approx((2 / 3 + 1 + 2 / 3 + 0) / 4)


def preferring(rule: Any) -> Any:
    def script(request: Request) -> Any:
        first, second = texts(request)[-2:]
        return {"label": rule(first, second)}

    return gateway(script)


def test_a_preference_holds_if_it_is_the_same_text_in_both_orders() -> None:
    asker, backend = preferring(lambda a, b: "first" if len(a) > len(b) else "second")
    pair = Item("1", join_pair("short", "a longer one"), context="What is it?")
    (found,) = LLMAnnotator(asker, Preference(), GOAL).annotate([pair])
    assert (found.label, found.status) == ("second", "ok")
    assert shown_to(backend) == [
        ["What is it?", "short", "a longer one"],
        ["What is it?", "a longer one", "short"],
    ]
    assert len(found.answers) == 2


@pytest.mark.parametrize("place", ["first", "second"])
def test_a_preference_for_a_place_is_no_agreement(place: str) -> None:
    asker, _ = preferring(lambda _a, _b: place)
    (found,) = LLMAnnotator(asker, Preference(), GOAL).annotate([Item("1", join_pair("a", "b"))])
    assert (found.label, found.status, found.score) == (None, "no_agreement", None)
    assert "changed with the order" in found.why


def test_a_tie_in_both_orders_is_a_tie_and_in_one_is_no_agreement() -> None:
    pair = [Item("1", join_pair("a", "b"))]
    asker, _ = preferring(lambda _a, _b: "tie")
    assert LLMAnnotator(asker, Preference(), GOAL).annotate(pair)[0].label == "tie"
    asker, _ = preferring(lambda a, _: "tie" if a == "a" else "first")
    assert LLMAnnotator(asker, Preference(), GOAL).annotate(pair)[0].status == "no_agreement"


def test_a_preference_may_be_asked_once() -> None:
    asker, backend = preferring(lambda _a, _b: "first")
    annotator = LLMAnnotator(asker, Preference(swap=False, tie=False), GOAL)
    (found,) = annotator.annotate([Item("1", join_pair("a", "b"))])
    assert found.label == "first"
    assert len(backend.asked) == 1


def test_log_probabilities_of_both_orders_are_those_of_the_texts() -> None:
    def script(request: Request) -> Reply:
        turned = texts(request)[0] == "b"
        label, p = ("second", 0.7) if turned else ("first", 0.9)
        other = "first" if turned else "second"
        top = ((label, math.log(p)), (other, math.log(1 - p)))
        tokens = (token('{"label": "', 1.0), Token(label, math.log(p), top), token('"}', 1.0))
        return Reply("".join(each.text for each in tokens), tokens=tokens)

    annotator = LLMAnnotator(gateway(script)[0], Preference(tie=False), GOAL, confidence="logprobs")
    (found,) = annotator.annotate([Item("1", join_pair("a", "b"))])
    assert found.label == "first"
    assert found.distribution == pytest.approx((0.8, 0.2))
    assert found.score == pytest.approx(0.8)


# --- what does not fit ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples=0"),
        ({"items_per_call": 0}, "items_per_call=0"),
        ({"variants": []}, "0 variants"),
        ({"samples": 3, "temperature": 0.0}, "3 samples at temperature 0.0"),
        ({"confidence": "votes"}, "'votes' needs members"),
        ({"confidence": "stated", "samples": 2}, "'stated' is one member's"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        LLMAnnotator(always({}), SINGLE, GOAL, **options)


@pytest.mark.parametrize("task", [MultiLabel(SPECS), Entities(SPECS)])
def test_log_probabilities_of_answers_with_several_labels_are_refused(task: Any) -> None:
    with pytest.raises(UserError, match="'logprobs' is that of one label"):
        LLMAnnotator(always({}), task, GOAL, confidence="logprobs")


def test_the_question_is_there_for_single_labels_only() -> None:
    with pytest.raises(UserError, match="wording 'question'"):
        LLMAnnotator(always({}), MultiLabel(SPECS), GOAL, variants=[Variant(wording="question")])


def test_no_items_are_no_calls() -> None:
    asker, backend = gateway(lambda _: {"label": "bug"})
    for confidence in ("none", "p_true"):
        assert LLMAnnotator(asker, SINGLE, GOAL, confidence=confidence).annotate([]) == []
    assert backend.asked == []


def test_requests_say_what_will_be_asked() -> None:
    asker, backend = gateway(answers_for)
    annotator = LLMAnnotator(asker, SINGLE, GOAL, items_per_call=2)
    planned = annotator.requests(items(*TEXTS))
    annotator.annotate(items(*TEXTS))
    keys = sorted(request.key("m") for request in backend.asked)
    assert sorted(request.key("m") for request in planned) == keys
    assert json.dumps(planned[0].body())
