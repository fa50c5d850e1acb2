"""`select_samples`: choose the next batch of items to label."""

from __future__ import annotations

import time
from typing import Annotated

import numpy as np
from pydantic import Field, field_validator

from ..store.errors import UserError
from ..store.records import Artefact, Charge
from .base import Outcome, Tool, ToolArgs, ToolContext
from .labels import human_labels, unlabelled_rows
from .scores import read_scores
from .strategies import Candidates, strategy


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
        "Choose the next k unlabelled items with an acquisition strategy: random, k_center and "
        "cluster need no model; least_confidence, margin, entropy and uncertainty_diversity need "
        "the current model's scores."
    )
    Args = SelectArgs

    def run(self, context: ToolContext, args: SelectArgs) -> Outcome:
        """Pick and keep the batch; see `Tool.run`."""
        started = time.perf_counter()
        chosen = strategy(args.strategy)
        rows = unlabelled_rows(context.store, context.pool)
        if not len(rows):
            raise UserError("no unlabelled item is left: finish, or measure the quality")
        probabilities = None
        if "probabilities" in chosen.needs:
            scores = read_scores(context.store)
            if scores is None:
                raise UserError(
                    f"strategy {args.strategy!r} needs a model's scores and there are none: call "
                    "measure_uncertainty first, or use random, k_center or cluster"
                )
            probabilities = scores.of(rows)
        candidates = Candidates(
            rows=rows,
            vectors=context.vectors(rows) if "vectors" in chosen.needs else None,
            probabilities=probabilities,
            labelled_vectors=_labelled_vectors(context) if "vectors" in chosen.needs else None,
        )
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


def _labelled_vectors(context: ToolContext) -> np.ndarray | None:
    labelled = human_labels(context.store)
    return context.vectors(labelled.rows) if len(labelled) else None
