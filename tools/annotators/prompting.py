"""From a task and an item to what is said to the model.

The system message is the same for all items of a variant, so a server keeps it from call to call;
the demonstrations and the item are in the user's message, fenced.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal

import numpy as np
from pydantic import BaseModel

from ...models.llm.base import Message
from ...models.pairs import join_pair
from ...prompts.loader import Prompt, load_prompt
from ...store.records import canonical_json
from ...store.spec import LabelSpec
from ..fencing import defused, fence_code, fenced_text
from .items import Item, V
from .tasks import Block, Task, schema_of

Style = Literal["label", "rationale_first", "label_first"]
Wording = Literal["instruction", "question"]
STYLES: tuple[Style, ...] = ("label", "rationale_first", "label_first")
RATIONALE = "the reason in one or two sentences"
RATIONALE_TOKENS = 200
"""Room for a reason; longer ones are cut off, and that answer is invalid."""
CONFIDENCE_TOKENS = 16
PROBE = Item("", join_pair("first", "second"), context="context")
"""Shows what is said around an item of any task."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of asking; several of them are a prompt committee.

    Attributes:
        style: no reason, a reason before the answer, or one after it.
        wording: another prompt file for the same task; `question` is there for single labels.
        order: 0 lists the labels as the task does, any other number shuffles them by it.
    """

    style: Style = "label"
    wording: Wording = "instruction"
    order: int = 0


@dataclass(frozen=True, slots=True)
class Instructions:
    """What every item is judged by: the person's words, never pool text.

    Attributes:
        goal: what the labels are for.
        guidelines: rules for hard cases; may be empty.
    """

    goal: str
    guidelines: str = ""


@dataclass(frozen=True, slots=True)
class Shown(Generic[V]):
    """A demonstration: an item, and the value a person gave it."""

    item: Item
    value: V


class Script(Generic[V]):
    """What a variant says: made once, used for all items."""

    def __init__(
        self,
        task: Task[V],
        instructions: Instructions,
        variant: Variant,
        *,
        stated: bool = False,
        several: bool = False,
    ) -> None:
        """Write the system message and the form of the answer.

        Args:
            task: what is asked.
            instructions: goal and guidelines.
            variant: how it is asked.
            stated: whether the model is to say how sure it is.
            several: whether a message may hold several items.
        """
        self.task, self.variant, self.stated, self.several = task, variant, stated, several
        self._used: list[Prompt] = []
        self._message = self._prompt("annotate_message")
        self._examples = self._prompt("annotate_demonstrations")
        self.schema: type[BaseModel] = schema_of("Answer", self._fields())
        self.schema_of_several = schema_of("Answers", {"answers": (list[_indexed(self)], ...)})  # type: ignore[misc]
        self.system = _tidy(
            self._prompt(self._file()).fill(
                goal=instructions.goal,
                labels=definitions(self._labels()),
                guidelines=rules(instructions.guidelines),
                form=self._form(),
            )
        )

    @property
    def digest(self) -> str:
        """16 hex digits over the prompt files used and what they become around an item."""
        said = {
            "prompts": [each.digest for each in self._used],
            "messages": [each.content for each in self.messages([PROBE] * (1 + self.several))],
        }
        return hashlib.sha256(canonical_json(said).encode()).hexdigest()[:16]

    def messages(
        self, items: Sequence[Item], demonstrations: Sequence[Shown[V]] = (), *, order: int = 0
    ) -> tuple[Message, ...]:
        """The system message, and the user's with the texts.

        Args:
            items: one, or several for an answer with indices from 1.
            demonstrations: shown before the items, in this order.
            order: which order of the two texts, for tasks that are asked in several.
        """
        shown = [self.task.blocks(each.item) for each in demonstrations]
        asked = [self.task.blocks(item, order) for item in items]
        quotes = [self.task.written(each.value) for each in demonstrations]
        code = fence_code([block.text for blocks in shown + asked for block in blocks] + quotes)
        body = self._message.fill(
            code=code,
            demonstrations=self._demonstrations(shown, quotes, code),
            items=self._items(asked, code),
        )
        return Message("system", self.system), Message("user", body)

    def room(self, items: Sequence[Item]) -> int:
        """Tokens that the answer for these items may take."""
        reason = 0 if self.variant.style == "label" else RATIONALE_TOKENS
        extra = reason + CONFIDENCE_TOKENS * (self.stated + (len(items) > 1))
        return sum(self.task.room(item) + extra for item in items)

    def _file(self) -> str:
        question = self.variant.wording == "question"
        return f"{self.task.prompt}_question" if question else self.task.prompt

    def _prompt(self, name: str) -> Prompt:
        self._used.append(load_prompt(name))
        return self._used[-1]

    def _labels(self) -> list[LabelSpec]:
        labels = list(self.task.labels)
        if self.variant.order:
            turned = np.random.default_rng(self.variant.order).permutation(len(labels))
            if (turned == np.arange(len(labels))).all():
                # A shuffle that changes nothing would be no other member of a committee.
                turned = np.roll(turned, 1)
            return [labels[place] for place in turned]
        return labels

    def _fields(self) -> dict[str, Any]:
        reason: dict[str, Any] = {"rationale": (str, ...)}
        parts = {
            "label": [self.task.fields()],
            "rationale_first": [reason, self.task.fields()],
            "label_first": [self.task.fields(), reason],
        }[self.variant.style]
        stated: dict[str, Any] = {"confidence": (int, ...)} if self.stated else {}
        return {name: kind for part in [*parts, stated] for name, kind in part.items()}

    def _form(self) -> str:
        names = [label.name for label in self._labels()]
        answers = [self._full(each) for each in self.task.example(names)]
        lines = "\n".join(json.dumps(answer, ensure_ascii=False) for answer in answers)
        parts = [self._prompt(f"answer_{self.variant.style}").fill(example=lines)]
        if self.stated:
            parts.append(self._prompt("answer_confidence").fill())
        if self.several:
            indexed = [{"index": place, **answer} for place, answer in enumerate(answers, 1)]
            example = json.dumps({"answers": indexed}, ensure_ascii=False)
            parts.append(self._prompt("answer_several").fill(example=example))
        return "\n\n".join(parts)

    def _full(self, answer: dict[str, Any]) -> dict[str, Any]:
        given = {**answer, "rationale": RATIONALE, "confidence": 80}
        return {name: given[name] for name in self.schema.model_fields}

    def _demonstrations(
        self, shown: Sequence[Sequence[Block]], quotes: Sequence[str], code: str
    ) -> str:
        if not shown:
            return ""
        parts = [
            f"{show(blocks, code)}\nAnswer:\n{answered(self.task, quote, code)}"
            for blocks, quote in zip(shown, quotes, strict=True)
        ]
        return self._examples.fill(demonstrations="\n\n".join(parts)) + "\n\n"

    def _items(self, asked: Sequence[Sequence[Block]], code: str) -> str:
        if len(asked) == 1:
            return show(asked[0], code)
        return "\n\n".join(
            f"Item with index {place}\n{show(blocks, code)}"
            for place, blocks in enumerate(asked, 1)
        )


def definitions(labels: Sequence[LabelSpec]) -> str:
    """A line for each label: its name as it must be written, and its definition."""
    return "\n".join(
        f"- {json.dumps(label.name, ensure_ascii=False)}"
        + (f": {label.definition.strip()}" if label.definition.strip() else "")
        for label in labels
    )


def rules(guidelines: str) -> str:
    """The guidelines under a heading of their own; nothing where there are none."""
    return f"\nRules for hard cases:\n{guidelines.strip()}\n" if guidelines.strip() else ""


def show(blocks: Sequence[Block], code: str) -> str:
    """Captioned texts, each within its fence."""
    return "\n".join(f"{block.caption}:\n{fenced_text(block.text, code)}" for block in blocks)


def answered(task: Task[V], written: str, code: str) -> str:
    """A value as it is shown: fenced where it quotes pool text."""
    return fenced_text(defused(written), code) if task.kind == "entities" else written


def checking(task: Task[V], instructions: Instructions) -> tuple[str, Prompt]:
    """The system message that asks whether an answer is right, and the prompt of the message."""
    prompt = load_prompt("check_answer")
    system = prompt.fill(
        goal=instructions.goal,
        labels=definitions(task.labels),
        guidelines=rules(instructions.guidelines),
        kind="Types" if task.kind == "entities" else "Labels",
    )
    return _tidy(system), load_prompt("check_message")


def check_messages(
    system: str, prompt: Prompt, task: Task[V], item: Item, value: V
) -> tuple[Message, ...]:
    """The messages that show an item with its answer and ask whether that is right."""
    blocks, written = task.blocks(item), task.written(value)
    code = fence_code([*(block.text for block in blocks), written])
    body = prompt.fill(code=code, item=show(blocks, code), answer=answered(task, written, code))
    return Message("system", system), Message("user", body)


def _indexed(script: Script[V]) -> type[BaseModel]:
    return schema_of("IndexedAnswer", {"index": (int, ...), **script._fields()})


def _tidy(text: str) -> str:
    """At most one empty line in a row; for what holds no pool text."""
    return re.sub(r"\n{3,}", "\n\n", text).strip()
