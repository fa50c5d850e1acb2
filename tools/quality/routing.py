"""Who labels each item: a cheap model, a strong one or a person.

An item costs the price of whoever labels it and, if that label is wrong, what a wrong label costs.
A better labeller is worth its price where price < (P(err) now - P(err) then) * cost of an error;
for a person who does not err that is price < P(err) * cost of an error. With a budget the
upgrades that prevent most error for a dollar come first. Arrays in, a plan out; nothing is asked
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError

_CHEAPEST = "costs least, and no upgrade is worth its price"
_NO_MONEY = "an upgrade would be worth its price, but the budget is spent"
_NO_PEOPLE = "a person would be worth the price, but the human labels are spent"
_WORTH = "the error it prevents costs more than it does"
_TARGET = "needed to reach the target accuracy"
_REACHED = "the target accuracy is expected without an upgrade"
REASONS = (_CHEAPEST, _NO_MONEY, _NO_PEOPLE, _WORTH, _TARGET, _REACHED)


@dataclass(frozen=True, slots=True)
class Option:
    """One labeller.

    Attributes:
        name: such as `cheap`, `strong`, `human`.
        price: US dollars an item, at least 0; 0 for a label that is there already.
        error: (n,) chance that its label of each item is wrong, in [0, 1]; 1 where it gave none.
    """

    name: str
    price: float
    error: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plan:
    """Who labels what.

    Attributes:
        names: of the options, cheapest first.
        choice: (n,) place of the chosen option in `names`.
        why: (n,) place of the reason in `REASONS`.
        before: (n,) chance of error with the cheapest option.
        after: (n,) chance of error with the chosen one.
        price: US dollars for all items together.
        expected_error: mean of `after`.
        reached: whether a target was expected to be reached; `None` where there was none.
    """

    names: tuple[str, ...]
    choice: NDArray[np.int64]
    why: NDArray[np.int64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    price: float
    expected_error: float
    reached: bool | None = None

    def rows(self, name: str) -> NDArray[np.int64]:
        """The items that go to an option, the most doubtful first.

        Raises:
            UserError: no option of that name.
        """
        if name not in self.names:
            raise UserError(f"no option is called {name!r}: use one of {', '.join(self.names)}")
        found = np.flatnonzero(self.choice == self.names.index(name))
        return found[np.argsort(-self.before[found], kind="stable")]

    def reason(self, row: int) -> str:
        """Why an item goes where it goes, in words."""
        name = self.names[self.choice[row]]
        was, then = self.before[row], self.after[row]
        change = f"{was:.1%}" if was == then else f"{was:.1%}, then {then:.1%}"
        return f"{name}: {REASONS[self.why[row]]} (expected error {change})"


@dataclass(frozen=True, slots=True)
class _Steps:
    """Upgrades in the order in which they are worth it; those of one item are in its own order."""

    item: NDArray[np.int64]
    to: NDArray[np.int64]
    price: NDArray[np.float64]
    gain: NDArray[np.float64]


def route(
    options: Sequence[Option],
    *,
    error_cost: float,
    usd: float | None = None,
    people: int | None = None,
) -> Plan:
    """Send each item where its expected cost, price + P(err) * error_cost, is lowest.

    With limits, upgrades are taken by error prevented for a dollar until one no longer fits: the
    greedy solution of the multiple-choice knapsack, at most one upgrade short of the best
    (Sinha & Zoltners 1979). The most expensive option is the one that `people` limits.

    Args:
        options: at least one; different names and prices.
        error_cost: US dollars that one wrong label costs, at least 0.
        usd: for all items together, at least the cheapest option for all of them.
        people: items that may go to the most expensive option.

    Raises:
        UserError: arguments out of range or not fitting, or a budget that pays not even the
            cheapest option.
    """
    if not 0 <= error_cost < np.inf:
        raise UserError(f"error_cost is {error_cost!r}: give a number of at least 0")
    kinds = _checked(options)
    limit = len(kinds[0].error) if people is None else people
    if limit < 0:
        raise UserError(f"people is {people!r}: give a number of at least 0")
    steps = _worth(_steps(kinds), error_cost)
    without = steps.item[steps.to == len(kinds) - 1][limit:] if len(kinds) > 1 else steps.item[:0]
    if len(without):
        steps = _worth(_steps(_closed(kinds, without)), error_cost)
    paid = _paid(steps, kinds, usd)
    return _plan(kinds, steps, taken=paid, blocked=(without, steps.item[~paid]), why=_WORTH)


def route_to_accuracy(options: Sequence[Option], *, target: float) -> Plan:
    """The cheapest plan whose expected accuracy reaches a target.

    Upgrades are taken by error prevented for a dollar until the mean of P(err) is at most
    1 - target. As good as the chances it is given: calibrate them, and certify the outcome.

    Args:
        options: at least one; different names and prices.
        target: accuracy over all items, in (0, 1).

    Raises:
        UserError: arguments out of range or not fitting.
    """
    if not 0 < target < 1:
        raise UserError(f"target is {target!r}: give a number between 0 and 1")
    kinds = _checked(options)
    steps = _steps(kinds)
    total = kinds[0].error.sum() - np.concatenate([[0.0], np.cumsum(steps.gain)])
    enough = np.flatnonzero(total <= (1 - target) * len(kinds[0].error) + 1e-9)
    reached = len(enough) > 0
    count = int(enough[0]) if reached else len(steps.gain)
    taken = np.arange(len(steps.gain)) < count
    none = np.empty(0, dtype=np.int64)
    why = _TARGET if reached else _WORTH
    plan = _plan(kinds, steps, taken=taken, blocked=(none, none), why=why, reached=reached)
    if reached:
        plan.why[plan.choice == 0] = REASONS.index(_REACHED)
    return plan


def _checked(options: Sequence[Option]) -> list[Option]:
    """The options, cheapest first."""
    kinds = sorted(options, key=lambda each: each.price)
    if not kinds:
        raise UserError("there is no option: give at least one")
    names, prices = {each.name for each in kinds}, {each.price for each in kinds}
    if len(names) < len(kinds) or len(prices) < len(kinds):
        raise UserError("two options share a name or a price: give each its own")
    for each in kinds:
        fits = each.error.ndim == 1 and each.error.shape == kinds[0].error.shape
        if not fits or not ((each.error >= 0) & (each.error <= 1)).all():
            raise UserError(
                f"the errors of {each.name!r} have shape {each.error.shape!r}, or a value outside "
                "[0, 1] or missing: give one for each item, 1 where it gave no label"
            )
        if not 0 <= each.price < np.inf:
            raise UserError(f"{each.name!r} costs {each.price!r}: give a number of at least 0")
    return kinds


def _steps(kinds: list[Option]) -> _Steps:
    """Every upgrade on the lower hull of (price, error) of its item, the best value first.

    On the hull the value of an item's upgrades falls, so a sort by value keeps their order.
    """
    prices = np.array([each.price for each in kinds])
    errors = np.stack([each.error for each in kinds], axis=1)
    at = np.zeros(len(errors), dtype=np.int64)
    rows = np.arange(len(errors))
    found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    origin: list[NDArray[np.int64]] = []
    for _ in range(len(kinds) - 1):
        gain = errors[rows, at][:, None] - errors
        dearer = prices[None, :] - prices[at][:, None]
        value = np.where(dearer > 0, gain / np.where(dearer > 0, dearer, 1.0), -np.inf)
        best = value.argmax(axis=1)
        moved = np.flatnonzero(value[rows, best] > 0)
        found.append((moved, best[moved]))
        origin.append(at[moved])
        at[moved] = best[moved]
    if not found:
        nothing = np.empty(0, dtype=np.int64)
        return _Steps(nothing, nothing, np.empty(0), np.empty(0))
    item = np.concatenate([each for each, _ in found])
    to, start = np.concatenate([each for _, each in found]), np.concatenate(origin)
    price, gain = prices[to] - prices[start], errors[item, start] - errors[item, to]
    order = np.argsort(-gain / price, kind="stable")
    return _Steps(item[order], to[order], price[order], gain[order])


def _worth(steps: _Steps, error_cost: float) -> _Steps:
    """The steps that prevent more than they cost."""
    kept = steps.gain * error_cost > steps.price
    return _Steps(steps.item[kept], steps.to[kept], steps.price[kept], steps.gain[kept])


def _closed(kinds: list[Option], items: NDArray[np.int64]) -> list[Option]:
    """The options, the last one being of no use to some items."""
    error = kinds[-1].error.copy()
    error[items] = 1.0
    return [*kinds[:-1], replace(kinds[-1], error=error)]


def _paid(steps: _Steps, kinds: list[Option], usd: float | None) -> NDArray[np.bool_]:
    """Which of the steps the money pays for."""
    if usd is None:
        return np.ones(len(steps.item), dtype=np.bool_)
    left = usd - kinds[0].price * len(kinds[0].error)
    if left < -1e-9:
        raise UserError(
            f"{usd!r} US dollars do not pay for {len(kinds[0].error)!r} labels by "
            f"{kinds[0].name!r} at {kinds[0].price!r}: give more, or fewer items"
        )
    return np.asarray(np.cumsum(steps.price) <= left + 1e-9, dtype=np.bool_)


def _plan(
    kinds: list[Option],
    steps: _Steps,
    *,
    taken: NDArray[np.bool_],
    blocked: tuple[NDArray[np.int64], NDArray[np.int64]],
    why: str,
    reached: bool | None = None,
) -> Plan:
    """The plan after the upgrades that were taken; `blocked` has the items that lacked a limit."""
    items = len(kinds[0].error)
    choice = np.zeros(items, dtype=np.int64)
    reason = np.full(items, REASONS.index(_CHEAPEST), dtype=np.int64)
    choice[steps.item[taken]] = steps.to[taken]
    reason[steps.item[taken]] = REASONS.index(why)
    for rows, name in zip(blocked, (_NO_PEOPLE, _NO_MONEY), strict=True):
        reason[rows] = REASONS.index(name)
    errors = np.stack([each.error for each in kinds], axis=1)
    after = errors[np.arange(items), choice]
    prices = np.array([each.price for each in kinds])
    return Plan(
        tuple(each.name for each in kinds),
        choice,
        reason,
        kinds[0].error,
        after,
        float(prices[choice].sum()),
        float(after.mean()) if items else 0.0,
        reached,
    )
