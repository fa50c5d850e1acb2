"""Uncertainty measures: ranges, known values, properties, and what they refuse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from labelwright.store.errors import UserError
from labelwright.tools.uncertainty import (
    MEASURES,
    MULTI_LABEL_MEASURES,
    check_label_probabilities,
    check_probabilities,
    entropy,
    least_confidence,
    margin,
    measures,
)
from numpy.typing import NDArray


@st.composite
def tables(draw: st.DrawFn, classes: int | None = None) -> NDArray[np.float32]:
    width = classes or draw(st.integers(2, 9))
    height = draw(st.integers(1, 12))
    raw = draw(arrays(np.float64, (height, width), elements=st.floats(0.0, 1.0)))
    raw += 1e-9
    return np.asarray(raw / raw.sum(axis=1, keepdims=True), dtype=np.float32)


every_measure = pytest.mark.parametrize("name", sorted(MEASURES))


@every_measure
@settings(deadline=None)
@given(p=tables())
def test_stays_in_the_unit_interval_with_one_float32_an_item(
    name: str, p: NDArray[np.float32]
) -> None:
    u = MEASURES[name](p)
    assert u.shape == (len(p),)
    assert u.dtype == np.float32
    assert ((u >= 0) & (u <= 1)).all()


@every_measure
@pytest.mark.parametrize("classes", [2, 3, 77])
def test_is_one_for_even_odds_and_zero_for_certainty(name: str, classes: int) -> None:
    p = np.stack([np.full(classes, 1 / classes), np.eye(classes)[1]]).astype(np.float32)
    np.testing.assert_allclose(MEASURES[name](p), [1.0, 0.0], atol=1e-6)


@every_measure
@settings(deadline=None)
@given(p=tables(), data=st.data())
def test_does_not_depend_on_the_order_of_classes(
    name: str, p: NDArray[np.float32], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(p.shape[1])))
    np.testing.assert_allclose(MEASURES[name](p[:, order]), MEASURES[name](p), atol=1e-5)


@settings(deadline=None)
@given(p=tables(classes=2))
def test_two_classes_are_ordered_the_same_way_by_all(p: NDArray[np.float32]) -> None:
    reference = 1.0 - np.abs(p[:, 0].astype(np.float64) - 0.5)
    for measure in MEASURES.values():
        sorted_values = measure(p)[np.argsort(reference, kind="stable")]
        assert (np.diff(sorted_values) >= -1e-5).all()


def test_values_by_hand() -> None:
    p = np.array([[0.5, 0.3, 0.2]], dtype=np.float32)
    assert least_confidence(p)[0] == pytest.approx(0.75)
    assert margin(p)[0] == pytest.approx(0.8)
    assert entropy(p)[0] == pytest.approx(1.029653 / np.log(3), abs=1e-6)


@pytest.mark.parametrize(
    ("items", "classes"), [(300, 200), (300, 25), (300, 24), (20_000, 4), (20_000, 2)]
)
def test_the_top_two_are_those_of_a_full_sort(items: int, classes: int) -> None:
    p = np.random.default_rng(0).dirichlet(np.full(classes, 0.1), items).astype(np.float32)
    top = np.sort(p, axis=1)
    np.testing.assert_allclose(margin(p), 1 - (top[:, -1] - top[:, -2]), atol=1e-6)
    expected = (1 - top[:, -1]) * classes / (classes - 1)
    np.testing.assert_allclose(least_confidence(p), np.clip(expected, 0, 1), atol=1e-6)


@every_measure
@settings(deadline=None)
@given(p=tables(), data=st.data())
def test_follows_the_order_of_items(name: str, p: NDArray[np.float32], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(p))))
    np.testing.assert_allclose(MEASURES[name](p[order]), MEASURES[name](p)[order], atol=1e-6)


def test_measures_part_where_they_should() -> None:
    # Two even classes of four beat a flat top for margin, not for entropy.
    p = np.array([[0.5, 0.5, 0.0, 0.0], [0.4, 0.2, 0.2, 0.2]], dtype=np.float32)
    assert margin(p)[0] > margin(p)[1]
    assert entropy(p)[0] < entropy(p)[1]


@every_measure
def test_takes_half_precision_and_no_rows(name: str) -> None:
    assert MEASURES[name](np.array([[0.5, 0.5]], dtype=np.float16))[0] == pytest.approx(1.0)
    assert MEASURES[name](np.empty((0, 3), dtype=np.float32)).shape == (0,)


@every_measure
@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ([[0.5, 0.5], [0.0, 0.0]], "row 1"),
        ([[np.nan, 0.5]], "row 0"),
        ([[1.5, -0.5]], "row 0"),
        ([[0.5, 0.5], [0.5, 0.5], [1.5, -0.5], [0.5, 0.5]], "row 2"),
        ([[0.5, 0.5], [np.inf, 0.5]], "row 1"),
        ([[0.5, 0.5], [0.5, 0.5], [0.9, 0.9]], "row 2"),
    ],
)
def test_refuses_rows_that_are_no_probabilities(
    name: str, rows: list[list[float]], place: str
) -> None:
    with pytest.raises(ValueError, match=f"{place} of the probabilities"):
        MEASURES[name](np.array(rows, dtype=np.float32))


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 0), (2, 2, 2)])
def test_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="at least two classes"):
        check_probabilities(np.ones(shape, dtype=np.float32))


def test_does_not_write_to_its_input() -> None:
    p = np.array([[0.1, 0.7, 0.2]], dtype=np.float32)
    before = p.copy()
    for measure in MEASURES.values():
        measure(p)
    np.testing.assert_array_equal(p, before)


every_form_for_several = pytest.mark.parametrize("name", sorted(MULTI_LABEL_MEASURES))


def each_label() -> st.SearchStrategy[NDArray[np.float32]]:
    shape = st.tuples(st.integers(1, 8), st.integers(1, 6))
    return arrays(np.float32, shape, elements=st.floats(0, 1, width=32))


def sets_of_labels(p: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 2^C) probability of every set of labels, with labels independent of one another."""
    on = np.array(list(itertools.product([0, 1], repeat=p.shape[1])))
    chances = np.where(on[None] == 1, p[:, None].astype(np.float64), 1 - p[:, None])
    found: NDArray[np.float32] = chances.prod(axis=2).astype(np.float32)
    return found


