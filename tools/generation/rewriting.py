"""What is asked of the writer to make new texts from given ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Literal

from pydantic import BaseModel, create_model

from ...models.llm.base import Answer
from ...prompts.loader import Prompt, load_prompt
from ..fencing import fenced_texts
from .material import Example
from .orders import TOKENS, Desk, Method, Order
from .records import Draft

STYLES = (
    "Write it as a hurried note with abbreviations and a typing mistake.",
    "Write it as a polite and formal letter would put it.",
    "Write it as somebody would say it aloud to a friend.",
    "Write it as somebody annoyed would put it.",
)
REWORDED = "Say it in other words and with another order of thoughts."
LANGUAGES = ("German", "Spanish", "French", "Turkish")
BACK = (
    "First write it in {language}, as `draft`. Then, looking at that draft only, write it in the "
    "language of the original again, as `text`; do not try to restore the original words."
)


class Text(BaseModel):
    """One text."""

    text: str


class Rewritten(BaseModel):
    """A text, with what stood between it and the original."""

    draft: str = ""
    text: str


def contrasts(desk: Desk) -> list[Order]:
    """`contrast`: a training item with another label, changed until the wanted label fits.

    Items that the learner took for the wanted label come first.
    """
    material, prompt = desk.material, load_prompt("write_contrast")
    confused = {(each.example.id, each.said) for each in material.checked if not each.right}
    orders = []
    for number, label in enumerate(desk.labels):
        others = [each for each in material.examples if each.label != label]
        first = [each for each in others if (each.id, label) in confused]
        parent = _turn(desk, [*first, *desk.drawn(others, len(others), 0)], number, label)
        if parent is None:
            continue
        request = desk.request(
            prompt,
            fenced_texts([parent.text]),
            Text,
            number,
            TOKENS,
            before=parent.label,
            after=label,
        )
        orders.append(Order(request, _reads_one("contrast", prompt, label, parent, {})))
    return orders


def rewrites(desk: Desk, method: Method) -> list[Order]:
    """`paraphrase`, `style`, `back_translation`: a training item of the label in another form."""
    prompt, orders = load_prompt("write_rewrite"), []
    for number, label in enumerate(desk.labels):
        own = desk.material.of(label)
        parent = _turn(desk, desk.drawn(own, len(own), 0), number, label)
        if parent is None:
            continue
        how, attributes = _manner(method, number)
        request = desk.request(
            prompt, fenced_texts([parent.text]), Rewritten, number, 2 * TOKENS, label=label, how=how
        )
        orders.append(Order(request, _reads_one(method, prompt, label, parent, attributes)))
    return orders


def transforms(desk: Desk) -> list[Order]:
    """`transform`: texts of another data set, written anew as texts of this task.

    The writer gives the label, or says that a text cannot serve; as many texts as labels wanted.
    """
    prompt = load_prompt("write_transformed")
    names: Any = Literal[tuple(desk.material.labels)]
    schema = create_model(
        "Transformed", fits=(bool, ...), text=(str, ...), label=(names | None, None)
    )
    sources = islice(desk.material.sources, len(desk.labels))
    return [
        Order(
            desk.request(prompt, fenced_texts([text]), schema, number, TOKENS + 40),
            _reads_transformed(prompt),
        )
        for number, text in enumerate(sources)
    ]


def _reads_one(
    method: Method, prompt: Prompt, label: str, parent: Example, attributes: dict[str, str]
) -> Callable[[Answer], list[Draft]]:
    def read(answer: Answer) -> list[Draft]:
        text = getattr(answer.parsed, "text", "").strip()
        draft = Draft(
            text, label, method, (parent.id,), (parent.text,), prompt.digest, answer.key, attributes
        )
        return [draft] if text else []

    return read


def _reads_transformed(prompt: Prompt) -> Callable[[Answer], list[Draft]]:
    def read(answer: Answer) -> list[Draft]:
        found: Any = answer.parsed
        if found is None or not found.fits or found.label is None or not found.text.strip():
            return []
        return [
            Draft(found.text.strip(), found.label, "transform", (), (), prompt.digest, answer.key)
        ]

    return read


def _manner(method: Method, number: int) -> tuple[str, dict[str, str]]:
    if method == "back_translation":
        language = LANGUAGES[number % len(LANGUAGES)]
        return BACK.format(language=language), {"language": language}
    if method == "style":
        style = STYLES[number % len(STYLES)]
        return style, {"style": style}
    return REWORDED, {}


def _turn(desk: Desk, items: Sequence[Example], number: int, label: str) -> Example | None:
    """The parent of the n-th text: each item in turn, counted within its label."""
    if not items:
        return None
    turn = list(desk.labels[:number]).count(label)
    return items[turn % len(items)]
