"""The report: its numbers are those of the store, and nothing in it acts."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from finished import ESCAPE, SCRIPT, finished
from hypothesis import given
from hypothesis import strategies as st
from labelwright.app.project import Project
from labelwright.store.database import Store
from labelwright.store.errors import OperatorError
from labelwright.store.events import DecisionEvent, ErrorEvent
from labelwright.store.pool import Pool
from labelwright.store.records import AnnotatorKind, Artefact
from labelwright.store.spec import Budgets, LabelSpec, Settings, TaskSpec
from labelwright.store.trace import Place
from labelwright.tools import figures, summary
from labelwright.tools.report import render_report, write_report
from labelwright.tools.summary import (
    Compared,
    compare_with_people,
    confusions,
    duration,
    inert,
    live_certificate,
    percent,
    summarise,
)
from support import PlainReviewer, knows, messages, ran

VOID = {"meta", "input", "br", "circle", "rect", "line", "polygon", "polyline"}


class Page(HTMLParser):
    """What a browser would make of a page: its tags, addresses and words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        given = dict(attrs)
        self.addresses += [str(given[name]) for name in ("src", "href", "action") if name in given]
        assert not [name for name in given if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with finished(tmp_path_factory.mktemp("report")) as (done, _result):
        yield done


@pytest.fixture(scope="module")
def page(project: Project) -> str:
    assert project.spec is not None
    return render_report(project.store, project.pool, project.spec, project.settings)


@pytest.fixture
def bare(tmp_path: Path) -> tuple[Store, Pool, TaskSpec, Settings]:
    """A project with a pool and nothing done."""
    Pool.write(tmp_path, pa.array(["a", "b"]), pa.array(["one", "two"]), None)
    spec = TaskSpec(
        goal="Sort them",
        labels=[LabelSpec(name="x"), LabelSpec(name="y")],
        text_columns=["text"],
        budgets=Budgets(human_labels=10),
    )
    settings = Settings(data="data.csv", text_columns=["text"])
    return Store.create(tmp_path), Pool(tmp_path), spec, settings


def keep(store: Store, *artefacts: Artefact) -> None:
    with store.transaction(Place("run", 1, "act")) as writer:
        writer.keep(artefacts)
        number = len(store.events())
        writer.event(f"error:{number}", ErrorEvent(where="test", message="", who="internal"))


def test_headline_is_the_certificate_with_its_interval_level_and_n(
    project: Project, page: str
) -> None:
    found = live_certificate(project.store)
    assert found is not None
    words = Page(page).words
    assert percent(found["delivered_estimate"]) in words
    assert (
        f"certified: {percent(found['delivered_low'])} to {percent(found['delivered_high'])} at "
        f"95%, valid at every look; {found['n_audited']} audit items" in words
    )


def test_says_how_many_of_the_budgeted_labels_were_used(project: Project, page: str) -> None:
    assert f"{project.store.totals().human_labels} of 60" in Page(page).words


def test_says_that_the_reviewer_was_simulated(page: str) -> None:
    assert "Simulated reviewer." in Page(page).words
    assert "no person judged" in Page(page).words


def test_every_decision_has_its_row_with_reason_and_approval(project: Project, page: str) -> None:
    words = Page(page).words
    found = [each.event for each in project.store.events()]
    reasons = [inert(each.reason) for each in found if isinstance(each, DecisionEvent)]
    assert len(reasons) > 10
    assert all(reason in words for reason in reasons)
    assert "approve by rule" in words


def test_ends_with_the_head_of_the_trace(project: Project, page: str) -> None:
    assert project.store.head() in Page(page).words


def test_hostile_texts_are_shown_and_do_nothing(page: str) -> None:
    found = Page(page)
    assert found.tags["script"] == 0
    assert SCRIPT in found.words
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert ESCAPE.split("\x1b")[1][:4] in found.words


def test_page_is_well_formed_and_asks_for_nothing_outside_itself(page: str) -> None:
    found = Page(page)
    assert found.open == []
    assert found.addresses == []
    assert not {"link", "img", "iframe", "object"} & set(found.tags)
    assert "@import" not in page
    assert "url(" not in page
    assert found.tags["svg"] == 3


def test_same_store_gives_the_same_page(project: Project, page: str) -> None:
    assert project.spec is not None
    again = render_report(project.store, project.pool, project.spec, project.settings)
    assert again == page


def test_is_written_whole_or_not_at_all(project: Project, page: str, tmp_path: Path) -> None:
    assert project.spec is not None
    path = tmp_path / "report.html"
    path.write_text("the old one")
    write_report(project.store, project.pool, project.spec, project.settings, path)
    assert path.read_text(encoding="utf-8") == page
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(OperatorError, match="writing"):
        write_report(
            project.store, project.pool, project.spec, project.settings, tmp_path / "no" / "x"
        )


def test_delivered_counts_are_those_of_the_exported_table(project: Project) -> None:
    assert project.spec is not None
    facts = summarise(project.store, project.pool, project.spec)
    table = project.labels()
    assert dict(facts.balance) == Counter(table["label"].to_pylist())
    assert {each.source: each.items for each in facts.sources} == Counter(
        table["source"].to_pylist()
    )
    assert facts.labelled == len(table) == facts.items
    assert sum(each.texts for each in facts.sources) == facts.unique == facts.items - 1


def test_labels_by_round_and_purpose_add_up_to_the_ledger(project: Project) -> None:
    assert project.spec is not None
    facts = summarise(project.store, project.pool, project.spec)
    assert sum(facts.asked_by_purpose.values()) == project.store.totals().human_labels
    assert min(facts.asked_by_purpose.values()) > 0


def test_confusions_of_the_audit_are_the_errors_of_the_certificate(project: Project) -> None:
    assert project.spec is not None
    found = compare_with_people(project.store, project.spec)
    certificate = live_certificate(project.store)
    assert found is not None
    assert certificate is not None
    assert found.n == certificate["n_audited"]
    assert found.n - np.trace(found.counts) == certificate["n_errors"]
    assert "audit items" in found.origin
    assert "over-represented" in found.origin


def test_too_few_audit_items_are_replaced_by_gold_items_and_it_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project.spec is not None
    monkeypatch.setattr(summary, "LEAST_COMPARED", 1000)
    found = compare_with_people(project.store, project.spec)
    measured = project.store.artefact("quality")
    assert found is not None
    assert measured is not None
    assert found.origin.startswith("gold items")
    assert found.n == measured["n"]
    assert np.trace(found.counts) / found.n == pytest.approx(measured["estimate"], abs=1e-5)


class Person(PlainReviewer):
    """Answers as a person does."""

    kind: AnnotatorKind = "human"


def test_a_persons_run_without_gold_items_says_what_was_not_measured(tmp_path: Path) -> None:
    messages_given = messages(40)
    reviewer = Person(knows(messages_given))
    options = {"human_labels": 24, "reviewer": reviewer, "learner": "linear"}
    with ran(tmp_path, messages_given, **options) as (done, result):
        words = Page((done.folder / "report.html").read_text(encoding="utf-8")).words
        assert result.certificate is not None
    assert "simulated" not in words.lower()
    assert "shown to a person without the machine's label" in words
    assert "Not measured: there were no gold items." in words
    assert "The calibration error was not measured" in words
    assert "not calibrated: 0 gold items" in words


def test_without_an_audit_it_says_that_nothing_is_certified(
    bare: tuple[Store, Pool, TaskSpec, Settings],
) -> None:
    words = Page(render_report(*bare)).words
    assert "There is no certificate" in words
    assert "not known" in words
    assert "Nobody was asked" in words
    assert "No model was trained" in words


def test_a_gold_measurement_is_not_called_a_certificate(
    bare: tuple[Store, Pool, TaskSpec, Settings],
) -> None:
    value = {"round": 2, "model": "m", "human_labels": 9, "estimate": 0.8, "low": 0.6}
    keep(bare[0], Artefact("quality", {**value, "high": 0.9, "level": 0.9, "n": 20}))
    words = Page(render_report(*bare)).words
    assert "Accuracy, not certified" in words
    assert "There is no certificate" in words
    assert "right on 80.0% of 20 gold items (60.0% to 90.0% at 90%)" in words


def test_a_certificate_of_labels_given_up_since_does_not_count(
    bare: tuple[Store, Pool, TaskSpec, Settings],
) -> None:
    keep(bare[0], Artefact("certificate", {"model": "old"}), Artefact("frozen", {"model": "new"}))
    assert live_certificate(bare[0]) is None


def test_confusions_are_listed_from_the_most_frequent() -> None:
    counts = np.array([[5, 1, 0], [3, 4, 0], [0, 0, 9]])
    found = confusions(Compared(counts, 22, 0, ""), ["a", "b", "c"], 5)
    assert found == [("b", "a", 3), ("a", "b", 1)]


MEASURED = {"human_labels": 20, "estimate": 0.75, "low": 0.5, "high": 0.9, "n": 12}


@pytest.mark.parametrize("points", [1, 2, 40])
def test_learning_curve_has_a_point_for_each_measurement_and_says_its_n(points: int) -> None:
    quality = [{**MEASURED, "human_labels": 20 * (place + 1)} for place in range(points)]
    drawing = ET.fromstring(figures.learning_curve(quality, 0.9))
    assert len(drawing.findall(".//circle")) == points
    assert "75.0% (50.0% to 90.0%, n = 12)" in drawing.attrib["aria-label"]


def test_bars_stack_to_the_labels_of_the_round() -> None:
    drawing = ET.fromstring(figures.labels_by_round({1: {"train": 6, "gold": 4}, 2: {}}))
    bars = [each for each in drawing.findall(".//rect") if each.find("title") is not None]
    heights = [float(each.attrib["height"]) for each in bars]
    assert len(bars) == 2
    assert heights[0] / heights[1] == pytest.approx(6 / 4, rel=0.01)


def test_matrix_cell_shows_its_count() -> None:
    drawing = ET.fromstring(figures.confusion_matrix(np.array([[41, 0], [7, 5]]), ["a", "b"]))
    shown = [each.text for each in drawing.findall(".//text[@class='count']")]
    assert shown == ["41", "7", "5"]
    assert "46 of 53" in drawing.attrib["aria-label"]


def test_matrix_of_many_labels_is_drawn_without_names() -> None:
    drawing = ET.fromstring(figures.confusion_matrix(np.eye(77, dtype=int), ["n"] * 77))
    assert len(drawing.findall(".//rect")) == 77 + 1
    assert "n" not in [each.text for each in drawing.findall(".//text")]


def test_a_label_name_is_no_markup_and_no_formula_in_a_figure() -> None:
    drawing = ET.fromstring(
        figures.confusion_matrix(np.ones((2, 2), dtype=int), ["<b>$x$", "\x1b&amp;"])
    )
    names = [each.text for each in drawing.findall(".//text")]
    assert "<b>$x$" in names
    assert "\ufffd&amp;" in names


@given(st.floats(0, 1))
def test_only_a_whole_share_is_called_100_percent(share: float) -> None:
    assert (percent(share) == "100%") == (share == 1)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (61, "1 min 01 s"),
        (3_660, "1 h 01 min"),
    ],
)
def test_duration_reads_as_people_say_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@given(st.text(st.characters()))
def test_inert_text_has_no_controls_can_be_written_and_stays_so(text: str) -> None:
    shown = inert(text)
    assert not [c for c in shown if (ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160]
    assert "\u202e" not in shown
    shown.encode()
    assert inert(shown) == shown
    assert len(shown) == len(text)
