"""The audit: nothing that happened is left out, any change is named, hostile text is only shown."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from finished import SCRIPT, finished
from labelwright.app import audit
from labelwright.app.audit_lines import compact
from labelwright.app.project import Project
from labelwright.store.database import DATABASE
from labelwright.store.errors import UserError
from labelwright.store.events import DecisionEvent, ReviewEvent
from labelwright.store.records import HUMAN_KINDS
from rich.console import Console


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with finished(tmp_path_factory.mktemp("audit"), label_price=0.25) as (done, _result):
        yield done


@pytest.fixture(scope="module")
def lines(project: Project) -> list[audit.Line]:
    return audit.timeline(project.store, project.pool)


@pytest.fixture
def changed(project: Project, tmp_path: Path) -> Iterator[Project]:
    """A copy of the project whose database may be tampered with."""
    shutil.copytree(project.folder, tmp_path / "copy")
    copy = Project(tmp_path / "copy")
    yield copy
    copy.close()


def tamper(project: Project, table: str, statement: str) -> None:
    """Do what somebody with the file and a database tool would do."""
    connection = sqlite3.connect(project.folder / DATABASE)
    for verb in ("update", "delete"):
        connection.execute(f"DROP TRIGGER keep_{table}_{verb}")
    connection.execute(statement)
    connection.commit()
    connection.close()


def printed(lines: list[audit.Line], **options: object) -> str:
    file = io.StringIO()
    audit.print_timeline(Console(file=file, **{"width": 100, **options}), lines)  # type: ignore[arg-type]
    return file.getvalue()


def shown_life(project: Project, item: str) -> str:
    file = io.StringIO()
    life = audit.item_life(project.store, project.pool, item)
    audit.print_item(Console(file=file, width=200), life)
    return file.getvalue()


def test_timeline_leaves_no_event_out(project: Project, lines: list[audit.Line]) -> None:
    covered = [seq for line in lines for seq in range(line.seq, line.last + 1)]
    assert covered == list(range(1, len(project.store.events()) + 1))


def test_decision_shows_why_and_what_else_was_legal(
    project: Project, lines: list[audit.Line]
) -> None:
    events = {each.seq: each.event for each in project.store.events()}
    decided = [line for line in lines if line.kind == "decision"]
    assert len(decided) > 10
    for line in decided:
        event, details = events[line.seq], dict(line.details)
        assert isinstance(event, DecisionEvent)
        assert line.title == f"decided: {event.tool}"
        assert details["why"] == event.reason
        others = [name for name in event.legal if name != event.tool]
        assert details["also legal"] == (", ".join(others) or "nothing else")


def test_answers_are_one_line_a_review_and_agree_with_its_event(
    project: Project, lines: list[audit.Line]
) -> None:
    reviews = [e.event for e in project.store.events() if isinstance(e.event, ReviewEvent)]
    sittings = [line for line in lines if line.kind == "answer"]
    assert len(sittings) == len(reviews) > 2
    for line, review in zip(sittings, reviews, strict=True):
        assert f"answered {review.answered} of" in line.title
        wanted = f"with {review.agreed} of {review.suggested} suggestions"
        assert dict(line.details)["agreed"] == (
            wanted if review.suggested else "no suggestion shown"
        )


def test_review_costs_labels_and_money(lines: list[audit.Line]) -> None:
    costs = [line.cost for line in lines if line.kind == "review"]
    assert "15 human labels, $3.75" in costs


def test_tool_and_metric_lines_say_what_came_out(lines: list[audit.Line]) -> None:
    trained = next(line for line in lines if line.title == "train_model done")
    assert dict(trained.details)["learner"] == "linear"
    assert trained.cost.endswith(" s")
    measured = next(line for line in lines if line.kind == "metric")
    assert "at 95% (n = " in measured.title
    assert "drawn" in dict(measured.details)["measured on"]


def test_printed_timeline_shows_hostile_text_without_obeying_it(lines: list[audit.Line]) -> None:
    text = printed(lines, width=400)
    assert "[bold]loud[/bold]" in text
    assert SCRIPT in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    coloured = printed(lines, force_terminal=True, color_system="standard", width=400)
    assert "\x1b[31mred" not in coloured


def test_printed_timeline_fits_a_narrow_terminal(lines: list[audit.Line]) -> None:
    assert max(len(line) for line in printed(lines, width=40).splitlines()) <= 40


def test_life_ends_with_the_delivered_label_of_every_item(project: Project) -> None:
    table = project.labels().to_pylist()
    for row in table[:: len(table) // 30]:
        life = audit.item_life(project.store, project.pool, row["id"])
        assert (life.label, life.source) == (row["label"], row["source"])
        assert life.confidence == row["confidence"]


def test_life_of_a_trained_item_tells_choice_suggestion_question_and_answer(
    project: Project,
) -> None:
    given = project.store.annotations(purposes=("train",), kinds=HUMAN_KINDS)[-1]
    text = shown_life(project, given.item)
    marks = [
        f"chosen by {project.store.artefact('batch')['strategy']}",  # type: ignore[index]
        "utility: ",
        "suggestion: ",
        "rationale: ",
        "put before the reviewer to train on",
        f"tester: {given.label}",
        "predicted by step-",
        f"label: {given.label}",
    ]
    # Models of earlier rounds predicted it before it was chosen.
    places = [text.find(mark, text.find("chosen by")) for mark in marks]
    assert places == sorted(places)
    assert places[0] > 0


def test_life_of_an_audited_item_has_the_frozen_label_before_the_question(
    project: Project,
) -> None:
    given = project.store.annotations(purposes=("audit",))[0]
    titles = [s.title for s in audit.item_life(project.store, project.pool, given.item).stages]
    frozen = next(n for n, title in enumerate(titles) if title.startswith("label frozen"))
    asked = next(n for n, title in enumerate(titles) if "audit item" in title)
    assert frozen < asked


def test_life_tells_every_models_prediction(project: Project) -> None:
    models = [each["model"] for each in project.store.artefact_history("scores")]
    titles = [s.title for s in audit.item_life(project.store, project.pool, "m0010").stages]
    predicted = [title.split(":")[0] for title in titles if title.startswith("predicted")]
    assert predicted == [f"predicted by {model}" for model in models]


def test_life_of_a_copy_is_that_of_the_first_item_with_its_text(project: Project) -> None:
    copy = audit.item_life(project.store, project.pool, "copy")
    first = audit.item_life(project.store, project.pool, copy.copy_of)
    assert first.copies == 1
    assert first.copy_of == ""
    assert copy.stages == first.stages
    assert "same text as item" in shown_life(project, "copy")


def test_life_of_a_hostile_item_is_inert(project: Project) -> None:
    text = shown_life(project, "m0000")
    assert SCRIPT in text
    assert "\x1b" not in text


def test_unknown_item_is_the_users_error(project: Project) -> None:
    with pytest.raises(UserError, match="no item has the id 'nobody'"):
        audit.item_life(project.store, project.pool, "nobody")


def test_json_lines_are_the_chain(project: Project) -> None:
    records = [json.loads(line) for line in audit.events_json(project.store)]
    assert [each["seq"] for each in records] == list(range(1, len(records) + 1))
    assert [each["prev"] for each in records[1:]] == [each["hash"] for each in records[:-1]]
    assert records[-1]["hash"] == project.store.head()


def test_verification_counts_what_it_checked(project: Project) -> None:
    ok, said = audit.verify_report(project.store, project.store.head())
    assert ok
    assert said[0].startswith(f"{len(project.store.events())} events")
    assert f"{len(project.store.annotations())} annotations" in said[1]
    assert "belongs to this trace" in said[2]


def test_a_head_of_another_trace_is_a_problem(project: Project) -> None:
    ok, said = audit.verify_report(project.store, "f" * 64)
    assert not ok
    assert "no event has the hash" in said[1]


@pytest.mark.parametrize(
    ("table", "statement", "told"),
    [
        (
            "events",
            "UPDATE events SET body = replace(body, 'graph', 'grape') || ' ' WHERE seq = 5",
            "event 5 (decision:1:0): its content was changed",
        ),
        ("events", "DELETE FROM events WHERE seq = 7", "event 7 is missing before it"),
        (
            "events",
            "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)",
            "the end of the trace is missing",
        ),
        (
            "annotations",
            "UPDATE annotations SET label = 'bug' WHERE id = (SELECT min(id) FROM annotations "
            "WHERE label <> 'bug')",
            "(tool:2): rows of 'annotations' were changed",
        ),
        (
            "answers",
            "DELETE FROM answers WHERE id = 1",
            ":1): 'answers' has 0 rows, 1 were written",
        ),
    ],
)
def test_verification_names_the_event_at_fault(
    changed: Project, table: str, statement: str, told: str
) -> None:
    tamper(changed, table, statement)
    ok, said = audit.verify_report(changed.store)
    assert not ok
    assert any(told in line for line in said), said


def test_an_event_that_cannot_be_read_is_told_in_one_line(changed: Project) -> None:
    tamper(changed, "events", "UPDATE events SET body = '{}' WHERE seq = 9")
    with pytest.raises(UserError, match="audit PROJECT --verify"):
        audit.timeline(changed.store, changed.pool)
    ok, said = audit.verify_report(changed.store)
    assert not ok
    assert any(line.startswith("event 9 (") and "cannot be read" in line for line in said)


class Page(HTMLParser):
    """Tags, ids and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: set[str] = set()
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert not {"src", "href"} & set(given)
        assert not [name for name in given if name.startswith("on")]
        self.tags.append(tag)
        self.ids.add(str(given.get("id", "")))

    def handle_data(self, data: str) -> None:
        self.words += data


