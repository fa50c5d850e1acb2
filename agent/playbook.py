"""The written rules: deterministic, no model, a full run from cold start to finish.

It is the default, the fall-back when a chat model fails, and the baseline that a chat model's
decisions must beat. Each rule is a line of the table below: the first whose tool is legal and
whose condition holds is taken; a recipe says how samples are chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..store.errors import UserError
from ..tools.train_model import MIN_GOLD
from .legal import NO_USE, best_chat_model, budget_spent
from .observation import Observation
from .policy import Decision
from .recipes import Recipe

SPARE = 1.2
"""Items selected for each question planned: what the filter drops must not leave gaps."""

SURE = 5
"""Times as many items are selected where a chat model's sure labels need no person: those train
for nothing but tokens, and the questions go to the rest."""

_METHOD_REASONS = {
    "recombine": "clauses of labelled texts may make it steadier",
    "minority": "some labels have less than half the items of others",
    "weak_spots": "texts are written where it was wrong",
    "definitions": "there is nothing of its errors to go by yet, so texts come from definitions",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the playbook."""

    tool: str
    when: Callable[[Observation], bool]
    args: Callable[[Observation], dict[str, Any]]
    reason: Callable[[Observation], str]


class PlaybookPolicy:
    """Follows the table of rules, with the strategies of a recipe."""

    name = "playbook"

    def __init__(self, recipe: Recipe) -> None:
        """Choose samples as `recipe` says."""
        self._rules = (*RULES, _selection(recipe))

    def decide(self, seen: Observation, legal: list[str]) -> Decision:
        """The first rule that applies (see `Policy.decide`).

        Raises:
            UserError: none does, because the reviewer refused what the rules would do.
        """
        for rule in self._rules:
            if rule.tool in legal and rule.when(seen):
                return Decision(
                    tool=rule.tool, args=rule.args(seen), reason=rule.reason(seen), policy=self.name
                )
        raise UserError(
            f"the playbook cannot go on: what it would do was refused, and it has no use for "
            f"{', '.join(legal)} now; edit a decision instead of refusing it, or fork the run"
        )


def _none(_: Observation) -> dict[str, Any]:
    return {}


def _always(_: Observation) -> bool:
    return True


def _affordable(seen: Observation, questions: int) -> int:
    left = seen.human_labels_left
    return max(1, questions if left is None else min(questions, left))


def _questions(seen: Observation) -> int:
    return _affordable(seen, min(seen.plan["batch"], seen.training_labels_left or 1))


def _gold_size(seen: Observation) -> int:
    return _affordable(seen, seen.plan["gold"])


def _audit_size(seen: Observation) -> int:
    return _affordable(seen, seen.plan["audit"])


def _gold_due(seen: Observation) -> bool:
    return not seen.gold_asked and seen.plan["gold"] > 0 and not seen.frozen


def _no_use(seen: Observation) -> bool:
    """Whether every chat model hardly agreed with the person, or always said the same."""
    verdicts = [(each["pilot"] or {}).get("verdict") for each in seen.chat_models]
    return bool(verdicts) and all(verdict in NO_USE for verdict in verdicts)


def _sure(seen: Observation) -> bool:
    """Whether a chat model's answers are good enough, on gold or for their cost, to need no person.

    Some of them at least.
    """
    return any(
        each["accept_above_score"] is not None or bool(each.get("accepted_by_cost"))
        for each in seen.chat_models
    )


def _stopped(seen: Observation) -> bool:
    return bool(seen.verdict and seen.verdict["stop"]) or seen.training_labels_left <= 0


def _judged(seen: Observation) -> bool:
    return seen.verdict is not None and seen.verdict["round"] == seen.round


def _no_more(seen: Observation) -> bool:
    """Whether no round comes any more: stopped, nothing left to ask or with, or all labelled."""
    exhausted = seen.unlabelled == 0 or budget_spent(seen)
    return (_judged(seen) and _stopped(seen)) or exhausted or seen.pool_labelled


def _nobody_asked(seen: Observation) -> bool:
    """Whether the chat model was sure of a whole batch: more rounds would ask only it."""
    return seen.batch is not None and seen.batch.reviewed and seen.batch.asked == 0


def _final(seen: Observation) -> bool:
    return bool((seen.model or {}).get("final"))


def _may_audit(seen: Observation) -> bool:
    """Whether to audit: once, and on while the target is likely but not yet certain."""
    if seen.certificate is None or seen.target_accuracy is None:
        return seen.audited == 0
    likely = seen.certificate["estimate"] >= seen.target_accuracy
    return bool(likely and seen.certificate["delivered_low"] < seen.target_accuracy)


def _generated_waiting(seen: Observation) -> bool:
    """Whether generated items are still to be compared on gold, and can be."""
    return bool((seen.generation or {}).get("unweighed")) and seen.gold_items >= MIN_GOLD


def _generated_help(seen: Observation) -> bool:
    """Whether the last comparison on gold was for the generated items, and for all there are."""
    generation = seen.generation or {}
    return not generation.get("unweighed") and bool((generation.get("gate") or {}).get("used"))


def _method(seen: Observation) -> str:
    if (seen.generation or {})["by"] == "augment":
        return "recombine"
    counts = [seen.labels_by_class.get(label, 0) for label in seen.labels]
    if 2 * min(counts) < max(counts):
        return "minority"
    return "weak_spots" if seen.round >= 2 else "definitions"


def _pool_reason(seen: Observation) -> str:
    best = best_chat_model(seen) or {}
    who = "the chat model"
    if best["learned_from"]:
        who = f"what was learned from {best['learned_from']} labels to say with the chat model"
    return (
        f"on gold {who} is right on {best['accuracy']:.1%}, the classifier on "
        f"{seen.quality[-1]['estimate']:.1%}: what it doubts goes to the chat model"
    )


