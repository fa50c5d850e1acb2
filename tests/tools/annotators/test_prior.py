"""Contextual calibration: what a model says of texts without content is taken out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.models.llm.base import Reply, Request
from labelwright.models.llm.gateway import Gateway
from labelwright.store.errors import UserError
from labelwright.store.spec import LabelSpec
from labelwright.tools.annotators import (
    Demonstrations,
    Instructions,
    Item,
    LLMAnnotator,
    MultiLabel,
    Shown,
    SingleLabel,
    Variant,
    written_bank,
)
from labelwright.tools.annotators.prior import CONTENT_FREE, divided
from scripted import ScriptedBackend

TASK = SingleLabel((LabelSpec(name="bad"), LabelSpec(name="good")))
GOAL = Instructions("Sort film reviews")
ITEMS = [Item("0", "a lovely film"), Item("1", "a dull film")]


def leaning(request: Request) -> Reply:
    """Good with 0.9 and 0.6; with 0.7 of what is no review."""
    text = request.messages[-1].content.rpartition("\n<text-")[2]
    good = 0.9 if "lovely" in text else 0.6 if "dull" in text else 0.7
    return Reply('{"label": "good"}', choice_logprobs=(math.log(1 - good), math.log(good)))


def annotator(backend: ScriptedBackend, **more: object) -> LLMAnnotator[str]:
    return LLMAnnotator(Gateway(backend), TASK, GOAL, confidence="content_free", **more)  # type: ignore[arg-type]


def test_a_lean_is_taken_out_and_the_label_may_change() -> None:
    backend = ScriptedBackend(leaning)
    lovely, dull = annotator(backend).annotate(ITEMS)
    assert (lovely.label, dull.label) == ("good", "bad")
    assert dull.distribution == pytest.approx(divided((0.4, 0.6), (0.3, 0.7)))
    assert dull.score == pytest.approx((0.4 / 0.3) / (0.4 / 0.3 + 0.6 / 0.7))
    assert len(backend.asked) == len(ITEMS) + len(CONTENT_FREE)


def test_texts_without_content_are_asked_as_the_items_are() -> None:
    examples = [Shown(Item("a", "a fine film"), "good"), Shown(Item("b", "a poor film"), "bad")]
    bank = written_bank(examples, held_out=[item.text for item in ITEMS])
    backend = ScriptedBackend(leaning)
    annotator(backend, demonstrations=Demonstrations(bank, "fixed", 2)).annotate(ITEMS)
    assert {request.messages[0] for request in backend.asked} == {backend.asked[0].messages[0]}
    assert all("a fine film" in request.messages[-1].content for request in backend.asked)


def test_each_way_of_asking_has_a_lean_of_its_own() -> None:
    def script(request: Request) -> Reply:
        found = leaning(request)
        assert found.choice_logprobs is not None
        if request.messages[0].content.index('"bad"') < request.messages[0].content.index('"good"'):
            return found
        # Listed the other way round it leans the other way, by as much.
        _, good = found.choice_logprobs
        text = request.messages[-1].content
        swapped = (math.log(0.7), math.log(0.3))
        turned = (math.log(0.2), math.log(0.8)) if "lovely" in text else (math.log(0.9), good)
        known = "lovely" in text or "dull" in text
        return Reply('{"label": "bad"}', choice_logprobs=turned if known else swapped)

    backend = ScriptedBackend(script)
    found = annotator(backend, variants=(Variant(), Variant(order=1))).annotate(ITEMS)
    assert [each.label for each in found] == ["good", "bad"]
    assert len(backend.asked) == 2 * (len(ITEMS) + len(CONTENT_FREE))


def test_without_log_probabilities_there_is_a_label_and_no_score() -> None:
    found = annotator(ScriptedBackend(lambda _: {"label": "good"})).annotate(ITEMS)
    assert [(each.label, each.score, each.distribution) for each in found] == [
        ("good", None, None)
    ] * 2


def test_an_answer_that_cannot_be_used_stays_without_a_label() -> None:
    def script(request: Request) -> Reply | str:
        return "no idea" if "dull" in request.messages[1].content else leaning(request)

    lovely, dull = annotator(ScriptedBackend(script)).annotate(ITEMS)
    assert (lovely.label, lovely.score is None) == ("good", False)
    assert (dull.label, dull.status, dull.score) == (None, "invalid", None)


def test_a_prior_that_failed_leaves_no_score() -> None:
    def script(request: Request) -> Reply | str:
        return "no idea" if "MASK" in request.messages[1].content else leaning(request)

    found = annotator(ScriptedBackend(script)).annotate(ITEMS)
    assert [(each.label, each.score) for each in found] == [("good", None)] * 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"variants": (Variant(style="label_first"),)}, "use style 'label'"),
        ({"items_per_call": 2}, "one item in a call"),
    ],
)
def test_what_does_not_fit_is_refused(more: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        annotator(ScriptedBackend(leaning), **more)


def test_sets_of_labels_and_demonstrations_that_differ_are_refused() -> None:
    gateway = Gateway(ScriptedBackend(leaning))
    labels = MultiLabel(TASK.labels)
    with pytest.raises(UserError, match="one label an item"):
        LLMAnnotator(gateway, labels, GOAL, confidence="content_free")
    bank = written_bank([], held_out=[])
    with pytest.raises(UserError, match="no demonstrations, or 'fixed' ones"):
        annotator(ScriptedBackend(leaning), demonstrations=Demonstrations(bank, "nearest"))


shares = st.lists(st.floats(0.001, 1.0), min_size=3, max_size=3).map(
    lambda values: tuple(value / sum(values) for value in values)
)


@given(shares, shares)
def test_division_keeps_a_distribution_and_undoes_itself(
    one: tuple[float, ...], prior: tuple[float, ...]
) -> None:
    found = divided(one, prior)
    assert sum(found) == pytest.approx(1.0)
    assert divided(one, one) == pytest.approx((1 / 3,) * 3)
    back = divided(found, [1 / each for each in prior])
    assert back == pytest.approx(one)
