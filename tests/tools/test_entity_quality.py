"""Precision, recall and F1 of spans against hand-made cases, and intervals that hold."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.store.spans import Span
from labelwright.tools.certificate import fixed_interval
from labelwright.tools.entity_quality import RESAMPLES, entity_scores

ADA = Span(0, 3, "person", "Ada")
ROME = Span(4, 8, "place", "Rome")


def test_spans_count_when_place_and_type_agree() -> None:
    wrong_type, wrong_place = Span(0, 3, "place", "Ada"), Span(0, 8, "person", "Ada Rome")
    found = entity_scores([(ADA,)] * 3, [(ADA,), (wrong_type,), (wrong_place,)], seed=0)
    assert (found.spans.right, found.spans.given, found.spans.true) == (1, 3, 3)
    assert found.exact.estimate == pytest.approx(1 / 3)


def test_precision_recall_and_f1_are_of_all_spans_together() -> None:
    found = entity_scores([(ADA, ROME), (ADA,), ()], [(ADA,), (ADA, ROME), ()], seed=0)
    assert found.precision is not None
    assert found.recall is not None
    assert found.f1 is not None
    assert found.precision.estimate == pytest.approx(2 / 3)
    assert found.recall.estimate == pytest.approx(2 / 3)
    assert found.f1.estimate == pytest.approx(2 / 3)
    assert (found.n_texts, found.n_spans, found.precision.n) == (3, 3, 2)


def test_types_are_measured_by_themselves() -> None:
    found = entity_scores([(ADA, ROME)] * 4, [(ADA,)] * 4, seed=0)
    assert list(found.per_type) == ["person", "place"]
    person, place = found.per_type["person"], found.per_type["place"]
    assert person.f1 is not None
    assert person.f1.estimate == 1.0
    assert place.recall is not None
    assert place.recall.estimate == 0.0
    assert place.precision is None


def test_what_nobody_marked_has_no_measure() -> None:
    found = entity_scores([(), ()], [(), ()], seed=0)
    assert (found.precision, found.recall, found.f1) == (None, None, None)
    assert found.per_type == {}
    assert found.exact.estimate == 1.0


def test_where_all_is_right_the_interval_is_the_exact_one() -> None:
    found = entity_scores([(ADA,)] * 20, [(ADA,)] * 20, seed=0)
    expected = fixed_interval(20, 20)
    for measured in (found.exact, found.precision, found.f1):
        assert measured is not None
        assert (measured.low, measured.high) == pytest.approx((expected.low, 1.0))


def test_where_nothing_is_right_the_interval_is_the_exact_one() -> None:
    found = entity_scores([(ADA,)] * 20, [(ROME,)] * 20, seed=0)
    assert found.precision is not None
    assert found.precision.high == pytest.approx(fixed_interval(0, 20).high)


def test_a_text_of_many_spans_is_one_text() -> None:
    many = tuple(Span(4 * k, 4 * k + 3, "person", "Ada") for k in range(50))
    found = entity_scores([many, (ADA,)], [many, (ADA,)], seed=0)
    assert found.precision is not None
    assert found.precision.low < 0.1


def test_weights_stand_for_texts_that_were_not_drawn() -> None:
    rng = np.random.default_rng(0)
    right = rng.random(4000) < 0.8
    chance = np.where(right, 0.05, 0.3)
    drawn = np.flatnonzero(rng.random(4000) < chance)
    given = [(ADA,) if right[row] else (ROME,) for row in drawn]
    found = entity_scores([(ADA,)] * len(drawn), given, 1 / chance[drawn], seed=0)
    plain = entity_scores([(ADA,)] * len(drawn), given, seed=0)
    assert found.f1 is not None
    assert plain.f1 is not None
    assert found.f1.low <= right.mean() <= found.f1.high
    assert plain.f1.high < right.mean()


def test_intervals_hold_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(60):
        right = rng.random(60) < 0.7
        sizes = rng.integers(0, 4, size=60)
        spans = [tuple(Span(4 * k, 4 * k + 3, "person", "Ada") for k in range(n)) for n in sizes]
        given = [each if ok else () for each, ok in zip(spans, right, strict=True)]
        recall = entity_scores(spans, given, level=0.9, seed=seed).recall
        assert recall is not None
        held += recall.low <= 0.7 <= recall.high
    assert held >= 47


def test_one_seed_gives_one_interval() -> None:
    truth, given = [(ADA, ROME)] * 5 + [()] * 5, [(ADA,)] * 3 + [(ROME,)] * 7
    assert entity_scores(truth, given, seed=1) == entity_scores(truth, given, seed=1)
    assert entity_scores(truth, given, seed=1) != entity_scores(truth, given, seed=2)


def test_resamples_are_drawn_in_blocks_without_changing_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    truth, given = [(ADA, ROME)] * 5, [(ADA,)] * 3 + [(ROME, ADA)] * 2
    whole = entity_scores(truth, given, seed=1)
    monkeypatch.setattr("labelwright.tools.entity_quality._BLOCK", RESAMPLES)
    assert entity_scores(truth, given, seed=1) == whole


@pytest.mark.parametrize(
    ("texts", "weights", "level"),
    [(0, None, 0.95), (2, [1.0], 0.95), (2, [1.0, 0.0], 0.95), (2, None, 1.0)],
)
def test_what_does_not_fit_is_refused(
    texts: int, weights: list[float] | None, level: float
) -> None:
    with pytest.raises(UserError, match="give"):
        entity_scores([()] * texts, [()] * texts, weights, level=level, seed=0)
