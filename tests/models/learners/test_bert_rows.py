"""Which rows a transformer is trained on, how often, and which are held out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.models.learners.bert_rows import (
    BATCH_ROWS,
    batches,
    held_out,
    rarity,
    with_label_texts,
)


def test_each_label_s_text_is_a_row_of_its_own() -> None:
    targets = np.array([[0.5, 0.5, 0.0]], dtype=np.float32)
    found, weights = with_label_texts(targets, np.ones(1, dtype=np.float32))
    np.testing.assert_array_equal(found, np.concatenate([targets, np.eye(3)]))
    assert weights.tolist() == [1.0, 4.0, 4.0, 4.0]
    assert found.dtype == weights.dtype == np.float32


def test_rare_labels_count_more_and_even_ones_alike() -> None:
    targets = np.eye(2, dtype=np.float32)[[0] * 9 + [1]]
    found = rarity(targets, np.ones(10, dtype=np.float32))
    assert found[9] == pytest.approx(np.sqrt(5 / 1))
    assert found[0] == pytest.approx(np.sqrt(5 / 9))
    even = rarity(np.eye(2, dtype=np.float32), np.ones(2, dtype=np.float32))
    np.testing.assert_allclose(even, 1.0)


def test_a_row_of_two_labels_counts_as_their_mean_and_one_of_none_as_one() -> None:
    targets = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [0, 0]], dtype=np.float32)
    found = rarity(targets, np.ones(5, dtype=np.float32))
    common = found[0]
    rare = np.sqrt(2.5 / 1)
    assert found[3] == pytest.approx((common + rare) / 2)
    assert found[4] == 1.0


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=80),
    seed=st.integers(0, 10),
)
def test_a_fifth_of_each_label_is_held_out(labels: list[int], seed: int) -> None:
    found = held_out(np.eye(5, dtype=np.float32)[labels], 5, seed)
    for label in range(5):
        of_label = np.array(labels) == label
        assert found[of_label].sum() == of_label.sum() // 5


def test_other_seeds_hold_out_other_rows() -> None:
    targets = np.eye(2, dtype=np.float32)[[0, 1] * 50]
    assert not np.array_equal(held_out(targets, 5, 0), held_out(targets, 5, 1))
    assert np.array_equal(held_out(targets, 5, 0), held_out(targets, 5, 0))


def test_rows_are_drawn_as_often_as_they_are_said_to() -> None:
    lengths = np.full(100, 7)
    often = np.where(np.arange(100) < 10, 9.0, 1.0).astype(np.float32)
    drawn = np.concatenate(list(batches(lengths, 400, 0, often)))
    assert len(drawn) == 400 * BATCH_ROWS
    assert (drawn < 10).mean() == pytest.approx(0.5, abs=0.05)
