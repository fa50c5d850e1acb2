"""From a goal in words to labels, limits and a task spec."""

from __future__ import annotations

from typing import Any

import pytest
from labelwright.agent.understand import (
    ANSWERS,
    Draft,
    DraftLabel,
    Request,
    draft_with_model,
    labels_in_goal,
    limits_in_goal,
    parse_labels,
    spec_from,
)
from labelwright.models.llm.gateway import Gateway
from labelwright.store.errors import ModelError, UserError
from labelwright.store.spec import Kind, LabelSpec
from support import ScriptedChat


def names(labels: list[LabelSpec]) -> list[str]:
    return [label.name for label in labels]


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        ("Sort the messages into billing, bug and praise", "billing|bug|praise"),
        ("sort into billing, bug, and praise", "billing|bug|praise"),
        ("Label each as spam or ham", "spam|ham"),
        ("label these as billing, bug or feature request", "billing|bug|feature request"),
        (
            "label these support messages as billing, bug or feature request; "
            "I need 95% right; I have an hour",
            "billing|bug|feature request",
        ),
        ("Classify as either a bug or a question.", "bug|question"),
        ("Sort news into world, sports, business and sci_tech", "world|sports|business|sci_tech"),
        ("label reviews positive vs negative", "positive|negative"),
        ("positive vs. negative vs. neutral", "positive|negative|neutral"),
        ("spam versus ham", "spam|ham"),
        ("What is this about: food, service or price?", "food|service|price"),
        (
            'Sort into "needs a person" and "can wait, honestly"',
            "needs a person|can wait, honestly",
        ),
        ("label as 'same as before' or 'new'", "same as before|new"),
        ("Tag it as yes/no", "yes|no"),
        ("SORT INTO A, B AND C", "A|B|C"),
        ("sort into über, naïve and 日本", "über|naïve|日本"),
        ("Label the messages as fast as you can into billing and bug", "billing|bug"),
        ("As quickly as possible, sort into a and b", "a|b"),
        ("sort the texts into spam and ham - quickly please", "spam|ham"),
        ("Sort into x and y.\nThen stop.", "x|y"),
    ],
)
def test_the_labels_a_goal_names(goal: str, expected: str) -> None:
    assert names(labels_in_goal(goal)) == expected.split("|")


@pytest.mark.parametrize(
    "goal",
    [
        "label my messages",
        "sort them into groups",
        "find out what customers want",
        "label as good",
        "?",
        "sort into one very long clause that no label would ever be and then another one",
    ],
)
def test_a_goal_that_names_no_labels_shows_how(goal: str) -> None:
    with pytest.raises(UserError) as caught:
        labels_in_goal(goal)
    message = str(caught.value)
    assert repr(goal) in message
    assert '--labels "billing,bug,praise"' in message