def _open_training(seen: Observation) -> bool:
    return seen.batch is not None and not seen.batch.reviewed and seen.batch.annotated


RULES: tuple[Rule, ...] = (
    Rule("embed_pool", _always, _none, lambda _: "items without a vector cannot be compared"),
    Rule(
        "filter_samples",
        _always,
        _none,
        lambda _: "near duplicates would spend a person's time twice on one text",
    ),
    Rule(
        "request_review",
        lambda seen: _gold_due(seen) and seen.plan.get("reserve", 0) > 0,
        lambda seen: {"purpose": "gold", "k": _gold_size(seen)},
        lambda seen: (
            f"{_gold_size(seen)} evenly drawn items tell whether the chat model is of use; "
            f"{seen.plan['reserve']} more are kept back and asked only where they could open a "
            "threshold for it"
        ),
    ),
    Rule(
        "annotate_samples",
        _no_use,
        lambda _: {"annotator": "embedded"},
        lambda seen: (
            f"on gold the chat model is {seen.chat_models[-1]['pilot']['verdict']}: "
            f"{seen.chat_models[-1]['pilot']['why']}; people are asked without it"
        ),
    ),
    Rule(
        "annotate_samples",
        _always,
        _none,
        lambda seen: (
            f"round {seen.round} has {seen.batch.size if seen.batch else 0} items "
            "without a suggestion; a person is faster with one"
        ),
    ),
    Rule(
        "request_review",
        lambda seen: seen.gold_more,
        lambda seen: {"purpose": "gold", "k": _affordable(seen, seen.gold_reserved)},
        lambda seen: (
            f"on {seen.gold_items} gold items a chat model is good; if it is right on the "
            f"{seen.gold_reserved} kept back too, some of its labels need no person"
        ),
    ),
    Rule(
        "request_review",
        _open_training,
        lambda seen: {"purpose": "train", "k": _questions(seen)},
        lambda seen: (
            f"{seen.training_labels_left} training labels are left; this round asks for "
            f"at most {_questions(seen)}"
        ),
    ),
    Rule(
        "request_review",
        _gold_due,
        lambda seen: {"purpose": "gold", "k": _gold_size(seen)},
        lambda seen: (
            f"{_gold_size(seen)} evenly drawn items calibrate confidence and measure "
            "progress; they stay out of training"
        ),
    ),
    Rule(
        "train_model",
        lambda seen: (
            not seen.model_is_current
            and not seen.pool_labelled
            and not (_judged(seen) and _stopped(seen))
        ),
        _none,
        lambda seen: f"{seen.training_items} training items, the last model has not seen all",
    ),
    Rule(
        "measure_uncertainty",
        _always,
        lambda _: {"measure": "margin"},
        lambda _: "the pool is not scored by the current model",
    ),
    Rule(
        "estimate_quality",
        _always,
        _none,
        lambda seen: (
            "the audit is answered: certify"
            if seen.frozen
            else f"{seen.gold_items} gold items can measure the new model"
        ),
    ),
    Rule(
        "generate_samples",
        lambda seen: seen.gold_items >= MIN_GOLD and seen.model is not None and not _judged(seen),
        lambda seen: {"method": _method(seen), "k": min(200, max(10, seen.plan["batch"]))},
        lambda seen: (
            f"the model of round {seen.round} is measured: {_METHOD_REASONS[_method(seen)]}"
        ),
    ),
    Rule(
        "train_model",
        lambda seen: _generated_waiting(seen) and not _judged(seen),
        lambda _: {"generated": True},
        lambda seen: (
            f"{(seen.generation or {})['items']} generated items passed their filters; gold says "
            "whether the learner gains by them"
        ),
    ),
    Rule(
        "decide_stop",
        lambda seen: not _final(seen),
        lambda _: {"rule": "standard"},
        lambda seen: f"round {seen.round} is measured; is another worth its labels?",
    ),
    Rule(
        "label_pool",
        lambda seen: _no_more(seen) or _nobody_asked(seen),
        _none,
        _pool_reason,
    ),
    Rule(
        "train_model",
        lambda seen: _no_more(seen) and not (_final(seen) and seen.model_is_current),
        lambda seen: {"final": True, **({"generated": True} if _generated_help(seen) else {})},
        lambda seen: (
            "no further round: the model to hand over also learns from the gold items"
            + (f" ({seen.verdict['reason']})" if seen.verdict and seen.verdict["stop"] else "")
        ),
    ),
    Rule(
        "request_review",
        lambda seen: seen.frozen and _may_audit(seen),
        lambda seen: {"purpose": "audit", "k": _audit_size(seen)},
        lambda seen: (
            f"the labels are frozen; {_audit_size(seen)} audit items certify them"
            if seen.certificate is None
            else f"the target is likely but not certain yet; {_audit_size(seen)} more audit items"
        ),
    ),
    Rule(
        "finish",
        _always,
        _none,
        lambda seen: (
            "the labels are certified"
            if seen.certificate
            else "no label is left for an audit; the labels are handed over uncertified"
        ),
    ),
)


def _selection(recipe: Recipe) -> Rule:
    return Rule(
        "select_samples",
        _always,
        lambda seen: {
            "strategy": recipe.warm if seen.scores_are_current else recipe.cold,
            "k": max(1, round(SPARE * _questions(seen) * (SURE if _sure(seen) else 1))),
        },
        lambda seen: recipe.warm_reason if seen.scores_are_current else recipe.cold_reason,
    )
