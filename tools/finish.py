"""`finish`: end the run and hand over; the graph's `finish` node carries it out."""

from __future__ import annotations

from ..store.errors import UserError
from .base import Outcome, Tool, ToolArgs, ToolContext


class FinishArgs(ToolArgs):
    """`finish` takes no arguments."""


class Finish(Tool[FinishArgs]):
    """Says that the labels are to be handed over; writes nothing itself."""

    name = "finish"
    description = (
        "End the run: label the rest of the pool with the final model, certify, export. Legal "
        "once a final model's labels are frozen."
    )
    Args = FinishArgs

    def run(self, context: ToolContext, args: FinishArgs) -> Outcome:
        """Check that there is something to hand over; see `Tool.run`."""
        if context.store.artefact("frozen") is None:
            raise UserError("no labels are frozen yet: train the final model and score the pool")
        return Outcome(result={"handing_over": True})
