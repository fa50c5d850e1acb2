"""The frozen records that the store keeps, and their canonical form.

`canonical_json` is a contract: hashes in the trace are taken over it, so the same record must
always give the same bytes (sorted keys, no spaces, UTF-8 kept, floats as Python writes them).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

AnnotatorKind = Literal["human", "simulated", "embedded", "learner", "llm", "generated", "replayed"]
Purpose = Literal["train", "gold", "audit", "suggest", "accept", "final"]
ReviewPurpose = Literal["train", "gold", "audit"]
HUMAN_KINDS: tuple[AnnotatorKind, ...] = ("human", "simulated")
LABEL_PURPOSES: tuple[Purpose, ...] = ("train", "gold", "audit", "accept")
"""Purposes under which an annotation is a label, and not a suggestion or a prediction."""


def canonical_json(value: Any) -> str:
    """The one way a record is written before it is hashed."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest_of(values: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 (hex) over the canonical JSON lines of the values, in their order."""
    hasher = hashlib.sha256()
    for value in values:
        hasher.update(canonical_json(value).encode())
        hasher.update(b"\n")
    return hasher.hexdigest()


@dataclass(frozen=True, slots=True)
class Annotation:
    """One answer for one item by one annotator; never changed once written.

    `label` is `None` for a refusal (a person skipped the item); where items may have several, it
    is the set of them as one string (`label_sets`). `confidence` is a calibrated
    probability in [0, 1] or `None`: an absent confidence means "ask", it is never filled in.
    """

    row: int
    item: str
    kind: AnnotatorKind
    annotator: str
    version: str
    purpose: Purpose
    label: str | None
    confidence: float | None = None
    distribution: tuple[float, ...] | None = None
    rationale: str = ""
    usd: float = 0.0
    round: int = 0
    review: str = ""

    def as_record(self) -> dict[str, Any]:
        """Plain data in the form that is stored and hashed."""
        return {
            "row": int(self.row),
            "item": self.item,
            "kind": self.kind,
            "annotator": self.annotator,
            "version": self.version,
            "purpose": self.purpose,
            "label": self.label,
            "confidence": None if self.confidence is None else float(self.confidence),
            "distribution": None if self.distribution is None else list(self.distribution),
            "rationale": self.rationale,
            "usd": float(self.usd),
            "round": self.round,
            "review": self.review,
        }


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """A label with what decides how it may be used; the short form of an annotation."""

    row: int
    label: str
    purpose: Purpose
    kind: AnnotatorKind
    review: str


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of the ledger: what something cost."""

    what: Literal["human_label", "tokens_in", "tokens_out", "usd", "seconds"]
    amount: float
    by: str
    note: str = ""

    def as_record(self) -> dict[str, Any]:
        """Plain data in the form that is stored and hashed."""
        return {**asdict(self), "amount": float(self.amount)}


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of a chat model, made or answered from the cache; the raw answer is kept."""

    key: str
    """SHA-256 over model, messages, parameters and schema: the same key, the same question."""
    model: str
    why: str
    status: str
    cached: bool
    tokens_in: int
    tokens_out: int
    usd: float
    seconds: float
    text: str
    """The answer as the model wrote it."""
    error: str = ""

    def as_record(self) -> dict[str, Any]:
        """Plain data in the form that is stored and hashed."""
        return {
            **asdict(self),
            "cached": int(self.cached),
            "usd": float(self.usd),
            "seconds": float(self.seconds),
        }


@dataclass(frozen=True, slots=True)
class Artefact:
    """A named, versioned result of a tool: a small JSON value, perhaps pointing to a file.

    The newest artefact of a key is the current one; older ones stay for audit and fork.
    """

    key: str
    value: dict[str, Any]

    def as_record(self) -> dict[str, Any]:
        """Plain data in the form that is stored and hashed."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Question:
    """One item put before the reviewer.

    `suggestion` is `None` where showing one would bias the answer (audit and gold items).
    """

    row: int
    suggestion: str | None = None
    confidence: float | None = None
    rationale: str = ""
    alternatives: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """Plain data in the form that is stored and hashed."""
        return {**asdict(self), "alternatives": list(self.alternatives)}


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """A batch of questions for the reviewer, asked once."""

    id: str
    purpose: ReviewPurpose
    questions: tuple[Question, ...]
    round: int

    def as_record(self) -> dict[str, Any]:
        """Plain data in the form that is stored and hashed."""
        return {
            "id": self.id,
            "purpose": self.purpose,
            "round": self.round,
            "questions": [question.as_record() for question in self.questions],
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What the reviewer said of one question; a later answer to the same row replaces it."""

    review: str
    row: int
    action: Literal["label", "skip", "undo"]
    label: str | None
    reviewer: str
    kind: AnnotatorKind

    def as_record(self) -> dict[str, Any]:
        """Plain data in the form that is stored and hashed."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Totals:
    """What has been spent so far."""

    human_labels: int
    usd: float
    tokens: int
    seconds: float
