"""What tests build on: tiny projects, a fast encoder, a chat model that follows a script."""

from __future__ import annotations

import csv
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from labelwright.agent.legal import legal_tools
from labelwright.agent.observation import Observation
from labelwright.agent.playbook import PlaybookPolicy
from labelwright.agent.recipes import recipe
from labelwright.app.project import Project
from labelwright.app.reviewers import Desk
from labelwright.app.runs import RunResult, run
from labelwright.graphs.state import ApprovalAnswer
from labelwright.models.compute import SILENT
from labelwright.models.llm.base import Call, Failure, Message, Reply, Request
from labelwright.models.progress import Progress
from labelwright.store.events import DecisionEvent
from labelwright.store.records import AnnotatorKind
from labelwright.store.spec import TaskSpec
from numpy.typing import NDArray
from pydantic import BaseModel
from scripted import ScriptedBackend

LABELS = ("billing", "bug", "praise")
GOAL = "Sort the messages into billing, bug and praise"

_WORDS = {
    "billing": [
        "invoice",
        "refund",
        "charged",
        "card",
        "payment",
        "twice",
        "price",
        "month",
        "account",
        "money",
    ],
    "bug": [
        "crash",
        "error",
        "screen",
        "broken",
        "freeze",
        "button",
        "update",
        "login",
        "fails",
        "restart",
    ],
    "praise": [
        "love",
        "great",
        "thanks",
        "wonderful",
        "team",
        "helpful",
        "fast",
        "happy",
        "best",
        "friendly",
    ],
}
_OTHER = [
    "the",
    "my",
    "app",
    "again",
    "today",
    "please",
    "since",
    "with",
    "very",
    "after",
    "when",
    "this",
    "is",
    "it",
    "on",
    "a",
]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a data file."""

    id: str
    text: str
    label: str


def messages(n: int, *, seed: int = 7, labels: Sequence[str] = LABELS) -> list[Row]:
    """`n` short messages; the words say the label, some less clearly than others."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        label = labels[int(rng.integers(len(labels)))]
        pure = bool(rng.random() < 0.7)
        own = rng.choice(_WORDS[label], size=4 if pure else 2, replace=False)
        noise = rng.choice(_WORDS[LABELS[int(rng.integers(len(LABELS)))]], size=0 if pure else 1)
        words = [*own, *noise, *rng.choice(_OTHER, size=5)]
        rng.shuffle(words)
        rows.append(Row(f"m{number:04d}", " ".join(words) + f" {number}", label))
    return rows


def write_csv(path: Path, rows: Sequence[Row]) -> Path:
    """Write rows as a data file with columns id, text and label."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "label"])
        writer.writerows((row.id, row.text, row.label) for row in rows)
    return path


class HashEncoder:
    """Words hashed to directions: no weights, the same everywhere, fast."""

    name = "hash"
    dim = 64
    digest = hashlib.sha256(b"hashed words, 64").hexdigest()[:16]

    def encode(self, texts: Sequence[str], *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """(n, 64) unit vectors; a text without words points along the first axis."""
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for place, text in enumerate(texts):
            for word in text.lower().split():
                code = zlib.crc32(word.encode())
                vectors[place, code % self.dim] += 1.0 if code & 0x10000 else -1.0
        vectors[~vectors.any(axis=1), 0] = 1.0
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


class PlainReviewer:
    """Answers by a function of the item's id and text, and approves by another."""

    name = "tester"
    kind: AnnotatorKind = "simulated"

    def __init__(
        self,
        label: Callable[[str, str], str | None],
        approve: Callable[[dict[str, Any]], ApprovalAnswer | None] | None = None,
    ) -> None:
        self._label = label
        self._approve = approve
        self.asked: list[dict[str, Any]] = []
        self.shown: list[int] = []

    def approve(self, payload: dict[str, Any], spec: TaskSpec) -> ApprovalAnswer | None:
        """Remember what was asked; approve unless told otherwise."""
        self.asked.append(payload)
        if self._approve is None:
            return ApprovalAnswer(type="approve", by=self.name)
        return self._approve(payload)

    def review(self, desk: Desk) -> bool:
        """Answer every open question."""
        for question in desk.open_questions():
            self.shown.append(question.row)
            label = self._label(desk.pool.id(question.row), desk.text(question))
            if label is None:
                desk.skip(question)
            else:
                desk.answer(question, label)
        return True


def knows(rows: Sequence[Row]) -> Callable[[str, str], str | None]:
    """Answers with the label that each row was made with."""
    gold = {row.id: row.label for row in rows}
    return lambda item, _text: gold[item]


@contextmanager
def ran(folder: Path, rows: Sequence[Row], **options: Any) -> Iterator[tuple[Project, RunResult]]:
    """A whole run over `rows` in `folder / "project"`; by default simulated, 60 human labels."""
    result = run_rows(folder, rows, **options)
    project = Project(result.project)
    try:
        yield project, result
    finally:
        project.close()


