"""The cards: what they state is so, their code runs, and hostile names stay text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from finished import finished
from hypothesis import given
from hypothesis import strategies as st
from labelwright.app.project import Project
from labelwright.models import encoders
from labelwright.store.events import ErrorEvent
from labelwright.store.records import Artefact
from labelwright.store.trace import Place
from labelwright.tools.cards import _machine_share, data_card, model_card
from labelwright.tools.export import COLUMNS
from labelwright.tools.rendering import as_markdown, page
from labelwright.tools.summary import live_certificate, percent
from support import HashEncoder, messages, ran


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with finished(tmp_path_factory.mktemp("cards")) as (done, _result):
        yield done


@pytest.fixture
def forgotten(project: Project) -> Iterator[Project]:
    """The project, for a test that puts other artefacts in front; they are covered afterwards."""
    model = project.store.artefact("model")
    assert model is not None
    yield project
    keep(project, Artefact("model", model))


def keep(project: Project, artefact: Artefact) -> None:
    with project.store.transaction(Place("run-1", 100, "act")) as writer:
        writer.keep([artefact])
        key = f"error:test:{len(project.store.events())}"
        writer.event(key, ErrorEvent(where="test", message="", who="internal"))


def cards(project: Project) -> tuple[str, str]:
    assert project.spec is not None
    given = (project.store, project.pool, project.spec, project.settings)
    return model_card(*given), data_card(*given)


def front(card: str) -> dict[str, Any]:
    opening, _, rest = card.removeprefix("---\n").partition("---\n")
    assert rest
    found: dict[str, Any] = yaml.safe_load(opening)
    return found


def code(card: str) -> str:
    (block,) = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    return str(block)


def test_front_matter_names_task_and_labels_and_leaves_the_licence_out(project: Project) -> None:
    assert project.spec is not None
    model, data = (front(card) for card in cards(project))
    assert model["pipeline_tag"] == "text-classification"
    assert model["library_name"] == "sklearn"
    assert data["task_categories"] == ["text-classification"]
    assert data["size_categories"] == ["n<1K"]
    for found in (model, data):
        assert found["labels"] == project.spec.label_names
        assert "license" not in found


def test_both_say_that_the_reviewer_was_simulated(project: Project) -> None:
    assert all("**The reviewer was simulated:**" in card for card in cards(project))


def test_data_card_has_the_certificate_with_interval_and_n(project: Project) -> None:
    found = live_certificate(project.store)
    assert found is not None
    card = cards(project)[1]
    assert f"At least {percent(found['delivered_low'])} of the 91 delivered labels" in card
    assert f"Then {found['n_audited']} of those items were drawn" in card


def test_data_card_has_every_column_and_counts_that_add_up(project: Project) -> None:
    card = cards(project)[1]
    rows = [line for line in card.splitlines() if line.startswith("| ")]
    assert [
        name for name in COLUMNS if not any(row.startswith(f"| {name} |") for row in rows)
    ] == []
    counts = {row.split(" | ")[0][2:]: int(row.split(" | ")[-1][:-2]) for row in rows[1:4]}
    assert sum(counts.values()) == 91
    assert set(counts) == {"billing", "bug", "praise"}


def test_model_card_counts_its_training_items_by_who_labelled_them(project: Project) -> None:
    model = project.store.artefact("model")
    assert model is not None
    card = cards(project)[0]
    assert f"{len(model['rows'])} texts of the pool" in card
    listed = re.findall(r"^- (\d+) by ", card, flags=re.MULTILINE)
    assert sum(map(int, listed)) == len(model["rows"])


def test_model_card_metrics_have_interval_and_n(project: Project) -> None:
    metrics = [line for line in cards(project)[0].splitlines() if line.startswith("- Accuracy")]
    assert len(metrics) == 2
    assert all("interval" in line and "n = " in line and "at 95%" in line for line in metrics)


def test_accuracy_of_the_machine_alone_leaves_out_what_people_labelled() -> None:
    certificate = {"human_share": 0.5, "low": 0.4, "estimate": 0.9, "high": 1.0}
    assert _machine_share(certificate, "estimate") == pytest.approx(0.8)
    assert _machine_share(certificate, "high") == 1
    assert _machine_share(certificate, "low") == 0


def test_code_of_a_linear_model_runs_and_names_a_label(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.folder / "models" / "final")
    monkeypatch.setattr(encoders, "load_encoder", lambda _name: HashEncoder())
    exec(code(Path("README.md").read_text(encoding="utf-8")), {})
    assert capsys.readouterr().out in {"['billing']\n", "['bug']\n", "['praise']\n"}


def test_code_of_an_svm_model_gives_the_scores_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = messages(60)
    with ran(tmp_path, rows, learner="svm", human_labels=30) as (project, _result):
        monkeypatch.chdir(project.folder / "models" / "final")
        block = code(Path("README.md").read_text(encoding="utf-8"))
        names: dict[str, Any] = {}
        exec(block.replace("a text to classify", project.pool.text(7)), names)
        model = project.store.artefact("model")
        assert model is not None
        assert model["temperature"] is None
        scores = np.load(project.folder / model["folder"] / "probabilities.npy")
        row = int(np.searchsorted(project.pool.unique_rows, 7))
        assert names["probabilities"][0] == pytest.approx(scores[row], abs=1e-4)


def test_card_of_a_bert_model_loads_it_with_transformers(forgotten: Project) -> None:
    model = forgotten.store.artefact("model")
    assert model is not None
    keep(forgotten, Artefact("model", {**model, "learner": "bert", "temperature": None}))
    card = cards(forgotten)[0]
    assert front(card)["library_name"] == "transformers"
    assert front(card)["base_model"] == "hash"
    assert 'AutoModelForSequenceClassification.from_pretrained(".")' in code(card)
    assert "not calibrated" in card
    compile(code(card), "card", "exec")


def test_card_of_a_setfit_model_loads_it_with_sentence_transformers(forgotten: Project) -> None:
    model = forgotten.store.artefact("model")
    assert model is not None
    keep(forgotten, Artefact("model", {**model, "learner": "setfit", "temperature": None}))
    card = cards(forgotten)[0]
    assert front(card)["library_name"] == "sentence-transformers"
    assert front(card)["base_model"] == "hash"
    assert 'SentenceTransformer(".")' in code(card)
    assert 'joblib.load("head/model.joblib")' in code(card)
    compile(code(card), "card", "exec")


def test_there_is_no_card_without_a_model(project: Project, tmp_path: Path) -> None:
    from labelwright.store.database import Store

    assert project.spec is not None
    empty = Store.create(tmp_path)
    with pytest.raises(ValueError, match="train one first"):
        model_card(empty, project.pool, project.spec, project.settings)


def test_definitions_stay_in_their_cell_and_do_nothing(project: Project) -> None:
    for card in cards(project):
        body = card.split("---\n", 2)[2]
        assert "<script" not in body
        assert "[a](http://evil.example)" not in body
        assert "&lt;script&gt;" in body
    row = next(line for line in cards(project)[1].splitlines() if line.startswith("| bug |"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 4


@given(st.text(st.characters()))
def test_text_in_markdown_is_one_line_without_tags_or_links(text: str) -> None:
    shown = as_markdown(text)
    assert len(shown.splitlines()) <= 1
    assert not set("<>") & set(shown)
    assert "://" not in shown
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*|\[\]]", shown)


def test_a_template_refuses_a_name_that_is_missing() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        page("report.html").render(spec=None)
