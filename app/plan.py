"""`plan`: what a run would do and cost, spending nothing and writing nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tools.budget import gold_wanted, label_plan
from .data import load
from .gateways import check_models
from .options import checked_labels, learner_for, options_of, request_of
from .plan_model import ANSWER_TOKENS, model_estimate

if TYPE_CHECKING:
    from rich.console import Console

SECONDS_A_LABEL = 8.0
"""An assumption, said where it is used: how long a person looks at one short text."""
TEXTS_A_SECOND = 100.0
"""An assumption, said where it is used: news-length texts the encoder embeds on two cores."""


OF_AN_ITEM = {
    "single_label": "labels",
    "multi_label": "labels (an item may have several, or none)",
    "entities": "types of marked parts (a text may have any number, or none)",
}
"""What the labels are, by kind."""


def make_plan(**options: Any) -> dict[str, Any]:
    """Read and check the data, and say what `run` would ask for, how long and how much.

    Raises:
        UserError: what `run` would refuse, in the same words.
    """
    given = options_of(**options)
    labels = checked_labels(given)
    check_models(given, None)
    loaded = load(
        given.data,
        text_columns=given.text_columns,
        second_columns=given.second_columns,
        id_column=given.id_column,
        gold_column=given.gold_column,
        encoding=given.encoding,
        several=given.multi_label,
        marked=given.entities,
        label_names=[label.name for label in labels] if labels and given.gold_column else None,
    )
    learner = learner_for(given, len(loaded.ids), len(labels))
    request = request_of(given, labels, loaded.text_columns)
    from ..tools.duplicates import duplicate_groups

    groups = duplicate_groups(loaded.texts.to_pylist(), exact=given.entities)
    unique = len(set(groups.tolist()))
    by_model = given.annotator != "embedded" and given.llm != "none"
    wanted = gold_wanted(request.target_accuracy, by_model=by_model)
    plan = label_plan(request.budgets, unique, learner, gold_wanted=wanted)
    models = model_estimate(given, request.labels, loaded.texts.to_pylist(), plan, unique)
    return {
        "data": str(Path(given.data)),
        "items": len(loaded.ids),
        "unique": unique,
        "text_columns": list(loaded.text_columns),
        "labels": [label.name for label in labels],
        "kind": request.kind,
        "target_accuracy": request.target_accuracy,
        "human_labels": plan.total,
        "train": plan.train,
        "gold": plan.gold,
        "gold_reserve": plan.reserve,
        "audit": plan.audit,
        "learner": learner,
        "rounds": plan.rounds,
        "batch": plan.batch,
        "usd": round(plan.total * given.label_price, 2),
        "minutes_of_a_person": round(plan.total * SECONDS_A_LABEL / 60, 1),
        "minutes_of_embedding": round(unique / TEXTS_A_SECOND / 60, 1),
        "certificate_half_width": round(expected_half_width(plan.audit), 3),
        "chat_model": models[0] if models else None,
        "committee": models[1:],
        "notes": list(loaded.notes),
    }


def expected_half_width(audit: int, accuracy: float = 0.9, level: float = 0.95) -> float:
    """About how far the certificate's interval will reach to each side.

    The half width of the exact interval for `audit` items at `accuracy`, which is what the
    time-uniform one comes to within a factor of about 1.3.
    """
    if audit < 1:
        return 1.0
    from ..tools.certificate import fixed_interval

    found = fixed_interval(round(accuracy * audit), audit, level)
    return (found.high - found.low) / 2


def print_plan(console: Console, plan: dict[str, Any]) -> None:
    """The plan in a few sentences."""
    lines = [
        f"{plan['items']} items ({plan['unique']} different texts) from {plan['data']}",
        f"{OF_AN_ITEM[plan['kind']]}: {', '.join(plan['labels'])}; learner: {plan['learner']}",
        f"{plan['human_labels']} questions to a person: {plan['train']} to train in "
        f"{plan['rounds']} rounds of {plan['batch']}, {plan['gold']} to calibrate"
        f"{_reserve_words(plan)}, {plan['audit']} to certify",
        f"about {plan['minutes_of_a_person']} minutes of a person (at {SECONDS_A_LABEL:.0f} s a "
        f"question), {plan['minutes_of_embedding']} minutes to embed (at {TEXTS_A_SECOND:.0f} "
        f"texts a second), {plan['usd']} USD",
        f"the certificate will be about ±{plan['certificate_half_width']:.0%} wide "
        "(if 90% of the labels are right)",
        *_model_lines([plan["chat_model"], *plan["committee"]]),
        *plan["notes"],
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _reserve_words(plan: dict[str, Any]) -> str:
    reserve = plan["gold_reserve"]
    return f" (and {reserve} of the training labels, if the chat model is good)" if reserve else ""


def _model_lines(models: list[dict[str, Any] | None]) -> list[str]:
    return [_model_line(found) for found in models if found is not None]


def _model_line(found: dict[str, Any]) -> str:
    cost = "at a price nobody knows: give --price-in and --price-out"
    if found["usd_at_most"] is not None:
        cost = f"{found['usd_at_most']} USD at most"
    return (
        f"chat model {found['model']}: {found['calls_in_rounds']} calls in the rounds, up to "
        f"{found['calls_at_most']} if it labels the pool, about {found['tokens_a_call']} tokens "
        f"read and {ANSWER_TOKENS} written each, {cost}"
    )
