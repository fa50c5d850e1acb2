"""What several models say together: from votes to what was learned, and never from gold."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelwright.app.project import Project
from labelwright.models.llm.backends.replay import replayed
from labelwright.models.llm.base import Asker
from labelwright.models.llm.gateway import Gateway
from labelwright.store.events import DecisionEvent, ErrorEvent
from labelwright.store.records import Annotation
from labelwright.store.trace import Place
from labelwright.tools.asking import ModelArgs
from labelwright.tools.base import ToolContext, Workbench
from labelwright.tools.combined import LEARN_FROM, combined, learn
from labelwright.tools.label_pool import LabelPool, LabelPoolArgs
from labelwright.tools.labels import human_labels
from labelwright.tools.opinions import COMMITTEE, Opinion, opinion_of
from labelwright.tools.votes import earlier_votes
from numpy.typing import NDArray
from support import LABELS, HashEncoder, messages, ran

ROWS = messages(240)
GOLD = {row.text: row.label for row in ROWS}
NAMES = ("one", "two", "three")


def said(place: int, label: str, member: int) -> str | None:
    """All members take most praise for bugs; beside that each errs now and then by itself."""
    if label == "praise" and place % 3:
        return "bug"
    if (place + 3 * member) % 11 == 0:
        return LABELS[(LABELS.index(label) + 1) % 3]
    return None if (place + member) % 29 == 0 else label


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recorded") / "answers.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for place, row in enumerate(ROWS):
            answers = {name: said(place, row.label, n) for n, name in enumerate(NAMES)}
            answers["lost"] = None
            file.write(json.dumps({"text": row.text, "llm": answers}) + "\n")
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, recorded: Path) -> Iterator[Project]:
    """A run with all its training labels, as it was before its final model."""
    models = tuple(f"replay:{recorded}#{name}" for name in NAMES)
    folder = tmp_path_factory.mktemp("combined")
    options = {"llm": models, "human_labels": 130, "llm_cache": "none"}
    with ran(folder, ROWS, **options) as (done, _):
        seq = next(
            each.seq
            for each in done.store.events()
            if isinstance(each.event, DecisionEvent)
            and (each.event.tool == "label_pool" or each.event.args.get("final"))
        )
        copy = shutil.copytree(done.folder, folder / "copy")
    early = Project(copy)
    early.store.cut_after(seq - 1)
    yield early
    early.close()


@pytest.fixture
def context(project: Project, recorded: Path) -> ToolContext:
    assert project.spec is not None
    roles = dict(zip(("main", "member-2", "member-3"), askers(recorded), strict=True))
    bench = Workbench(HashEncoder)
    return ToolContext(
        project.store, project.pool, project.spec, project.settings, bench, 900, roles.get
    )


def askers(recorded: Path, names: Sequence[str] = NAMES) -> list[Asker]:
    return [Gateway(replayed(f"{recorded}#{name}")) for name in names]


def opinions(context: ToolContext, models: Sequence[Asker]) -> list[Opinion]:
    rows = open_rows(context)
    return [opinion_of(context, ModelArgs(), each, rows, None) for each in models]


def open_rows(context: ToolContext) -> NDArray[np.int64]:
    taken = human_labels(context.store).rows
    rows = context.pool.unique_rows
    return rows[~np.isin(rows, taken)]


def accuracy(context: ToolContext, found: Opinion) -> float:
    texts = context.pool.texts(open_rows(context))
    return float(np.mean([n.label == GOLD[t] for n, t in zip(found.notes, texts, strict=True)]))


def test_it_learns_what_all_members_get_wrong_together(
    context: ToolContext, recorded: Path
) -> None:
    members = opinions(context, askers(recorded))
    together = combined(context, members, open_rows(context), 0.1)
    assert together is not None
    assert together.learned_from >= LEARN_FROM
    assert together.members == tuple(each.name for each in members)
    assert max(accuracy(context, each) for each in members) < 0.75
    assert accuracy(context, together) > 0.8


def test_one_model_and_the_classifier_are_the_smallest_committee(
    context: ToolContext, recorded: Path
) -> None:
    (alone,) = opinions(context, askers(recorded, NAMES[:1]))
    together = combined(context, [alone], open_rows(context), 0.1)
    assert together is not None
    assert accuracy(context, together) > accuracy(context, alone) + 0.05


def test_what_no_member_said_is_given_with_the_votes_against_it(
    context: ToolContext, recorded: Path
) -> None:
    together = combined(context, opinions(context, askers(recorded)), open_rows(context), 0.1)
    assert together is not None
    mended = [note for note in together.notes if note.rationale.startswith("no member said so")]
    assert mended
    assert all(note.label not in note.rationale.partition("(votes: ")[2] for note in mended)


def test_an_item_that_no_member_answered_has_no_label(context: ToolContext, recorded: Path) -> None:
    members = opinions(context, askers(recorded, ["one"]))
    nothing = replace(members[0].notes[0], label=None, status="invalid", why="no label")
    silent = replace(members[0], notes=[nothing, *members[0].notes[1:]])
    together = combined(context, [silent], open_rows(context), 0.1)
    assert together is not None
    assert (together.notes[0].label, together.notes[0].score) == (None, None)
    assert together.notes[1].label is not None


def test_gold_items_are_not_learned_from(context: ToolContext) -> None:
    names = context.settings.members
    rows, votes = earlier_votes(context, names)
    gold = set(context.store.human_labels(("gold",)))
    assert len(rows) >= LEARN_FROM
    assert not gold & set(rows.rows.tolist())
    assert votes.votes.shape == (len(rows), 3, 3)
    # Not even where a member's answers about them are in the store.
    notes = [
        Annotation(row, context.pool.id(row), "replayed", names[0], "v", "suggest", "bug")
        for row in gold
    ]
    with context.store.transaction(Place("r", 899, "act")) as writer:
        writer.annotate(notes)
        writer.event("about gold", ErrorEvent(where="test", message="gold", who="model"))
    assert earlier_votes(context, names)[0].rows.tolist() == rows.rows.tolist()


def test_nothing_is_learned_for_models_that_were_not_asked_before(
    context: ToolContext, recorded: Path
) -> None:
    lost = opinions(context, askers(recorded, ["lost"]))
    assert learn(context, lost) is None
    stranger = [replace(each, name="stranger") for each in opinions(context, askers(recorded)[:1])]
    assert learn(context, stranger) is None
    assert combined(context, stranger, open_rows(context), 0.1) is None
    two = [*stranger, replace(stranger[0], name="another")]
    votes = combined(context, two, open_rows(context), 0.1)
    assert votes is not None
    assert votes.learned_from == 0
    assert [n.label for n in votes.notes] == [n.label for n in stranger[0].notes]


def test_the_pool_is_labelled_by_all_together_and_each_answer_is_kept(context: ToolContext) -> None:
    outcome = LabelPool().run(context, LabelPoolArgs(k=20))
    assert outcome.result["model"] == COMMITTEE
    assert outcome.result["asked"] == 20
    taken = [note for note in outcome.annotations if note.purpose == "accept"]
    assert {note.annotator for note in taken} == {COMMITTEE}
    assert len(taken) == outcome.result["taken"] == 20 - outcome.result["without_label"]
    assert len(outcome.annotations) == 4 * 20


def test_the_same_call_gives_the_same(context: ToolContext, recorded: Path) -> None:
    first, second = (
        combined(context, opinions(context, askers(recorded)), open_rows(context), 0.1)
        for _ in range(2)
    )
    assert first is not None
    assert second is not None
    assert first.notes == second.notes
    np.testing.assert_array_equal(first.confidence, second.confidence)


def test_a_fine_tuned_classifier_is_believed_as_it_was_before_it_saw_an_item(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labelwright.tools import honest_scores as module

    (asked,) = [each for each in [context.store.artefact("model")] if each]
    rows = earlier_votes(context, context.settings.members)[0].rows
    tuned: Any = {**asked, "learner": "setfit"}
    found = module.honest_scores(context, tuned, rows)
    batches = {
        row: b["round"] for b in context.store.artefact_history("batch") for row in b["rows"]
    }
    first = np.array([batches[int(row)] == 1 for row in rows])
    assert np.isnan(found[first]).all()
    assert not np.isnan(found[~first]).any()
    crossed = module.honest_scores(context, asked, rows)
    np.testing.assert_allclose(crossed.sum(axis=1), 1, atol=1e-5)
