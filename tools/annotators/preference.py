"""Which of two texts is better, in a way that does not depend on which stands first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from ...models.pairs import is_pair, split_pair
from ...store.errors import UserError
from ...store.spec import LabelSpec
from ..fencing import defused
from .items import Item
from .tasks import ROOM, Block, Kind, Reading, names_in, one_of


@dataclass(frozen=True, slots=True)
class Preference:
    """Which of two texts is better: `first`, `second`, and `tie` where it is allowed.

    Models favour a place (Wang et al. 2023, "Large language models are not fair evaluators"). With
    `swap` each item is asked in both orders, and only an answer that names the same text both
    times counts.

    Args:
        criterion: what better means.
        tie: whether the two may be equally good.
        swap: whether to ask in both orders.
    """

    criterion: str = "the better answer"
    tie: bool = True
    swap: bool = True
    kind: Kind = field(init=False, default="preference")
    prompt: str = field(init=False, default="annotate_preference")

    @property
    def labels(self) -> tuple[LabelSpec, ...]:
        """The answers, with what they say."""
        found = [
            LabelSpec(name="first", definition=f"the first text is {self.criterion}"),
            LabelSpec(name="second", definition=f"the second text is {self.criterion}"),
        ]
        equal = LabelSpec(name="tie", definition="neither is better than the other")
        return (*found, equal) if self.tie else tuple(found)

    @property
    def orders(self) -> int:
        """2 with `swap`, else 1."""
        return 2 if self.swap else 1

    def fields(self) -> dict[str, Any]:
        """`label`, one of the answers."""
        return {"label": (one_of(names_in(self.labels)), ...)}

    def example(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Both texts preferred once."""
        return [{"label": "first"}, {"label": "second"}]

    def blocks(self, item: Item, order: int = 0) -> tuple[Block, ...]:
        """What both answer, if anything, and the two texts in the order.

        Raises:
            UserError: the item is no pair.
        """
        if not is_pair(item.text):
            raise UserError(
                f"item {item.id!r} has one text: a preference needs two, joined with join_pair"
            )
        first, second = split_pair(item.text)[:: -1 if order else 1]
        context = (Block("What both answer", defused(item.context)),) if item.context else ()
        return (
            *context,
            Block("First text", defused(first)),
            Block("Second text", defused(second)),
        )

    def read(self, answer: BaseModel, item: Item, order: int = 0) -> Reading:
        """The answer in terms of the item's own order."""
        return Reading(self.meanings(order)[names_in(self.labels).index(getattr(answer, "label"))])  # noqa: B009

    def meanings(self, order: int) -> tuple[str, ...]:
        """In the swapped order, `first` stands for the second text."""
        first = ("second", "first") if order else ("first", "second")
        return (*first, "tie") if self.tie else first

    def written(self, value: str) -> str:
        """The answer as a JSON string."""
        return json.dumps(value)

    def agreement(self, first: str, second: str) -> float:
        """1 for the same answer, else 0."""
        return float(first == second)

    def combined(self, values: Sequence[str]) -> str:
        """The commonest; among equally common ones that which was said first."""
        return Counter(values).most_common(1)[0][0]

    def room(self, item: Item) -> int:
        """Enough for one word."""
        return ROOM + 8
