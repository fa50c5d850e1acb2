"""`decide_stop`: whether another round is worth its labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..store.database import Store
from ..store.errors import UserError
from ..store.records import Artefact
from ..store.spec import TaskSpec
from .base import Outcome, Tool, ToolArgs, ToolContext
from .budget import budget_left
from .stopping import (
    BudgetSpent,
    Criterion,
    History,
    Plateau,
    RoundRecord,
    StablePredictions,
    TargetReached,
    all_of,
    any_of,
)


class StopArgs(ToolArgs):
    """Which criterion to apply."""

    rule: Annotated[
        Literal["standard", "budget", "plateau", "stability", "target"],
        Field(description="standard: budget, or target reached, or plateau and stability together"),
    ] = "standard"


class DecideStop(Tool[StopArgs]):
    """Applies a stopping criterion to the history of the rounds."""

    name = "decide_stop"
    description = (
        "Judge whether to stop asking: budget spent, accuracy plateau, stable predictions, target "
        "reached, or the standard combination. Returns a verdict; it does not end the run."
    )
    Args = StopArgs

    def run(self, context: ToolContext, args: StopArgs) -> Outcome:
        """Judge the history; see `Tool.run`."""
        criterion = _criterion(args.rule, context.spec)
        left = budget_left(
            context.store, context.spec.budgets, context.plan, context.settings.label_price
        )
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
        )
    return tuple(records[number] for number in sorted(records))


def _criterion(rule: str, spec: TaskSpec) -> Criterion:
    stable = all_of(Plateau(), StablePredictions())
    target = None if spec.target_accuracy is None else TargetReached(spec.target_accuracy)
    if rule == "target" and target is None:
        raise UserError("no target accuracy was set: use another rule")
    rules: dict[str, Criterion] = {
        "standard": any_of(BudgetSpent(), stable, *([target] if target else [])),
        "budget": BudgetSpent(),
        "plateau": Plateau(),
        "stability": StablePredictions(),
    }
    return target if rule == "target" and target else rules[rule]