def run_rows(folder: Path, rows: Sequence[Row], **options: Any) -> RunResult:
    """As `ran`, for a test that needs the result only."""
    folder.mkdir(parents=True, exist_ok=True)
    given: dict[str, Any] = {
        "goal": GOAL,
        "human_labels": 60,
        "learner": "linear",
        "reviewer": PlainReviewer(knows(rows)),
        "encoder": HashEncoder(),
        "id_column": "id",
        "text_columns": ("text",),
        "gold_column": "label",
        "project": folder / "project",
        "seed": 1,
        **options,
    }
    return run(data=write_csv(folder / "messages.csv", rows), **given)


def decisions(project: Project) -> list[DecisionEvent]:
    """The decisions of a run, in order."""
    found = (each.event for each in project.store.events())
    return [event for event in found if isinstance(event, DecisionEvent)]


def calls(project: Project) -> list[tuple[str, str]]:
    """The tool and arguments of each decision, in order."""
    return [(each.tool, json.dumps(each.args, sort_keys=True)) for each in decisions(project)]


def final_labels(project: Project) -> list[tuple[str, str]]:
    """Id and label of every item, as delivered."""
    table = project.labels()
    return list(zip(table["id"].to_pylist(), table["label"].to_pylist(), strict=True))


START: dict[str, Any] = {
    "goal": GOAL,
    "labels": list(LABELS),
    "target_accuracy": None,
    "step": 1,
    "round": 1,
    "items": 100,
    "unlabelled": 100,
    "embedded": True,
    "human_labels": 0,
    "human_labels_left": 60,
    "training_labels_left": 35,
    "usd_left": None,
    "minutes_left": None,
    "plan": {"train": 35, "gold": 10, "audit": 15, "batch": 12},
    "labels_by_class": {},
    "gold_items": 0,
    "gold_asked": False,
    "training_items": 0,
    "batch": {
        "round": 1,
        "size": 14,
        "strategy": "cluster",
        "annotated": False,
        "filtered": False,
        "reviewed": False,
    },
    "model": None,
    "model_is_current": False,
    "scores": None,
    "scores_are_current": False,
    "quality": [],
    "uncertainty": [],
    "gains": [],
    "suggestion_agreement": {"agreed": 0, "of": 0},
    "verdict": None,
    "frozen": False,
    "audited": 0,
    "certificate": None,
    "last_result": None,
}
"""What is seen at the first decision of a small run."""


def seen(**changes: Any) -> Observation:
    """The first observation with changes; those to `batch` are laid over it."""
    batch = changes.get("batch", {})
    if batch is not None:
        changes["batch"] = {**START["batch"], **batch}
    return Observation.model_validate({**START, **changes})


def call(tool: str, **args: Any) -> Reply:
    """A chat model's answer with one tool call; `reason` is given unless named."""
    given = {"reason": "the script says so", **args}
    return Reply("", calls=(Call(tool, json.dumps(given)),))


Said = Reply | Exception | Callable[[Sequence[Message]], Reply]


class ScriptedChat(ScriptedBackend):
    """Gives the replies of a script in order; the last one is given again and again."""

    def __init__(self, replies: Sequence[Said] = (), drafts: Sequence[Any] = ()) -> None:
        """`replies` to what offers tools; `drafts` to the rest: a model, plain data, an error."""
        super().__init__(self._next, name="scripted:chat", concurrency=1)
        self.replies, self.drafts = list(replies), list(drafts)

    @property
    def heard(self) -> list[tuple[Message, ...]]:
        """The messages of every call that offered tools."""
        return [request.messages for request in self.asked if request.tools]

    @property
    def offered(self) -> list[list[str]]:
        """Names of the tools offered, by call."""
        return [[tool.name for tool in each.tools] for each in self.asked if each.tools]

    def _next(self, request: Request) -> Reply | Failure:
        if not request.tools:
            draft = self.drafts.pop(0) if len(self.drafts) > 1 else self.drafts[0]
            if isinstance(draft, Exception):
                return _failed(draft)
            data = draft.model_dump() if isinstance(draft, BaseModel) else draft
            return Reply(json.dumps(data))
        said = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(said, Exception):
            return _failed(said)
        return said if isinstance(said, Reply) else said(request.messages)


def _failed(error: Exception) -> Failure:
    return Failure("request", f"{type(error).__name__}: {error}")


def follows_playbook(heard: Sequence[Message]) -> Reply:
    """A chat model that reads the state it was given and decides as the playbook would."""
    text = next(str(each.content) for each in heard if "State of the project" in str(each.content))
    state = json.loads(text.partition("\n")[2])
    told = Observation.model_validate({**state, "goal": "as told"})
    decision = PlaybookPolicy(recipe("standard")).decide(told, legal_tools(told))
    return call(decision.tool, reason=decision.reason, **decision.args)
