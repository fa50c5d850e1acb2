"""Each item goes where its expected cost is lowest, within the limits."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.quality.routing import Option, Plan, route, route_to_accuracy

CHEAP = np.array([0.01, 0.05, 0.2, 0.4, 0.9])
STRONG = np.array([0.01, 0.02, 0.05, 0.35, 0.1])


def three(human_error: float = 0.0) -> list[Option]:
    return [
        Option("human", 0.10, np.full(5, human_error)),
        Option("cheap", 0.0, CHEAP),
        Option("strong", 0.01, STRONG),
    ]


def chosen(plan: Plan) -> list[str]:
    return [plan.names[place] for place in plan.choice]


def test_each_item_goes_where_price_and_expected_error_cost_least() -> None:
    plan = route(three(), error_cost=0.5)
    assert chosen(plan) == ["cheap", "strong", "strong", "human", "strong"]
    assert plan.price == pytest.approx(0.13)
    assert plan.expected_error == pytest.approx((0.01 + 0.02 + 0.05 + 0 + 0.1) / 5)


def test_a_person_is_asked_exactly_where_the_error_costs_more_than_the_answer() -> None:
    error = np.array([0.09, 0.11, 0.5])
    options = [Option("llm", 0.0, error), Option("human", 0.1, np.zeros(3))]
    assert chosen(route(options, error_cost=1.0)) == ["llm", "human", "human"]


def test_a_person_who_errs_as_often_as_the_model_is_not_asked() -> None:
    options = [Option("llm", 0.0, np.array([0.2])), Option("human", 0.1, np.array([0.2]))]
    assert chosen(route(options, error_cost=1e6)) == ["llm"]


def test_an_item_that_a_model_did_not_answer_goes_on() -> None:
    options = [Option("llm", 0.0, np.array([1.0, 0.1])), Option("human", 0.1, np.zeros(2))]
    assert chosen(route(options, error_cost=0.2)) == ["human", "llm"]


def test_few_people_get_the_items_where_they_prevent_most() -> None:
    plan = route(three(), error_cost=100.0, people=2)
    assert plan.rows("human").tolist() == [4, 3]
    assert chosen(plan)[2] == "strong"
    assert "the human labels are spent" in plan.reason(2)


def test_an_item_that_no_person_is_left_for_goes_to_the_strong_model_if_that_helps() -> None:
    cheap, strong = np.array([0.9, 0.8]), np.array([0.6, 0.55])
    options = [
        Option("cheap", 0.0, cheap),
        Option("strong", 0.05, strong),
        Option("human", 0.1, np.zeros(2)),
    ]
    plan = route(options, error_cost=1.0, people=1)
    assert chosen(route(options, error_cost=1.0)) == ["human", "human"]
    assert chosen(plan) == ["human", "strong"]
    assert "the human labels are spent" in plan.reason(1)


def test_the_budget_is_never_exceeded_and_buys_the_best_value_first() -> None:
    plan = route(three(), error_cost=100.0, usd=0.03)
    assert chosen(plan) == ["cheap", "cheap", "strong", "strong", "strong"]
    assert plan.price == pytest.approx(0.03)
    assert "the budget is spent" in plan.reason(3)


def test_rows_are_the_most_doubtful_first() -> None:
    plan = route(three()[:2], error_cost=100.0)
    assert plan.rows("human").tolist() == [4, 3, 2, 1, 0]


def test_the_reason_says_what_was_weighed() -> None:
    plan = route(three(), error_cost=0.5)
    assert plan.reason(0).startswith("cheap: costs least")
    assert plan.reason(4) == (
        "strong: the error it prevents costs more than it does (expected error 90.0%, then 10.0%)"
    )


def test_a_target_is_reached_with_the_fewest_people() -> None:
    error = np.array([0.5, 0.1, 0.3, 0.1])
    options = [Option("llm", 0.0, error), Option("human", 1.0, np.zeros(4))]
    plan = route_to_accuracy(options, target=0.9)
    assert plan.reached
    assert plan.rows("human").tolist() == [0, 2]
    assert plan.expected_error == pytest.approx(0.05)
    assert "needed to reach the target" in plan.reason(0)
    assert "expected without" in plan.reason(1)


def test_a_target_beyond_all_options_is_said_to_be() -> None:
    plan = route_to_accuracy(three(human_error=0.3), target=0.99)
    assert plan.reached is False
    assert plan.expected_error > 0.01


def test_a_target_that_is_reached_already_costs_nothing() -> None:
    plan = route_to_accuracy([Option("llm", 0.0, np.full(3, 0.01))], target=0.9)
    assert (plan.reached, plan.price) == (True, 0.0)


def test_no_items_give_an_empty_plan() -> None:
    plan = route([Option("llm", 0.0, np.empty(0))], error_cost=1.0)
    assert (len(plan.choice), plan.price, plan.expected_error) == (0, 0.0, 0.0)


errors = st.lists(st.floats(0, 1), min_size=4, max_size=4).map(np.array)


@given(errors, errors, errors, st.floats(0, 20))
def test_without_limits_no_other_choice_costs_less(
    cheap: np.ndarray, strong: np.ndarray, human: np.ndarray, cost: float
) -> None:
    options = [Option("a", 0.0, cheap), Option("b", 0.3, strong), Option("c", 1.0, human)]
    plan = route(options, error_cost=cost)
    found = plan.price + cost * plan.after.sum()
    table = np.stack([0 + cost * cheap, 0.3 + cost * strong, 1 + cost * human])
    assert found == pytest.approx(table.min(axis=0).sum(), abs=1e-6)


@given(errors, errors, st.floats(0, 2), st.integers(0, 4))
def test_within_limits_the_plan_is_one_upgrade_short_of_the_best_at_most(
    cheap: np.ndarray, strong: np.ndarray, usd: float, people: int
) -> None:
    options = [Option("a", 0.0, cheap), Option("b", 0.3, strong), Option("c", 1.0, np.zeros(4))]
    plan = route(options, error_cost=1e6, usd=usd, people=people)
    assert plan.price <= usd + 1e-6
    assert (plan.choice == 2).sum() <= people
    if people < 4:
        return
    prices, table = np.array([0, 0.3, 1.0]), np.stack([cheap, strong, np.zeros(4)])
    best = min(
        table[list(pick), range(4)].sum()
        for pick in product(range(3), repeat=4)
        if prices[list(pick)].sum() <= usd + 1e-9
    )
    # An error that 1e6 does not make worth its price may be left.
    assert plan.after.sum() <= best + 1.0 + 1e-4


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ([], {}, "no option"),
        ([Option("a", 0.0, CHEAP), Option("a", 1.0, CHEAP)], {}, "share a name"),
        ([Option("a", 0.0, CHEAP), Option("b", 0.0, CHEAP)], {}, "share a name or a price"),
        ([Option("a", 0.0, np.array([np.nan]))], {}, "missing"),
        ([Option("a", 0.0, CHEAP), Option("b", 1.0, CHEAP[:2])], {}, "shape"),
        ([Option("a", -1.0, CHEAP)], {}, "costs -1.0"),
        ([Option("a", 1.0, CHEAP)], {"usd": 4.0}, "do not pay"),
        ([Option("a", 1.0, CHEAP)], {"error_cost": -1.0}, "error_cost"),
        ([Option("a", 1.0, CHEAP)], {"people": -1}, "people"),
    ],
)
def test_what_does_not_fit_is_refused(
    options: list[Option], arguments: dict[str, float], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        route(options, **{"error_cost": 1.0, **arguments})


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(UserError, match="cheap, strong, human"):
        route(three(), error_cost=1.0).rows("robot")


@pytest.mark.parametrize("target", [0.0, 1.0, 95.0])
def test_a_target_that_is_no_share_is_refused(target: float) -> None:
    with pytest.raises(UserError, match="target"):
        route_to_accuracy(three(), target=target)
