"""Labels that learners contradict."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.noise_issues import co_prediction, label_issues, relabel, thresholds_of


def drawn(seed, rows=40, classes=4):
    rng = np.random.default_rng(seed)
    said = rng.dirichlet(np.full(classes, 0.4), size=rows).astype(np.float32)
    return said, rng.integers(0, classes, rows)


def by_hand(said, labels):
    """Equations 1 and 2 of the paper, item by item, in plain loops."""
    classes = said.shape[1]
    sure_from = [
        np.mean([said[i, j] for i in range(len(labels)) if labels[i] == j])
        if (labels == j).any()
        else np.inf
        for j in range(classes)
    ]
    counts = np.zeros((classes, classes), dtype=int)
    suspected = []
    for row, label in zip(said, labels, strict=True):
        sure = [j for j in range(classes) if row[j] >= sure_from[j] - 1e-6]
        if sure:
            best = max(sure, key=lambda j: row[j])
            counts[label, best] += 1
        suspected.append(bool(sure) and best != label)
    return counts, suspected


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 50), classes=st.integers(2, 6))
def test_the_joint_is_that_of_the_equations(seed, rows, classes):
    said, labels = drawn(seed, rows, classes)
    found = label_issues(said, labels)
    counts, suspected = by_hand(said, labels)
    assert np.array_equal(found.counts, counts)
    assert found.suspected.tolist() == suspected
    assert np.array_equal(found.suggestion != labels, found.suspected)
    assert 0 <= found.noise <= 1


def test_a_worked_example():
    said = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]], dtype=np.float32)
    found = label_issues(said, np.array([0, 0, 0, 1]))
    assert found.thresholds == pytest.approx([0.6, 0.8])
    assert found.counts.tolist() == [[2, 1], [0, 1]]
    assert found.suspected.tolist() == [False, False, True, False]
    assert found.suggestion.tolist() == [0, 0, 1, 1]
    # A third of the three labels given 0, and none of the one given 1.
    assert found.noise == pytest.approx(0.25)


def test_nothing_is_ever_put_under_a_label_that_nobody_gave():
    said = np.array([[0.1, 0.1, 0.8], [0.2, 0.7, 0.1]], dtype=np.float32)
    found = label_issues(said, np.array([0, 1]))
    assert np.isinf(found.thresholds[2])
    assert found.counts[:, 2].sum() == 0
    assert not found.suspected.any()


def test_thresholds_are_the_mean_opinion_of_a_label_on_its_own_items():
    said = np.array([[0.9, 0.1], [0.5, 0.5], [0.3, 0.7]], dtype=np.float32)
    assert thresholds_of(said, np.array([0, 0, 1])) == pytest.approx([0.7, 0.7])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_parts_are_disjoint_complete_and_do_not_depend_on_the_order_of_learners(seed):
    first, labels = drawn(seed)
    second, _ = drawn(seed + 1)
    found, swapped = co_prediction(first, second, labels), co_prediction(second, first, labels)
    parts = np.stack([found.clean, found.purify, found.hard])
    assert (parts.sum(axis=0) == 1).all()
    assert np.array_equal(found.purify, swapped.purify)
    assert np.array_equal(
        relabel(first, second, labels).labels, relabel(second, first, labels).labels
    )


# Three items that set the thresholds at .6 for both labels, then the ones in question.
BASE = [[0.6, 0.4], [0.6, 0.4], [0.4, 0.6]]
GIVEN = [0, 0, 1]


def judged(first, second, label):
    tables = [np.array([*BASE, row], dtype=np.float32) for row in (first, second)]
    return (*tables, np.array([*GIVEN, label]))


def test_both_agreeing_with_the_label_is_clean_however_unsure():
    assert co_prediction(*judged([0.51, 0.49], [0.51, 0.49], 0)).clean[3]


def test_both_surely_against_the_label_is_to_be_purified_and_relabelled():
    case = judged([0.05, 0.95], [0.1, 0.9], 0)
    assert co_prediction(*case).purify[3]
    found = relabel(*case)
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert found.changed.tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param([0.9, 0.1], id="the second agrees with the label"),
        pytest.param([0.49, 0.51], id="the second is against it but unsure"),
    ],
)
def test_one_learner_alone_makes_an_item_hard_and_changes_nothing(second):
    case = judged([0.05, 0.95], second, 0)
    assert co_prediction(*case).hard[3]
    assert not relabel(*case).changed.any()


def test_learners_that_name_different_labels_change_nothing():
    base = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]
    first = np.array([*base, [0.0, 1.0, 0.0]], dtype=np.float32)
    second = np.array([*base, [0.0, 0.0, 1.0]], dtype=np.float32)
    labels = np.array([0, 1, 2, 0])
    assert co_prediction(first, second, labels).purify[3]
    assert not relabel(first, second, labels).changed.any()


def test_two_opinions_must_be_about_the_same_labels():
    with pytest.raises(UserError, match=r"\(3, 2\) and \(3, 3\)"):
        co_prediction(
            np.full((3, 2), 0.5, dtype=np.float32),
            np.full((3, 3), 0.3, dtype=np.float32),
            np.array([0, 1, 0]),
        )
