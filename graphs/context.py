"""What the nodes work with; never checkpointed, given anew at each start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langgraph.runtime import Runtime

from ..agent.policy import Policy
from ..store.database import Store
from ..store.pool import Pool
from ..store.spec import Settings, TaskSpec
from ..store.trace import Place
from ..tools.base import ToolContext, Workbench

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

SPEC_KEY = "spec"


@dataclass(frozen=True, slots=True)
class Context:
    """The project's parts, and who decides."""

    store: Store
    pool: Pool
    settings: Settings
    bench: Workbench
    policy: Policy
    chat: BaseChatModel | None = None
    on_event: Callable[[str, dict[str, Any]], None] = lambda _what, _detail: None
    """Called with what happens (a decision, a result), for a terminal to show."""

    @property
    def spec(self) -> TaskSpec:
        """The task spec as it stands now."""
        text = self.store.get_meta(SPEC_KEY)
        if text is None:
            raise RuntimeError("the task spec was read before it was understood")
        return TaskSpec.model_validate_json(text)

    def tool_context(self, step: int) -> ToolContext:
        """What a tool call of this step may look at."""
        return ToolContext(self.store, self.pool, self.spec, self.settings, self.bench, step)


def place_of(runtime: Runtime[Context], run: str, step: int, node: str) -> Place:
    """Where in the run a node is, as events record it."""
    info = runtime.execution_info
    if info is None:
        return Place(run, step, node)
    return Place(run, step, node, attempt=info.node_attempt, checkpoint=info.checkpoint_id or "")
