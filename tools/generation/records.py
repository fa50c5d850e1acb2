"""Generated items: what is kept of each, and where they are read from.

They are no pool items. They have no row, so they cannot be asked about, audited or delivered; they
live in artefacts `generated` and reach a learner only where `train_model` is told to add them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ...store.database import Store

KEY = "generated"
GATE = "gate"


@dataclass(frozen=True, slots=True)
class Draft:
    """A text as it was written, before any filter.

    Args:
        text: what was written.
        label: the label that it was written for.
        method: how, a name of `METHODS`.
        parents: ids of the pool items that it was made from.
        parent_texts: their texts; they are not kept.
        prompt: digest of the prompt; empty where no model wrote.
        answer: key of the model's answer; empty where no model wrote.
        attributes: what was asked for beside the label: a topic, a tone.
    """

    text: str
    label: str
    method: str
    parents: tuple[str, ...] = ()
    parent_texts: tuple[str, ...] = ()
    prompt: str = ""
    answer: str = ""
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """`gen-` and 12 hex digits over method, label and text."""
        words = "\x1f".join((self.method, self.label, self.text))
        return f"gen-{hashlib.sha256(words.encode()).hexdigest()[:12]}"

    def as_record(self, *, seed: int) -> dict[str, Any]:
        """What is kept."""
        record = {"id": self.id, **asdict(self), "seed": seed}
        del record["parent_texts"]
        return {**record, "parents": list(self.parents)}


@dataclass(frozen=True, slots=True)
class GeneratedItems:
    """Generated items that passed the filters, aligned."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def digest(self) -> str:
        """16 hex digits over the ids, in their order."""
        return hashlib.sha256("\n".join(self.ids).encode()).hexdigest()[:16]


NONE = GeneratedItems((), (), ())


def generated_items(store: Store) -> GeneratedItems:
    """All generated items that passed, oldest first, each id once."""
    found = {item["id"]: item for value in store.artefact_history(KEY) for item in value["items"]}
    return GeneratedItems(
        tuple(found),
        tuple(item["text"] for item in found.values()),
        tuple(item["label"] for item in found.values()),
    )


def used_by(store: Store, model: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The generation artefacts with an item that a `model` artefact was trained on."""
    used = set((model or {}).get("generated", ()))
    return [
        value
        for value in store.artefact_history(KEY)
        if used & {item["id"] for item in value["items"]}
    ]


def unweighed(store: Store, now: int) -> bool:
    """Whether the generated items were not compared on gold in round `now` yet.

    What helps a model of few labels may not help one of more: each round weighs them anew.
    """
    items, gate = generated_items(store), store.artefact(GATE)
    seen = gate is not None and (gate["generated"], gate["round"]) == (items.digest, now)
    return bool(len(items)) and not seen


def dropped_records(drafts: Sequence[Draft], dropped: Sequence[Any]) -> list[dict[str, str]]:
    """What was rejected, by which filter and why, for the record."""
    return [
        {
            "id": drafts[each.place].id,
            "text": drafts[each.place].text,
            "label": drafts[each.place].label,
            "by": each.by,
            "why": each.why,
        }
        for each in dropped
    ]
