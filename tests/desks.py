"""Reviews at hand: a desk in a folder, and a person who presses given keys."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
from labelwright.app.reviewers import Desk
from labelwright.app.terminal import TerminalReviewer
from labelwright.store.database import Store
from labelwright.store.events import RunEvent
from labelwright.store.pool import Pool
from labelwright.store.records import Question, ReviewPurpose, ReviewRequest
from labelwright.store.spec import TaskSpec
from labelwright.store.trace import Place
from rich.console import Console

PLACE = Place("r1", 1, "review")
LABELS = ["billing", "bug", "other"]
MANY = [
    f"{kind} {what}"
    for kind in ("card", "cash", "loan", "login")
    for what in ("lost", "late", "new")
]
HOSTILE = "\x1b[2J\x1b]0;owned\x07[red]pay[/red] :smile: \x9b31m\u202egnp\rhidden"


def make_spec(labels: list[str]) -> TaskSpec:
    named = [{"name": label, "definition": f"what {label} means"} for label in labels]
    return TaskSpec.checked(
        {
            "goal": "Sort messages",
            "labels": named,
            "guidelines": "Money goes first.",
            "text_columns": ["text"],
            "budgets": {"human_labels": 40},
        }
    )


def make_desk(
    folder: Path,
    *,
    texts: list[str] | None = None,
    labels: list[str] = LABELS,
    purpose: ReviewPurpose = "train",
    questions: tuple[Question, ...] | None = None,
    review: str = "v1",
) -> Desk:
    """A project in `folder`; by default three questions that suggest `bug`."""
    texts = texts or ["first text", "second text", "third text"]
    asked = questions or tuple(
        Question(row, labels[1], 0.75, "like 'it broke'", (labels[0],)) for row in range(len(texts))
    )
    store = Store.create(folder)
    if not (folder / "pool").exists():
        Pool.write(folder, pa.array([f"m{i}" for i in range(len(texts))]), pa.array(texts), None)
        (folder / "task.yaml").write_text(make_spec(labels).to_yaml())
    request = ReviewRequest(review, purpose, asked, 1)
    with store.transaction(PLACE) as writer:
        writer.open_review(request)
        writer.event(f"start:{review}", RunEvent(what="started"))
    return Desk(store, Pool(folder), make_spec(labels), request, PLACE, "ann", "human")


def person(keys: str | list[str], **console: Any) -> tuple[TerminalReviewer, io.StringIO]:
    """A reviewer who presses these keys and then hangs up, and what is shown to them."""
    shown = io.StringIO()
    size = {"width": 80, "height": 40, **console}
    given_keys = iter(keys)
    reviewer = TerminalReviewer(
        name="ann", console=Console(file=shown, **size), read_key=lambda: next(given_keys, "")
    )
    return reviewer, shown


def said(desk: Desk) -> list[tuple[int, str, str | None]]:
    return [(each.row, each.action, each.label) for each in desk.store.answer_log(desk.request.id)]
