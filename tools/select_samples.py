"""`select_samples`: choose the next batch of items to label."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from ..store.errors import UserError
from ..store.records import Artefact, Charge
from .base import Outcome, Tool, ToolArgs, ToolContext
from .labels import human_labels, unlabelled_rows
from .scores import read_scores
from .strategies import STRATEGIES, Candidates, Strategy, strategy


def _names(*, with_model: bool) -> str:
    """The strategies that need a model's scores, or those that do not, for a description."""
    return ", ".join(
        name for name, one in STRATEGIES.items() if ("probabilities" in one.needs) == with_model
    )


class SelectArgs(ToolArgs):
    """Which strategy, and how many items."""

    strategy: Annotated[str, Field(description="name of an acquisition strategy")]
    k: Annotated[int, Field(ge=1, le=1000, description="how many items to choose")]

    @field_validator("strategy")
    @classmethod
    def _known(cls, name: str) -> str:
        strategy(name)
        return name


class SelectSamples(Tool[SelectArgs]):
    """Opens a new round with a batch of unlabelled items."""

    name = "select_samples"
    description = (
        "Choose the next k unlabelled items with an acquisition strategy. Without a model: "
        f"{_names(with_model=False)}. With the current model's scores: {_names(with_model=True)}."
    )
    Args = SelectArgs

    def run(self, context: ToolContext, args: SelectArgs) -> Outcome:
        """Pick and keep the batch; see `Tool.run`."""
        started = time.perf_counter()
        chosen = strategy(args.strategy)
        rows = unlabelled_rows(context.store, context.pool)
        if not len(rows):
            raise UserError("no unlabelled item is left: finish, or measure the quality")
        candidates = _candidates(context, chosen, rows)
        selection = chosen.select(candidates, args.k, seed=context.seed)
        batch = {
            "round": context.round + 1,
            "rows": [int(row) for row in selection.rows],
            "utilities": [round(float(value), 6) for value in selection.utilities],
            "strategy": args.strategy,
            "reason": selection.reason,
        }
        return Outcome(
            result={
                "round": batch["round"],
                "selected": len(selection.rows),
                "of": len(rows),
                "strategy": args.strategy,
                "why": selection.reason,
            },
            charges=(Charge("seconds", time.perf_counter() - started, self.name),),
            artefacts=(Artefact("batch", batch),),
        )


def _candidates(context: ToolContext, chosen: Strategy, rows: NDArray[np.int64]) -> Candidates:
    """What the strategy needs, and nothing that it does not look at: vectors of a pool are large.

    Raises:
        UserError: it needs scores, and the current model has none yet.
    """
    candidates = Candidates(rows=rows, classes=len(context.spec.labels))
    labelled = human_labels(context.store).rows
    if "probabilities" in chosen.needs:
        scores = read_scores(context.store)
        if scores is None:
            raise UserError(
                f"strategy {chosen.name!r} needs a model's scores and there are none: call "
                f"measure_uncertainty first, or use one of {_names(with_model=False)}"
            )
        candidates = replace(
            candidates,
            probabilities=scores.of(rows),
            labelled_probabilities=scores.of(labelled) if len(labelled) else None,
        )
    if "vectors" in chosen.needs:
        candidates = replace(
            candidates,
            vectors=context.vectors(rows),
            labelled_vectors=context.vectors(labelled) if len(labelled) else None,
        )
    return candidates
