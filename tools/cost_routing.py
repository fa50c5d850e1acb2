"""Which labels of a batch are left to a model, and which go to a person, by expected cost.

Used where it is known what a wrong label costs (`--wrong-label-usd`). An item costs what its
labeller costs and, if the label is wrong, what a wrong label costs; it goes where that is least
(`quality.routing.route`). First the stronger model is weighed for what the first one doubts, by
how often it is right on gold and what it has cost for an item so far; then, with its answers there,
a person.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import ToolContext
from .budget import budget_left
from .opinions import Opinion
from .quality.routing import REASONS, Option, Plan, route

MODEL, STRONG, PERSON = "model", "strong", "person"
LEAST_PRICE = 1e-9
"""US dollars for a stronger model that costs nothing: two labellers may not share a price."""
_LEFT_OPEN = tuple(place for place, why in enumerate(REASONS) if "spent" in why)


@dataclass(frozen=True, slots=True)
class Routed:
    """Where the items of a batch go.

    Attributes:
        accepted: (n,) whether the label at hand needs no person.
        plan: of the known items; `None` where no item has a calibrated confidence.
        known: (n,) whether the label at hand has a calibrated confidence.
    """

    accepted: NDArray[np.bool_]
    plan: Plan | None
    known: NDArray[np.bool_]

    def as_result(self) -> dict[str, Any]:
        """How many items went to which labeller, and why."""
        labeller: Counter[str] = Counter()
        why: Counter[str] = Counter()
        if self.plan is not None:
            labeller.update(self.plan.names[place] for place in self.plan.choice)
            why.update(REASONS[place] for place in self.plan.why)
        unknown = int((~self.known).sum())
        if unknown:
            labeller[PERSON] += unknown
            why["no calibrated confidence"] += unknown
        return {"labeller": dict(labeller), "why": dict(why)}


def worth_asking(
    context: ToolContext, confidence: NDArray[np.float64], strong: Opinion
) -> NDArray[np.int64]:
    """Places of the items that a stronger model is to be asked about, by expected cost.

    Args:
        context: of the tool that asks.
        confidence: (n,) in the label at hand; nan where it is not known.
        strong: what the stronger model says of the gold items.
    """
    known = np.flatnonzero(~np.isnan(confidence))
    if not len(known) or strong.pilot is None or not strong.useful:
        return known[:0]
    price = max(LEAST_PRICE, price_of_item(context, strong))
    if price >= context.settings.label_price:
        # A person costs no more and does not err.
        return known[:0]
    doubt = 1 - confidence[known]
    expected = np.full(len(known), 1 - strong.pilot.accuracy.estimate)
    plan = _routed(
        context,
        [Option(MODEL, 0.0, doubt), Option(STRONG, price, expected), _person(context, len(known))],
    )
    return np.sort(known[plan.rows(STRONG)])


def accepted_by_cost(context: ToolContext, confidence: NDArray[np.float64]) -> Routed:
    """Which labels at hand are cheaper than a person, a wrong one at its price.

    A label without a calibrated confidence goes to a person. So does, in effect, one for which a
    person would be worth the price but can not be paid any more: it is left open, not accepted.

    Args:
        context: of the tool that asks.
        confidence: (n,) in the label at hand; nan where it is not known.
    """
    known = ~np.isnan(confidence)
    accepted = np.zeros(len(confidence), dtype=bool)
    if not known.any():
        return Routed(accepted, None, known)
    at_hand = Option(MODEL, 0.0, 1 - confidence[known])
    plan = _routed(context, [at_hand, _person(context, int(known.sum()))])
    machine = plan.choice == plan.names.index(MODEL)
    accepted[known] = machine & ~np.isin(plan.why, _LEFT_OPEN)
    return Routed(accepted, plan, known)


def price_of_item(context: ToolContext, strong: Opinion) -> float:
    """Mean US dollars that the stronger model's annotation of an item has cost so far.

    Of the items for which something was paid; 0 where nothing was. An answer from the cache costs
    nothing and says nothing of what the next item will cost.
    """
    before = context.store.annotations(purposes=("suggest",), kinds=(strong.kind,))
    costs = [each.usd for each in before if each.annotator == strong.name]
    paid = [usd for usd in (*costs, *(note.usd for note in strong.on_gold)) if usd > 0]
    return sum(paid) / len(paid) if paid else 0.0


def _person(context: ToolContext, items: int) -> Option:
    return Option(PERSON, context.settings.label_price, np.zeros(items))


def _routed(context: ToolContext, options: list[Option]) -> Plan:
    plan, price = context.plan, context.settings.label_price
    left = budget_left(context.store, context.spec.budgets, plan, price)
    usd = left.usd
    if usd is not None:
        asked = len(context.store.human_labels(("audit",)))
        usd = max(0.0, usd - price * max(0, plan.audit - asked))
    wrong = context.settings.wrong_label_usd
    assert wrong is not None
    return route(options, error_cost=wrong, usd=usd, people=left.training_labels)
