"""Whom a strategy asks: a chat model, and what it is told of the task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...models.llm.base import Answer, Asker, Message, Request
from ...prompts.loader import load_prompt


@dataclass(frozen=True, slots=True)
class Adviser:
    """A chat model that is asked which items to label.

    Args:
        asker: the model, behind the gateway.
        goal: what is to be labelled, in the person's words.
        labels: the labels in words, each with its definition where it has one.
        seed: goes with every call.
    """

    asker: Asker
    goal: str
    labels: tuple[str, ...]
    seed: int = 0

    def said(self, prompt: str, **values: str) -> str:
        """A prompt of this package about the task: its variables beside goal and labels filled."""
        return load_prompt(prompt).fill(goal=self.goal, labels=label_lines(self.labels), **values)

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """The answers in order; a fault of the model is a status, never an exception.

        Raises:
            OperatorError: the model cannot be reached.
        """
        return self.asker.ask(requests, why="select") if requests else []


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of some calls.

    Args:
        calls: how many requests were made.
        unusable: how many of their answers had no usable form, or never came.
        strange: entries of usable answers that were left out: an index that was not shown, one
            given twice, or more of them than were asked for.
    """

    calls: int
    unusable: int
    strange: int

    def words(self) -> str:
        """For a reason: ` (1 of 4 answers unusable; 2 entries left out)`, or nothing."""
        parts = []
        if self.unusable:
            parts.append(f"{self.unusable} of {self.calls} answers unusable")
        if self.strange:
            parts.append(f"{self.strange} entries of answers left out: not shown, or repeated")
        return f" ({'; '.join(parts)})" if parts else ""


def label_lines(labels: Sequence[str]) -> str:
    """The labels, one a line."""
    return "\n".join(f"- {label}" for label in labels)


def messages(instructions: str, data: str) -> tuple[Message, ...]:
    """Instructions as the system's message, the data as the user's."""
    return (Message("system", instructions), Message("user", data))
