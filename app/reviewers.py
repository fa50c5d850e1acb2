"""Who answers: the reviewer protocol, the desk that answers go over, and the simulated reviewer.

Every answer is in the store, with its trace event, before the next question is asked: whatever
happens to the process, nothing is asked twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..graphs.state import ApprovalAnswer
from ..models.pairs import readable
from ..models.progress import Progress
from ..store.database import Store
from ..store.errors import UserError
from ..store.events import AnswerEvent
from ..store.label_sets import decode, encode
from ..store.pool import Pool, read_gold
from ..store.records import AnnotatorKind, Answer, Question, ReviewRequest
from ..store.spans import Span, checked
from ..store.spans import decode as decode_spans
from ..store.spans import encode as encode_spans
from ..store.spec import TaskSpec
from ..store.trace import Place


@dataclass(frozen=True, slots=True)
class Desk:
    """One review, as a reviewer works on it."""

    store: Store
    pool: Pool
    spec: TaskSpec
    request: ReviewRequest
    place: Place
    reviewer: str
    kind: AnnotatorKind

    @property
    def labels(self) -> list[str]:
        """The labels to choose from, in the task spec's order."""
        return self.spec.label_names

    def text(self, question: Question) -> str:
        """The text of a question's item."""
        return readable(self.pool.text(question.row))

    def open_questions(self) -> list[Question]:
        """Questions without a standing answer, in their order."""
        standing = self.store.standing_answers(self.request.id)
        return [each for each in self.request.questions if each.row not in standing]

    def answered(self) -> list[Answer]:
        """Standing answers, in the order they were given."""
        standing = self.store.standing_answers(self.request.id)
        order = {answer.row: n for n, answer in enumerate(self.store.answer_log(self.request.id))}
        return sorted(standing.values(), key=lambda answer: order[answer.row])

    def answer(self, question: Question, label: str | Sequence[str] | Sequence[Span]) -> None:
        """Give a label; where items may have several the names of all, or their stored string.

        Where parts of texts are marked, the spans in any order, or their stored string.

        Raises:
            UserError: a label that is not one of the task's, a form that is not the task's, or a
                span that is not what stands at its place.
        """
        if self.spec.marked:
            self._record(question.row, "label", self._marked(question, label))
            return
        if self.spec.several:
            chosen = decode(label) if isinstance(label, str) else label
            self._record(question.row, "label", encode(map(str, chosen), self.labels))
            return
        if not isinstance(label, str):
            raise UserError(f"{label!r} is a list, and an item has one label here: give its name")
        if label not in self.labels:
            raise UserError(f"{label!r} is not a label: use one of {', '.join(self.labels)}")
        self._record(question.row, "label", label)

    def _marked(self, question: Question, given: Sequence[Any]) -> str:
        spans = decode_spans(given) if isinstance(given, str) else given
        strange = [each for each in spans if not isinstance(each, Span)]
        if strange:
            raise UserError(f"{strange[0]!r} is no span: give start, end, type and text of each")
        return encode_spans(checked(spans, self.pool.text(question.row), self.labels))

    def skip(self, question: Question) -> None:
        """Give no label: the item stays without a human answer."""
        self._record(question.row, "skip", None)

    def undo(self) -> Question | None:
        """Take the last standing answer back and return its question; `None` if there is none."""
        answered = self.answered()
        if not answered:
            return None
        row = answered[-1].row
        self._record(row, "undo", None)
        return next(each for each in self.request.questions if each.row == row)

    def _record(self, row: int, action: Any, label: str | None) -> None:
        answer = Answer(self.request.id, row, action, label, self.reviewer, self.kind)
        number = len(self.store.answer_log(self.request.id)) + 1
        with self.store.transaction(self.place) as writer:
            writer.answer(answer)
            writer.event(
                f"answer:{self.request.id}:{number}",
                AnswerEvent(
                    review=self.request.id,
                    row=row,
                    item=self.pool.id(row),
                    action=action,
                    label=label,
                    by=self.reviewer,
                ),
            )


