"""Learning curves: what is drawn, that it resumes and repeats, and what the report makes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.evals import curves
from labelwright.evals.curve_cells import (
    WHOLE_POOL,
    Cell,
    Plan,
    strategies_of,
)
from labelwright.evals.curve_data import KnownVectors, embed, embedded_texts, load_texts
from labelwright.evals.curve_table import COLUMNS, CSV_NAME, CurveFile, Curves
from labelwright.evals.curves import STRATEGIES, draw_curves, main, names, write_report
from labelwright.store.errors import UserError
from scripted import ScriptedBackend
from support import HashEncoder, messages, write_csv

PLAN = Plan(budget=30, step=10, pool=120, test=60)
NAMES = ("random", "margin", "k_center", "typiclust+margin")
LOAD = {"pool": 1_000, "test": 1_000}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name in ("trec", "mr"):
        (folder / name).mkdir()
    write_csv(folder / "trec" / "train.csv", messages(160))
    write_csv(folder / "trec" / "test.csv", messages(80, seed=8))
    write_csv(folder / "mr" / "all.csv", messages(150, seed=9, labels=("bug", "praise")))
    return folder


def drawn(data: Path, out: Path, **options: object) -> Curves:
    given: dict[str, object] = {
        "encoder": HashEncoder(),
        "plan": PLAN,
        "data_sets": ["trec"],
        "learners": ["linear"],
        "strategies": NAMES,
        "seeds": 2,
        "jobs": 1,
    }
    return draw_curves(data, out, **{**given, **options})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Curves]:
    out = tmp_path_factory.mktemp("whole")
    return out, drawn(data, out)


def untimed(curves: Curves) -> Curves:
    return {
        cell: [replace(point, fit=0.0, score=0.0, select=0.0) for point in points]
        for cell, points in curves.items()
    }


def kept(out: Path) -> Curves:
    return CurveFile(out, PLAN, {}).read()


def test_every_strategy_and_seed_has_a_curve_over_all_numbers_of_labels(
    whole: tuple[Path, Curves],
) -> None:
    _, curves = whole
    assert len(curves) == 2 * (len(NAMES) + 1)
    for cell, points in curves.items():
        wanted = [120] if cell.strategy == WHOLE_POOL else [10, 20, 30]
        assert [point.labels for point in points] == wanted
        assert all(0.0 <= point.accuracy <= 1.0 for point in points)


def test_more_labels_teach_more_and_all_labels_teach_most(whole: tuple[Path, Curves]) -> None:
    _, curves = whole
    for seed in (0, 1):
        points = curves[Cell("trec", "linear", "random", seed)]
        full = curves[Cell("trec", "linear", WHOLE_POOL, seed)][0]
        assert points[0].accuracy < points[-1].accuracy < full.accuracy


def test_strategies_share_the_first_batch_within_a_seed_but_not_across(
    whole: tuple[Path, Curves],
) -> None:
    _, curves = whole
    first = {cell: points[0].accuracy for cell, points in curves.items()}
    for seed in (0, 1):
        of_seed = {first[Cell("trec", "linear", name, seed)] for name in NAMES[:3]}
        assert len(of_seed) == 1
    assert first[Cell("trec", "linear", "random", 0)] != first[Cell("trec", "linear", "random", 1)]


def test_a_strategy_with_a_cold_start_begins_elsewhere(whole: tuple[Path, Curves]) -> None:
    _, curves = whole
    starts = [
        [curves[Cell("trec", "linear", name, seed)][0].accuracy for seed in (0, 1)]
        for name in ("margin", "typiclust+margin")
    ]
    assert starts[0] != starts[1]


def test_the_same_seeds_give_the_same_curves(data: Path, tmp_path: Path) -> None:
    once = drawn(data, tmp_path / "a", seeds=1)
    again = drawn(data, tmp_path / "b", seeds=1)
    assert untimed(once) == untimed(again)


def test_processes_draw_what_one_process_draws(
    data: Path, tmp_path: Path, whole: tuple[Path, Curves]
) -> None:
    curves = untimed(drawn(data, tmp_path, jobs=2, seeds=1, strategies=["random", "margin"]))
    assert len(curves) == 3
    assert all(untimed(whole[1])[cell] == points for cell, points in curves.items())


def test_the_file_holds_what_was_returned_in_order(whole: tuple[Path, Curves]) -> None:
    out, curves = whole
    read = kept(out)
    assert list(read) == sorted(curves)
    assert read == curves


@settings(max_examples=60)
@given(share=st.floats(0.0, 1.0))
def test_a_file_cut_anywhere_keeps_whole_curves_only(
    whole: tuple[Path, Curves], tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    text = (whole[0] / CSV_NAME).read_bytes()
    out = tmp_path_factory.mktemp("cut")
    (out / CSV_NAME).write_bytes(text[: int(share * len(text))])
    full = kept(whole[0])
    found = kept(out)
    assert list(found) == list(full)[: len(found)]
    assert all(found[cell] == full[cell] for cell in found)


def test_a_second_start_draws_only_what_is_missing(
    data: Path, tmp_path: Path, whole: tuple[Path, Curves]
) -> None:
    drawn(data, tmp_path)
    text = (tmp_path / CSV_NAME).read_bytes()
    (tmp_path / CSV_NAME).write_bytes(text[: len(text) // 2])
    survived = kept(tmp_path)
    assert 0 < len(survived) < len(whole[1])
    curves = drawn(data, tmp_path)
    assert untimed(curves) == untimed(whole[1])
    # Seconds never come out the same twice, so equal ones were not measured again.
    assert all(curves[cell] == points for cell, points in survived.items())


def test_a_killed_start_is_continued(
    data: Path, tmp_path: Path, whole: tuple[Path, Curves]
) -> None:
    script = (
        f"import sys; sys.path.append({str(Path(__file__).parents[1])!r})\n"
        "from pathlib import Path\n"
        "from labelwright.evals.curve_cells import Plan\n"
        "from labelwright.evals.curves import draw_curves\n"
        "from support import HashEncoder\n"
        f"draw_curves(Path({str(data)!r}), Path({str(tmp_path)!r}), encoder=HashEncoder(),"
        f" plan={PLAN!r}, data_sets=['trec'], learners=['linear'], strategies={NAMES!r},"
        " seeds=2, jobs=1)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], env={**os.environ})
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and child.poll() is None:
        place = tmp_path / CSV_NAME
        if place.exists() and place.read_bytes().count(b"\n") > 4:
            break
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert len(kept(tmp_path)) >= 1
    assert untimed(drawn(data, tmp_path)) == untimed(whole[1])


def test_more_seeds_are_added_to_those_there(data: Path, tmp_path: Path) -> None:
    one = drawn(data, tmp_path, seeds=1, strategies=["random"])
    two = drawn(data, tmp_path, seeds=2, strategies=["random"])
    assert len(two) == 2 * len(one)
    assert all(two[cell] == one[cell] for cell in one)


def test_curves_of_other_settings_are_not_mixed(data: Path, whole: tuple[Path, Curves]) -> None:
    with pytest.raises(UserError, match="budget 30 and not 20"):
        drawn(data, whole[0], plan=replace(PLAN, budget=20))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / CSV_NAME).write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match="starts with 'a,b'"):
        kept(tmp_path)


def test_a_strange_line_is_named(tmp_path: Path) -> None:
    (tmp_path / CSV_NAME).write_text(f"{','.join(COLUMNS)}\ntrec,linear,x,one\n", encoding="utf-8")
    with pytest.raises(UserError, match="trec,linear,x,one"):
        kept(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategies": ["guess"]}, "guess"),
        ({"strategies": ["margin+random"]}, "needs a model"),
        ({"learners": ["oracle"]}, "oracle"),
        ({"data_sets": ["imdb"]}, "imdb"),
        ({"data_sets": ["sst2"]}, "sst2"),
        ({"seeds": 0}, "at least 1"),
        ({"jobs": 0}, "at least 1"),
        ({"plan": Plan(budget=200, step=50, pool=200, test=60)}, "smaller budget"),
    ],
)
def test_what_makes_no_sense_is_refused(
    data: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        drawn(data, tmp_path, **options)


@pytest.mark.parametrize(
    "wrong", [{"budget": 0}, {"step": -1}, {"budget": 310}, {"pool": 200}, {"test": 0}]
)
def test_a_plan_that_cannot_be_followed_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UserError):
        Plan(**wrong)


def test_the_default_strategies_are_all_there() -> None:
    for name in STRATEGIES:
        assert strategies_of(name)[1].name == name.rpartition("+")[2]


def test_no_test_text_is_in_the_pool_and_each_text_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "trec").mkdir()
    rows = messages(30)
    write_csv(tmp_path / "trec" / "train.csv", [*rows, *rows[:5]])
    write_csv(tmp_path / "trec" / "test.csv", rows[20:])
    found = load_texts("trec", tmp_path, **LOAD)
    assert sorted(found.texts[: found.pool]) == sorted(row.text for row in rows[:20])
    assert sorted(found.texts[found.pool :]) == sorted(row.text for row in rows[20:])


def test_labels_stay_with_their_texts(data: Path) -> None:
    gold = {row.text: row.label for row in [*messages(160), *messages(80, seed=8)]}
    found = load_texts("trec", data, **LOAD)
    answered = [found.names[label] for label in found.labels]
    assert answered == [gold[text] for text in found.texts]


def test_without_a_test_file_the_same_fifth_is_held_out(data: Path) -> None:
    once, again = load_texts("mr", data, **LOAD), load_texts("mr", data, **LOAD)
    assert once.texts == again.texts
    assert (once.pool, len(once.texts)) == (120, 150)


def test_limits_take_part_of_pool_and_test_set(data: Path) -> None:
    part, all_of_it = load_texts("trec", data, pool=50, test=20), load_texts("trec", data, **LOAD)
    assert (part.pool, len(part.texts)) == (50, 70)
    assert part.texts[:50] == all_of_it.texts[:50]
    assert set(part.texts[50:]) < set(all_of_it.texts[all_of_it.pool :])


def test_vectors_are_made_once_for_each_encoder(data: Path, tmp_path: Path) -> None:
    class Counting(HashEncoder):
        calls = 0

        def encode(self, texts, **options):  # type: ignore[no-untyped-def]
            self.calls += 1
            return super().encode(texts, **options)

    encoder = Counting()
    found = load_texts("trec", data, **LOAD)
    place = embed(found, encoder, tmp_path)
    assert embed(found, encoder, tmp_path) == place
    assert encoder.calls == 1
    assert np.array_equal(np.load(place), HashEncoder().encode(embedded_texts(found)))
    encoder.digest = "another"
    assert embed(found, encoder, tmp_path) != place


def test_known_vectors_are_those_of_the_texts_and_no_others() -> None:
    vectors = np.eye(3, dtype=np.float32)
    encoder = KnownVectors("hash", "digest", ["a", "b", "c"], vectors)
    assert np.array_equal(encoder.encode(["c", "a"]), vectors[[2, 0]])
    with pytest.raises(UserError, match="'d' has no vector"):
        encoder.encode(["d"])


def test_the_command_writes_table_report_and_plots(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = [str(data), "--out", str(out), "--data", "mr", "--learners", "linear,svm"]
    sizes = ["--budget", "20", "--step", "10", "--pool", "40", "--test", "20", "--jobs", "1"]
    assert main([*given, *sizes, "--strategies", "random,entropy", "--seeds", "1"]) == 0
    text = (out / "curves.md").read_text(encoding="utf-8")
    for learner in ("linear", "svm"):
        assert f"(mr-{learner}.svg)" in text
        assert (out / f"mr-{learner}.svg").exists()
    assert (out / CSV_NAME).read_text(encoding="utf-8").count("\n") == 1 + 2 * (1 + 2 + 2)


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [str(tmp_path), "--out", str(tmp_path), "--budget", "30", "--step", "20"]
    assert main(given) == 2
    assert capsys.readouterr().err.startswith("curves: budget 30 is no multiple of step 20")


def test_a_report_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    from labelwright.store.errors import OperatorError

    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OperatorError, match="cannot be written"):
        write_report({}, Plan(30, 10, 100, 100), tmp_path / "file")


def test_names_are_parted_by_commas_outside_of_brackets() -> None:
    given = "random, adaptive(margin, gumbel(entropy), badge) ,k_center,"
    assert names(given) == ["random", "adaptive(margin, gumbel(entropy), badge)", "k_center"]


def test_a_strategy_that_asks_a_chat_model_needs_one(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'llm_score' asks a chat model: give one with --llm"):
        drawn(data, tmp_path, strategies=["llm_score"])


def test_a_chat_model_chooses_for_a_curve_and_is_asked_once_for_the_same(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = ScriptedBackend(lambda _: "nothing of the form that was asked for")
    monkeypatch.setattr(curves, "load_backend", lambda _: backend)
    options = {"plan": replace(PLAN, llm="scripted:model"), "strategies": ["llm_score"], "seeds": 1}
    first = drawn(data, tmp_path / "first", **options)
    asked = len(backend.asked)
    assert asked > 0
    assert untimed(drawn(data, tmp_path / "second", **options)) == untimed(first)
    assert len(backend.asked) == asked
    (points,) = [points for cell, points in first.items() if cell.strategy == "llm_score"]
    assert [point.labels for point in points] == [10, 20, 30]
