"""What the nodes work with; never checkpointed, given anew at each start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from langgraph.runtime import Runtime

from ..agent.policy import Policy
from ..models.llm.account import StoreAccount
from ..models.llm.base import Asker
from ..models.llm.gateway import Gateway
from ..store.database import Store
from ..store.pool import Pool
from ..store.spec import Settings, TaskSpec
from ..store.trace import Place
from ..tools.base import ModelRole, ToolContext, Workbench

SPEC_KEY = "spec"


@dataclass(frozen=True, slots=True)
class Context:
    """The project's parts, and who decides."""

    store: Store
    pool: Pool
    settings: Settings
    bench: Workbench
    policy: Policy
    run: str = ""
    """The run's id, as events name it."""
    gateways: Mapping[str, Gateway] = field(default_factory=dict)
    """The chat models by role; see `tools.base.ModelRole`."""
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
        tools = ToolContext(self.store, self.pool, self.spec, self.settings, self.bench, step)
        asker = partial(self.asker, step=step, node="act", usd=_for_models(tools))
        return replace(tools, asker=asker)

    def asker(self, role: ModelRole, *, step: int, node: str, usd: float | None) -> Asker | None:
        """The chat model of a role at a place in the run, held to a budget of `usd`.

        Returns:
            `None` where there is none; nobody judges but the strong model, else the main one.
        """
        found = self.gateways.get(role)
        if role == "judge":
            found = found or self.gateways.get("strong") or self.gateways.get("main")
        if found is None:
            return None
        account = StoreAccount(self.store, Place(self.run, step, node), usd)
        return found.paid_by(account, self.bench.progress)


def _for_models(tools: ToolContext) -> float | None:
    """What a chat model's calls may bring the run's cost to: the audit's labels stay affordable."""
    usd = tools.spec.budgets.usd
    if usd is None or not tools.settings.label_price:
        return usd
    asked = len(tools.store.human_labels(("audit",)))
    return max(0.0, usd - tools.settings.label_price * max(0, tools.plan.audit - asked))


def place_of(runtime: Runtime[Context], run: str, step: int, node: str) -> Place:
    """Where in the run a node is, as events record it."""
    info = runtime.execution_info
    if info is None:
        return Place(run, step, node)
    return Place(run, step, node, attempt=info.node_attempt, checkpoint=info.checkpoint_id or "")
