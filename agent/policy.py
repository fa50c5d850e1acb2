"""What every policy gives: exactly one decision for an observation."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from .observation import Observation


class Decision(BaseModel):
    """One tool call and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool: str
    args: dict[str, Any]
    reason: str
    policy: str
    """Who decided: `playbook`, `llm:NAME`, or `reviewer` for an edited decision."""
    fallback: str = ""
    """Why the playbook took the step in place of the chat model; empty when it did not."""
    attempts: list[dict[str, Any]] = []
    """Invalid calls that came before, each with its error."""


class Policy(Protocol):
    """Decides what to do next."""

    name: str

    def decide(self, seen: Observation, legal: list[str]) -> Decision:
        """One decision for one of the legal tools.

        Args:
            seen: the project in numbers.
            legal: names of the tools that may be called; never empty.
        """
