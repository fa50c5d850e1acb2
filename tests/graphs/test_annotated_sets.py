"""Whole runs in which a chat model suggests sets of labels: good ones, and broken answers."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelwright.app import run
from labelwright.app.project import Project
from labelwright.models.llm import session
from labelwright.models.llm.base import Reply, Request
from labelwright.store.errors import UserError
from labelwright.store.events import ToolEvent
from labelwright.store.label_sets import decode
from scripted import ScriptedBackend
from support import _OTHER, _WORDS, LABELS, HashEncoder

GOAL = "Tag the messages as billing, bug and praise"


def rows(n: int = 90) -> dict[str, list[str]]:
    """Texts and their labels."""
    rng = np.random.default_rng(4)
    found = {}
    for place in range(n):
        has = [label for label in LABELS if rng.random() < 0.45]
        words = [word for label in has for word in rng.choice(_WORDS[label], 3, replace=False)]
        found[f"{' '.join([*words, *rng.choice(_OTHER, 5)])} {place}"] = has
    return found


ROWS = rows()


def tagged(folder: Path, script: Any, **options: Any) -> tuple[Project, ScriptedBackend]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "messages.jsonl"
    lines = [json.dumps({"text": text, "tags": has}) for text, has in ROWS.items()]
    path.write_text("\n".join(lines), encoding="utf-8")

    def answer(request: Request) -> Reply:
        if not request.item:
            labels = [{"name": name, "definition": f"all of {name}"} for name in LABELS]
            return Reply(json.dumps({"labels": labels, "guidelines": ""}))
        said: Reply = script(request)
        return said

    chat = ScriptedBackend(answer)
    given = {
        "multi_label": True,
        "gold_column": "tags",
        "reviewer": "simulated",
        "encoder": HashEncoder(),
        "learner": "linear",
        "human_labels": 50,
        "autonomy": "auto",
        "llm": "scripted:model",
        "chat": chat,
        "project": folder / "project",
        **options,
    }
    return Project(run(GOAL, path, **given).project), chat


def said(labels: Any) -> Reply:
    return Reply(json.dumps({"rationale": "its words say so", "labels": labels}))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "wait_after", lambda *_: 0.0)


def suggestions(project: Project) -> list[Any]:
    return project.store.annotations(purposes=("suggest",), kinds=("llm",))


def test_the_sets_of_a_good_model_are_suggested_measured_and_accepted(tmp_path: Path) -> None:
    project, chat = tagged(
        tmp_path, lambda request: said(ROWS[request.item][::-1]), target_accuracy=0.7
    )
    with closing(project):
        assert project.finished
        notes = suggestions(project)
        texts = {each.row: project.pool.text(each.row) for each in notes}
        assert notes
        assert all(list(decode(each.label)) == ROWS[texts[each.row]] for each in notes)
        events = [e.event for e in project.store.events() if isinstance(e.event, ToolEvent)]
        measured = [e.result["models"][0] for e in events if e.tool == "annotate_samples"]
        assert measured[-1]["pilot"]["accuracy"] == 1.0
        assert project.store.annotations(purposes=("accept",), kinds=("llm",))
        assert project.verify() == []
    asked = chat.asked[-1]
    assert "every label that fits" in asked.messages[0].content


def test_examples_are_shown_as_sets(tmp_path: Path) -> None:
    project, chat = tagged(tmp_path, lambda request: said(ROWS[request.item]))
    project.close()
    shown = [r.messages[-1].content for r in chat.asked if r.item]
    assert any('["billing"' in text or '["bug"' in text for text in shown)
    assert not any('\\"billing' in text for text in shown)


@pytest.mark.parametrize("labels", [["spam"], ["Billing"], "billing"], ids=str)
def test_an_answer_outside_the_labels_is_no_suggestion_and_no_item_is_lost(
    tmp_path: Path, labels: Any
) -> None:
    project, _ = tagged(tmp_path, lambda _: said(labels), human_labels=30)
    with closing(project):
        assert project.finished
        assert all(each.label is None for each in suggestions(project))
        assert len(project.labels()) == len(ROWS)
        assert project.store.model_calls()


def test_probabilities_of_tokens_are_refused_for_sets(tmp_path: Path) -> None:
    from labelwright.tools.asking import ModelArgs, annotator_for
    from labelwright.tools.base import ToolContext, Workbench

    project, _ = tagged(tmp_path, lambda request: said(ROWS[request.item]), human_labels=20)
    with closing(project):
        assert project.spec is not None
        context = ToolContext(
            project.store,
            project.pool,
            project.spec,
            project.settings,
            Workbench(HashEncoder),
            1,
        )
        args = ModelArgs(confidence="logprobs", demonstrations="none")
        asker: Any = ScriptedBackend(lambda _: "")
        with pytest.raises(UserError, match="votes"):
            annotator_for(context, args, asker, np.arange(1))


def test_a_committee_gives_the_labels_that_more_than_half_of_its_members_give(
    tmp_path: Path,
) -> None:
    def every(request: Request) -> Reply:
        return said(ROWS[request.item])

    def none(_: Request) -> Reply:
        return said([])

    def some(request: Request) -> Reply:
        return said(ROWS[request.item][:1])

    def drafting(request: Request) -> Reply:
        labels = [{"name": name, "definition": f"all of {name}"} for name in LABELS]
        drafted = Reply(json.dumps({"labels": labels, "guidelines": ""}))
        return every(request) if request.item else drafted

    scripts = {"main": drafting, "member-2": none, "member-3": some}
    chat = {role: ScriptedBackend(say, name=f"scripted:{role}") for role, say in scripts.items()}
    llm = tuple(backend.name for backend in chat.values())
    project, _ = tagged(tmp_path, every, chat=chat, llm=llm, human_labels=30)
    with closing(project):
        assert project.finished
        together = [each for each in suggestions(project) if each.annotator == "committee"]
        assert together
        for note in together:
            has = ROWS[project.pool.text(note.row)]
            # Two of three give the first label, one gives the others.
            assert list(decode(note.label or "")) == has[:1]
            share = dict(zip(LABELS, note.distribution or (), strict=True))
            assert all(share[name] == pytest.approx(1 / 3, abs=1e-5) for name in has[1:])
