"""Two models on the same gold items."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.gating import compare, paired_interval
from numpy.typing import NDArray


def sure(labels: list[int], p: float = 0.9) -> NDArray[np.float32]:
    found = np.full((len(labels), 3), (1 - p) / 2, dtype=np.float32)
    found[np.arange(len(labels)), labels] = p
    return found


TRUTH = np.array([0, 1, 2, 0, 1, 2])


def test_more_right_helps_and_fewer_does_not() -> None:
    worse, better = sure([0, 1, 2, 1, 2, 0]), sure([0, 1, 2, 0, 1, 0])
    found = compare(TRUTH, worse, better, 0.95)
    assert (found.fixed, found.broken, found.helps) == (2, 0, True)
    assert found.difference == pytest.approx(found.with_generated - found.without)
    assert not compare(TRUTH, better, worse, 0.95).helps


def test_more_right_at_a_greater_loss_does_not_help() -> None:
    unsure, rash = sure([0, 1, 2, 0, 1, 0], 0.5), sure([0, 1, 2, 0, 2, 2], 0.999)
    first, second = compare(TRUTH, unsure, rash, 0.95), compare(TRUTH, rash, unsure, 0.95)
    assert first.fixed == first.broken == 1
    more = sure([0, 1, 2, 0, 1, 0], 0.999)
    found = compare(TRUTH, sure([0, 1, 2, 0, 0, 0], 0.4), more, 0.95)
    assert found.fixed > found.broken
    assert found.loss_with > found.loss_without
    assert [each.helps for each in (found, first, second)] == [False] * 3


def test_a_tie_does_not_help_whatever_the_loss() -> None:
    right = [0, 1, 2, 0, 1, 2]
    found = compare(TRUTH, sure(right, 0.6), sure(right, 0.9), 0.95)
    assert found.loss_with < found.loss_without
    assert not found.helps
    assert found.low < 0 < found.high


def test_the_interval_is_that_of_the_paper() -> None:
    # Bonett & Price (2012): z sqrt((p + q - (p - q)^2) / (n + 2)) about (8 - 3) / 22.
    p, q, z = 8 / 22, 3 / 22, 1.959964
    half = z * np.sqrt((p + q - (p - q) ** 2) / 22)
    assert paired_interval(7, 2, 20, 0.95) == pytest.approx((p - q - half, p - q + half), abs=1e-6)


@given(st.integers(1, 60), st.data())
def test_the_interval_is_symmetric_and_within_bounds(n: int, data: st.DataObject) -> None:
    fixed = data.draw(st.integers(0, n))
    broken = data.draw(st.integers(0, n - fixed))
    low, high = paired_interval(fixed, broken, n, 0.9)
    assert -1 <= low <= high <= 1
    assert paired_interval(broken, fixed, n, 0.9) == pytest.approx((-high, -low))


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    p, q, n, hits = 0.15, 0.05, 50, 0
    for _ in range(2000):
        fixed, broken, _ = rng.multinomial(n, [p, q, 1 - p - q])
        low, high = paired_interval(int(fixed), int(broken), n, 0.95)
        hits += low <= p - q <= high
    assert hits / 2000 >= 0.94


@pytest.mark.parametrize("given", [(3, 3, 5, 0.95), (-1, 0, 5, 0.95), (1, 1, 5, 1.0)])
def test_counts_that_do_not_fit_are_refused(given: tuple[int, int, int, float]) -> None:
    with pytest.raises(UserError, match="make no interval"):
        paired_interval(*given)


def test_no_gold_is_refused() -> None:
    with pytest.raises(UserError, match="no gold items"):
        compare(np.empty(0, dtype=np.int64), sure([]), sure([]), 0.95)
