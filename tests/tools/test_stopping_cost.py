"""The cost optimum: the fitted learning curve, and the batch that is no longer worth its price."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.stopping import CostOptimum, Criterion, History, RoundRecord
from labelwright.tools.stopping_cost import PowerLaw, fit_power_law
from stoppers import StopperContract

PRICES: dict[str, Any] = {"items": 10_000, "error_price": 0.1, "label_price": 0.5, "batch": 50}


def learning(curve: PowerLaw, *labels: int, n: int = 10_000) -> History:
    return History(
        tuple(
            RoundRecord(r, many, accuracy=1 - curve.at(many), accuracy_n=n)
            for r, many in enumerate(labels, start=1)
        )
    )


class TestCostOptimum(StopperContract):
    """error = n^-0.5, 10,000 items at 0.1: the next 50 labels, for 25, pay up to 77."""

    def criterion(self) -> Criterion:
        return CostOptimum(**PRICES)

    def stops_at(self) -> History:
        return learning(PowerLaw(1.0, 0.5, 0.0), 20, 50, 150)

    def goes_on_at(self) -> History:
        return learning(PowerLaw(1.0, 0.5, 0.0), 10, 20, 50)


@pytest.mark.parametrize("rate", [0.2, 0.5, 1.0])
def test_stops_where_the_whole_cost_is_least(rate: float) -> None:
    curve = PowerLaw(0.9, rate, 0.0)
    prices = PRICES | {"batch": 10, "label_price": 0.2}
    grid = list(range(10, 1500, 10))
    costs = [curve.at(n) * 10_000 * 0.1 + n * 0.2 for n in grid]
    best = grid[int(np.argmin(costs))]
    stopping = [
        n
        for n in grid[3:]
        if CostOptimum(**prices).judge(learning(curve, n // 4, n // 2, n, n=10**6)).stop
    ]
    assert abs(stopping[0] - max(best, grid[3])) <= 10
    assert stopping == [n for n in grid if n >= stopping[0]]


def test_signal_is_gain_less_price_and_the_reason_has_both() -> None:
    curve = PowerLaw(1.0, 0.5, 0.0)
    verdict = CostOptimum(**PRICES).judge(learning(curve, 25, 100, 400, n=10**7))
    gain = (curve.at(400) - curve.at(450)) * 1000
    assert verdict.signal == pytest.approx(gain - 25, abs=0.05)
    assert verdict.stop
    assert "next 50 labels cost 25.00" in verdict.reason
    assert "fitted to 3 rounds" in verdict.reason


def test_worthless_labels_stop_and_dear_errors_go_on() -> None:
    flat = History(tuple(RoundRecord(n, 50 * n, accuracy=0.8, accuracy_n=100) for n in (1, 2, 3)))
    verdict = CostOptimum(**PRICES).judge(flat)
    assert verdict.stop
    assert verdict.signal == pytest.approx(-25.0, abs=1e-6)
    falling = learning(PowerLaw(1.0, 0.5, 0.0), 25, 100, 400)
    assert not CostOptimum(**PRICES | {"error_price": 10.0}).judge(falling).stop


def test_no_error_seen_in_few_items_is_not_none() -> None:
    lucky = History(tuple(RoundRecord(n, 20 * n, accuracy=1.0, accuracy_n=20) for n in (1, 2, 3)))
    assert CostOptimum(**PRICES).judge(lucky).signal is not None


def test_rounds_without_new_labels_do_not_count() -> None:
    same = History(tuple(RoundRecord(n, 40, accuracy=0.5, accuracy_n=20) for n in (1, 2, 3)))
    verdict = CostOptimum(**PRICES).judge(same)
    assert not verdict.stop
    assert "1 of 3 rounds" in verdict.reason


@settings(deadline=None, max_examples=40)
@given(
    scale=st.floats(0.3, 0.9),
    rate=st.floats(0.1, 0.9),
    rounds=st.integers(3, 8),
)
def test_fit_finds_an_exact_curve_again(scale: float, rate: float, rounds: int) -> None:
    curve = PowerLaw(scale, rate, 0.0)
    labels = [20.0 * n for n in range(1, rounds + 1)]
    found = fit_power_law(labels, [curve.at(n) for n in labels])
    assert found.rate == pytest.approx(rate, abs=1e-6)
    assert found.scale == pytest.approx(scale, rel=1e-6)
    assert found.floor == 0.0


def test_fit_finds_a_floor_from_four_rounds_on() -> None:
    curve = PowerLaw(2.0, 1.0, 0.1)
    labels = [10.0, 20.0, 50.0, 100.0, 400.0]
    found = fit_power_law(labels, [curve.at(n) for n in labels])
    assert found.floor == pytest.approx(0.1, abs=0.01)
    assert found.at(1000) == pytest.approx(curve.at(1000), rel=0.05)
    assert fit_power_law(labels[:3], [curve.at(n) for n in labels[:3]]).floor == 0.0


def test_errors_that_rise_give_a_flat_curve() -> None:
    found = fit_power_law([10, 20, 30], [0.1, 0.2, 0.3])
    assert found.rate == 0.0
    assert 0.1 < found.at(100) < 0.3


def test_rounds_measured_on_more_items_weigh_more() -> None:
    labels, errors = [10, 40, 160], [0.4, 0.2, 0.2]
    to_fall = fit_power_law(labels, errors, [1000, 1000, 1])
    to_flat = fit_power_law(labels, errors, [1, 1000, 1000])
    assert to_fall.rate > 0.45
    assert to_flat.rate < 0.05


@pytest.mark.parametrize(
    ("labels", "errors", "items", "words"),
    [
        ([10], [0.5], None, "two different numbers"),
        ([10, 10], [0.5, 0.4], None, "two different numbers"),
        ([10, 20], [0.5], None, "one length"),
        ([0, 20], [0.5, 0.4], None, "at least 1"),
        ([10, 20], [0.5, 0.0], None, "between 0 and 1"),
        ([10, 20], [0.5, 0.4], [1, 0], "at least one item"),
    ],
)
def test_fit_refuses(labels: Any, errors: Any, items: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        fit_power_law(labels, errors, items)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("error_price", 0.0),
        ("error_price", float("nan")),
        ("label_price", 0.0),
        ("label_price", -1.0),
        ("items", -1),
        ("batch", 0),
        ("rounds", 2),
    ],
)
def test_refuses_parameters_out_of_range(name: str, value: float) -> None:
    with pytest.raises(UserError, match=f"{name} is "):
        CostOptimum(**PRICES | {name: value})
