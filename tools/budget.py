"""How a budget of human labels is divided: what trains, what calibrates, what certifies."""

from __future__ import annotations

from dataclasses import dataclass

from ..store.database import Store
from ..store.spec import Budgets, LearnerName
from .acceptance import DELTA, gold_needed
from .gold import reserved_rows

GOLD_SHARE, GOLD_LEAST, GOLD_MOST = 0.15, 10, 60
GOLD_PART = 3
"""A good chat model is worth measuring well, with no more than this part of the labels."""
AUDIT_SHARE, AUDIT_LEAST, AUDIT_MOST = 0.25, 10, 300
ROUNDS: dict[LearnerName, int] = {"linear": 5, "svm": 5, "bert": 3, "setfit": 3}
"""More rounds choose better; a learner that takes minutes to fit gets fewer."""
SMALL = 40
"""Below this many labels nothing is spared for gold: all but the audit trains."""
UNLIMITED = 500
"""What a run without a limit plans with; it may ask on when the target is not reached."""


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """Human labels by purpose; `rounds` batches of `batch` items spend the training part.

    `reserve` of the training labels are kept back until it is known whether they are better spent
    on more gold (`gold`).
    """

    train: int
    gold: int
    audit: int
    rounds: int
    batch: int
    reserve: int = 0

    @property
    def total(self) -> int:
        """All human labels planned."""
        return self.train + self.gold + self.audit


def gold_wanted(target_accuracy: float | None, *, by_model: bool) -> int:
    """Gold items with which a chat model's sure labels may need no person; 0 where none annotates.

    Twice as many as are needed where all are accepted and right (`acceptance.gold_needed`): a
    threshold accepts a part of them, and one of them may be wrong.
    """
    if target_accuracy is None or not by_model:
        return 0
    return 2 * gold_needed(1 - target_accuracy, DELTA)


def label_plan(
    budgets: Budgets, items: int, learner: LearnerName, *, gold_wanted: int = 0
) -> LabelPlan:
    """Divide the human labels of a budget.

    Args:
        budgets: what may be spent.
        items: unique items of the pool; no more can be asked about.
        learner: what the rounds will train.
        gold_wanted: gold items that would be of use (`gold_wanted`); at most a third of the labels
            may be given to them, and none is kept back where that is too little for any threshold.
    """
    total = min(items, UNLIMITED if budgets.human_labels is None else budgets.human_labels)
    audit = min(AUDIT_MOST, max(AUDIT_LEAST, round(total * AUDIT_SHARE)), total // 2)
    gold = min(GOLD_MOST, max(GOLD_LEAST, round(total * GOLD_SHARE))) if total >= SMALL else 0
    larger = min(gold_wanted, total // GOLD_PART) if total >= SMALL else 0
    # Half of what is wanted is the least from which a threshold can be supported at all.
    reserve = max(0, larger - gold) if 2 * larger >= gold_wanted else 0
    train = total - audit - gold
    rounds = max(1, min(ROUNDS[learner], train // 10))
    return LabelPlan(train, gold, audit, rounds, max(1, -(-train // rounds)), reserve)


def labels_for(usd: float, label_price: float) -> int:
    """How many human labels an amount of money pays for; `label_price` is above 0."""
    # A sum of prices in floating point may miss the whole number by a hair.
    return int(usd / label_price + 1e-9)


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """What may still be spent; `None` means no limit of that kind."""

    human_labels: int | None
    training_labels: int
    usd: float | None
    minutes: float | None
    gold_reserve: int = 0
    """Labels set aside until the first gold items tell whether more of them are of use."""


def budget_left(store: Store, budgets: Budgets, plan: LabelPlan, label_price: float) -> BudgetLeft:
    """Budgets less what the ledger says was spent.

    `human_labels` is also no more than the money left pays for at `label_price` US dollars each.
    `training_labels` keeps back what the plan sets aside for gold and audit items that have not
    been asked yet, and the reserve of gold while that is open; it is never below 0.
    """
    spent = store.totals()
    trained = len(store.human_labels(("train",)))
    limit = budgets.human_labels
    usd = None if budgets.usd is None else max(0.0, budgets.usd - spent.usd)
    counts = [] if limit is None else [max(0, limit - spent.human_labels)]
    if usd is not None and label_price:
        counts.append(labels_for(usd, label_price))
    left = min(counts, default=None)
    reserve = _reserve(store, plan)
    training = plan.train - trained - _more_gold(store, plan) - reserve
    if left is not None:
        # A chat model's calls may have taken money that was meant for people.
        room = left - _unasked(store, plan)
        reserve = max(0, min(reserve, room))
        training = min(training, room - reserve)
    return BudgetLeft(
        human_labels=left,
        training_labels=max(0, training),
        usd=usd,
        minutes=None if budgets.minutes is None else max(0.0, budgets.minutes - spent.seconds / 60),
        gold_reserve=reserve,
    )


def _unasked(store: Store, plan: LabelPlan) -> int:
    """Gold and audit items that are planned and have no label yet, without the reserve."""
    gold, audit = (len(store.human_labels((purpose,))) for purpose in ("gold", "audit"))
    return (0 if gold_asked(store) else max(0, plan.gold - gold)) + max(0, plan.audit - audit)


def _reserve(store: Store, plan: LabelPlan) -> int:
    """Labels kept back for more gold: as planned before any was asked, then as drawn."""
    return len(reserved_rows(store)) if gold_asked(store) else plan.reserve


def _more_gold(store: Store, plan: LabelPlan) -> int:
    """Gold labels beyond the first part, which came out of those for training."""
    return min(plan.reserve, max(0, len(store.human_labels(("gold",))) - plan.gold))


def gold_asked(store: Store) -> bool:
    """Whether a person was asked about gold items, the first part at least."""
    return any(review.purpose == "gold" for review in store.reviews())
