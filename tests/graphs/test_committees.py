"""Whole runs with a committee: votes, members that are no use, and what a wrong label costs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from labelwright.app.project import Project
from labelwright.models.llm import session
from labelwright.models.llm.base import Failure, Reply, Request
from labelwright.store.bill import model_bill
from labelwright.store.events import ToolEvent
from labelwright.store.records import Annotation
from labelwright.tools.opinions import COMMITTEE
from scripted import ScriptedBackend
from support import LABELS, final_labels, messages, ran

ROWS = messages(120)
GOLD = {row.text: row.label for row in ROWS}
NUMBER = {row.text: place for place, row in enumerate(ROWS)}


def other(label: str) -> str:
    """A wrong label."""
    return LABELS[(LABELS.index(label) + 1) % len(LABELS)]


def every(text: str, wrong_at: int) -> str:
    """The right label, but for one item in eight."""
    return other(GOLD[text]) if NUMBER[text] % 8 == wrong_at else GOLD[text]


MEMBERS: dict[str, Any] = {
    "one": lambda text: every(text, 1),
    "two": lambda text: every(text, 3),
    "three": lambda text: every(text, 5),
    "constant": lambda _: LABELS[0],
    "null": lambda text: None if NUMBER[text] % 2 else GOLD[text],
}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "wait_after", lambda *_: 0.0)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers of all members, as a file to be replayed."""
    path = tmp_path_factory.mktemp("recorded") / "answers.jsonl"
    said = [{"text": t, "llm": {name: say(t) for name, say in MEMBERS.items()}} for t in GOLD]
    path.write_text("\n".join(map(json.dumps, said)), encoding="utf-8")
    return path


@contextmanager
def replayed(folder: Path, file: Path, *names: str, **options: Any) -> Iterator[Project]:
    models = tuple(f"replay:{file}#{name}" for name in names)
    given = {"llm": models, "human_labels": 60, "llm_cache": "none", **options}
    with ran(folder, ROWS, **given) as (project, result):
        assert result.status == "finished"
        assert project.verify() == []
        yield project


def results(project: Project, tool: str) -> list[dict[str, Any]]:
    events = [each.event for each in project.store.events()]
    return [e.result for e in events if isinstance(e, ToolEvent) and e.tool == tool]


def by_name(project: Project, round_: int) -> Mapping[str, list[Annotation]]:
    """Suggestions of a round by the last part of the annotator's name."""
    found: dict[str, list[Annotation]] = {}
    for each in project.store.annotations(purposes=("suggest",), kinds=("llm", "replayed")):
        if each.round == round_:
            found.setdefault(each.annotator.rpartition("#")[2], []).append(each)
    return found


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, recorded: Path) -> Iterator[Project]:
    """A finished run with three good members."""
    folder, options = tmp_path_factory.mktemp("three"), {"target_accuracy": 0.8}
    with replayed(folder, recorded, "one", "two", "three", human_labels=80, **options) as project:
        yield project


def test_every_member_is_asked_about_each_item_and_what_they_say_together_is_shown(
    three: Project,
) -> None:
    said = by_name(three, 1)
    assert set(said) == {"one", "two", "three", COMMITTEE}
    rows = [note.row for note in said["one"]]
    assert all([note.row for note in notes] == rows for notes in said.values())
    (whole,) = [
        each
        for each in results(three, "annotate_samples")[0]["models"]
        if each["model"] == COMMITTEE
    ]
    voters = [name.rpartition("#")[2] for name in whole["members"]]
    for place, note in enumerate(said[COMMITTEE]):
        votes = Counter(said[name][place].label for name in voters)
        assert votes[note.label] == max(votes.values())
    assert {note.kind for note in said[COMMITTEE]} == {"replayed"}
    assert all("(votes: " in note.rationale for note in said[COMMITTEE])
    questions = [q for r in three.store.reviews() if r.purpose == "train" for q in r.questions]
    first = {note.row: note.label for note in said[COMMITTEE]}
    shown = {q.row: q.suggestion for q in questions if q.row in first}
    assert shown
    assert all(first[row] == label for row, label in shown.items())


def test_what_is_accepted_is_the_committees_and_it_learns_from_people(three: Project) -> None:
    accepted = three.store.annotations(purposes=("accept",))
    assert {each.annotator for each in accepted} == {COMMITTEE}
    assert three.store.human_labels(("gold",)).keys().isdisjoint(each.row for each in accepted)
    learned = [
        model["learned_from"]
        for note in results(three, "annotate_samples")
        for model in note["models"]
        if model["model"] == COMMITTEE
    ]
    assert learned[0] == 0
    assert len(final_labels(three)) == len(ROWS)
    bill = {line.model.rpartition("#")[2] for line in model_bill(three.store)}
    assert bill == {"one", "two", "three"}


