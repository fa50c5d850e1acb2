"""Which tools are legal now: one table of preconditions.

A tool that is not legal is not offered, so that neither a weak model nor a wrong rule can break
the cycle: no uncertainty without a model, no spending beyond a budget, no certificate from items
that trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ..store.errors import UserError
from .observation import Observation

NO_USE = ("constant", "unusable")
"""Verdicts on a chat model after which its labels are not used."""
Fact = Callable[[Observation], bool]


def _open(seen: Observation) -> bool:
    return seen.batch is not None and not seen.batch.reviewed and seen.batch.size > 0


def budget_spent(seen: Observation) -> bool:
    """Whether nothing is left of one of the budgets: labels, money or time."""
    left = (seen.human_labels_left, seen.usd_left, seen.minutes_left)
    return any(amount is not None and amount <= 0 for amount in left)


def _money(seen: Observation) -> bool:
    return not budget_spent(seen)


PRECONDITIONS: Mapping[str, tuple[tuple[str, Fact], ...]] = MappingProxyType(
    {
        "embed_pool": (("some items have no vector yet", lambda seen: not seen.embedded),),
        "select_samples": (
            ("items are embedded", lambda seen: seen.embedded),
            ("no batch is open", lambda seen: not _open(seen)),
            ("unlabelled items are left", lambda seen: seen.unlabelled > 0),
            ("budget is left", _money),
        ),
        "annotate_samples": (
            ("a batch is open", _open),
            ("it was not annotated", lambda seen: not (seen.batch and seen.batch.annotated)),
        ),
        "filter_samples": (
            ("a batch is open", _open),
            ("it was not filtered", lambda seen: not (seen.batch and seen.batch.filtered)),
        ),
        "request_review": (
            (
                "an annotated batch is open, gold was not asked or more of it is worth asking, or "
                "labels are frozen",
                lambda seen: bool(review_purposes(seen)),
            ),
            ("budget is left", _money),
        ),
        "train_model": (
            ("items are embedded", lambda seen: seen.embedded),
            ("there are labels", lambda seen: seen.training_items > 0),
            (
                "labels are new since the last model, or the final model is due",
                lambda seen: not seen.model_is_current or not (seen.model or {}).get("final"),
            ),
        ),
        "measure_uncertainty": (
            ("there is a model", lambda seen: seen.model is not None),
            ("its scores are missing", lambda seen: not seen.scores_are_current),
        ),
        "estimate_quality": (
            (
                "the current model is not measured: on gold before, by the audit after the freeze",
                lambda seen: _measurable(seen),  # noqa: PLW0108 (defined below)
            ),
        ),
        "generate_samples": (
            ("generation is switched on (--generate)", lambda seen: seen.generation is not None),
            ("items are embedded", lambda seen: seen.embedded),
            (
                "nothing was generated this round",
                lambda seen: (seen.generation or {}).get("round") != seen.round,
            ),
            ("labels are not frozen", lambda seen: not seen.frozen),
            ("budget is left", _money),
        ),
        "label_pool": (
            ("a chat model annotates", lambda seen: bool(seen.chat_models)),
            (
                "one is usable and better on gold than the classifier",
                lambda seen: _chat_model_is_better(seen),  # noqa: PLW0108 (defined below)
            ),
            ("it was not asked about the pool before", lambda seen: not seen.pool_labelled),
            ("a model's scores are there", lambda seen: seen.scores_are_current),
            ("labels are not frozen", lambda seen: not seen.frozen),
            ("budget is left", _money),
        ),
        "decide_stop": (
            ("a model's scores are there", lambda seen: seen.scores_are_current),
            ("no verdict was given this round", lambda seen: not _judged(seen)),
            ("labels are not frozen", lambda seen: not seen.frozen),
        ),
        "finish": (
            ("labels are frozen", lambda seen: seen.frozen and seen.scores_are_current),
            (
                "the audit's answers are certified",
                lambda seen: not seen.audited or seen.certificate is not None,
            ),
        ),
    }
)


def legal_tools(seen: Observation) -> list[str]:
    """Names of the tools whose preconditions all hold, in the order of the table."""
    return [name for name, facts in PRECONDITIONS.items() if all(fact(seen) for _, fact in facts)]


def why_illegal(name: str, seen: Observation) -> str:
    """The first precondition of a tool that does not hold, in words; empty when it is legal."""
    for text, fact in PRECONDITIONS.get(name, ()):
        if not fact(seen):
            return f"{name} needs: {text}"
    return "" if name in PRECONDITIONS else f"no tool is called {name!r}"


def review_purposes(seen: Observation) -> list[str]:
    """What a review may be asked for now."""
    purposes = []
    if _open(seen) and seen.batch is not None and seen.batch.annotated:
        purposes.append("train")
    wanted = seen.gold_more or (not seen.gold_asked and seen.plan["gold"] > 0)
    if wanted and not seen.frozen:
        purposes.append("gold")
    if seen.frozen and seen.scores_are_current:
        purposes.append("audit")
    return purposes


def check_call(name: str, args: Mapping[str, Any], seen: Observation) -> None:
    """Refuse a call that is not legal now, or would spend more than is left.

    Raises:
        UserError: which precondition does not hold, or which budget is too small.
    """
    reason = why_illegal(name, seen)
    if reason:
        raise UserError(f"not legal now: {reason}; legal are {', '.join(legal_tools(seen))}")
    if (
        name == "train_model"
        and seen.model_is_current
        and not (args.get("final") or args.get("generated"))
    ):
        raise UserError(
            "not legal now: the model has seen all labels: give final=true when no round is to "
            "come, or choose another tool"
        )
    if name != "request_review":
        return
    if args.get("purpose") not in review_purposes(seen):
        raise UserError(
            f"a review for {args.get('purpose')!r} is not legal now: "
            f"legal are {', '.join(review_purposes(seen))}"
        )
    left = seen.human_labels_left
    if left is not None and int(args.get("k", 0)) > left:
        raise UserError(f"{args.get('k')!r} questions are more than the {left!r} labels left")


def best_chat_model(seen: Observation) -> dict[str, Any] | None:
    """The measure on gold of the chat model that is right most often, of those that are usable.

    What a committee says together counts for all of its members; which opinions may label is
    said where they are measured (`tools.opinions.Opinion.may_label`). One model that is weak may
    not: on 21 policy topics the labels of such models made the classifier that learned from them
    worse.
    """
    pilots = [
        {**each["pilot"], "learned_from": each.get("learned_from", 0)}
        for each in seen.chat_models
        if _may_label(each)
    ]
    return max(pilots, key=lambda each: float(each["accuracy"]), default=None)


def _may_label(model: dict[str, Any]) -> bool:
    """Whether a chat model's labels may stand without a person, if they are good enough."""
    if model["pilot"] is None or "votes_in" in model:
        return False
    return bool(model.get("may_label", model["pilot"]["verdict"] == "usable"))