class Reviewer(Protocol):
    """Answers the questions of a run."""

    @property
    def name(self) -> str:
        """How the trace calls this reviewer."""

    @property
    def kind(self) -> AnnotatorKind:
        """`human`, or `simulated` for a reviewer that is none."""

    def approve(self, payload: dict[str, Any], spec: TaskSpec) -> ApprovalAnswer | None:
        """Answer whether a spec or decision may go ahead; `None` pauses the run.

        Args:
            payload: what the graph asks: `subject`, `allowed`, and for a decision `tool`, `args`,
                `step`, `reason`.
            spec: the task spec as it stands.
        """

    def review(self, desk: Desk) -> bool:
        """Answer the open questions of a review; `False` pauses the run."""


class NobodyReviews:
    """The reviewer `none`: pauses whenever a person is needed."""

    name = "none"
    kind: AnnotatorKind = "human"

    def approve(self, payload: dict[str, Any], spec: TaskSpec) -> ApprovalAnswer | None:
        """Pause."""
        return None

    def review(self, desk: Desk) -> bool:
        """Pause, unless every question was answered already."""
        return not desk.open_questions()


class SimulatedReviewer:
    """Answers with the gold labels, wrong at a given rate: for demonstrations and evals.

    Always called simulated, in the trace and in every export.
    """

    name = "simulated reviewer"
    kind: AnnotatorKind = "simulated"

    def __init__(self, folder: Path, *, error_rate: float, seed: int, progress: Progress) -> None:
        """Read the gold labels of the project in `folder`."""
        self._gold = read_gold(folder)
        self._error_rate = error_rate
        self._seed = seed
        self._progress = progress

    def approve(self, payload: dict[str, Any], spec: TaskSpec) -> ApprovalAnswer | None:
        """Approve everything."""
        return ApprovalAnswer(type="approve", by=self.name)

    def review(self, desk: Desk) -> bool:
        """Answer every open question."""
        questions = desk.open_questions()
        with self._progress.task(f"Reviewing ({desk.request.purpose})", len(questions)) as bar:
            for question in questions:
                label = self._answer(question.row, desk)
                if label is None:
                    desk.skip(question)
                else:
                    desk.answer(question, label)
                bar.advance()
        return True

    def _answer(self, row: int, desk: Desk) -> str | list[str] | list[Span] | None:
        """What the gold column says, with errors; the same at every call."""
        if desk.spec.marked:
            return self._spans(row, desk.labels)
        if desk.spec.several:
            return self._set(row, desk.labels)
        return self._label(row, desk.labels)

    def _label(self, row: int, labels: list[str]) -> str | None:
        """The gold label, or with the error rate's chance another; the same at every call."""
        gold = self._gold[row]
        if gold is None:
            return None
        rng = self._rng(row)
        if rng.random() >= self._error_rate:
            return gold
        return str(rng.choice([label for label in labels if label != gold]))

    def _set(self, row: int, labels: list[str]) -> list[str] | None:
        """The gold set; each label by itself is wrong with the error rate's chance."""
        text = self._gold[row]
        if text is None:
            return None
        gold = decode(text)
        wrong = self._rng(row).random(len(labels)) < self._error_rate
        # A gold label that is none of the task's is refused by the desk, not dropped here.
        strange = [name for name in gold if name not in labels]
        return strange + [
            label for label, off in zip(labels, wrong, strict=True) if (label in gold) != off
        ]

    def _spans(self, row: int, types: list[str]) -> list[Span] | None:
        """The gold spans; each by itself is missed, or given another type, at the error rate."""
        text = self._gold[row]
        if text is None:
            return None
        rng, found = self._rng(row), list[Span]()
        for span in decode_spans(text):
            wrong, missed = rng.random() < self._error_rate, rng.random() < 0.5
            others = [name for name in types if name != span.type]
            if not wrong:
                found.append(span)
            elif others and not missed:
                found.append(replace(span, type=str(rng.choice(others))))
        return found

    def _rng(self, row: int) -> np.random.Generator:
        key = hashlib.sha256(f"{self._seed}:{row}".encode()).digest()
        return np.random.default_rng(int.from_bytes(key[:8], "big"))
