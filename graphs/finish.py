"""The last node: label the rest of the pool, certify, write what is handed over."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from langgraph.runtime import Runtime

from ..store.events import FinishEvent
from ..tools.deliver import deliver, final_annotations
from ..tools.generation.using import warnings_of
from .context import Context, place_of
from .state import State


def finish(state: State, runtime: Runtime[Context]) -> State:
    """Write the final labels once, then the files; files may be written again at any time."""
    context = runtime.context
    place = place_of(runtime, state["run"], state["step"], "finish")
    tools = context.tool_context(state["step"])
    files: dict[str, str] = {}
    if context.store.effect("finish") is None:
        annotations = final_annotations(tools)
        totals = {name: float(value) for name, value in asdict(context.store.totals()).items()}
        certificate = context.store.artefact("certificate") or {}
        with context.store.transaction(place) as writer:
            writer.annotate(annotations)
            writer.effect("finish", {"labelled": len(annotations)})
            writer.event("finish", FinishEvent(certificate=certificate, files=files, totals=totals))
    if context.store.effect("deliver") is None:
        files, warnings = deliver(tools), warnings_of(context.store)
        handed = {"files": files, **({"warnings": warnings} if warnings else {})}
        with context.store.transaction(place) as writer:
            writer.effect("deliver", handed)
            writer.event("deliver", _delivered(context, files))
    result = context.store.effect("deliver") or {}
    context.on_event("finished", result)
    return {"finished": True, "head": context.store.head()}


def _delivered(context: Context, files: dict[str, str]) -> FinishEvent:
    totals: dict[str, Any] = asdict(context.store.totals())
    certificate = context.store.artefact("certificate") or {}
    return FinishEvent(
        certificate=certificate,
        files=files,
        totals={name: float(value) for name, value in totals.items()},
    )
