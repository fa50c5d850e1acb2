"""A chat model as the policy: it sees numbers and legal tools, and makes one call.

A call that is not valid goes back with its error, twice at most; then the playbook takes the
step. Whatever the model says, the step is one legal tool call.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..models.llm.base import Answer, Asker, Message, Request
from ..prompts.loader import load_prompt
from ..store.errors import OperatorError, UserError
from ..tools.registry import TOOLS, as_tool_spec, checked_args
from .legal import check_call
from .observation import Observation
from .playbook import PlaybookPolicy
from .policy import Decision

TRIES = 3
MAX_STEPS = 400
"""Steps after which the playbook brings the run to its end: a model may go round in circles."""
MAX_TOKENS = 600
"""Of a decision: a call with a reason of a sentence or two."""
SHOWN = 500
"""Characters of an error that the trace keeps."""


class LLMPolicy:
    """Lets a chat model decide, with the playbook behind it."""

    def __init__(
        self,
        asker_at: Callable[[int], Asker],
        name: str,
        playbook: PlaybookPolicy,
        *,
        seed: int = 0,
    ) -> None:
        """Ask what `asker_at` gives for a step, called `name` in the trace; then `playbook`."""
        self.name = f"llm:{name}"
        self._asker_at = asker_at
        self._playbook = playbook
        self._seed = seed

    def decide(self, seen: Observation, legal: list[str]) -> Decision:
        """The model's decision, or the playbook's after three failures (see `Policy.decide`)."""
        if seen.step >= MAX_STEPS:
            return self._fall_back(seen, legal, f"{MAX_STEPS} steps were taken", [])
        asker = self._asker_at(seen.step)
        tools = tuple(as_tool_spec(TOOLS[name]) for name in legal)
        messages = _messages(seen)
        attempts: list[dict[str, Any]] = []
        for _ in range(TRIES):
            request = Request(messages, tools=tools, max_tokens=MAX_TOKENS, seed=self._seed)
            try:
                (answer,) = asker.ask([request], why="decide", repairs=0)
            except OperatorError as error:
                return self._fall_back(seen, legal, *_failure(str(error), attempts))
            if answer.status in ("failed", "over_budget"):
                return self._fall_back(seen, legal, *_failure(answer.error, attempts))
            try:
                return self._checked(answer, seen, legal, attempts)
            except UserError as error:
                attempts.append({"call": _shown(answer), "error": str(error)})
                messages = (*messages, _mend(answer, str(error)))
        return self._fall_back(seen, legal, f"{TRIES} invalid calls", attempts)

    def _checked(
        self, answer: Answer, seen: Observation, legal: list[str], attempts: list[dict[str, Any]]
    ) -> Decision:
        if answer.call is None:
            raise UserError(answer.error)
        name, args = answer.call.name, json.loads(answer.call.arguments or "{}")
        reason = args.pop("reason", "")
        if not isinstance(reason, str) or not reason.strip():
            raise UserError("the call gives no reason: say in `reason` why")
        clean = checked_args(name, args).model_dump(mode="json")
        check_call(name, clean, seen)
        if name not in legal:
            raise UserError(
                f"the reviewer refused {name} in this state: call one of {', '.join(legal)}"
            )
        return Decision(
            tool=name, args=clean, reason=reason.strip(), policy=self.name, attempts=attempts
        )

    def _fall_back(
        self, seen: Observation, legal: list[str], why: str, attempts: list[dict[str, Any]]
    ) -> Decision:
        decision = self._playbook.decide(seen, legal)
        return decision.model_copy(update={"fallback": why, "attempts": attempts})


def _failure(error: str, attempts: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    why = f"the chat model failed: {error}"[:SHOWN]
    return why, [*attempts, {"call": None, "error": why}]


def _messages(seen: Observation) -> tuple[Message, ...]:
    target = "none stated" if seen.target_accuracy is None else f"{seen.target_accuracy:.1%}"
    system = load_prompt("decide").fill(goal=seen.goal, target=target)
    state = json.dumps(seen.model_dump(mode="json", exclude={"goal"}), ensure_ascii=False)
    return Message("system", system), Message("user", f"State of the project:\n{state}")


def _mend(answer: Answer, error: str) -> Message:
    return Message(
        "user",
        f"Your last answer was refused: {error}\nIt was: {json.dumps(_shown(answer))}\n"
        "Make exactly one valid call.",
    )


def _shown(answer: Answer) -> Any:
    if answer.call is None:
        return answer.text[:SHOWN]
    return {"tool": answer.call.name, "args": json.loads(answer.call.arguments or "{}")}
