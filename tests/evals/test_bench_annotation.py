"""The benchmark on recorded answers reads, draws and counts as it says, and peeks at no gold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelwright.evals.annotation_cascade import cascade_table
from labelwright.evals.annotation_confidence import confidence_table, split
from labelwright.evals.annotation_data import (
    Record,
    committee,
    load_preferences,
    load_record,
    load_tweets,
)
from labelwright.evals.annotation_entities import entities_table, f1, read_entities, spans_of
from labelwright.evals.annotation_routing import ARMS, GOLD, Panel, Setting, needed, stopped
from labelwright.evals.annotation_tables import spread
from labelwright.evals.annotation_training import Market
from labelwright.evals.annotation_votes import aggregation_table, people_table
from support import HashEncoder

DATA = Path(__file__).parents[3] / "shared" / "data"
LABELS = ["fruit", "metal", "colour"]
WORDS = {"fruit": ["apple", "pear"], "metal": ["iron", "zinc"], "colour": ["red", "blue"]}


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """360 texts, and nine models of falling accuracy; the last never answers."""
    rng = np.random.default_rng(0)
    rows = []
    for place in range(360):
        label = LABELS[place % 3]
        said: dict[str, str | None] = {"model 8": None}
        for model in range(8):
            right = rng.random() < 0.95 - 0.08 * model
            said[f"model {model}"] = label if right else LABELS[rng.integers(3)]
        rows.append({"text": f"{WORDS[label][place % 2]} {place}", "label": label, "llm": said})
    rows[0]["llm"]["model 0"] = "nonsense"
    write(tmp_path / "recorded" / "policy_en.jsonl", rows)
    times = {f"model {model}": f"Inference Time: {10 + model}.5 seconds" for model in range(8)}
    (tmp_path / "recorded" / "policy_en_seconds.json").write_text(json.dumps(times), "utf-8")
    return tmp_path


@pytest.fixture
def record(data: Path) -> Record:
    return load_record(data, "policy")


@pytest.fixture
def texts(record: Record) -> np.ndarray:
    rng = np.random.default_rng(1)
    return (np.eye(3)[record.gold] + 0.3 * rng.normal(size=(360, 3))).astype(np.float32)


def test_an_answer_that_is_no_label_is_none(record: Record) -> None:
    assert record.votes[0, record.column("model 0")] == -1
    assert (record.votes[:, record.column("model 8")] == -1).all()
    assert not record.right()[:, record.column("model 8")].any()
    assert record.seconds[record.column("model 3")] == 13.5
    assert np.isnan(record.seconds[record.column("model 8")])


def test_a_committee_is_chosen_by_the_gold_that_is_paid_for_and_no_other(record: Record) -> None:
    rows = np.arange(0, 60)
    changed = Record(
        record.name,
        record.texts,
        np.where(np.arange(360) < 60, record.gold, (record.gold + 1) % 3),
        record.votes,
        record.annotators,
        record.labels,
        record.seconds,
    )
    draws = [committee(each, 3, np.random.default_rng(5), rows) for each in (record, changed)]
    np.testing.assert_array_equal(*draws)
    assert set(draws[0]) <= set(range(4))


def test_gold_that_chooses_calibrates_and_measures_is_kept_apart(record: Record) -> None:
    draw = split(record, 3)
    every = np.concatenate([draw.choosing, draw.calibrating, draw.rest])
    assert sorted(every) == list(range(360))


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_begins_with_its_gold_and_ends_when_all_is_right(
    arm: str, record: Record, texts: np.ndarray
) -> None:
    points = list(Setting(record, texts, Panel("3", 3, True), 0).curve(arm, 1.0))
    assert points[0].people == GOLD
    steps = np.diff([point.people for point in points])
    assert set(steps[:-1]) <= {10}
    assert points[-1].accuracy == 1.0


@pytest.mark.parametrize("arm", ["vote share", "routing"])
def test_whom_an_arm_asks_does_not_depend_on_gold_it_has_not_paid_for(
    arm: str, record: Record, texts: np.ndarray
) -> None:
    setting = Setting(record, texts, Panel("3", 3, False), 0)
    asked = np.zeros(360, dtype=np.bool_)
    asked[setting.gold_rows] = True
    picked = []
    for gold in (record.gold, np.where(asked, record.gold, (record.gold + 1) % 3)):
        setting.record = Record(
            record.name,
            record.texts,
            gold,
            record.votes,
            record.annotators,
            record.labels,
            record.seconds,
        )
        said = setting._said(arm, asked, 0.5)
        doubt = np.where(asked, 0.0, 1 - said.max(axis=1))
        picked.append(setting._next(arm, doubt, asked, np.random.default_rng(2)).tolist())
    assert picked[0] == picked[1]
    assert not asked[picked[0]].any()


def test_routing_needs_fewer_people_than_a_random_audit(record: Record, texts: np.ndarray) -> None:
    setting = Setting(record, texts, Panel("3", 3, False), 1)
    need = {arm: list(setting.curve(arm, 0.97))[-1].people for arm in ARMS}
    assert need["routing"] < need["random audit"]


def test_tables_have_a_line_for_each_committee_and_target(
    record: Record, texts: np.ndarray
) -> None:
    made = needed(record, texts, (0.9, 0.95), 2, [Panel("3 models", 3, True)])
    assert len(made.splitlines()) == 4
    assert "| 3 models |" in made
    assert "95%" in stopped(record, texts, (0.95,), 2, Panel("3 models", 3, True))


def test_confidence_and_votes_are_measured_for_every_kind(record: Record) -> None:
    made = confidence_table(record, 2)
    assert "| 1 model, chosen | none |" in made
    assert "Dawid–Skene" in made
    assert len(aggregation_table([record], 1, restarts=0).splitlines()) == 6


def test_a_cascade_says_how_often_it_broke_its_promise(record: Record) -> None:
    made = cascade_table(record, (0.3,), 3)
    assert made.count("of 3 |") == 4


def market(record: Record, rows: int) -> Market:
    """The first texts of the record, with an encoder that costs nothing."""
    names = [each.replace("model 0", "gpt-4o-mini-2024-07-18") for each in record.annotators]
    few = Record(
        record.name,
        record.texts[:rows],
        record.gold[:rows],
        record.votes[:rows],
        names,
        record.labels,
        record.seconds,
    )
    encoder = HashEncoder()
    return Market(few, encoder.encode(few.texts), "linear", 0, encoder)


def test_people_and_models_cost_what_was_said(record: Record) -> None:
    here = market(record, 100)
    assert not set(here.pool) & set(here.test)
    people = here.people(1.0)
    assert (people.people, people.usd) == (10, pytest.approx(1.0))
    model = here.model(1.0, "gpt-4o-mini-2024-07-18")
    tokens_in = 60 + 6 * 3 + round(1.4 * 2)
    assert model.usd == pytest.approx(50 * (tokens_in * 0.15 + 8 * 0.6) / 1e6)
    both = here.repaired(1.0, "gpt-4o-mini-2024-07-18")
    assert both.people == 9
    assert both.usd <= 1.0
    assert here.routed(2.0).usd <= 2.0


def test_what_is_bought_trains_a_classifier(record: Record) -> None:
    here = market(record, 100)
    assert here.accuracy(here.people(5.0)) > 0.8


def test_an_unusable_answer_is_paid_for_and_trains_nothing(record: Record) -> None:
    here = market(record, 100)
    here.pool = np.arange(50)
    found = here.model(1.0, "gpt-4o-mini-2024-07-18")
    assert len(found.rows) == 49
    assert 0 not in found.rows
    assert found.usd == pytest.approx(here.price("gpt-4o-mini-2024-07-18").sum())


def test_spans_are_read_from_tags() -> None:
    tags = ["B-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-ORG", "B-CAT"]
    assert spans_of("abcdefg", tags) == {
        (0, 2, "PER"),
        (3, 4, "LOC"),
        (4, 5, "LOC"),
        (5, 6, "ORG"),
    }
    assert spans_of([], ["B-PER"]) == set()


def test_entities_are_searched_in_the_sentence_and_lost_ones_counted(tmp_path: Path) -> None:
    answers = [
        [["here", "O"], ["Ann", "B-PER"], ["Ann", "B-PER"]],
        [["Bob", "B-PER"]],
        ["broken"],
        [],
    ]
    row = {
        "model": "m",
        "lang": "xx",
        "id": "1",
        "tokens": ["Ann", "saw", "Ann"],
        "tags": ["B-PER", "O", "B-PER"],
        "answers": answers,
    }
    write(tmp_path / "recorded" / "african_ner.jsonl", [row, {**row, "id": "2", "answers": []}])
    models, gold = read_entities(tmp_path)
    found = models["m"]
    assert found.spans["xx/1"] == [{(0, 1, "PER"), (2, 3, "PER")}, set()]
    assert (found.named, found.lost) == (3, 1)
    assert (found.asked, found.unusable) == (5, 3)
    assert f1({"xx/1": found.spans["xx/1"][0]}, gold) == 1.0
    assert "| m | 2 | 3 of 5 | 33.3% |" in entities_table(tmp_path)


def test_numbers_over_draws_are_short() -> None:
    assert spread([0.5, 0.5]) == ".500 (.500–.500)"
    assert spread([float("nan")]) == "–"
    assert spread([10, 20], 0) == "15 (10–20)"


@pytest.mark.skipif(not DATA.exists(), reason="needs the recorded answers in ../shared/data")
class TestRecorded:
    def test_the_record_is_the_one_that_the_results_speak_of(self) -> None:
        toxicity, policy = (load_record(DATA, name) for name in ("toxicity", "policy"))
        assert toxicity.votes.shape == (750, 112)
        assert policy.votes.shape == (926, 88)
        assert policy.classes == 21
        assert (policy.votes == -1).any()

    def test_people_on_tweets_agree_little_and_on_preferences_much(self) -> None:
        tweets, preferences = load_tweets(DATA), load_preferences(DATA)
        assert tweets.votes.shape == (3000, 5)
        assert 0.3 < tweets.right()[:, :4].mean() < 0.45
        assert preferences.right()[:, :3].mean() > 0.9
        assert "judge" in people_table(DATA, 1, restarts=0)
