"""What is asked about an item: the form of an answer and what it means.

A task knows nothing of prompts' wording, of models or of money. It gives the fields of the answer
(closed sets: nothing outside them is valid, and nothing is mapped into them), the texts to show,
the value that an answer stands for, and when two values agree.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, create_model

from ...models.pairs import is_pair, split_pair
from ...store.errors import UserError
from ...store.spec import LabelSpec
from .fence import defused
from .items import Item
from .spans import Range, Span, locate, span_f1, token_ranges

V = TypeVar("V")
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


@dataclass(frozen=True)
class SingleLabel:
    """Exactly one label for a text, or for two texts that belong together.

    Args:
        labels: at least two.

    Raises:
        UserError: fewer than two labels, or two of the same name.
    """

    labels: tuple[LabelSpec, ...]
    orders: int = 1
    kind: Kind = "single"
    prompt: str = "annotate_label"

    def __post_init__(self) -> None:
        _check(self.labels, 2)

    def meanings(self, order: int) -> tuple[str, ...]:
        """The labels themselves."""
        return _names(self.labels)

    def fields(self) -> dict[str, Any]:
        """`label`, one of the names."""
        return {"label": (_one_of(_names(self.labels)), ...)}

    def example(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """The first and the last label, so that neither is suggested."""
        return [{"label": names[0]}, {"label": names[-1]}]

    def blocks(self, item: Item, order: int = 0) -> tuple[Block, ...]:
        """The text, or the two of a pair."""
        return _texts(item)

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
        return 24 + max(len(name.encode()) for name in _names(self.labels))


@dataclass(frozen=True)
class PairLabel(SingleLabel):
    """One label for how two texts stand to each other; items are pairs (`models.pairs`)."""

    prompt: str = "annotate_pair"

    def blocks(self, item: Item, order: int = 0) -> tuple[Block, ...]:
        """The two texts.

        Raises:
            UserError: the item is no pair.
        """
        if not is_pair(item.text):
            raise UserError(
                f"item {item.id!r} has one text: this task compares two, join them with join_pair"
            )
        return _texts(item)


@dataclass(frozen=True)
class MultiLabel:
    """Every label that fits a text: none, one or several, as names in the order of `labels`.

    Raises:
        UserError: no labels, or two of the same name.
    """

    labels: tuple[LabelSpec, ...]
    orders: int = 1
    kind: Kind = "multi"
    prompt: str = "annotate_labels"

    def __post_init__(self) -> None:
        _check(self.labels, 1)

    def meanings(self, order: int) -> tuple[str, ...]:
        """The labels themselves."""
        return _names(self.labels)

    def fields(self) -> dict[str, Any]:
        """`labels`, a list of names."""
        return {"labels": (list[_one_of(_names(self.labels))], ...)}  # type: ignore[misc]

    def example(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Two labels, and none."""
        return [{"labels": list(dict.fromkeys([names[0], names[-1]]))}, {"labels": []}]

    def blocks(self, item: Item, order: int = 0) -> tuple[Block, ...]:
        """The text, or the two of a pair."""
        return _texts(item)

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
        return 24 + sum(len(name.encode()) + 4 for name in _names(self.labels))

    def _ordered(self, names: Iterable[str]) -> tuple[str, ...]:
        given = set(names)
        return tuple(name for name in _names(self.labels) if name in given)


@dataclass(frozen=True)
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
    kind: Kind = "preference"
    prompt: str = "annotate_preference"

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
        return {"label": (_one_of(_names(self.labels)), ...)}

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
        return Reading(self.meanings(order)[_names(self.labels).index(getattr(answer, "label"))])  # noqa: B009

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
        return 32


@dataclass(frozen=True)
class Entities:
    """Named entities: the parts of a text that are of one of the types.

    The model quotes, and the quotes are found in the text (see `spans`).

    Args:
        labels: the types, with what belongs to each.

    Raises:
        UserError: no types, or two of the same name.
    """

    labels: tuple[LabelSpec, ...]
    orders: int = 1
    kind: Kind = "entities"
    prompt: str = "annotate_entities"

    def __post_init__(self) -> None:
        _check(self.labels, 1)

    def meanings(self, order: int) -> tuple[str, ...]:
        """The labels themselves."""
        return _names(self.labels)

    def fields(self) -> dict[str, Any]:
        """`entities`, a list of objects with `text` and `type`."""
        kind = _one_of(_names(self.labels))
        entity = schema_of("Entity", {"text": (str, ...), "type": (kind, ...)})
        return {"entities": (list[entity], ...)}  # type: ignore[valid-type]

    def example(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Two entities, and none."""
        shown = [
            {"text": "words as they stand", "type": names[0]},
            {"text": "other words", "type": names[-1]},
        ]
        return [{"entities": shown}, {"entities": []}]

    def blocks(self, item: Item, order: int = 0) -> tuple[Block, ...]:
        """The text; tokens have a space between them."""
        return (Block("Text", defused(item.shown)),)

    def read(self, answer: BaseModel, item: Item, order: int = 0) -> Reading:
        """The spans of the quotes."""
        quotes = [(each.text, each.type) for each in getattr(answer, "entities")]  # noqa: B009
        found = locate(quotes, item.shown, self._edges(item))
        return Reading(found.spans, found.issues, found.notes)

    def written(self, value: tuple[Span, ...]) -> str:
        """The entities as the model is to write them, in the order of the text."""
        found = [{"text": span.text, "type": span.type} for span in sorted(value)]
        return json.dumps(found, ensure_ascii=False)

    def agreement(self, first: tuple[Span, ...], second: tuple[Span, ...]) -> float:
        """F1 of exact spans with their types."""
        return span_f1(first, second)

    def combined(self, values: Sequence[tuple[Span, ...]]) -> tuple[Span, ...]:
        """The spans that more than half of the members gave: those never overlap."""
        seen = Counter(span for value in values for span in set(value))
        return tuple(sorted(span for span, n in seen.items() if 2 * n > len(values)))

    def room(self, item: Item) -> int:
        """Enough for a text that is all entities."""
        return 64 + len(item.shown.encode())

    def _edges(self, item: Item) -> list[Range] | None:
        return token_ranges(item.shown, item.tokens) if item.tokens else None


def names_of(task: Task[V]) -> tuple[str, ...]:
    """The names of a task's labels, in their order."""
    return _names(task.labels)


def _names(labels: Iterable[LabelSpec]) -> tuple[str, ...]:
    return tuple(label.name for label in labels)


def _one_of(names: tuple[str, ...]) -> Any:
    return Literal[names]


def _check(labels: Sequence[LabelSpec], least: int) -> None:
    names = _names(labels)
    if len(names) < least or len(set(names)) < len(names):
        raise UserError(f"the labels are {names!r}: give at least {least}, all different")


def _texts(item: Item) -> tuple[Block, ...]:
    if not is_pair(item.text):
        return (Block("Text", defused(item.shown)),)
    first, second = split_pair(item.text)
    return Block("First text", defused(first)), Block("Second text", defused(second))
