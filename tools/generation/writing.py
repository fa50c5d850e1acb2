"""Lets a chat model write: from a method and the labels wanted to drafts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...models.llm.base import Asker
from ...store.errors import UserError
from .material import Material
from .orders import (
    Desk,
    Method,
    Order,
    Topics,
    new_texts,
    topic_orders,
    weak_spots,
    with_attributes,
)
from .records import Draft
from .rewriting import contrasts, rewrites, transforms


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a job.

    Args:
        drafts: what was written, in the order of the labels.
        calls: how many calls were made for it.
        unusable: how many of their answers could not be used.
    """

    drafts: tuple[Draft, ...]
    calls: int
    unusable: int


def write(
    asker: Asker, material: Material, method: Method, labels: Sequence[str], *, seed: int
) -> Written:
    """Let a model write one text for each entry of `labels`; a faulty answer gives none.

    Args:
        asker: the writer.
        material: what it is told.
        method: how it is asked.
        labels: the label of each text wanted.
        seed: draws what is shown; goes with every call.

    Raises:
        UserError: the method needs labelled items, or sources, and there are none.
        OperatorError: the model cannot be reached.
    """
    desk = Desk(material, list(labels), seed)
    calls = unusable = 0
    topics: dict[str, list[str]] = {}
    if method == "attributes":
        asked = topic_orders(desk)
        found = asker.ask(list(asked.values()), why="generate")
        calls, unusable = len(found), sum(not answer.ok for answer in found)
        for label, answer in zip(asked, found, strict=True):
            if isinstance(answer.parsed, Topics):
                topics[label] = [each.strip() for each in answer.parsed.topics if each.strip()]
    orders = _orders(desk, method, topics)
    if not orders:
        what = "texts of another data set" if method == "transform" else "labelled items"
        raise UserError(f"method {method!r} makes new texts from {what}, and there are none yet")
    answers = asker.ask([order.request for order in orders], why="generate")
    drafts = [
        draft
        for order, answer in zip(orders, answers, strict=True)
        if answer.ok
        for draft in order.read(answer)
    ]
    unusable += sum(not answer.ok for answer in answers)
    return Written(tuple(drafts), calls + len(answers), unusable)


def _orders(desk: Desk, method: Method, topics: dict[str, list[str]]) -> list[Order]:
    if method == "attributes":
        return with_attributes(desk, topics)
    if method == "weak_spots":
        return weak_spots(desk)
    if method == "contrast":
        return contrasts(desk)
    if method == "transform":
        return transforms(desk)
    if method in ("definitions", "minority"):
        return new_texts(desk, method)
    return rewrites(desk, method)
