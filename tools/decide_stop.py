"""`decide_stop`: whether another round is worth its labels."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from ..store.database import Store
from ..store.errors import UserError
from ..store.records import Artefact
from ..store.spec import TaskSpec
from .base import Outcome, Tool, ToolArgs, ToolContext
from .budget import budget_left
from .labels import human_labels
from .stopping import (
    BudgetSpent,
    ClassificationChange,
    CostOptimum,
    Criterion,
    ExpectedError,
    History,
    Plateau,
    RoundRecord,
    StablePredictions,
    TargetReached,
    UncertaintyNoLongerFalls,
    all_of,
    any_of,
    k_of,
)

Rule: TypeAlias = Literal[
    "standard",
    "majority",
    "budget",
    "plateau",
    "stability",
    "target",
    "uncertainty",
    "change",
    "expected_error",
    "cost",
]


class StopArgs(ToolArgs):
    """Which criterion to apply."""

    rule: Annotated[
        Rule,
        Field(
            description="standard: budget, or target reached, or plateau and stability together; "
            "majority: budget, or target, or two of plateau, stability and uncertainty no longer "
            "falling; change: no prediction changes; cost: the next batch costs more than the "
            "errors it saves"
        ),
    ] = "standard"
    error_price: Annotated[
        float | None,
        Field(gt=0, description="US dollars that one wrong label costs; for rule cost, only there"),
    ] = None


class DecideStop(Tool[StopArgs]):
    """Applies a stopping criterion to the history of the rounds."""

    name = "decide_stop"
    description = (
        "Judge whether to stop asking: budget spent, accuracy plateau, stable predictions, target "
        "reached, or the standard combination; also by uncertainty, changed labels, expected error "
        "or cost. Returns a verdict; it does not end the run."
    )
    Args = StopArgs

    def run(self, context: ToolContext, args: StopArgs) -> Outcome:
        """Judge the history; see `Tool.run`."""
        left = budget_left(
            context.store, context.spec.budgets, context.plan, context.settings.label_price
        )
        criterion = _criterion(context, args)
        history = History(
            rounds=round_records(context.store),
            human_labels_left=left.training_labels,
            usd_left=left.usd,
            minutes_left=left.minutes,
        )
        verdict = criterion.judge(history)
        value = {
            "rule": args.rule,
            "stop": verdict.stop,
            "signal": verdict.signal,
            "reason": verdict.reason,
            "round": context.round,
        }
        return Outcome(result=value, artefacts=(Artefact("stop", value),))


def round_records(store: Store) -> tuple[RoundRecord, ...]:
    """The history of the rounds, from the measures that were taken in each."""
    quality = {each["round"]: each for each in store.artefact_history("quality")}
    records = {}
    for scores in store.artefact_history("scores"):
        measured = quality.get(scores["round"], {})
        records[scores["round"]] = RoundRecord(
            round=scores["round"],
            human_labels=int(measured.get("human_labels", 0)),
            accuracy=measured.get("estimate"),
            accuracy_low=measured.get("low"),
            accuracy_high=measured.get("high"),
            accuracy_n=int(measured.get("n", 0)),
            mean_uncertainty=scores["mean_uncertainty"],
            kappa=scores["kappa"],
            # Projects of an earlier version did not keep these.
            max_uncertainty=scores.get("max_uncertainty"),
            uncertainty_measure=scores.get("measure"),
            changed_share=scores.get("changed_share"),
            expected_error=scores.get("expected_error"),
            calibrated=bool(scores.get("calibrated")),
        )
    return tuple(records[number] for number in sorted(records))


def _criterion(context: ToolContext, args: StopArgs) -> Criterion:
    if (args.error_price is not None) != (args.rule == "cost"):
        raise UserError(
            f"rule is {args.rule!r} and error_price {args.error_price!r}: rule cost needs "
            "error_price, what one wrong label costs, and no other rule takes it"
        )
    if args.rule == "cost":
        return _cost(context, float(args.error_price or 0.0))
    return _free(args.rule, context.spec)


def _free(rule: Rule, spec: TaskSpec) -> Criterion:
    """The criterion of a rule that needs no price."""
    plateau, stable, unsure = Plateau(), StablePredictions(), UncertaintyNoLongerFalls()
    target = None if spec.target_accuracy is None else TargetReached(spec.target_accuracy)
    if rule == "target":
        if target is None:
            raise UserError("no target accuracy was set: use another rule")
        return target
    always: list[Criterion] = [BudgetSpent(), *([target] if target else [])]
    rules: dict[str, Criterion] = {
        "standard": any_of(BudgetSpent(), all_of(plateau, stable), *([target] if target else [])),
        "majority": any_of(*always, k_of(2, plateau, stable, unsure)),
        "budget": BudgetSpent(),
        "plateau": plateau,
        "stability": stable,
        "uncertainty": unsure,
        "change": ClassificationChange(),
        "expected_error": ExpectedError(),
    }
    return rules[rule]


def _cost(context: ToolContext, error_price: float) -> Criterion:
    price = context.settings.label_price
    if not price:
        raise UserError(
            "rule 'cost' weighs labels against errors, and a label costs nothing in this run: "
            "start it with --label-price, or use another rule"
        )
    by_model = len(context.pool) - len(human_labels(context.store))
    return CostOptimum(max(by_model, 0), error_price, price, context.plan.batch)