def test_a_goal_with_the_same_label_twice_says_so() -> None:
    with pytest.raises(UserError, match="'Spam' twice"):
        labels_in_goal("sort into spam, ham and Spam")


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("a,b", [("a", ""), ("b", "")]),
        (" a , b c ,", [("a", ""), ("b c", "")]),
        ("a: one, two; b: three", [("a", "one, two"), ("b", "three")]),
        ("a;b", [("a", ""), ("b", "")]),
        ("a: see http://x; b: y;", [("a", "see http://x"), ("b", "y")]),
    ],
)
def test_labels_given_as_an_option(option: str, expected: list[tuple[str, str]]) -> None:
    found = parse_labels(option)
    assert [(label.name, label.definition) for label in found] == expected


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("one", "gives 1 label"),
        ("", "gives 0 label"),
        (" ; ;", "at least two"),
        ("a: x, b: y", "gives 1 label"),
        ("a,A", "'A' twice"),
        (": x; b: y", "empty label"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(option: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse_labels(option)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("goal", "limits"),
    [
        ("I need 95% right; I have an hour", {"target_accuracy": 0.95, "minutes": 60}),
        ("92.5 % accuracy in 45 minutes", {"target_accuracy": 0.925, "minutes": 45}),
        ("98% correct, half an hour", {"target_accuracy": 0.98, "minutes": 30}),
        ("you have 1.5 hours", {"minutes": 90}),
        ("100% correct", {}),
        ("give 50% of them to me", {}),
        ("sort into a and b", {}),
        ("messages of the last 24 hours as a or b", {}),
        ("trains that are 10 minutes late as a or b", {}),
    ],
)
def test_limits_that_a_goal_states(goal: str, limits: dict[str, float]) -> None:
    assert limits_in_goal(goal) == pytest.approx(limits)


REQUEST = Request(goal="g", labels=[], text_columns=["text"], target_accuracy=0.9)
TWO = [LabelSpec(name="a"), LabelSpec(name="b", definition="given")]


def test_a_spec_has_what_was_asked_and_what_was_drafted() -> None:
    spec = spec_from(REQUEST, TWO, "when in doubt, a")
    assert (spec.goal, spec.target_accuracy, spec.guidelines) == ("g", 0.9, "when in doubt, a")
    assert spec.labels == TWO


def test_a_spec_out_of_range_is_the_users_error() -> None:
    with pytest.raises(UserError, match="the options: target_accuracy"):
        spec_from(REQUEST.model_copy(update={"target_accuracy": 95.0}), TWO, "")


def draft(*pairs: tuple[str, str], guidelines: str = " be kind ") -> Draft:
    labels = [DraftLabel(name=name, definition=text) for name, text in pairs]
    return Draft(labels=labels, guidelines=guidelines)


def test_a_draft_is_taken_over_trimmed() -> None:
    chat = ScriptedChat(drafts=[draft(("x ", "first"), ("y", " second "))])
    labels, guidelines, raw = draft_with_model(Gateway(chat), "goal", [])
    assert labels == [
        LabelSpec(name="x", definition="first"),
        LabelSpec(name="y", definition="second"),
    ]
    assert guidelines == "be kind"
    assert raw["labels"][1]["name"] == "y"


@pytest.mark.parametrize("kind", ["single_label", "multi_label", "entities"])
def test_the_model_is_told_what_a_text_is_to_get(kind: Kind) -> None:
    chat = ScriptedChat(drafts=[draft(("x", "1"), ("y", "2"))])
    draft_with_model(Gateway(chat), "goal", [], kind)
    assert ANSWERS[kind] in chat.asked[-1].messages[0].content


def test_one_type_of_entity_is_draft_enough() -> None:
    chat = ScriptedChat(drafts=[draft(("only", "the one"))])
    labels, _, _ = draft_with_model(Gateway(chat), "goal", [], "entities")
    assert names(labels) == ["only"]


def test_a_draft_may_be_plain_data() -> None:
    plain = draft(("x", "1"), ("y", "2")).model_dump()
    labels, _, _ = draft_with_model(Gateway(ScriptedChat(drafts=[plain])), "goal", [])
    assert names(labels) == ["x", "y"]


def test_fixed_labels_keep_their_order_and_their_definitions() -> None:
    chat = ScriptedChat(drafts=[draft(("b", "drafted b"), ("a", "drafted a"))])
    labels, _, _ = draft_with_model(Gateway(chat), "goal", TWO)
    assert [(label.name, label.definition) for label in labels] == [
        ("a", "drafted a"),
        ("b", "given"),
    ]


@pytest.mark.parametrize(
    ("answer", "fixed", "message"),
    [
        (draft(("a", ""), ("c", "")), TWO, r"changed the labels \['a', 'b'\]"),
        (draft(("a", "")), TWO, "changed the labels"),
        (draft(("only", "")), [], "at least two"),
        (draft(("A", ""), ("a", "")), [], "twice"),
        (draft(("", ""), ("a", "")), [], "empty label"),
        ({"labels": "none"}, [], "no task spec"),
        (None, [], "no task spec"),
        (TimeoutError("no answer in 60 s"), [], "no answer in 60 s"),
    ],
)
def test_a_draft_that_cannot_be_used_is_the_models_error(
    answer: Any, fixed: list[LabelSpec], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        draft_with_model(Gateway(ScriptedChat(drafts=[answer])), "goal", fixed)