@pytest.mark.parametrize("useless", ["constant", "null"])
def test_a_member_that_is_no_use_has_no_vote_and_the_run_says_so(
    tmp_path: Path, recorded: Path, useless: str
) -> None:
    with replayed(tmp_path, recorded, "one", "two", useless, human_labels=80) as project:
        late = results(project, "annotate_samples")[-1]["models"]
        verdicts = {m["model"].rpartition("#")[2]: m["pilot"]["verdict"] for m in late}
        (together,) = [model for model in late if model["model"] == COMMITTEE]
        left_out = [name.rpartition("#")[2] for name in together.get("left_out", [])]
        if useless == "constant":
            assert verdicts["constant"] == "constant"
            assert left_out == ["constant"]
        else:
            # Half of its answers are no label: each counts where it is one, and is missing else.
            missing = [note for note in by_name(project, 1)["null"] if note.label is None]
            assert missing
            whole = {note.row: note for note in by_name(project, 1)[COMMITTEE]}
            assert all(whole[note.row].label is not None for note in missing)
        assert together["pilot"]["verdict"] in ("usable", "weak")


def test_a_member_whose_answers_fail_is_missing_and_the_others_go_on(tmp_path: Path) -> None:
    def right(request: Request) -> Reply:
        return Reply(json.dumps({"label": GOLD.get(request.item), "rationale": "I know"}))

    def drafting(request: Request) -> Reply | Failure:
        labels = [{"name": name, "definition": "d"} for name in LABELS]
        drafted = Reply(json.dumps({"labels": labels, "guidelines": ""}))
        return right(request) if request.item else drafted

    broken = ScriptedBackend(lambda _: Failure("request", "refused"), name="scripted:broken")
    chat = {"main": ScriptedBackend(drafting), "member-2": broken}
    models = ("scripted:model", "scripted:broken")
    with ran(tmp_path, ROWS, llm=models, chat=chat, human_labels=40) as (project, result):
        assert result.status == "finished"
        said = by_name(project, 1)
        assert {note.label for note in said["scripted:broken"]} == {None}
        together = said[COMMITTEE]
        assert all(GOLD[project.pool.text(note.row)] == note.label for note in together)
        assert all(note.rationale.startswith("I know") for note in together)
        bill = {line.model: line for line in model_bill(project.store) if line.why == "annotate"}
        assert bill["scripted:broken"].unusable == bill["scripted:broken"].made > 0


HOSTILE = (
    Reply('{"label": "ignore the others"}'),
    Reply('{"label": "bil', finish="length"),
    Reply(""),
    Reply(json.dumps({"rationale": "r", "label": LABELS[0].replace("b", "Ь")})),
    Reply("I can not help with that.", finish="refusal"),
)


def test_answers_outside_the_labels_are_no_votes_and_no_item_is_lost(tmp_path: Path) -> None:
    def hostile(request: Request) -> Reply:
        return HOSTILE[NUMBER[request.item] % len(HOSTILE)]

    def drafting(request: Request) -> Reply:
        labels = [{"name": name, "definition": "d"} for name in LABELS]
        return (
            hostile(request)
            if request.item
            else Reply(json.dumps({"labels": labels, "guidelines": ""}))
        )

    chat = {
        "main": ScriptedBackend(drafting),
        "member-2": ScriptedBackend(hostile, name="scripted:second"),
    }
    models = ("scripted:model", "scripted:second")
    with ran(tmp_path, ROWS[:50], llm=models, chat=chat, human_labels=30) as (project, result):
        assert result.status == "finished"
        said = project.store.annotations(purposes=("suggest",), kinds=("llm",))
        assert {each.label for each in said} == {None}
        together = [each for each in said if each.annotator == COMMITTEE]
        assert together
        assert all(each.rationale.startswith("no answer: none of") for each in together)
        assert len(final_labels(project)) == 50


def test_a_dear_wrong_label_asks_people_and_a_cheap_one_does_not(
    tmp_path: Path, recorded: Path
) -> None:
    accepted = {}
    for cost in (0.02, 100.0):
        options = {"label_price": 0.1, "wrong_label_usd": cost, "human_labels": 40}
        folder = tmp_path / str(cost)
        with replayed(folder, recorded, "one", "two", "three", **options) as project:
            notes = [note for note in results(project, "annotate_samples") if "routed" in note]
            assert len(notes) == len(results(project, "annotate_samples"))
            accepted[cost] = sum(note["accepted"] for note in notes)
            where: Counter[str] = Counter()
            for note in notes:
                where.update(note["routed"]["labeller"])
                assert sum(note["routed"]["why"].values()) == note["annotated"]
            assert where.total() == sum(note["annotated"] for note in notes)
    assert accepted[0.02] > 0
    assert accepted[100.0] == 0


def test_a_stronger_model_is_asked_where_that_is_cheaper_than_a_person(
    tmp_path: Path, recorded: Path
) -> None:
    def right(request: Request) -> Reply:
        said = json.dumps({"label": GOLD[request.item], "rationale": "I know"})
        return Reply(said, tokens_in=100, tokens_out=10)

    strong = ScriptedBackend(right, name="scripted:strong")
    options = {
        "chat": {"strong": strong},
        "strong_llm": "scripted:strong",
        "strong_price_in": 1.0,
        "label_price": 0.1,
        "wrong_label_usd": 1.0,
        "human_labels": 50,
    }
    with replayed(tmp_path, recorded, "one", **options) as project:
        late = results(project, "annotate_samples")[-1]
        assert late["models"][-1]["model"] == "scripted:strong"
        assert late["routed"]["labeller"]["model"] == late["accepted"] > 0
        accepted = project.store.annotations(purposes=("accept",))
        assert "scripted:strong" in {each.annotator for each in accepted}
