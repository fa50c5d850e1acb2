"""`filter_samples`: drop items from the batch that would teach nothing new."""

from __future__ import annotations

import time
from typing import Annotated

import numpy as np
from pydantic import Field

from ..store.errors import UserError
from ..store.records import Artefact, Charge
from .base import Outcome, Tool, ToolArgs, ToolContext
from .filters import filter_near_duplicates
from .labels import human_labels


class FilterArgs(ToolArgs):
    """How alike two texts must be for one to be dropped."""

    cosine: Annotated[
        float, Field(gt=0, le=1, description="drop above this embedding similarity")
    ] = 0.95
    rouge_l: Annotated[float, Field(gt=0, le=1, description="drop above this ROUGE-L F1")] = 0.85


class FilterSamples(Tool[FilterArgs]):
    """Removes near duplicates of labelled items and of one another from the open batch."""

    name = "filter_samples"
    description = (
        "Drop items from the batch that nearly repeat each other or an item that a person has "
        "labelled (same words, embedding similarity, ROUGE-L)."
    )
    Args = FilterArgs

    def run(self, context: ToolContext, args: FilterArgs) -> Outcome:
        """Filter the batch; the rejected stay in the pool; see `Tool.run`."""
        started = time.perf_counter()
        batch = context.store.artefact("batch")
        if batch is None:
            raise UserError("there is no batch to filter: call select_samples first")
        rows = np.array(batch["rows"], dtype=np.int64)
        known = human_labels(context.store).rows
        # The vector of a pair says how its texts relate: alike for all pairs that match.
        single = not context.settings.second_columns
        filtered = filter_near_duplicates(
            rows,
            context.pool.texts(rows),
            context.vectors(rows) if single else None,
            known,
            context.pool.texts(known),
            context.vectors(known) if single else None,
            cosine=args.cosine,
            rouge_l=args.rouge_l,
        )
        kept = {int(row) for row in filtered.kept}
        rejected = [
            {"row": int(each.row), "why": each.why, "like": int(each.like)}
            for each in filtered.rejected
        ]
        value = {**batch, "rows": [row for row in batch["rows"] if row in kept], "filtered": True}
        value["utilities"] = [
            utility
            for row, utility in zip(batch["rows"], batch["utilities"], strict=True)
            if row in kept
        ]
        return Outcome(
            result={"kept": len(kept), "rejected": len(rejected)},
            charges=(Charge("seconds", time.perf_counter() - started, self.name),),
            artefacts=(
                Artefact("batch", value),
                Artefact("rejected", {"round": batch["round"], "items": rejected}),
            ),
        )
