"""What is asked about an item: the form of an answer and what it means.

A task knows nothing of prompts' wording, of models or of money. It gives the fields of the answer
(closed sets: nothing outside them is valid, and nothing is mapped into them), the texts to show,
the value that an answer stands for, and when two values agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, create_model

from ...models.pairs import is_pair, split_pair
from ...store.errors import UserError
from ...store.spec import LabelSpec
from ..fencing import defused
from .items import Item

V = TypeVar("V")
ROOM = 48
"""Tokens for the JSON around a value, and for a fence around that."""
Kind = Literal["single", "multi", "preference", "entities"]


class Block(NamedTuple):
    """A text to show, and what it is."""

    caption: str
    text: str


class Reading(NamedTuple):
    """What an answer stands for. With issues, something had to be left out."""

    value: Any
    issues: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Task(Protocol[V]):
    """One kind of question. Add one: a frozen class with these members, and a prompt file."""

    @property
    def kind(self) -> Kind:
        """Its name in records."""
        ...

    @property
    def prompt(self) -> str:
        """The file in `prompts/` that tells how to answer."""
        ...

    @property
    def labels(self) -> tuple[LabelSpec, ...]:
        """The closed set of answers, or of types of spans."""
        ...

    @property
    def orders(self) -> int:
        """How many orders of the texts an item is asked in."""
        ...

    def meanings(self, order: int) -> tuple[str, ...]:
        """What each label of an answer stands for in an order, in the order of `labels`."""
        ...

    def fields(self) -> dict[str, Any]:
        """The fields of an answer as pydantic takes them: name to type and default."""
        ...

    def example(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """One or two answers that show the form, the labels taken in the order of `names`."""
        ...

    def blocks(self, item: Item, order: int = 0) -> tuple[Block, ...]:
        """The texts to show, in one of the orders."""
        ...

    def read(self, answer: BaseModel, item: Item, order: int = 0) -> Reading:
        """The value of an answer that fits `fields`."""
        ...

    def written(self, value: V) -> str:
        """The value as JSON: equal for values that are the same answer."""
        ...

    def agreement(self, first: V, second: V) -> float:
        """How far two values agree, in [0, 1]; 1 where they are the same answer."""
        ...

    def combined(self, values: Sequence[V]) -> V:
        """The one value for what several members said; at least one value is given."""
        ...

    def room(self, item: Item) -> int:
        """Tokens that an answer without rationale takes at most."""
        ...


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def schema_of(name: str, fields: dict[str, Any]) -> type[BaseModel]:
    """A strict pydantic model: no other fields, no conversion of types.

    Args:
        name: its title in the JSON schema.
        fields: in the order in which the model is to write them.
    """
    made: type[BaseModel] = create_model(name, __base__=_Answer, **fields)
    return made


def names_of(task: Task[V]) -> tuple[str, ...]:
    """The names of a task's labels, in their order."""
    return names_in(task.labels)


def names_in(labels: Iterable[LabelSpec]) -> tuple[str, ...]:
    """The names of some labels, in their order."""
    return tuple(label.name for label in labels)


def one_of(names: tuple[str, ...]) -> Any:
    """The type whose only values are these strings."""
    return Literal[names]


def check_labels(labels: Sequence[LabelSpec], least: int) -> None:
    """Refuse too few labels, and two of one name.

    Raises:
        UserError: names them.
    """
    names = names_in(labels)
    if len(names) < least or len(set(names)) < len(names):
        raise UserError(f"the labels are {names!r}: give at least {least}, all different")


def texts_of(item: Item) -> tuple[Block, ...]:
    """The text of an item, or the two of a pair, ready to be shown."""
    if not is_pair(item.text):
        return (Block("Text", defused(item.shown)),)
    first, second = split_pair(item.text)
    return Block("First text", defused(first)), Block("Second text", defused(second))
