"""The graph's state: ids, counts and the last small result; the data is in the store.

Every checkpoint holds the whole state, so nothing in here may grow with the pool.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator
from typing_extensions import TypedDict

GRAPH_VERSION = "1"
"""Goes up when a paused run of the older graph could not go on in the newer one."""


class State(TypedDict, total=False):
    """What one checkpoint remembers."""

    run: str
    """The run's id, also the LangGraph thread id."""
    step: int
    """How many decisions were taken."""
    subject: str
    """What awaits approval: `spec` or `decision`."""
    decision: dict[str, Any]
    """The decision being carried out: tool, args and reason."""
    problem: str
    """Why the reviewer's edit of the decision was refused; empty when it was not."""
    review: str
    """Id of the review that waits for answers."""
    refused: list[str]
    """Tools that the reviewer refused since the last one that ran."""
    last: dict[str, Any]
    """The last tool's result, cut to a small size."""
    head: str
    """Hash of the last trace event when the node ended."""
    finished: bool


class EditedAction(BaseModel):
    """A tool call as the reviewer wants it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    args: dict[str, Any]


class ApprovalAnswer(BaseModel):
    """The reviewer's answer to a decision; the types are named as LangChain names them."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["approve", "edit", "reject", "respond"]
    message: str = ""
    edited_action: EditedAction | None = None
    by: str = "reviewer"

    @model_validator(mode="after")
    def _edit_has_action(self) -> ApprovalAnswer:
        if (self.type == "edit") != (self.edited_action is not None):
            raise ValueError("`edited_action` belongs to the type 'edit', and to no other")
        return self


class ReviewAnswer(BaseModel):
    """Says that the answers of a review are in the store."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["respond"]
    review: str
    seconds: float = 0.0
    """How long the reviewer was at it."""
