"""The annotator: order, members, several items a call, both orders of two texts, scores."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from annotating import (
    GOAL,
    NAMES,
    SINGLE,
    SPECS,
    always,
    by_text,
    gateway,
    items,
    label_of,
    replied,
    shown_to,
    token,
)
from annotating import texts_in as texts
from labelwright.models.llm.base import Reply, Request
from labelwright.models.pairs import join_pair
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
