"""What the batches of a run gained so far: the memory of `adaptive`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..store.records import Artefact
from .base import ToolContext
from .labels import training_labels
from .strategies import Strategy
from .strategies.wrappers.adaptive import Adaptive
from .strategies.wrappers.gains import gain

KEY = "gain"


def adapts(chosen: Strategy) -> bool:
    """Whether a strategy looks at what earlier batches gained."""
    return f"{Adaptive.called}(" in chosen.name


def gains_so_far(context: ToolContext) -> tuple[dict[str, list[float]], tuple[Artefact, ...]]:
    """Gains by strategy, oldest first, and what to keep of the newest one.

    The gain of a batch is measured once, when the next one is chosen, from labels that people
    gave before it and for it; a batch of which too little is labelled has none.
    """
    kept = context.store.artefact_history(KEY)
    gains: dict[str, list[float]] = {}
    for each in kept:
        gains.setdefault(str(each["arm"]), []).append(float(each["gain"]))
    batch = context.store.artefact("batch")
    if batch is None or any(each["round"] == batch["round"] for each in kept):
        return gains, ()
    found = _gain_of(context, batch)
    if found is None:
        return gains, ()
    gains.setdefault(str(batch["arm"]), []).append(found)
    value = {"round": batch["round"], "arm": batch["arm"], "gain": found}
    return gains, (Artefact(KEY, value),)


def _gain_of(context: ToolContext, batch: dict[str, Any]) -> float | None:
    known = training_labels(context.store, final=False)
    mine = np.isin(known.rows, batch["rows"])
    if not mine.any() or mine.all() or len(context.spec.labels) < 2:
        return None
    labels = context.label_index(known.labels)
    return round(gain(labels[~mine], labels[mine], len(context.spec.labels)), 6)
