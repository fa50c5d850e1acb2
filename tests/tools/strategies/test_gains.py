"""What a batch gained, measured without a test set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.strategies.wrappers.gains import gain

NONE = np.empty(0, dtype=np.int64)


def test_a_batch_of_the_rare_label_gains_more_than_one_of_the_common() -> None:
    known = np.array([0] * 20 + [1] * 3)
    common, mixed, rare = (gain(known, np.array(b), 2) for b in ([0] * 6, [0, 1] * 3, [1] * 6))
    assert common < mixed < rare


def test_a_batch_that_finds_a_new_label_gains_more() -> None:
    known = np.array([0, 1] * 10)
    assert gain(known, np.array([0, 1, 2]), 3) > gain(known, np.array([0, 1, 0]), 3)


def test_is_the_entropy_of_the_shares_over_that_of_even_ones() -> None:
    shares = np.array([0.5, 0.25, 0.25])
    expected = -(shares * np.log(shares)).sum() / np.log(4)
    assert gain(np.array([0, 0, 1]), np.array([2]), 4) == pytest.approx(expected)


def test_even_labels_give_1_and_a_single_one_0() -> None:
    assert gain(np.array([0, 1, 2]), np.array([2, 1, 0]), 3) == pytest.approx(1)
    assert gain(np.array([2, 2]), np.array([2]), 3) == 0
    assert gain(NONE, np.array([0, 1]), 2) == pytest.approx(1)


def test_items_with_several_labels_count_for_each() -> None:
    known, batch = np.array([[1, 1, 0], [1, 0, 0]]), np.array([[0, 0, 1]])
    assert gain(known, batch, 3) == pytest.approx(gain(np.array([0, 0, 1]), np.array([2]), 3))
    assert gain(known[:0], np.zeros((2, 3), dtype=np.int64), 3) == 0


@given(
    st.lists(st.integers(0, 5), max_size=30), st.lists(st.integers(0, 5), min_size=1, max_size=9)
)
def test_lies_between_0_and_1_and_the_order_does_not_matter(
    known: list[int], new: list[int]
) -> None:
    found = gain(np.array(known, dtype=np.int64), np.array(new), 6)
    assert 0 <= found <= 1
    assert found == gain(np.array(known[::-1], dtype=np.int64), np.array(new[::-1]), 6)


def test_refuses_what_does_not_fit() -> None:
    with pytest.raises(UserError, match="batch of 0 items"):
        gain(np.array([0, 1]), NONE, 2)
    with pytest.raises(UserError, match="1 classes"):
        gain(np.array([0]), np.array([0]), 1)
    with pytest.raises(UserError, match="index 3 is not within 0 to 2"):
        gain(np.array([0, 1]), np.array([3]), 3)
    with pytest.raises(UserError, match=r"\(1, 4\) for 3 classes"):
        gain(np.zeros((1, 4), dtype=np.int64), np.zeros((1, 3), dtype=np.int64), 3)
