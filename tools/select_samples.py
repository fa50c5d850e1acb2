"""`select_samples`: choose the next batch of items to label."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from ..store.errors import UserError
from ..store.records import Artefact, Charge
from .base import Outcome, Tool, ToolArgs, ToolContext
from .gains import adapts, gains_so_far
from .label_form import probability_form
from .labels import human_labels, unlabelled_rows
from .llm_selection.adviser import Adviser
from .strategies import STRATEGIES, Candidates, Strategy, strategy
from .strategies.one_label import check_sets
from .strategies.wrappers import WRAPPERS, usage
from .tagging import tagged
from .train_model import current_learner, inputs_of, predictions_of

DRAWS = 10
"""Draws of the model for the strategies that look at their disagreement."""
_OF_A_MODEL = frozenset({"probabilities", "samples"})


def _names(kind: Literal["plain", "scored", "advised"]) -> str:
    """The strategies that need nothing, a model's scores, or a chat model, for a description."""
    return ", ".join(name for name, one in STRATEGIES.items() if _kind(one) == kind)


def _kind(one: Strategy) -> Literal["plain", "scored", "advised"]:
    if "adviser" in one.needs:
        return "advised"
    return "scored" if one.needs & _OF_A_MODEL else "plain"


class SelectArgs(ToolArgs):
    """Which strategy, and how many items."""

    strategy: Annotated[str, Field(description="an acquisition strategy, or wrappers around one")]
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
        f"{_names('plain')}. With the current model's scores: {_names('scored')}. "
        f"With a chat model that chooses: {_names('advised')}. "
        f"Wrappers around them: {', '.join(usage(one) for one in WRAPPERS.values())}."
    )
    Args = SelectArgs

    def run(self, context: ToolContext, args: SelectArgs) -> Outcome:
        """Pick and keep the batch; see `Tool.run`."""
        started = time.perf_counter()
        chosen = strategy(args.strategy)
        if context.form.several:
            check_sets(chosen)
        rows = unlabelled_rows(context.store, context.pool)
        if not len(rows):
            raise UserError("no unlabelled item is left: finish, or measure the quality")
        source = _Source(context, args.strategy)
        gains, measured = gains_so_far(context) if adapts(chosen) else ({}, ())
        candidates = replace(_candidates(context, source, rows), gains=gains)
        selection = chosen.select(candidates, args.k, seed=context.seed)
        batch = {
            "round": context.round + 1,
            "rows": [int(row) for row in selection.rows],
            "utilities": [round(float(value), 6) for value in selection.utilities],
            "strategy": args.strategy,
            "arm": selection.arm or chosen.name,
            "reason": selection.reason,
        }
        return Outcome(
            result={
                "round": batch["round"],
                "selected": len(selection.rows),
                "of": len(rows),
                "strategy": args.strategy,
                "why": selection.reason,
                "predicted": source.predicted(),
            },
            charges=(Charge("seconds", time.perf_counter() - started, self.name),),
            artefacts=(*measured, Artefact("batch", batch)),
        )


class _Source:
    """What a strategy looks at, fetched for the rows it asks for; see `strategies.base.Source`."""

    def __init__(self, context: ToolContext, chosen: str) -> None:
        self._context = context
        self._chosen = chosen
        self._asked = np.empty(0, dtype=np.int64)

    @property
    def has_model(self) -> bool:
        return self._context.store.artefact("model") is not None

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._context.vectors(rows)

    def probabilities(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        model = self._model()
        self._asked = np.union1d(self._asked, rows)
        kept, call = predictions_of(self._context, model), self._context.call
        if self._context.spec.marked:
            return tagged(kept, rows, call).occurs
        found = kept.of(rows, call)
        calibrator = probability_form(self._context.spec).calibration(model)
        return found if calibrator is None else calibrator.apply(found)

    def samples(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        learner = current_learner(self._context, self._model())
        inputs, progress = inputs_of(self._context, rows), self._context.bench.progress
        return learner.sample_proba(inputs, DRAWS, seed=self._context.seed, progress=progress)

    def texts(self, rows: NDArray[np.int64]) -> list[str]:
        return self._context.pool.texts(rows)

    def label_vectors(self) -> NDArray[np.float32]:
        return self._context.bench.encoder.encode(self._context.label_texts)

    def adviser(self) -> Adviser:
        context = self._context
        asker = context.asker("main")
        if asker is None:
            raise UserError(
                f"strategy {self._chosen!r} asks a chat model and this run has none: give one with "
                f"--llm, or use one of {_names('plain')}"
            )
        return Adviser(asker, context.spec.goal, tuple(context.label_texts))

    def predicted(self) -> int:
        """Rows that the model had to predict for this call."""
        if not len(self._asked):
            return 0
        return predictions_of(self._context, self._model()).new(self._asked, self._context.call)

    def _model(self) -> dict[str, Any]:
        model = self._context.store.artefact("model")
        if model is None:
            raise UserError(
                f"strategy {self._chosen!r} needs a model's scores and there is no model: call "
                f"train_model first, or use one of {_names('plain')}"
            )
        return model


def _candidates(context: ToolContext, source: _Source, rows: NDArray[np.int64]) -> Candidates:
    labelled = human_labels(context.store)
    return Candidates(
        rows=rows,
        classes=len(context.spec.labels),
        labelled_rows=labelled.rows,
        # Strategies that look at labels compare indices; a set of labels has none.
        labels=None if context.form.several else context.label_index(labelled.labels),
        multi_label=context.form.several,
        source=source,
    )
