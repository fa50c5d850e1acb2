"""What a tool is: typed arguments in, an `Outcome` out, nothing written by itself.

A tool only computes. What it wants remembered is in its outcome, and the graph's `act` node
writes that in one transaction with the record that the call happened; that is what makes every
effect happen exactly once. Large files a tool makes (a model, probabilities) are written under
a name that the call determines, before the transaction, and made again if it never came.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ..models.encoders import Encoder
from ..models.llm.base import Asker
from ..models.progress import NoProgress, Progress
from ..store.database import Store
from ..store.events import MetricEvent
from ..store.pool import Pool
from ..store.records import Annotation, Artefact, Charge, ReviewRequest
from ..store.spec import Settings, TaskSpec
from ..store.vectors import Vectors
from .budget import LabelPlan, gold_wanted, label_plan
from .hidden import PoolHidden, RowsHidden
from .label_form import LabelForm, form_of
from .predictions import Predictions

ModelT = TypeVar("ModelT")
ModelRole = str
"""What a chat model is for: `main`; `member-2`, `member-3`, … vote with it in a committee; `strong`
is the dearer one of a cascade, `judge` checks another's work.

Where no second model is given there is no `strong`, and the main one judges.
"""


def _no_model(_: ModelRole) -> None:
    return None


class ToolArgs(BaseModel):
    """Base of every tool's arguments; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool call came to."""

    result: dict[str, Any]
    """Small JSON for the policy: numbers and counts, never pool text."""
    annotations: tuple[Annotation, ...] = ()
    charges: tuple[Charge, ...] = ()
    artefacts: tuple[Artefact, ...] = ()
    metrics: tuple[MetricEvent, ...] = ()
    review: ReviewRequest | None = None


@dataclass(slots=True)
class Workbench:
    """What is loaded once in a process and used by many calls; holds no state of the run."""

    load_encoder: Callable[[], Encoder]
    progress: Progress = field(default_factory=NoProgress)
    _encoder: Encoder | None = None
    _learners: dict[str, Any] = field(default_factory=dict)
    _hidden: PoolHidden | None = None
    _predictions: dict[str, Predictions] = field(default_factory=dict)

    @property
    def encoder(self) -> Encoder:
        """The encoder of this run, loaded at its first use."""
        if self._encoder is None:
            self._encoder = self.load_encoder()
        return self._encoder

    def learner(self, key: str, load: Callable[[], ModelT]) -> ModelT:
        """A fitted learner or tagger by its model's name, loaded at its first use."""
        if key not in self._learners:
            self._learners = {key: load()}
        found: ModelT = self._learners[key]
        return found

    def predictions(self, key: str, load: Callable[[], Predictions]) -> Predictions:
        """What a model said of the pool so far, by the model's name, read at its first use."""
        if key not in self._predictions:
            self._predictions = {key: load()}
        return self._predictions[key]

    def hidden(self, folder: Path, pool: Pool) -> PoolHidden:
        """The hidden states kept in a project folder."""
        if self._hidden is None or self._hidden.folder != folder:
            self._hidden = PoolHidden(folder, pool, self.progress)
        return self._hidden


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may look at: everything of the project but the gold labels."""

    store: Store
    pool: Pool
    spec: TaskSpec
    settings: Settings
    bench: Workbench
    step: int
    asker: Callable[[ModelRole], Asker | None] = _no_model
    """The chat model of a role, whose calls this run pays; `None` where there is none."""

    def members(self) -> list[Asker]:
        """The chat models that are asked about each item: `main`, its committee; perhaps none."""
        further = [f"member-{number + 2}" for number in range(len(self.settings.committee))]
        found = [self.asker(role) for role in ("main", *further)]
        return [asker for asker in found if asker is not None]

    @property
    def call(self) -> str:
        """The name of this call: the same step is the same call, however often it is tried."""
        return f"step-{self.step:04d}"

    @property
    def seed(self) -> int:
        """A seed for this call, the same whenever it is tried again."""
        text = f"{self.settings.seed}:{self.call}".encode()
        return int.from_bytes(hashlib.sha256(text).digest()[:4], "big")

    @property
    def round(self) -> int:
        """The number of the current round, from 1; 0 before the first batch."""
        batch = self.store.artefact("batch")
        return int(batch["round"]) if batch else 0

    @property
    def plan(self) -> LabelPlan:
        """How the run's human labels are divided."""
        unique = len(self.pool.unique_rows)
        return label_plan(
            self.spec.budgets,
            unique,
            self.settings.learner,
            gold_wanted=gold_wanted(self.spec.target_accuracy, by_model=self.settings.by_model),
        )

    def folder(self, name: str) -> Path:
        """A folder of the project, made if it is missing."""
        target = self.store.folder / name
        target.mkdir(parents=True, exist_ok=True)
        return target

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """(len(rows), dim) unit vectors of the given rows; they must have been embedded."""
        encoder = self.bench.encoder
        return Vectors(self.store.folder, encoder.digest, len(self.pool), encoder.dim).get(rows)

    def hidden(self, rows: NDArray[np.int64]) -> RowsHidden:
        """The kept hidden states of the given rows, computed when a learner opens them."""
        return self.bench.hidden(self.store.folder, self.pool).of(rows)

    @property
    def form(self) -> LabelForm:
        """The form of the task's answers: one label an item, several, or marked parts."""
        return form_of(self.spec)

    def label_index(self, labels: list[str]) -> NDArray[np.int64]:
        """Stored labels as indices in the task spec's order; as rows of 0 and 1 where several.

        Of marked texts a row of 0 and 1 says which types occur.
        """
        return self.form.compared(self.form.read(labels))

    @property
    def label_texts(self) -> list[str]:
        """What each label means, in words: its name and its definition."""
        return [
            f"{label.name.replace('_', ' ')}: {label.definition}"
            if label.definition
            else label.name.replace("_", " ")
            for label in self.spec.labels
        ]


ArgsT = TypeVar("ArgsT", bound=ToolArgs)


class Tool(ABC, Generic[ArgsT]):
    """One thing the agent can do. Add one: subclass it in a file of its own and register it."""

    name: ClassVar[str]
    description: ClassVar[str]
    Args: type[ArgsT]

    @abstractmethod
    def run(self, context: ToolContext, args: ArgsT) -> Outcome:
        """Compute; write nothing but files under names that `context.call` determines.

        Raises:
            UserError: the arguments do not fit what there is; the policy sees the message.
        """
