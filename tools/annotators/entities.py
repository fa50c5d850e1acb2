"""Named entities: the model quotes them, and the quotes are found in the text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from ...store.spans import Range, Span, span_f1, token_ranges
from ...store.spec import LabelSpec
from ..fencing import defused
from .items import Item
from .spans import locate
from .tasks import ROOM, Block, Kind, Reading, check_labels, names_in, one_of, schema_of


@dataclass(frozen=True, slots=True)
class Entities:
    """Named entities: the parts of a text that are of one of the types.

    The model quotes, and the quotes are found in the text (see `spans`).

    Args:
        labels: the types, with what belongs to each.

    Raises:
        UserError: no types, or two of the same name.
    """

    labels: tuple[LabelSpec, ...]
    orders: int = field(init=False, default=1)
    kind: Kind = field(init=False, default="entities")
    prompt: str = field(init=False, default="annotate_entities")

    def __post_init__(self) -> None:
        check_labels(self.labels, 1)

    def meanings(self, order: int) -> tuple[str, ...]:
        """The labels themselves."""
        return names_in(self.labels)

    def fields(self) -> dict[str, Any]:
        """`entities`, a list of objects with `text` and `type`."""
        kind = one_of(names_in(self.labels))
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
        return ROOM + len(item.shown.encode())

    def _edges(self, item: Item) -> list[Range] | None:
        return token_ranges(item.shown, item.tokens) if item.tokens else None
