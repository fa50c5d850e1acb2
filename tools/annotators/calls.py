"""Which calls annotate which items: the members, the messages, the demonstrations in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from ...models.llm.base import Request
from ...models.pairs import is_pair, join_pair, split_pair
from ...store.records import canonical_json
from .demonstrations import Demonstrations
from .items import Item, V
from .prompting import Instructions, Script, Shown, Variant
from .reading import BY_TOKENS, Confidence
from .tasks import Task, names_of

Vectors = NDArray[np.float32]
Slot = tuple[int, int, int]
"""Member, order of the texts, place of the item: where what is said belongs."""


@dataclass(frozen=True, slots=True)
class Options(Generic[V]):
    """How to ask; see `LLMAnnotator` for what each means."""

    variants: tuple[Variant, ...]
    demonstrations: Demonstrations[V] | None
    confidence: Confidence
    samples: int
    temperature: float
    items_per_call: int
    max_tokens: int | None
    longest: int
    seed: int


@dataclass(frozen=True, slots=True)
class Member:
    """One way to get an answer."""

    asker: int
    variant: int
    sample: int


@dataclass(frozen=True, slots=True)
class Call:
    """One request: which items it is about, in which order of texts, for which member."""

    member: int
    order: int
    places: tuple[int, ...]
    request: Request

    @property
    def slots(self) -> list[Slot]:
        """Where what it says belongs."""
        return [(self.member, self.order, place) for place in self.places]


class Caller(Generic[V]):
    """Makes the calls of an annotator; knows no model."""

    def __init__(
        self, task: Task[V], instructions: Instructions, options: Options[V], askers: int
    ) -> None:
        """Write what is said to all items.

        Args:
            task: what is asked.
            instructions: goal and guidelines.
            options: how it is asked.
            askers: how many models there are.
        """
        self._task, self._options = task, options
        self._scripts = [
            Script(
                task,
                instructions,
                variant,
                stated=options.confidence == "stated",
                several=options.items_per_call > 1,
            )
            for variant in options.variants
        ]
        self.members = [
            Member(asker, variant, sample)
            for asker in range(askers)
            for variant in range(len(options.variants))
            for sample in range(options.samples)
        ]

    @property
    def digest(self) -> str:
        """16 hex digits over all that decides how an item is asked, but the item."""
        options, shown = self._options, self._options.demonstrations
        said = {
            "task": self._task.kind,
            "scripts": [script.digest for script in self._scripts],
            "demonstrations": None if shown is None else [shown.kind, shown.number, shown.seed],
            "confidence": options.confidence,
            "samples": options.samples,
            "temperature": options.temperature,
            "items_per_call": options.items_per_call,
            "longest": options.longest,
        }
        return hashlib.sha256(canonical_json(said).encode()).hexdigest()[:16]

    def calls(self, items: Sequence[Item], vectors: Vectors | None) -> list[Call]:
        """The calls for all items, those of a member together."""
        shown, size = self._chosen(items, vectors), self._options.items_per_call
        chunks = [
            tuple(range(top, min(top + size, len(items)))) for top in range(0, len(items), size)
        ]
        return [
            self._call(member, order, chunk, items, shown)
            for member in range(len(self.members))
            for order in range(self._task.orders)
            for chunk in chunks
        ]

    def alone(
        self, slots: Iterable[Slot], items: Sequence[Item], vectors: Vectors | None
    ) -> list[Call]:
        """A call for each slot by itself."""
        shown = self._chosen(items, vectors)
        return [self._call(member, order, (place,), items, shown) for member, order, place in slots]

    def _chosen(self, items: Sequence[Item], vectors: Vectors | None) -> list[tuple[Shown[V], ...]]:
        if self._options.demonstrations is None:
            return [()] * len(items)
        return self._options.demonstrations.choose(self._task, items, vectors)

    def _call(
        self,
        member: int,
        order: int,
        places: tuple[int, ...],
        items: Sequence[Item],
        shown: Sequence[tuple[Shown[V], ...]],
    ) -> Call:
        one, options = self.members[member], self._options
        script = self._scripts[one.variant]
        asked = [items[place] for place in places]
        several = len(places) > 1
        examples = shown[places[0]]
        if options.demonstrations is not None and several:
            examples = options.demonstrations.together(asked, [shown[place] for place in places])
        limit = options.max_tokens
        # Where a back end can score choices, it answers by that: then nothing outside of the set
        # comes back. They are scored right after the prompt, so no reason may come before them.
        one_label = self._task.kind in ("single", "preference")
        plain = one_label and not several and script.variant.style == "label" and not script.stated
        request = Request(
            script.messages(asked, examples, order=order),
            schema=script.schema_of_several if several else script.schema,
            choices=names_of(self._task) if plain else (),
            temperature=options.temperature,
            max_tokens=script.room(asked) if limit is None else limit * len(places),
            seed=options.seed,
            sample=one.sample,
            logprobs=options.confidence in BY_TOKENS,
            item="" if several else asked[0].shown,
        )
        return Call(member, order, places, request)


def shortened(item: Item, longest: int) -> Item:
    """The item with each of its texts cut after so many characters; itself where none is longer."""
    if item.tokens:
        kept, length = 0, -1
        for token in item.tokens:
            length += len(token) + 1
            if length > longest:
                break
            kept += 1
        return item if kept == len(item.tokens) else replace(item, tokens=item.tokens[:kept])
    if is_pair(item.text):
        first, second = split_pair(item.text)
        if max(len(first), len(second)) > longest:
            return replace(item, text=join_pair(first[:longest], second[:longest]))
        return item
    return item if len(item.text) <= longest else replace(item, text=item.text[:longest])
