"""What a model took from generated items, in words for its card and for the end of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...store.database import Store
from .records import used_by


@dataclass(frozen=True, slots=True)
class Source:
    """Generated items of one writer that a model learned from.

    Args:
        writer: the chat model's string; empty where none wrote.
        items: how many of its items.
        methods: how they were written.
        terms: what its terms say, see `terms.Terms`.
    """

    writer: str
    items: int
    methods: tuple[str, ...]
    terms: Mapping[str, str]

    @property
    def words(self) -> str:
        """For the model's card: how many, from where, under which terms."""
        how = ", ".join(self.methods)
        if not self.writer:
            return f"{self.items} put together from clauses of labelled texts ({how})"
        source = f" ({self.terms['source']})" if self.terms["source"] else ""
        return (
            f"{self.items} written by {self.writer} ({how}); terms: {self.terms['words']}{source}"
        )

    @property
    def warning(self) -> str:
        """What a person should know before using the model; empty where nothing is in the way."""
        if self.terms["restriction"] == "none":
            return ""
        source = f": read {self.terms['source']}" if self.terms["source"] else ""
        return (
            f"the classifier also learned from {self.items} texts that {self.writer} wrote; "
            f"{self.terms['words']}{source}"
        )


def sources(store: Store, model: Mapping[str, Any] | None) -> list[Source]:
    """Who wrote the generated items that a `model` artefact was trained on."""
    used = set((model or {}).get("generated", ()))
    found: dict[str, Source] = {}
    for value in used_by(store, dict(model or {})):
        mine = {item["id"] for item in value["items"]} & used
        # The same text can be written twice and trains once.
        used -= mine
        before = found.get(value["writer"])
        methods = (*(before.methods if before else ()), value["method"])
        found[value["writer"]] = Source(
            value["writer"],
            len(mine) + (before.items if before else 0),
            tuple(dict.fromkeys(methods)),
            value["terms"],
        )
    return [each for each in found.values() if each.items]


def warnings_of(store: Store) -> list[str]:
    """What is to be said of the current model's generated items when a run ends."""
    found = sources(store, store.artefact("model"))
    return [each.warning for each in found if each.warning]