def written(project: Project, path: Path) -> str:
    assert project.spec is not None
    audit.write_audit_html(project.store, project.pool, project.spec, path)
    return path.read_text(encoding="utf-8")


def test_html_has_every_line_with_its_hash_and_a_filter_for_each_type(
    project: Project, lines: list[audit.Line], tmp_path: Path
) -> None:
    page = Page(written(project, tmp_path / "audit.html"))
    assert page.tags.count("details") == len(lines)
    assert all(line.hash in page.words for line in lines)
    assert {f"show-{line.kind}" for line in lines} <= page.ids
    assert "the trace holds" in page.words


def test_html_shows_hostile_text_and_runs_nothing(project: Project, tmp_path: Path) -> None:
    text = written(project, tmp_path / "audit.html")
    page = Page(text)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert SCRIPT in page.words
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_html_of_a_changed_project_says_that_the_trace_does_not_hold(
    changed: Project, tmp_path: Path
) -> None:
    tamper(changed, "annotations", "UPDATE annotations SET label = 'bug' WHERE label = 'praise'")
    page = Page(written(changed, tmp_path / "audit.html"))
    assert "does NOT hold" in page.words
    assert "rows of 'annotations' were changed" in page.words


def test_verification_is_printed_plainly(project: Project) -> None:
    file = io.StringIO()
    console = Console(file=file, width=60)
    audit.print_verification(console, False, ["event 3 (x): [red]changed[/red]"])
    assert file.getvalue() == "The trace does NOT hold.\n  event 3 (x): [red]changed[/red]\n"


def test_compact_shortens_and_keeps_names() -> None:
    assert compact({"a": 0.123456, "b": {"c": None}, "d": "two\nlines"}) == (
        "a=0.1235, b=c=null, d=two lines"
    )
    assert len(compact("x" * 1000)) == 400