@every_form_for_several
@settings(deadline=None)
@given(p=each_label())
def test_of_several_labels_stays_in_the_unit_interval(name: str, p: NDArray[np.float32]) -> None:
    u = MULTI_LABEL_MEASURES[name](p)
    assert u.shape == (len(p),)
    assert u.dtype == np.float32
    assert ((u >= 0) & (u <= 1)).all()


@every_form_for_several
@settings(deadline=None)
@given(p=each_label())
def test_of_several_labels_does_not_care_which_answer_is_likelier(
    name: str, p: NDArray[np.float32]
) -> None:
    measure = MULTI_LABEL_MEASURES[name]
    np.testing.assert_allclose(measure(1 - p), measure(p), atol=1e-4)


@every_form_for_several
@pytest.mark.parametrize("classes", [1, 2, 30])
def test_of_several_labels_is_one_for_even_odds_and_zero_for_certainty(
    name: str, classes: int
) -> None:
    certain = np.arange(classes) % 2
    p = np.stack([np.full(classes, 0.5), certain]).astype(np.float32)
    np.testing.assert_allclose(MULTI_LABEL_MEASURES[name](p), [1.0, 0.0], atol=1e-6)


@settings(deadline=None)
@given(p=each_label())
def test_of_several_labels_is_that_of_the_sets_of_labels(p: NDArray[np.float32]) -> None:
    sets = sets_of_labels(p)
    for name in ("least_confidence", "entropy"):
        np.testing.assert_allclose(MULTI_LABEL_MEASURES[name](p), MEASURES[name](sets), atol=1e-4)


def test_one_doubtful_label_is_enough_for_the_margin_of_several() -> None:
    p = np.array([[0.0, 1.0, 0.45], [0.3, 0.7, 0.3]], dtype=np.float32)
    np.testing.assert_allclose(MULTI_LABEL_MEASURES["margin"](p), [0.9, 0.6], atol=1e-6)


def test_the_form_goes_by_how_many_labels_an_item_has() -> None:
    assert measures(multi_label=False) is MEASURES
    assert measures(multi_label=True) is MULTI_LABEL_MEASURES
    assert set(MEASURES) == set(MULTI_LABEL_MEASURES)


@every_form_for_several
@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ([[0.5, 0.5], [1.2, 0.0]], "row 1"),
        ([[np.nan, 0.5]], "row 0"),
        ([[0.5, 0.5], [0.5, 0.5], [-0.1, 0.5]], "row 2"),
    ],
)
def test_of_several_labels_refuses_what_is_no_probability(
    name: str, rows: list[list[float]], place: str
) -> None:
    with pytest.raises(UserError, match=f"{place} of the probabilities"):
        MULTI_LABEL_MEASURES[name](np.array(rows, dtype=np.float32))


@pytest.mark.parametrize("shape", [(4,), (4, 0), (2, 2, 2)])
def test_of_several_labels_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="one column per label"):
        check_label_probabilities(np.ones(shape, dtype=np.float32))
