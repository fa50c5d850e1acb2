"""The annotator: order, members, several items a call, both orders of two texts, scores."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from annotating import GOAL, NAMES, SINGLE, SPECS, always, by_text, gateway, items, shown_to, token
from annotating import texts_in as texts
from labelwright.models.llm.base import Reply, Request, Token
from labelwright.models.pairs import join_pair
from labelwright.store.errors import UserError
from labelwright.tools.annotators import (
    Entities,
    Instructions,
    Item,
    LLMAnnotator,
    MultiLabel,
    PairLabel,
    Preference,
    Variant,
)
from labelwright.tools.annotators.items import counts
from labelwright.tools.annotators.prompting import STYLES

WORDS = {"money": "billing", "broken": "bug", "thanks": "praise"}


def label_of(text: str) -> dict[str, str]:
    return {"label": next(label for word, label in WORDS.items() if word in text)}


def replied(label: str, **p: float) -> Reply:
    """An answer whose tokens give the labels these probabilities."""
    top = {name: p[name] for name in p if name != label}
    tokens = (token('{"label": "', 1.0), token(label, p[label], **top), token('"}', 1.0))
    return Reply("".join(each.text for each in tokens), tokens=tokens, tokens_out=3)


# --- one member ---


def test_every_item_comes_back_in_its_order_with_its_label() -> None:
    annotator = LLMAnnotator(by_text(label_of), SINGLE, GOAL)
    found = annotator.annotate(items("money back", "thanks a lot", "it is broken", "my money"))
    assert [each.item for each in found] == ["m0", "m1", "m2", "m3"]
    assert [each.label for each in found] == ["billing", "praise", "bug", "billing"]
    assert counts(found) == {"ok": 4}


def test_what_was_asked_is_in_the_record() -> None:
    asker, _ = gateway(lambda _: {"label": "bug"})
    annotator = LLMAnnotator(asker, SINGLE, GOAL)
    (found,) = annotator.annotate(items("a"))
    (request,) = annotator.requests(items("a"))
    assert found.answers == (request.key("scripted:model"),)
    assert found.prompt == annotator.prompt
    assert (found.score, found.distribution, found.votes) == (None, None, None)
    assert found.tokens_in > 0
    assert found.tokens_out > 0


@pytest.mark.parametrize("style", STYLES)
def test_the_style_decides_the_fields_and_their_order(style: Any) -> None:
    asker, backend = gateway(
        lambda request: {
            name: {"label": "bug", "rationale": "it  says\nso"}[name]
            for name in request.schema.model_fields  # type: ignore[union-attr]
        }
    )
    annotator = LLMAnnotator(asker, SINGLE, GOAL, variants=[Variant(style)])
    (found,) = annotator.annotate(items("a"))
    fields = list(backend.asked[0].schema.model_fields)  # type: ignore[union-attr]
    wanted = {
        "label": ["label"],
        "rationale_first": ["rationale", "label"],
        "label_first": ["label", "rationale"],
    }
    assert fields == wanted[style]
    assert found.rationale == ("" if style == "label" else "it says so")


def test_a_long_rationale_is_kept_in_part() -> None:
    said = {"rationale": "because " * 5000, "label": "bug"}
    annotator = LLMAnnotator(always(said), SINGLE, GOAL, variants=[Variant("rationale_first")])
    (found,) = annotator.annotate(items("a"))
    assert found.label == "bug"
    assert len(found.rationale) == 1000
    assert found.rationale.endswith("…")


def test_a_long_text_is_cut_and_that_is_said() -> None:
    asker, backend = gateway(lambda _: {"label": "bug"})
    annotator = LLMAnnotator(asker, SINGLE, GOAL, longest=10)
    found = annotator.annotate(items("x" * 11, "y" * 10))
    assert shown_to(backend) == [["x" * 10], ["y" * 10]]
    assert found[0].issues == ("only the first 10 characters were shown",)
    assert found[1].issues == ()


def test_cutting_keeps_both_texts_of_a_pair_and_whole_tokens() -> None:
    asker, backend = gateway(
        lambda request: {"label": "bug"} if len(texts(request)) > 1 else {"entities": []}
    )
    pair = Item("1", join_pair("a" * 20, "b" * 20))
    LLMAnnotator(asker, PairLabel(SPECS), GOAL, longest=5).annotate([pair])
    tokens = Item("1", "", tokens=("abc", "de", "fgh"))
    LLMAnnotator(asker, Entities(SPECS), GOAL, longest=7).annotate([tokens])
    assert shown_to(backend) == [["a" * 5, "b" * 5], ["abc de"]]


# --- the digest of the prompt ---


def test_the_digest_changes_with_all_that_is_said() -> None:
    asker = always({"label": "bug"})

    def digest(**changed: Any) -> str:
        given: dict[str, Any] = {"task": SINGLE, "instructions": GOAL, **changed}
        return LLMAnnotator(asker, given.pop("task"), given.pop("instructions"), **given).prompt

    other = (*SPECS[:2], SPECS[2].model_copy(update={"definition": "thanks"}))
    found = [
        digest(),
        digest(task=replace(SINGLE, labels=other)),
        digest(instructions=Instructions(GOAL.goal, "Other rules.")),
        digest(instructions=Instructions("Other goal.", GOAL.guidelines)),
        digest(variants=[Variant("label_first")]),
        digest(variants=[Variant(wording="question")]),
        digest(variants=[Variant(order=1)]),
        digest(samples=3),
        digest(items_per_call=2),
        digest(confidence="stated"),
        digest(confidence="p_true"),
    ]
    assert len(set(found)) == len(found)
    assert digest() == found[0]
    assert all(len(each) == 16 for each in found)


def test_the_seed_is_part_of_the_request_and_not_of_the_digest() -> None:
    asker = always({"label": "bug"})
    one, two = (LLMAnnotator(asker, SINGLE, GOAL, seed=seed) for seed in (1, 2))
    assert one.prompt == two.prompt
    assert one.requests(items("a"))[0].key("m") != two.requests(items("a"))[0].key("m")
    assert one.requests(items("a"))[0].key("m") == one.requests(items("a"))[0].key("m")


def test_a_shuffled_order_of_labels_is_the_same_each_time_and_changes_no_distribution() -> None:
    asker, backend = gateway(lambda _: replied("bug", billing=0.1, bug=0.7, praise=0.2))
    annotator = LLMAnnotator(
        asker, SINGLE, GOAL, variants=[Variant(order=5)], confidence="logprobs"
    )
    (found,) = annotator.annotate(items("a"))
    listed = backend.asked[0].messages[0].content
    places = [listed.index(f'- "{name}"') for name in NAMES]
    assert places != sorted(places)
    assert found.distribution == pytest.approx((0.1, 0.7, 0.2))


# --- scores of one member ---


def test_log_probabilities_give_distribution_and_score() -> None:
    asker, backend = gateway(lambda _: replied("bug", billing=0.1, bug=0.7, praise=0.2))
    (found,) = LLMAnnotator(asker, SINGLE, GOAL, confidence="logprobs").annotate(items("a"))
    assert found.distribution == pytest.approx((0.1, 0.7, 0.2))
    assert found.score == pytest.approx(0.7)
    assert backend.asked[0].logprobs
    assert backend.asked[0].choices == NAMES


def test_scores_of_choices_are_taken_where_the_back_end_has_them() -> None:
    logprobs = tuple(math.log(p) for p in (0.1, 0.2, 0.1))
    asker = always(Reply('{"label": "bug"}', choice_logprobs=logprobs))
    (found,) = LLMAnnotator(asker, SINGLE, GOAL, confidence="logprobs").annotate(items("a"))
    assert found.distribution == pytest.approx((0.25, 0.5, 0.25))
    assert found.score == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("task", "options", "choices"),
    [
        (SINGLE, {}, NAMES),
        (SINGLE, {"confidence": "logprobs"}, NAMES),
        (Preference(), {}, ("first", "second", "tie")),
        (SINGLE, {"variants": [Variant("rationale_first")]}, ()),
        (SINGLE, {"confidence": "stated"}, ()),
        (SINGLE, {"items_per_call": 2}, ()),
        (MultiLabel(SPECS), {}, ()),
        (Entities(SPECS), {}, ()),
    ],
)
def test_choices_are_named_where_the_answer_is_one_label_and_nothing_else(
    task: Any, options: Any, choices: tuple[str, ...]
) -> None:
    annotator = LLMAnnotator(always({}), task, GOAL, **options)
    pairs = [Item("1", join_pair("a", "b")), Item("2", join_pair("c", "d"))]
    assert annotator.requests(pairs)[0].choices == choices


def test_without_log_probabilities_the_score_is_absent() -> None:
    asker = always({"label": "bug"})
    (found,) = LLMAnnotator(asker, SINGLE, GOAL, confidence="logprobs").annotate(items("a"))
    assert (found.label, found.score, found.distribution) == ("bug", None, None)


def test_a_stated_confidence_is_a_number_from_0_to_100_or_absent() -> None:
    said = {"sure": 90, "odd": 250, "none": -1}
    asker = by_text(lambda text: {"label": "bug", "confidence": said[text]})
    found = LLMAnnotator(asker, SINGLE, GOAL, confidence="stated").annotate(items(*said))
    assert [each.score for each in found] == [0.9, None, None]
    assert [each.label for each in found] == ["bug"] * 3


def test_p_true_is_the_probability_of_yes_of_a_second_call() -> None:
    def script(request: Request) -> Any:
        if request.choices != ("yes", "no"):
            return label_of(texts(request)[-1])
        p = 0.9 if "money" in texts(request)[0] else 0.2
        first, rest = token('{"label": "', 1.0), token('"}', 1.0)
        tokens = (first, token("yes", p, no=1 - p), rest)
        return Reply("".join(each.text for each in tokens), tokens=tokens)

    asker, backend = gateway(script)
    annotator = LLMAnnotator(asker, SINGLE, GOAL, confidence="p_true")
    found = annotator.annotate(items("money", "broken"))
    assert [each.score for each in found] == pytest.approx([0.9, 0.2])
    assert [len(each.answers) for each in found] == [2, 2]
    assert '\n"bug"\n' in backend.asked[-1].messages[1].content


def test_p_true_without_log_probabilities_is_absent_and_asks_nothing_of_what_has_no_label() -> None:
    def script(request: Request) -> Any:
        if request.choices == ("yes", "no"):
            return {"label": "yes"}
        return {"label": "bug"} if "good" in texts(request)[0] else "no JSON"

    asker, backend = gateway(script)
    found = LLMAnnotator(asker, SINGLE, GOAL, confidence="p_true").annotate(items("good", "bad"))
    assert [each.score for each in found] == [None, None]
    assert [each.status for each in found] == ["ok", "invalid"]
    assert [request.choices for request in backend.asked].count(("yes", "no")) == 1


# --- several members ---


def test_samples_vote_and_differ_by_their_number_only() -> None:
    said = ["bug", "bug", "praise", "bug", "billing"]
    asker, backend = gateway(lambda request: {"label": said[request.sample]})
    annotator = LLMAnnotator(asker, SINGLE, GOAL, samples=5, confidence="votes")
    (found,) = annotator.annotate(items("a"))
    assert found.label == "bug"
    assert found.score == pytest.approx(0.6)
    assert found.distribution == pytest.approx((0.2, 0.6, 0.2))
    assert found.votes is not None
    assert found.votes.disagreement == pytest.approx(3 / 5)
    assert sorted(request.sample for request in backend.asked) == [0, 1, 2, 3, 4]
    assert {request.temperature for request in backend.asked} == {0.7}


def test_models_are_a_committee_and_all_are_named() -> None:
    askers = [
        gateway(lambda _, n=n: {"label": n}, name=f"m:{n}")[0] for n in ("bug", "bug", "praise")
    ]
    annotator = LLMAnnotator(askers, SINGLE, GOAL, confidence="votes")
    (found,) = annotator.annotate(items("a"))
    assert annotator.name == "m:bug + m:bug + m:praise"
    assert (found.label, found.score) == ("bug", pytest.approx(2 / 3))


def test_prompts_are_a_committee() -> None:
    asker, backend = gateway(
        lambda request: {
            name: {"label": "bug", "rationale": "r"}[name]
            for name in request.schema.model_fields  # type: ignore[union-attr]
        }
    )
    variants = [
        Variant(),
        Variant("rationale_first"),
        Variant(wording="question"),
        Variant(order=3),
    ]
    annotator = LLMAnnotator(asker, SINGLE, GOAL, variants=variants, confidence="votes")
    (found,) = annotator.annotate(items("a"))
    assert found.score == 1.0
    assert len(found.answers) == 4
    assert len({request.messages[0].content for request in backend.asked}) == 4


def test_a_tie_goes_to_what_was_said_first() -> None:
    asker, _ = gateway(lambda request: {"label": ["praise", "bug"][request.sample]})
    annotator = LLMAnnotator(asker, SINGLE, GOAL, samples=2, confidence="votes")
    (found,) = annotator.annotate(items("a"))
    assert (found.label, found.score) == ("praise", 0.5)


def test_a_member_without_an_answer_lowers_the_score() -> None:
    asker, _ = gateway(lambda r: {"label": "bug"} if r.sample < 3 else "broken")
    annotator = LLMAnnotator(asker, SINGLE, GOAL, samples=4, confidence="votes")
    (found,) = annotator.annotate(items("a"))
    assert found.score == 0.75
    assert found.distribution == (0.0, 1.0, 0.0)
    assert found.status == "ok"


def test_with_hardly_any_answers_there_is_no_distribution() -> None:
    asker, _ = gateway(lambda r: {"label": "bug"} if r.sample == 0 else "broken")
    annotator = LLMAnnotator(asker, SINGLE, GOAL, samples=4, confidence="votes")
    (found,) = annotator.annotate(items("a"))
    assert (found.label, found.score, found.distribution) == ("bug", 0.25, None)


def test_members_that_all_fail_leave_the_item_with_the_reason() -> None:
    annotator = LLMAnnotator(always("nothing"), SINGLE, GOAL, samples=3, confidence="votes")
    (found,) = annotator.annotate(items("a"))
    assert (found.label, found.status, found.score) == (None, "invalid", None)
    assert found.why.startswith("none of 3 members gave a value: ")


def test_log_probabilities_of_several_members_are_averaged() -> None:
    asker, _ = gateway(
        lambda r: (
            replied("bug", bug=0.6, praise=0.4) if r.sample else replied("bug", bug=0.8, praise=0.2)
        )
    )
    annotator = LLMAnnotator(asker, SINGLE, GOAL, samples=2, confidence="logprobs")
    (found,) = annotator.annotate(items("a"))
    assert found.distribution == pytest.approx((0.0, 0.7, 0.3))
    assert found.score == pytest.approx(0.7)


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
