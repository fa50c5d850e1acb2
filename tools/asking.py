"""How a tool gets the chat model of a role: one place, so that tools need not know whose it is."""

from __future__ import annotations

from ..models.llm.base import Asker
from .base import ToolContext


def asker_of(context: ToolContext, role: str = "main") -> Asker | None:
    """The chat model of a role (`main`, `strong`, `judge`); `None` where the run has none."""
    find = getattr(context, "asker", None)
    found: Asker | None = None if find is None else find(role)
    return found