def _chat_model_is_better(seen: Observation) -> bool:
    """Whether a chat model may label and is right more often on gold than the classifier.

    What was learned from people's labels has the classifier in it, so it is taken to be the better
    one unless it is worse by more than the error of that comparison: among 22 gold items, one item
    more or less is chance.
    """
    best = best_chat_model(seen)
    if best is None or not seen.quality:
        return False
    own = seen.quality[-1]
    if not best["learned_from"]:
        return bool(best["accuracy"] > own["estimate"])
    spread = _variance(best["accuracy"], best["n"]) + _variance(own["estimate"], own["n"])
    return bool(best["accuracy"] >= own["estimate"] - math.sqrt(spread))


def _variance(accuracy: float, n: int) -> float:
    """Of an accuracy on n items, p (1 - p) / n with p = (right + 1) / (n + 2)."""
    p = (accuracy * n + 1) / (n + 2)
    return p * (1 - p) / n


def _measurable(seen: Observation) -> bool:
    if not seen.scores_are_current:
        return False
    if seen.frozen:
        done = seen.certificate is not None and seen.certificate["n_audited"] == seen.audited
        return seen.audited > 0 and not done
    measured = seen.quality[-1]["model"] if seen.quality else None
    final = bool((seen.model or {}).get("final"))
    return seen.gold_items > 0 and not final and measured != (seen.model or {}).get("name")


def _judged(seen: Observation) -> bool:
    return seen.verdict is not None and seen.verdict["round"] == seen.round
