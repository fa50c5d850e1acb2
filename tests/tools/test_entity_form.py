"""Answers that are marked parts: written, compared, packed into files of numbers, and measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.store.spans import Span, checked, encode
from labelwright.store.spec import TaskSpec
from labelwright.tools.audit_draw import draw_audit, labels_digest, weights_of_total
from labelwright.tools.entity_form import MarkedParts, packed, parts_by_type, unpacked
from labelwright.tools.label_form import form_of, probability_form

ADA, ROME = '[0,3,"person","Ada"]', '[9,13,"place","Rome"]'
BOTH, ONE, NONE = f"[{ADA},{ROME}]", f"[{ADA}]", "[]"
FORM = MarkedParts(("person", "place"))


def spec(kind: str, labels: list[str]) -> TaskSpec:
    return TaskSpec.checked(
        {
            "goal": "mark",
            "kind": kind,
            "labels": [{"name": name} for name in labels],
            "text_columns": ["text"],
        }
    )


def test_the_form_follows_from_the_kind() -> None:
    assert isinstance(form_of(spec("entities", ["person"])), MarkedParts)
    with pytest.raises(UserError, match="mark entities"):
        probability_form(spec("entities", ["person"]))


def test_one_type_is_enough_and_one_label_is_not() -> None:
    assert spec("entities", ["person"]).marked
    with pytest.raises(UserError, match="labels has only"):
        spec("single_label", ["person"])


def test_answers_are_read_back_as_they_were_written() -> None:
    answers = FORM.read([BOTH, NONE, ONE])
    assert FORM.written(answers) == [BOTH, NONE, ONE]
    assert FORM.same(answers, FORM.read([BOTH, ONE, ONE])).tolist() == [True, False, True]
    assert FORM.shown(BOTH) == "Ada (person), Rome (place)"


def test_texts_count_once_for_each_type() -> None:
    twice = '[[0,3,"person","Ada"],[4,7,"person","Bob"]]'
    answers = FORM.read([BOTH, twice, NONE])
    assert FORM.counts(answers).tolist() == [2, 1]
    assert FORM.compared(answers).tolist() == [[1, 1], [1, 0], [0, 0]]


def test_agreement_is_f1_of_all_spans_and_nothing_found_is_none() -> None:
    assert FORM.kappa(FORM.read([BOTH, NONE]), FORM.read([BOTH, NONE])) == 1.0
    assert FORM.kappa(FORM.read([BOTH, NONE]), FORM.read([ONE, ONE])) == pytest.approx(0.5)
    assert FORM.kappa(FORM.read([NONE]), FORM.read([NONE])) == 0.0


def test_the_loss_is_one_minus_the_f1_of_each_text() -> None:
    found = FORM.loss(FORM.read([BOTH, NONE, ONE, NONE]), FORM.read([BOTH, NONE, BOTH, ONE]))
    assert found == pytest.approx([0, 0, 1 / 3, 1])


def test_keys_are_equal_exactly_where_answers_are() -> None:
    keys = FORM.keys(FORM.read([BOTH, NONE, BOTH]))
    assert keys.shape == (3, 4)
    assert (keys[0] == keys[2]).all()
    assert (keys[0] != keys[1]).any()
    rows = np.arange(3)
    other = FORM.keys(FORM.read([BOTH, ONE, BOTH]))
    assert labels_digest(rows, keys) != labels_digest(rows, other)
    assert labels_digest(rows, keys) == labels_digest(rows[::-1], keys[::-1])


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), max_size=4))
def test_answers_are_unpacked_as_they_were_packed(words: list[str]) -> None:
    answers = [encode([Span(2, 2 + len(word), "p", word)]) for word in words]
    assert unpacked(packed(answers)) == answers


def test_measures_are_of_spans_and_left_out_where_there_are_none() -> None:
    truth = FORM.read([BOTH, ONE, NONE] * 5)
    found = FORM.measures(FORM.read([ONE, ONE, NONE] * 5), truth, level=0.95, seed=0)
    assert found["span_precision"].estimate == 1.0
    assert found["span_recall"].estimate == pytest.approx(2 / 3)
    nothing = FORM.read([NONE] * 4)
    assert FORM.measures(nothing, nothing, level=0.95, seed=0) == {}


def test_parts_are_counted_by_type_and_by_who_marked_them() -> None:
    wrong = '[[9,13,"person","Rome"]]'
    found = parts_by_type(FORM.read([BOTH, wrong]), FORM.read([ONE, BOTH]), ["person", "place"])
    assert [(each.label, each.both, each.person, each.machine) for each in found] == [
        ("person", 1, 1, 1),
        ("place", 0, 1, 1),
    ]


def test_weighted_audit_items_estimate_totals_without_bias() -> None:
    rng = np.random.default_rng(0)
    rows, doubt = np.arange(60), rng.random(60)
    spans = rng.poisson(0.3 + 2 * doubt)
    pi = np.full(60, 1 / 80)
    keys = FORM.keys(FORM.read([NONE] * 60))
    draws = [draw_audit(rows, pi, keys, 15, seed=seed, doubt=doubt) for seed in range(400)]
    totals = [float(weights_of_total(draw) @ spans[draw.rows]) for draw in draws]
    error = np.std(totals) / np.sqrt(len(totals))
    assert abs(np.mean(totals) - pi @ spans) < 4 * error
    plain = np.mean([spans[draw.rows].mean() * 60 / 80 for draw in draws])
    assert abs(plain - pi @ spans) > 4 * error


@pytest.mark.parametrize(
    ("spans", "why"),
    [
        ([Span(0, 3, "planet", "Ada")], "not a type"),
        ([Span(1, 4, "person", "Ada")], "characters 1 to 4 of the text are 'da '"),
        ([Span(-3, 0, "person", "Ada")], "count characters from 0"),
        ([Span(0, 30, "person", "Ada left Rome")], "no part of a text"),
        ([Span(3, 4, "person", " ")], "blank"),
        ([Span(0, 8, "person", "Ada left"), Span(4, 13, "place", "left Rome")], "overlap"),
    ],
)
def test_spans_that_are_no_parts_of_the_text_are_refused(spans: list[Span], why: str) -> None:
    with pytest.raises(UserError, match=why):
        checked(spans, "Ada left Rome", ("person", "place"))
