"""Tasks whose answers are labels: one for a text, one for two texts, or every one that fits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from ...models.pairs import is_pair
from ...store.errors import UserError
from ...store.spec import LabelSpec
from .items import Item
from .tasks import ROOM, Block, Kind, Reading, check_labels, names_in, one_of, texts_of


@dataclass(frozen=True, slots=True)
class SingleLabel:
    """Exactly one label for a text, or for two texts that belong together.

    Args:
        labels: at least two.

    Raises:
        UserError: fewer than two labels, or two of the same name.
    """

    labels: tuple[LabelSpec, ...]
    orders: int = field(init=False, default=1)
    kind: Kind = field(init=False, default="single")
    prompt: str = field(init=False, default="annotate_label")

    def __post_init__(self) -> None:
        check_labels(self.labels, 2)

    def meanings(self, order: int) -> tuple[str, ...]:
        """The labels themselves."""
        return names_in(self.labels)

    def fields(self) -> dict[str, Any]:
        """`label`, one of the names."""
        return {"label": (one_of(names_in(self.labels)), ...)}

    def example(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """The first and the last label, so that neither is suggested."""
        return [{"label": names[0]}, {"label": names[-1]}]

    def blocks(self, item: Item, order: int = 0) -> tuple[Block, ...]:
        """The text, or the two of a pair."""
        return texts_of(item)

    def read(self, answer: BaseModel, item: Item, order: int = 0) -> Reading:
        """The label."""
        return Reading(getattr(answer, "label"))  # noqa: B009 (the model is made at run time)

    def written(self, value: str) -> str:
        """The label as a JSON string."""
        return json.dumps(value, ensure_ascii=False)

    def agreement(self, first: str, second: str) -> float:
        """1 for the same label, else 0."""
        return float(first == second)

    def combined(self, values: Sequence[str]) -> str:
        """The commonest; among equally common ones that which was said first."""
        return Counter(values).most_common(1)[0][0]

    def room(self, item: Item) -> int:
        """Enough for the longest label."""
        return ROOM + max(len(name.encode()) for name in names_in(self.labels))


@dataclass(frozen=True, slots=True)
class PairLabel(SingleLabel):
    """One label for how two texts stand to each other; items are pairs (`models.pairs`)."""

    prompt: str = field(init=False, default="annotate_pair")

    def blocks(self, item: Item, order: int = 0) -> tuple[Block, ...]:
        """The two texts.

        Raises:
            UserError: the item is no pair.
        """
        if not is_pair(item.text):
            raise UserError(
                f"item {item.id!r} has one text: this task compares two, join them with join_pair"
            )
        return texts_of(item)


@dataclass(frozen=True, slots=True)
class MultiLabel:
    """Every label that fits a text: none, one or several, as names in the order of `labels`.

    Raises:
        UserError: no labels, or two of the same name.
    """

    labels: tuple[LabelSpec, ...]
    orders: int = field(init=False, default=1)
    kind: Kind = field(init=False, default="multi")
    prompt: str = field(init=False, default="annotate_labels")

    def __post_init__(self) -> None:
        check_labels(self.labels, 1)

    def meanings(self, order: int) -> tuple[str, ...]:
        """The labels themselves."""
        return names_in(self.labels)

    def fields(self) -> dict[str, Any]:
        """`labels`, a list of names."""
        return {"labels": (list[one_of(names_in(self.labels))], ...)}  # type: ignore[misc]

    def example(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Two labels, and none."""
        return [{"labels": list(dict.fromkeys([names[0], names[-1]]))}, {"labels": []}]

    def blocks(self, item: Item, order: int = 0) -> tuple[Block, ...]:
        """The text, or the two of a pair."""
        return texts_of(item)

    def read(self, answer: BaseModel, item: Item, order: int = 0) -> Reading:
        """The names as a set: one that was said twice is said."""
        return Reading(self._ordered(getattr(answer, "labels")))  # noqa: B009

    def written(self, value: tuple[str, ...]) -> str:
        """The names as a JSON list in the order of the labels."""
        return json.dumps(list(self._ordered(value)), ensure_ascii=False)

    def agreement(self, first: tuple[str, ...], second: tuple[str, ...]) -> float:
        """Labels in both / labels in either (Jaccard); 1 where both have none."""
        one, two = set(first), set(second)
        return len(one & two) / len(one | two) if one or two else 1.0

    def combined(self, values: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
        """The labels that more than half of the members gave."""
        seen = Counter(name for value in values for name in value)
        return self._ordered(name for name, n in seen.items() if 2 * n > len(values))

    def room(self, item: Item) -> int:
        """Enough for all labels."""
        return ROOM + sum(len(name.encode()) + 4 for name in names_in(self.labels))

    def _ordered(self, names: Iterable[str]) -> tuple[str, ...]:
        given = set(names)
        return tuple(name for name in names_in(self.labels) if name in given)
