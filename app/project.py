"""A project folder: made whole or not at all, opened by one process at a time."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..agent.understand import Request
from ..store.database import Store
from ..store.errors import OperatorError, UserError
from ..store.events import SpecEvent
from ..store.files import ProjectLock, not_made
from ..store.pool import Pool
from ..store.spec import Budgets, Settings, TaskSpec
from ..store.trace import Place, Problem
from ..tools.labels import label_counts

if TYPE_CHECKING:
    import pyarrow as pa

    from .data import Loaded

REQUEST, SPEC, SETTINGS, NOTES = "request", "spec", "settings", "notes"
RUN, WAITING, TASK_FILE = "run", "waiting", "task.yaml"


@dataclass(frozen=True, slots=True)
class Status:
    """How far a project is."""

    folder: str
    running: bool
    finished: bool
    step: int
    round: int
    items: int
    human_labels: int
    human_labels_budget: int | None
    usd: float
    seconds: float
    last: str
    waiting: dict[str, Any] | None
    quality: dict[str, Any] | None
    certificate: dict[str, Any] | None


class Project:
    """One project folder, and the questions one may ask of it without running anything."""

    def __init__(self, folder: Path | str) -> None:
        """Open an existing project for reading.

        Raises:
            UserError: the folder holds no project.
        """
        self.folder = Path(folder)
        self.store = Store.open(self.folder)
        self.pool = Pool(self.folder)
        self._lock = ProjectLock(self.folder)

    @classmethod
    def create(cls, folder: Path, loaded: Loaded, request: Request, settings: Settings) -> Project:
        """Make a project folder with its pool; it appears whole or not at all.

        Raises:
            UserError: the folder exists.
            OperatorError: the disk is full or the place is read-only.
        """
        if folder.exists():
            raise UserError(
                f"the project folder {str(folder)!r} exists: go on with `labelwright resume "
                f"{folder}`, or choose another with --project"
            )
        part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            part.mkdir(parents=True)
            Pool.write(part, loaded.ids, loaded.texts, loaded.gold)
            store = Store.create(part)
            store.set_meta(RUN, uuid.uuid4().hex)
            store.set_meta(REQUEST, request.model_dump_json())
            store.set_meta(SETTINGS, settings.model_dump_json())
            store.set_meta(NOTES, "\n".join(loaded.notes))
            store.close()
            os.replace(part, folder)
        except (OSError, OperatorError) as error:
            raise not_made(folder, error) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return cls(folder)

    @property
    def budgets(self) -> Budgets:
        """What may be spent: by the task spec, and before there is one by what was asked for."""
        spec = self.spec
        if spec is not None:
            return spec.budgets
        return Request.model_validate_json(self.store.get_meta(REQUEST) or "{}").budgets

    @property
    def run_id(self) -> str:
        """The run's id, also the LangGraph thread id."""
        return self.store.get_meta(RUN) or ""

    @property
    def settings(self) -> Settings:
        """The technical choices of the run."""
        return Settings.model_validate_json(self.store.get_meta(SETTINGS) or "{}")

    @property
    def spec(self) -> TaskSpec | None:
        """The task spec; `None` until the goal was understood."""
        text = self.store.get_meta(SPEC)
        return None if text is None else TaskSpec.model_validate_json(text)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the project for writing.

        Raises:
            UserError: another process holds it.
        """
        self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    def take_edits(self) -> bool:
        """Adopt a task.yaml that was edited by hand; says whether there was a change.

        Raises:
            UserError: the file is not a valid task spec, or takes away a label in use.
        """
        path, old = self.folder / TASK_FILE, self.spec
        if old is None or not path.exists():
            return False
        new = TaskSpec.read(path)
        if new == old:
            return False
        if new.label_names != old.label_names and self.store.artefact("model"):
            raise UserError(
                f"{str(path)!r}: the labels changed from {old.label_names!r} to "
                f"{new.label_names!r} after a model was trained: start a new project for them"
            )
        if new.kind != old.kind and (self.store.label_counts() or self.store.reviews()):
            raise UserError(
                f"{str(path)!r}: kind changed from {old.kind!r} to {new.kind!r} after questions "
                "were asked: start a new project for it"
            )
        gone = sorted(set(label_counts(self.store, old)) - set(new.label_names))
        if gone:
            raise UserError(f"{str(path)!r}: label {gone[0]!r} was already given to items: keep it")
        event = SpecEvent(
            digest=new.digest, spec=new.model_dump(mode="json"), origin="edited by hand"
        )
        place = Place(self.run_id, self.step, "app")
        with self.store.transaction(place) as writer:
            writer.event(f"spec:{self.store.head()[:16]}", event)
        self.store.set_meta(SPEC, new.model_dump_json())
        return True

    @property
    def step(self) -> int:
        """The number of the last decision."""
        events = self.store.events()
        return events[-1].place.step if events else 0

    @property
    def finished(self) -> bool:
        """Whether the results were handed over."""
        return self.store.effect("deliver") is not None

    def waiting(self) -> dict[str, Any] | None:
        """What a person is asked for now, if the run waits for one."""
        text = self.store.get_meta(WAITING)
        if not text:
            return None
        asked: dict[str, Any] = json.loads(text)
        if asked["kind"] == "review":
            asked["open"] = asked["questions"] - len(self.store.standing_answers(asked["review"]))
        return asked

    def status(self) -> Status:
        """How far the run is, from what was written; safe while another process runs it."""
        spec, totals, events = self.spec, self.store.totals(), self.store.events()
        quality = self.store.artefact("quality")
        return Status(
            folder=str(self.folder),
            running=ProjectLock.held(self.folder),
            finished=self.finished,
            step=events[-1].place.step if events else 0,
            round=int((self.store.artefact("batch") or {}).get("round", 0)),
            items=len(self.pool),
            human_labels=totals.human_labels,
            human_labels_budget=spec.budgets.human_labels if spec else None,
            usd=totals.usd,
            seconds=round(totals.seconds, 1),
            last=events[-1].key if events else "nothing yet",
            waiting=None if self.finished else self.waiting(),
            quality=quality,
            certificate=self.store.artefact("certificate"),
        )

    def labels(self) -> pa.Table:
        """The delivered labels as an Arrow table with the exported columns.

        Raises:
            UserError: the run is not finished.
        """
        if not self.finished:
            raise UserError(
                f"project {str(self.folder)!r} is not finished: run `labelwright resume "
                f"{self.folder}` first"
            )
        import pyarrow.parquet as pq

        return pq.read_table(self.folder / "exports" / "labels.parquet")

    def verify(self, head: str | None = None) -> list[Problem]:
        """Check the trace and the tables against it; empty when all is as written."""
        return self.store.verify(head=head)

    def close(self) -> None:
        """Close the database."""
        self.store.close()
