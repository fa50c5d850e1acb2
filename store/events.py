"""The typed events of the trace: one class for each kind of thing that can happen.

Every event is written once, under a key that names it (`decision:12`), in the same transaction
as what it tells of. `wrote` on an event holds counts and hashes of the rows written with it, so
that the tables can be checked against the trace.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    wrote: dict[str, Any] = {}
    """Counts and SHA-256 of the rows written with this event, by table."""


class RunEvent(_Event):
    """A run began, went on, paused, was forked or ended."""

    type: Literal["run"] = "run"
    what: Literal["started", "resumed", "paused", "forked", "finished"]
    version: str = ""
    """Version of Labelwright."""
    settings: dict[str, Any] = {}
    """The technical choices, as in the project's settings."""
    detail: str = ""


class GoalEvent(_Event):
    """The goal in plain words and the data it is about."""

    type: Literal["goal"] = "goal"
    goal: str
    data: str
    items: int
    data_digest: str
    notes: list[str] = []


class SpecEvent(_Event):
    """The task spec came to be or was changed by hand."""

    type: Literal["spec"] = "spec"
    digest: str
    spec: dict[str, Any]
    origin: str
    """How it came to be: from the goal, from options, from a chat model, edited by hand."""


class DecisionEvent(_Event):
    """The policy saw an observation and decided on one tool call."""

    type: Literal["decision"] = "decision"
    tool: str
    args: dict[str, Any]
    reason: str
    policy: str
    legal: list[str]
    """The tools that were legal at that moment, the chosen one among them."""
    observation: dict[str, Any]
    fallback: str = ""
    """Why the playbook took the step in place of the chat model; empty when it did not."""
    attempts: list[dict[str, Any]] = []
    """The chat model's invalid calls before this decision, each with its error."""


class ApprovalEvent(_Event):
    """Somebody or a rule answered whether a decision may be carried out."""

    type: Literal["approval"] = "approval"
    subject: str
    """What was to be approved: `spec`, or the tool's name."""
    answer: Literal["approve", "edit", "reject", "respond"]
    by: str
    """`rule` with its name, or the reviewer."""
    message: str = ""
    edited: dict[str, Any] | None = None


class ToolEvent(_Event):
    """A tool ran to its end and its effects were written."""

    type: Literal["tool"] = "tool"
    tool: str
    call: str
    args: dict[str, Any]
    result: dict[str, Any]
    seconds: float


class ReviewEvent(_Event):
    """A batch of questions was answered and became annotations."""

    type: Literal["review"] = "review"
    review: str
    purpose: str
    answered: int
    skipped: int
    agreed: int
    """How many answers agreed with the suggestion, where one was shown."""
    suggested: int


class AnswerEvent(_Event):
    """The reviewer answered one question (or took an answer back)."""

    type: Literal["answer"] = "answer"
    review: str
    row: int
    item: str
    action: str
    label: str | None
    by: str


class MetricEvent(_Event):
    """A number was measured; it always has an interval, an n and an origin."""

    type: Literal["metric"] = "metric"
    name: str
    value: float
    low: float
    high: float
    level: float
    n: int
    items: str
    """Where the items it was measured on came from."""


class CallsEvent(_Event):
    """A chat model was called; the answers stand in the table `calls`, which `wrote` vouches for.

    Written while a tool still works, so that a call that was paid for is in the bill whatever
    happens next.
    """

    type: Literal["calls"] = "calls"
    model: str
    why: str
    made: int
    cached: int
    unusable: int
    """Answers that failed, were refused, or did not have the form that was asked for."""
    tokens_in: int
    tokens_out: int
    usd: float
    seconds: float


class ErrorEvent(_Event):
    """Something failed; the run went on, asked, or can be resumed."""

    type: Literal["error"] = "error"
    where: str
    message: str
    who: Literal["user", "model", "operator", "internal"]


class FinishEvent(_Event):
    """The run handed over its results."""

    type: Literal["finish"] = "finish"
    certificate: dict[str, Any]
    files: dict[str, str]
    """Name of each file handed over and its SHA-256."""
    totals: dict[str, float]


Event = Annotated[
    RunEvent
    | GoalEvent
    | SpecEvent
    | DecisionEvent
    | ApprovalEvent
    | ToolEvent
    | ReviewEvent
    | AnswerEvent
    | MetricEvent
    | CallsEvent
    | ErrorEvent
    | FinishEvent,
    Field(discriminator="type"),
]

EVENT_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)
