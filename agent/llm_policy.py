"""A chat model as the policy: it sees numbers and legal tools, and makes one call.

A call that is not valid goes back with its error, twice at most; then the playbook takes the
step. Whatever the model says, the step is one legal tool call.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..prompts.loader import load_prompt
from ..store.errors import UserError
from ..tools.registry import TOOLS, as_langchain, checked_args
from .legal import check_call
from .observation import Observation
from .playbook import PlaybookPolicy
from .policy import Decision

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage

TRIES = 3
MAX_STEPS = 400
"""Steps after which the playbook brings the run to its end: a model may go round in circles."""


class LLMPolicy:
    """Lets a chat model decide, with the playbook behind it."""

    def __init__(self, model: BaseChatModel, name: str, playbook: PlaybookPolicy) -> None:
        """Use `model`, which the trace calls `name`, and `playbook` where it fails."""
        self.name = f"llm:{name}"
        self._model = model
        self._playbook = playbook

    def decide(self, seen: Observation, legal: list[str]) -> Decision:
        """The model's decision, or the playbook's after three failures (see `Policy.decide`)."""
        if seen.step >= MAX_STEPS:
            return self._fall_back(seen, legal, f"{MAX_STEPS} steps were taken", [], {})
        messages = _messages(seen)
        attempts: list[dict[str, Any]] = []
        tokens = {"in": 0, "out": 0}
        bound = self._model.bind_tools(
            [as_langchain(TOOLS[name]) for name in legal], tool_choice="required"
        )
        for _ in range(TRIES):
            try:
                answer = bound.invoke(messages)
            except Exception as error:
                why = f"the chat model failed: {type(error).__name__}: {error}"
                attempts.append({"call": None, "error": why[:500]})
                return self._fall_back(seen, legal, why[:500], attempts, tokens)
            _count(tokens, answer)
            try:
                return self._checked(answer, seen, legal, attempts, tokens)
            except UserError as error:
                attempts.append({"call": _shown(answer), "error": str(error)})
                messages.append(_mend(answer, str(error)))
        return self._fall_back(seen, legal, f"{TRIES} invalid calls", attempts, tokens)

    def _checked(
        self,
        answer: AIMessage,
        seen: Observation,
        legal: list[str],
        attempts: list[dict[str, Any]],
        tokens: dict[str, int],
    ) -> Decision:
        if answer.invalid_tool_calls:
            raise UserError("the call's arguments are not valid JSON")
        if len(answer.tool_calls) != 1:
            raise UserError(f"{len(answer.tool_calls)} calls were made: call exactly one tool")
        call = answer.tool_calls[0]
        args = dict(call["args"])
        reason = args.pop("reason", "")
        if not isinstance(reason, str) or not reason.strip():
            raise UserError("the call gives no reason: say in `reason` why")
        clean = checked_args(call["name"], args).model_dump(mode="json")
        check_call(call["name"], clean, seen)
        if call["name"] not in legal:
            raise UserError(
                f"the reviewer refused {call['name']} in this state: call one of {', '.join(legal)}"
            )
        return Decision(
            tool=call["name"],
            args=clean,
            reason=reason.strip(),
            policy=self.name,
            attempts=attempts,
            tokens=tokens,
        )

    def _fall_back(
        self,
        seen: Observation,
        legal: list[str],
        why: str,
        attempts: list[dict[str, Any]],
        tokens: dict[str, int],
    ) -> Decision:
        decision = self._playbook.decide(seen, legal)
        return decision.model_copy(update={"fallback": why, "attempts": attempts, "tokens": tokens})


def _messages(seen: Observation) -> list[BaseMessage]:
    from langchain_core.messages import HumanMessage, SystemMessage

    target = "none stated" if seen.target_accuracy is None else f"{seen.target_accuracy:.1%}"
    system = load_prompt("decide").fill(goal=seen.goal, target=target)
    state = json.dumps(seen.model_dump(mode="json", exclude={"goal"}), ensure_ascii=False)
    return [SystemMessage(system), HumanMessage(f"State of the project:\n{state}")]


def _mend(answer: AIMessage, error: str) -> BaseMessage:
    from langchain_core.messages import HumanMessage

    return HumanMessage(
        f"Your last answer was refused: {error}\nIt was: {json.dumps(_shown(answer))}\n"
        "Make exactly one valid call."
    )


def _shown(answer: AIMessage) -> list[dict[str, Any]]:
    calls = [{"tool": call["name"], "args": call["args"]} for call in answer.tool_calls]
    broken = [{"tool": c["name"], "args": c["args"]} for c in answer.invalid_tool_calls]
    return [*calls, *broken]


def _count(tokens: dict[str, int], answer: AIMessage) -> None:
    usage = answer.usage_metadata
    if usage:
        tokens["in"] += usage["input_tokens"]
        tokens["out"] += usage["output_tokens"]
