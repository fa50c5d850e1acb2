"""What is asked of the writer, by method: each order is one call, and how its answer is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, create_model

from ...models.llm.base import Answer, Message, Request
from ...prompts.loader import Prompt, load_prompt
from ..fencing import fenced_records, fenced_texts, shown
from .material import Checked, Example, Material
from .records import Draft

Method = Literal[
    "definitions",
    "attributes",
    "minority",
    "weak_spots",
    "contrast",
    "paraphrase",
    "style",
    "back_translation",
    "transform",
]
TEMPERATURE = 0.9
PER_CALL, SHOWN, OF_A_KIND = 5, 6, 16
"""Texts asked for in one call; texts shown for their style; items right, wrong and confidently
wrong that are shown (16 of each in PGKD, Palo et al. 2024)."""
TOKENS = 220
"""Most tokens that one text may take."""
LENGTHS = ("one short sentence", "two or three sentences", "a longer text with details")
TONES = ("matter-of-fact", "polite", "annoyed", "in a hurry, with mistakes", "chatty", "unsure")


class Texts(BaseModel):
    """New texts."""

    texts: Annotated[list[str], Field(max_length=50)]


class Topics(BaseModel):
    """What texts may be about."""

    topics: Annotated[list[str], Field(max_length=50)]


@dataclass(frozen=True, slots=True)
class Order:
    """One call to the writer, and what its answer is worth."""

    request: Request
    read: Callable[[Answer], list[Draft]]


@dataclass(frozen=True, slots=True)
class Desk:
    """What all orders of one job share.

    Args:
        material: what the writer is told.
        labels: the labels to write for, each as often as it is wanted.
        seed: draws examples; goes with every call.
    """

    material: Material
    labels: Sequence[str]
    seed: int

    def lines(self) -> dict[str, str]:
        """The variables that nearly all prompts have."""
        material = self.material
        return {
            "goal": material.goal,
            "labels": "\n".join(
                f"- {name}: {words}" if words else f"- {name}"
                for name, words in material.labels.items()
            ),
            "guidelines": f"Guidelines: {material.guidelines}\n" if material.guidelines else "",
        }

    def request(
        self,
        prompt: Prompt,
        data: str,
        schema: type[BaseModel],
        number: int,
        tokens: int,
        **more: str,
    ) -> Request:
        """A call with this prompt; `number` keeps calls of one form apart."""
        known = {**self.lines(), **more}
        text = prompt.fill(**{name: known[name] for name in prompt.variables})
        return Request(
            messages=(Message("system", text), Message("user", data)),
            schema=schema,
            temperature=TEMPERATURE,
            max_tokens=tokens,
            seed=self.seed,
            sample=number,
        )

    def drawn(self, items: Sequence[Any], size: int, number: int) -> list[Any]:
        """Some of the items, others for each call."""
        rng = np.random.default_rng([self.seed, number])
        places = rng.permutation(len(items))[:size]
        return [items[place] for place in places]


def shared_out(labels: Sequence[str], most: int) -> list[tuple[str, int]]:
    """Calls of at most `most` texts each, label by label."""
    wanted = {label: list(labels).count(label) for label in labels}
    return [
        (label, min(most, total - top))
        for label, total in wanted.items()
        for top in range(0, total, most)
    ]


def new_texts(desk: Desk, method: Method) -> list[Order]:
    """`definitions` and `minority`: texts of one label from its definition.

    `minority` shows training items of the label itself, `definitions` unlabelled texts of the pool.
    """
    material, orders = desk.material, []
    for number, (label, count) in enumerate(shared_out(desk.labels, PER_CALL)):
        own = material.of(label) if method == "minority" else []
        shown = desk.drawn(own, SHOWN, number)
        texts = [each.text for each in shown] or desk.drawn(material.styles, SHOWN, number)
        orders.append(_new(desk, method, label, count, number, texts, shown, {}, ""))
    return orders


def with_attributes(desk: Desk, topics: dict[str, list[str]]) -> list[Order]:
    """`attributes`: one text a call, each with a topic, a length and a tone of its own.

    Args:
        desk: the job.
        topics: what texts of each label may be about, see `topic_orders`.
    """
    rng = np.random.default_rng(desk.seed)
    orders, turns = [], {label: cycle(topics.get(label) or [""]) for label in desk.labels}
    for number, label in enumerate(desk.labels):
        attributes = {
            "length": LENGTHS[int(rng.integers(len(LENGTHS)))],
            "tone": TONES[int(rng.integers(len(TONES)))],
        }
        topic = next(turns[label])
        texts = desk.drawn(desk.material.styles, SHOWN, number)
        if topic:
            attributes["topic"] = topic
        wishes = f"Length: {attributes['length']}. Tone: {attributes['tone']}."
        orders.append(_new(desk, "attributes", label, 1, number, texts, [], attributes, wishes))
    return orders


def topic_orders(desk: Desk) -> dict[str, Request]:
    """By label, the call that asks what its texts may be about: the first link of the chain."""
    prompt = load_prompt("write_topics")
    found = {}
    for number, label in enumerate(dict.fromkeys(desk.labels)):
        count = min(20, list(desk.labels).count(label))
        texts = desk.drawn(desk.material.styles, SHOWN, number)
        found[label] = desk.request(
            prompt,
            fenced_texts(texts),
            Topics,
            number,
            40 * count + 64,
            label=label,
            count=str(count),
        )
    return found


def weak_spots(desk: Desk) -> list[Order]:
    """`weak_spots`: per-class F1, and training items right, wrong and confidently wrong.

    After PGKD (Palo et al. 2024) and EvoKD (Liu et al. 2024). The label that the writer gives is a
    proposal like any other.
    """
    material, prompt = desk.material, load_prompt("write_weak")
    names: Any = Literal[tuple(material.labels)]
    pair = create_model("Example", text=(str, ...), label=(names, ...))
    schema = create_model("Examples", examples=(list[pair], ...))  # type: ignore[valid-type]
    report = "\n".join(
        f"- {name}: {'not known' if value is None else f'{value:.2f}'}"
        for name, value in material.f1.items()
    )
    orders = []
    for number, top in enumerate(range(0, len(desk.labels), PER_CALL)):
        wanted = desk.labels[top : top + PER_CALL]
        shown_items = _shown_checks(desk, number)
        request = desk.request(
            prompt,
            fenced_records([_check_record(each) for each in shown_items]),
            schema,
            number,
            (TOKENS + 30) * len(wanted) + 64,
            report=report,
            focus=", ".join(dict.fromkeys(wanted)),
            count=str(len(wanted)),
        )
        parents = tuple(each.example.id for each in shown_items)
        orders.append(Order(request, _reads_pairs(prompt, parents, len(wanted))))
    return orders


def _new(
    desk: Desk,
    method: Method,
    label: str,
    count: int,
    number: int,
    texts: Sequence[str],
    parents: Sequence[Example],
    attributes: dict[str, str],
    wishes: str,
) -> Order:
    prompt = load_prompt("write_new")
    data = fenced_texts(texts)
    if "topic" in attributes:
        # A topic is a model's words about the pool: it goes with the data, not the instructions.
        data = (
            f"Write about this topic:\n{fenced_records([{'topic': attributes['topic']}])}\n{data}"
        )
    request = desk.request(
        prompt,
        data,
        Texts,
        number,
        TOKENS * count + 64,
        label=label,
        count=str(count),
        wishes=wishes,
    )
    ids = tuple(each.id for each in parents)

    def read(answer: Answer) -> list[Draft]:
        texts = answer.parsed.texts[:count] if isinstance(answer.parsed, Texts) else []
        return [
            Draft(text.strip(), label, method, ids, (), prompt.digest, answer.key, dict(attributes))
            for text in texts
        ]

    return Order(request, read)


def _reads_pairs(
    prompt: Prompt, parents: tuple[str, ...], count: int
) -> Callable[[Answer], list[Draft]]:
    def read(answer: Answer) -> list[Draft]:
        found = getattr(answer.parsed, "examples", [])[:count]
        return [
            Draft(
                each.text.strip(), each.label, "weak_spots", parents, (), prompt.digest, answer.key
            )
            for each in found
        ]

    return read


def _shown_checks(desk: Desk, number: int) -> list[Checked]:
    """Up to 16 items each: right, wrong, and the most confidently wrong."""
    checked = desk.material.checked
    wrong = sorted((each for each in checked if not each.right), key=lambda each: -each.probability)
    sure, others = wrong[:OF_A_KIND], wrong[OF_A_KIND:]
    right = [each for each in checked if each.right]
    return [
        *desk.drawn(right, OF_A_KIND, number),
        *desk.drawn(others, OF_A_KIND, number),
        *sure,
    ]


def _check_record(each: Checked) -> dict[str, object]:
    return {
        "text": shown(each.example.text),
        "label": each.example.label,
        "classifier_said": each.said,
        "probability": round(each.probability, 2),
    }
