"""Whole runs in which a chat model suggests the labels: good, useless, broken, dear."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelwright.app.project import Project
from labelwright.app.reviewers import Desk
from labelwright.app.runs import drive
from labelwright.models.llm import session
from labelwright.models.llm.base import Failure, Reply, Request, Token
from labelwright.models.llm.gateway import Gateway
from labelwright.store.errors import OperatorError
from labelwright.store.events import ToolEvent
from labelwright.store.spec import TaskSpec
from labelwright.tools.annotate_llm import annotate_with_model
from labelwright.tools.asking import ModelArgs
from labelwright.tools.base import ToolContext, Workbench
from scripted import ScriptedBackend
from support import LABELS, HashEncoder, PlainReviewer, final_labels, knows, messages, ran

ROWS = messages(120)
FEW = ROWS[:50]
GOLD = {row.text: row.label for row in ROWS}


def options(chat: ScriptedBackend, **changed: Any) -> dict[str, Any]:
    return {"chat": chat, "llm": "scripted:model", "human_labels": 60, **changed}


def answer(label: str, *, sure: float = 0.9, cost: int = 100) -> Reply:
    """A label with a reason, and tokens that give it a probability."""
    import math

    start, end = '{"label": "', '", "rationale": "its words say so"}'
    other = next(name for name in LABELS if name != label)
    top = ((label, math.log(sure)), (other, math.log(1 - sure)))
    tokens = (Token(start, 0.0), Token(label, math.log(sure), top), Token(end, 0.0))
    return Reply(f"{start}{label}{end}", tokens_in=cost, tokens_out=10, tokens=tokens)


def gold_of(request: Request) -> str:
    return GOLD[request.item]


def knowing(request: Request) -> Reply:
    return answer(gold_of(request), sure=0.97)


def drafts(request: Request) -> Reply | None:
    """A draft of the spec, where that is what is asked for."""
    if request.item:
        return None
    labels = [{"name": name, "definition": f"all of {name}"} for name in LABELS]
    return Reply(json.dumps({"labels": labels, "guidelines": ""}))


def model(script: Any, **options: Any) -> ScriptedBackend:
    return ScriptedBackend(lambda request: drafts(request) or script(request), **options)


def results(project: Project, tool: str) -> list[dict[str, Any]]:
    events = [each.event for each in project.store.events()]
    return [e.result for e in events if isinstance(e, ToolEvent) and e.tool == tool]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "wait_after", lambda *_: 0.0)


def test_a_good_model_labels_what_gold_lets_it_and_the_rest_is_asked(tmp_path: Path) -> None:
    found = options(model(knowing), target_accuracy=0.8)
    with ran(tmp_path, ROWS, **found) as (project, result):
        assert result.status == "finished"
        first, *rest = results(project, "annotate_samples")
        assert first["models"][0]["calibrated_on"] == "10 gold items"
        assert first["accepted"] == 0
        assert max(note["accepted"] for note in rest) > 0
        accepted = project.store.annotations(purposes=("accept",))
        assert {each.kind for each in accepted} == {"llm"}
        assert all(each.rationale == "its words say so" for each in accepted)
        assert project.verify() == []


def gold_asked(project: Project) -> list[list[int]]:
    """Rows of each review of gold items."""
    reviews = [each for each in project.store.reviews() if each.purpose == "gold"]
    return [[question.row for question in each.questions] for each in reviews]


def selected(project: Project) -> set[int]:
    """Rows of all batches."""
    return {row for batch in project.store.artefact_history("batch") for row in batch["rows"]}


def test_more_gold_is_asked_where_a_good_model_may_then_need_no_person(tmp_path: Path) -> None:
    with ran(tmp_path, ROWS, **options(model(knowing), target_accuracy=0.8)) as (project, _):
        first, more = gold_asked(project)
        assert (len(first), len(more)) == (10, 10)
        sample = project.store.artefact_history("gold_sample")[0]
        assert (sorted(sample["rows"][:10]), sorted(sample["rows"][10:])) == (first, more)
        assert not selected(project) & set(sample["rows"])
        notes = results(project, "annotate_samples")
        assert [note["models"][0]["accept_above_score"] is None for note in notes][:2] == [
            True,
            False,
        ]
        assert project.store.totals().human_labels <= 60


def test_where_a_weak_model_would_gain_nothing_by_more_gold_its_labels_train(
    tmp_path: Path,
) -> None:
    def often_wrong(request: Request) -> Reply:
        wrong = int(request.item.rsplit(" ", 1)[1]) % 2 == 0
        return answer(LABELS[0] if wrong else gold_of(request), sure=0.9)

    with ran(tmp_path, ROWS, **options(model(often_wrong), target_accuracy=0.8)) as (project, _):
        assert [len(rows) for rows in gold_asked(project)] == [10]
        spent = {each: len(project.store.human_labels((each,))) for each in ("train", "audit")}
        assert spent == {"train": 35, "audit": 15}
        kept = set((project.store.artefact("gold_sample") or {})["rows"][10:])
        assert selected(project) & kept


class OneSheet(PlainReviewer):
    """Answers one review and leaves before the next."""

    def review(self, desk: Desk) -> bool:
        return not self.shown and super().review(desk)


def test_a_run_that_is_left_between_the_parts_of_gold_comes_out_the_same(tmp_path: Path) -> None:
    found = options(model(knowing), target_accuracy=0.8)
    with ran(tmp_path / "whole", ROWS, **found) as (project, _):
        whole = gold_asked(project), final_labels(project)
    left = OneSheet(knows(ROWS))
    with ran(tmp_path / "parts", ROWS, **found, reviewer=left) as (project, result):
        assert result.status == "paused"
        assert [len(rows) for rows in gold_asked(project)] == [10, 10]
        assert len(left.shown) == 10
    again = Project(tmp_path / "parts" / "project")
    reviewer = PlainReviewer(knows(ROWS))
    result = drive(again, encoder=HashEncoder(), chat=model(knowing), reviewer=reviewer)
    assert result.status == "finished"
    assert (gold_asked(again), final_labels(again)) == whole
    again.close()


def test_every_call_is_in_the_bill_and_nothing_else(tmp_path: Path) -> None:
    chat = model(knowing)
    with ran(tmp_path, ROWS, **options(chat, price_in=10.0, price_out=20.0)) as (project, result):
        calls = project.store.model_calls()
        made = [call for call in calls if not call.cached]
        assert len(made) == len(chat.asked)
        assert result.totals.usd == pytest.approx(sum(call.usd for call in made))
        annotate = [call for call in made if call.why == "annotate"]
        expected = len(annotate) * (100 * 10 + 10 * 20) / 1e6
        assert sum(call.usd for call in annotate) == pytest.approx(expected)


def test_a_second_run_with_the_same_seed_makes_no_call_and_gives_the_same(tmp_path: Path) -> None:
    chat = model(knowing)
    with ran(tmp_path / "one", ROWS, **options(chat, price_in=10.0)) as (project, first):
        labels, asked = final_labels(project), len(chat.asked)
    with ran(tmp_path / "two", ROWS, **options(chat, price_in=10.0)) as (project, second):
        assert final_labels(project) == labels
    assert len(chat.asked) == asked
    assert first.totals.usd > 0
    assert second.totals.usd == 0


def test_a_model_that_always_says_the_same_is_found_out_and_people_are_asked(
    tmp_path: Path,
) -> None:
    chat = model(lambda _: answer(LABELS[0], sure=0.99))
    found = options(chat, target_accuracy=0.8, human_labels=100)
    with ran(tmp_path, ROWS, **found) as (project, result):
        assert result.status == "finished"
        notes = results(project, "annotate_samples")
        verdicts = [note["models"][0]["pilot"]["verdict"] for note in notes if _piloted(note)]
        assert verdicts[0] == "constant"
        assert "models" not in notes[-1]
        assert not [a for a in project.store.annotations(purposes=("accept",)) if a.kind == "llm"]
        reasons = [e.event.reason for e in project.store.events() if e.event.type == "decision"]
        assert any("on gold the chat model is constant" in reason for reason in reasons)


def _piloted(note: dict[str, Any]) -> bool:
    return bool(note.get("models")) and note["models"][0]["pilot"] is not None


BROKEN: dict[str, Any] = {
    "empty": Reply(""),
    "no JSON": Reply("The label is surely the first one."),
    "cut off": Reply('{"rationale": "because', finish="length", tokens_out=500),
    "another label": Reply('{"rationale": "r", "label": "spam"}'),
    "a look-alike": Reply(json.dumps({"rationale": "r", "label": LABELS[0].replace("b", "Ь")})),
    "a refusal": Reply("I can't help with that.", finish="refusal"),
    "ten thousand tokens": Reply("word " * 10_000, finish="length", tokens_out=10_000),
    "too long a request": Failure("context", "maximum context length is 512 tokens"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_answer_that_cannot_be_used_is_a_cost_and_no_label(tmp_path: Path, kind: str) -> None:
    chat = model(lambda _: BROKEN[kind])
    with ran(tmp_path, FEW, **options(chat, human_labels=40)) as (project, result):
        assert result.status == "finished"
        suggested = project.store.annotations(purposes=("suggest",), kinds=("llm",))
        assert suggested
        assert {each.label for each in suggested} == {None}
        assert all(each.rationale.startswith("no answer:") for each in suggested)
        assert len(final_labels(project)) == len(FEW)
        asked = [call for call in project.store.model_calls() if call.why == "annotate"]
        assert asked
        assert all(call.status != "ok" for call in asked)
        assert result.totals.tokens == sum(
            c.tokens_in + c.tokens_out for c in asked if not c.cached
        )


def test_a_server_that_dies_stops_the_run_which_goes_on_where_it_was(tmp_path: Path) -> None:
    alive = True

    def script(request: Request) -> Reply | Failure:
        return knowing(request) if alive else Failure("connection", "refused")

    chat = model(script, concurrency=1)
    found = options(chat, price_in=10.0)

    def dying(request: Request) -> Reply | Failure:
        nonlocal alive
        alive = len(chat.asked) < 20
        return script(request)

    mortal = model(dying, concurrency=1)
    mortal.asked = chat.asked
    with (
        pytest.raises(OperatorError, match="resume PROJECT"),
        ran(tmp_path, ROWS, **{**found, "chat": mortal}),
    ):
        pass
    alive = True
    project = Project(tmp_path / "project")
    before = project.store.totals().usd
    result = drive(project, encoder=HashEncoder(), chat=chat, reviewer=PlainReviewer(knows(ROWS)))
    assert result.status == "finished"
    made = Counter(
        call.key for call in project.store.model_calls() if call.status == "ok" and not call.cached
    )
    assert set(made.values()) == {1}
    assert before > 0
    assert result.totals.usd == pytest.approx(sum(call.usd for call in project.store.model_calls()))
    assert project.verify() == []
    project.close()


def test_the_budget_is_kept_to_the_cent_and_the_run_ends(tmp_path: Path) -> None:
    found = options(model(knowing), price_in=100.0, price_out=100.0, usd=0.4)
    with ran(tmp_path, ROWS, **found) as (project, result):
        assert result.status == "finished"
        assert result.totals.usd <= 0.4
        assert len(final_labels(project)) == len(ROWS)


def test_a_model_does_not_spend_the_money_of_the_audit(tmp_path: Path) -> None:
    prices = {"price_in": 500.0, "price_out": 500.0, "label_price": 0.05}
    with ran(tmp_path, ROWS, **options(model(knowing), usd=4.0, **prices)) as (project, result):
        assert result.status == "finished"
        assert result.totals.usd <= 4.0
        assert len(project.store.human_labels(("audit",))) >= 10
        assert result.certificate is not None
        assert any(call.why == "annotate" for call in project.store.model_calls())


def test_a_stronger_model_is_asked_what_the_first_one_doubts(tmp_path: Path) -> None:
    weak = model(
        lambda request: answer(LABELS[0], sure=0.6) if _hard(request) else knowing(request)
    )
    strong = model(knowing, name="scripted:strong")
    found = options({"main": weak, "strong": strong}, target_accuracy=0.8, human_labels=100, seed=3)
    with ran(tmp_path, ROWS, **found) as (project, result):
        assert result.status == "finished"
        last = [note for note in results(project, "annotate_samples") if note["accepted"]][-1]
        sure = {each.annotator for each in project.store.annotations(purposes=("accept",))}
        assert [each["model"] for each in last["models"]] == ["scripted:model", "scripted:strong"]
        assert 0 < last["models"][1]["asked"] < last["models"][0]["asked"]
        (pool,) = results(project, "label_pool")
        assert pool["model"] == "scripted:strong"
        assert sure == {"scripted:model", "scripted:strong"}


def _hard(request: Request) -> bool:
    return int(request.item.rsplit(" ", 1)[1]) % 3 == 0


def test_a_model_better_than_the_classifier_labels_what_that_doubts(tmp_path: Path) -> None:
    chat = model(lambda request: answer(gold_of(request), sure=0.99))
    with ran(tmp_path, ROWS, **options(chat, target_accuracy=0.8)) as (project, result):
        assert result.status == "finished"
        (pool,) = results(project, "label_pool")
        assert pool["asked"] > 0
        by_source = dict.fromkeys(("llm", "learner"), 0) | Counter(
            project.labels()["source"].to_pylist()
        )
        assert by_source["llm"] > 0
        assert by_source["llm"] <= pool["taken"]
        frozen = project.store.artefact("frozen")
        assert frozen is not None
        delivered = project.store.annotations(purposes=("final",), kinds=("llm",))
        assert {each.annotator for each in delivered} == {"scripted:model"}
        assert all(each.rationale == "its words say so" for each in delivered)
        assert project.verify() == []


def test_what_a_chat_model_labelled_is_certified_like_the_rest(tmp_path: Path) -> None:
    chat = model(lambda request: answer(gold_of(request), sure=0.99))
    with ran(tmp_path, ROWS, **options(chat, target_accuracy=0.8)) as (project, _):
        assert results(project, "label_pool")
        frozen = project.store.artefact("frozen") or {}
        data = np.load(project.folder / frozen["folder"] / "frozen.npz")
        names = LABELS
        machine = {int(r): names[int(a)] for r, a in zip(data["rows"], data["labels"], strict=True)}
        final = {a.row: a.label for a in project.store.annotations(purposes=("final",))}
        assert final
        assert all(machine[row] == label for row, label in final.items())


def judging(verdict: str) -> Any:
    """Answers as a good annotator, and as a judge who always says the same."""

    def script(request: Request) -> Reply:
        if request.schema is not None and "verdict" in request.schema.model_fields:
            return Reply(json.dumps({"verdict": verdict, "better": None, "reason": "I say so"}))
        return knowing(request)

    return script


@pytest.mark.parametrize(("verdict", "asked"), [("right", False), ("unsure", True)])
def test_what_a_judge_objects_to_goes_to_a_person_with_the_objection(
    tmp_path: Path, verdict: str, asked: bool
) -> None:
    with ran(tmp_path, ROWS, **options(model(knowing), target_accuracy=0.8)) as (project, _):
        batch = project.store.artefact_history("batch")[-1]
        chat = ScriptedBackend(judging(verdict))
        gateway = Gateway(chat)
        context = ToolContext(
            project.store,
            project.pool,
            project.spec or TaskSpec(goal="g", labels=[], text_columns=["text"]),
            project.settings,
            Workbench(HashEncoder),
            999,
            lambda _: gateway,
        )
        args = ModelArgs(check="judge")
        outcome = annotate_with_model(context, args, np.array(batch["rows"]), batch["round"])
        assert outcome.result["accepted"] == (0 if asked else len(batch["rows"]))
        assert outcome.result["objected"] == (len(batch["rows"]) if asked else 0)
        said = outcome.artefacts[0].value["objections"].values()
        assert all("I say so" in reason for reason in said)
