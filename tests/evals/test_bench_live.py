"""The benchmark of live models: what it measures is what the model said, and half of it fits."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from labelwright.evals import bench_live, generation_written
from labelwright.evals.bench_live import Asked, Case, by_mean, lines, load_case, measured
from labelwright.evals.generation_written import Job, make
from labelwright.evals.live_tasks import DEFINITIONS, GOALS, specs
from labelwright.models.llm.base import Reply, Request
from labelwright.models.llm.gateway import Gateway
from labelwright.store.errors import UserError
from scripted import ScriptedBackend
from support import HashEncoder

GOOD, BAD = "a lovely film number {}", "a dull and tired film number {}"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "sst2"
    folder.mkdir()
    for name, start, count in (("train", 0, 40), ("test", 100, 40)):
        rows = [
            f"{GOOD.format(number)},positive" if number % 2 else f"{BAD.format(number)},negative"
            for number in range(start, start + count)
        ]
        (folder / f"{name}.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    monkeypatch.setattr(bench_live, "load_encoder", HashEncoder)
    return tmp_path


def leaning(request: Request) -> Reply:
    """Tells the two apart, but leans towards positive: 0.9 and 0.6, and 0.7 without content."""
    if not request.choices:
        return Reply(json.dumps({"label": "positive", "rationale": "it says so"}))
    text = request.messages[-1].content.rpartition("\n<text-")[2]
    if request.choices == ("yes", "no"):
        positive = 0.8 if "lovely" in text else 0.5
        return Reply('{"label": "yes"}', choice_logprobs=(math.log(positive), math.log(0.2)))
    positive = 0.9 if "lovely" in text else 0.6 if "dull" in text else 0.7
    shares = {"positive": positive, "negative": 1 - positive}
    return Reply(
        '{"label": "positive"}',
        tokens_in=50,
        tokens_out=5,
        choice_logprobs=tuple(math.log(shares[name]) for name in request.choices),
    )


def test_a_model_that_leans_is_set_right_by_both_corrections(data: Path) -> None:
    case = load_case("sst2", data, 40)
    gateway = Gateway(ScriptedBackend(leaning))
    found = {line[1]: line for line in lines(gateway, case, ("zero_shot", "content_free"), 4)}
    assert list(found) == [
        "zero-shot",
        "zero-shot, by the items' mean",
        "content-free",
    ]
    plain, mean = found["zero-shot"], found["zero-shot, by the items' mean"]
    assert plain[3:6] == ["100%", "0.50 (0.34–0.66)", "100%"]
    assert plain[9:11] == ["constant", "50, 5"]
    assert mean[4].startswith("1.00")
    assert mean[9:] == ["usable", "–", "–"]
    assert found["content-free"][4].startswith("1.00")


def test_written_answers_are_asked_of_a_part_and_have_no_distribution(data: Path) -> None:
    case = load_case("sst2", data, 20)
    (line,) = lines(Gateway(ScriptedBackend(leaning)), case, ("written",), 6)
    assert (line[1], line[2], line[6:9]) == ("written", "6", ["–", "–", "–"])


def test_demonstrations_are_of_the_training_set_only(data: Path) -> None:
    case = load_case("sst2", data, 20)
    backend = ScriptedBackend(leaning)
    list(lines(Gateway(backend), case, ("nearest",), 4))
    shown = [text for text in case.found.texts[: case.found.pool]]
    for request in backend.asked:
        told = request.messages[-1].content
        assert sum(f"\n{text}\n" in told for text in shown) == bench_live.SHOWN


def test_the_mean_of_the_items_is_taken_out() -> None:
    shares = np.array([[0.6, 0.4], [0.9, 0.1]])
    found = Asked("x", np.zeros(2, np.int64), shares.max(axis=1), shares, (1.0, 1.0), 1.0)
    after = by_mean(found)
    np.testing.assert_allclose(after.distribution, [[1 / 3, 2 / 3], [0.75, 0.25]])
    assert after.labels.tolist() == [1, 0]
    assert np.isnan(after.seconds)


def test_an_item_without_an_answer_is_wrong_and_has_no_error(data: Path) -> None:
    case = load_case("sst2", data, 8)
    labels = case.truth.copy()
    labels[0] = -1
    found = Asked("x", labels, np.full(8, np.nan), None, (1.0, 1.0), 0.5)
    line = measured(found, case)
    assert line[3].startswith("88%")
    assert line[4].startswith("0.88")
    assert line[6:9] == ["–", "–", "–"]


def test_only_data_sets_with_definitions_can_be_asked_about(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no labels of 'mr' are defined here: use one of sst2"):
        load_case("mr", tmp_path, 5)
    assert set(GOALS) == set(DEFINITIONS)
    assert [each.name for each in specs("sst2", ("positive", "negative"))] == [
        "positive",
        "negative",
    ]


def _job(data: Path) -> tuple[Job, Case]:
    case = load_case("sst2", data, 20)
    vectors = HashEncoder().encode(list(case.found.texts))
    places = np.arange(case.found.pool)
    return Job(case.found, vectors, places[:10], places[10:20], HashEncoder()), case


def test_what_a_model_writes_goes_through_all_filters_and_its_own_label(data: Path) -> None:
    job, _ = _job(data)
    known = job.found.texts[30]

    def writing(request: Request) -> Reply | str:
        if request.choices:
            fine = "wonderful" in request.messages[-1].content
            label = "positive" if fine else "negative"
            return json.dumps({"label": label})
        label = "positive" if '"positive" and no other' in request.messages[0].content else ""
        new = "what a wonderful evening it was with friends" if label else "so boring I slept"
        return json.dumps({"texts": [new, known]})

    made = make(job, Gateway(ScriptedBackend(writing)), "definitions", 4, seed=0)
    assert made.unusable == (0, 2)
    assert len(made.drafts) == 4
    (rejected,) = made.sifted.counts().items()
    texts, vectors, labels = made.kept(job.found.names)
    assert [job.found.names[label] for label in labels] == [
        "positive" if "wonderful" in text else "negative" for text in texts
    ]
    assert len(texts) == len(vectors) == 2
    cells = generation_written.line(job, "definitions", made, "2 of 2")
    assert cells[:7] == [
        "sst2",
        "definitions",
        "0 of 2",
        "4",
        f"{rejected[0]} 2",
        "2 (50%)",
        "2 of 2",
    ]


def test_a_model_that_writes_nothing_usable_is_told_as_that(data: Path) -> None:
    job, _ = _job(data)
    made = make(job, Gateway(ScriptedBackend(lambda _: "no idea")), "definitions", 4, seed=0)
    cells = generation_written.line(job, "definitions", made, "–")
    assert cells[2:6] == ["2 of 2", "0", "–", "0"]
