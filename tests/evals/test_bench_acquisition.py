"""The acquisition benchmark: that both sides get the same task, and that the tables tell it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelwright.evals import peer_worker
from labelwright.evals.acquisition_cases import CASES
from labelwright.evals.acquisition_tables import (
    Growth,
    Result,
    compare_picks,
    growth_table,
    peer_table,
    put_table,
)
from labelwright.evals.bench_acquisition import (
    ball_radius,
    covered_share,
    main,
    make_arrays,
    ours,
    run_growth,
)
from labelwright.evals.peers import PEERS, Peer, Worker, install
from labelwright.store.errors import OperatorError, UserError
from labelwright.tools.strategies import STRATEGIES
from labelwright.tools.uncertainty import MEASURES


def result(**changed: Any) -> Result:
    given: dict[str, Any] = {
        "case": "c",
        "peer": "p 1.0",
        "goal": 10,
        "seconds": 3.0,
        "our_seconds": 0.1,
        "cpu_ratio": 20.0,
        "runs": 3,
        "added_mb": 2.0,
        "our_added_mb": 1.0,
        "picks": "same",
    }
    return Result(**{**given, **changed})


def job(folder: Path, **options: Any) -> dict[str, Any]:
    np.savez(folder / "a.npz", **make_arrays(300, 30, 4, dim=8))
    return {"arrays": str(folder / "a.npz"), "options": {"k": 12, **options}, "calls": 2}


def naive_k_center(pool: Any, labelled: Any, k: int) -> list[int]:
    """Farthest first as the book has it: every distance anew for every pick."""
    picks: list[int] = []
    for _ in range(k):
        covered = np.concatenate([labelled, pool[picks]])
        nearest = [min(float(((x - c) ** 2).sum()) for c in covered) for x in pool]
        for pick in picks:
            nearest[pick] = -1.0
        picks.append(int(np.argmax(nearest)))
    return picks


def naive_contrast(arrays: Any, neighbours: int) -> Any:
    """The mean divergence from the nearest labelled items, one item at a time."""
    found = []
    for x, p in zip(arrays["vectors"], arrays["probabilities"], strict=True):
        distance = ((arrays["labelled_vectors"] - x) ** 2).sum(axis=1)
        near = arrays["labelled_probabilities"][np.argsort(distance)[:neighbours]]
        found.append(float(np.mean([(q * np.log(q / p)).sum() for q in near])))
    return np.array(found)


class TestSameTask:
    def test_k_center_picks_what_a_naive_loop_picks(self, tmp_path: Path) -> None:
        given = job(tmp_path)
        arrays = make_arrays(300, 30, 4, dim=8)
        answer = peer_worker.measure(peer_worker.prepared(ours("k_center"), given), 1)
        expected = naive_k_center(arrays["vectors"], arrays["labelled_vectors"], 12)
        assert compare_picks("list", expected, answer["returned"]) == "same"

    def test_cal_picks_what_a_naive_loop_picks(self, tmp_path: Path) -> None:
        given = job(tmp_path)
        arrays = make_arrays(300, 30, 4, dim=8)
        answer = peer_worker.measure(peer_worker.prepared(ours("contrastive"), given), 1)
        expected = np.argsort(-naive_contrast(arrays, 10))[:12]
        assert compare_picks("list", expected.tolist(), answer["returned"]) == "same"

    def test_entropy_is_that_of_the_definition_up_to_its_scale(self) -> None:
        arrays = make_arrays(50, 0, 4, dim=8)
        p = arrays["probabilities"]
        scores = ours("scores entropy")(arrays, {"k": 3})()
        assert scores == pytest.approx(-(p * np.log(p)).sum(axis=1) / np.log(4), abs=1e-5)

    def test_options_reach_the_strategy(self) -> None:
        arrays = make_arrays(300, 0, 4, dim=8)
        with pytest.raises(UserError, match="compares 10 items"):
            ours("probcover")(arrays, {"k": 12, "limit": 10})()

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_every_case_names_what_exists(self, case: Any) -> None:
        name = case.ours.removeprefix("scores ")
        assert name in (MEASURES if case.ours.startswith("scores ") else STRATEGIES)
        assert set(case.peers) <= set(PEERS)
        assert set(case.peers.values()) <= set(peer_worker.WORK)


class TestArrays:
    def test_a_seed_gives_the_same_arrays_again(self) -> None:
        one, two = make_arrays(40, 10, 3, seed=5), make_arrays(40, 10, 3, seed=5)
        assert all(np.array_equal(one[name], two[name]) for name in one)
        assert not np.array_equal(one["vectors"], make_arrays(40, 10, 3, seed=6)["vectors"])

    def test_vectors_have_length_one_and_probabilities_sum_to_one(self) -> None:
        arrays = make_arrays(40, 10, 3)
        assert np.linalg.norm(arrays["vectors"], axis=1) == pytest.approx(np.ones(40), abs=1e-5)
        assert arrays["labelled_probabilities"].sum(axis=1) == pytest.approx(np.ones(10), abs=1e-5)

    def test_a_ball_holds_as_many_others_as_were_asked_for(self) -> None:
        vectors = make_arrays(500, 0, 2, dim=8)["vectors"]
        radius = ball_radius(vectors, 20)
        within = (vectors @ vectors.T >= 1 - radius**2 / 2).sum(axis=1) - 1
        assert within.mean() == pytest.approx(20, abs=0.5)

    def test_the_covered_share_counts_labelled_items_and_picks(self) -> None:
        arrays = {"vectors": np.eye(4, dtype=np.float32)}
        arrays["labelled_vectors"] = arrays["vectors"][:1]
        assert covered_share(arrays, [1, 2], 0.5) == 0.75


class TestMeasure:
    def test_a_short_call_is_repeated_and_its_first_picks_kept(self) -> None:
        answers = iter([[1, 2], [3, 4], [5, 6]])
        found = peer_worker.measure(lambda: next(answers), 3)
        assert len(found["seconds"]) == len(found["cpu"]) == 3
        assert found["returned"] == [1, 2]

    def test_scores_are_not_taken_for_picks(self) -> None:
        assert peer_worker.measure(lambda: [0.5, 0.1], 1)["returned"] is None

    def test_memory_that_a_call_takes_and_gives_back_is_seen(self) -> None:
        found = peer_worker.measure(lambda: np.ones(8_000_000).sum(keepdims=True), 1)
        assert found["added_mb"] > 50
        assert found["peak_mb"] > found["added_mb"]


class TestWorker:
    def run(self, code: str, seconds: float = 30) -> Worker:
        return Worker([sys.executable, "-c", code], what="the test", seconds=seconds)

    def test_each_request_is_answered(self) -> None:
        code = "import sys\nfor n, _ in enumerate(sys.stdin): print('{\"n\": %d}' % n, flush=True)"
        with self.run(code) as worker:
            assert [worker.ask(), worker.ask()] == [{"n": 0}, {"n": 1}]

    def test_a_failure_says_what_the_worker_said(self) -> None:
        with (
            self.run("raise SystemExit('no such library')") as worker,
            pytest.raises(
                OperatorError, match=r"the test ended with exit code 1(.|\n)*no such lib"
            ),
        ):
            worker.ask()

    def test_a_worker_that_takes_too_long_is_ended(self) -> None:
        with (
            self.run("import time; time.sleep(60)", seconds=0.3) as worker,
            pytest.raises(OperatorError, match=r"after 0\.3 s"),
        ):
            worker.ask()

    def test_a_strategy_is_measured_in_a_process_of_its_own(self, tmp_path: Path) -> None:
        (found,) = run_growth(["margin"], [500], 5, tmp_path)
        assert (found.strategy, found.items) == ("margin", 500)
        assert 0 < found.seconds < 10
        assert list(tmp_path.glob("*.npz")) == []


class TestTables:
    def test_a_goal_is_met_or_missed_by_the_ratio_of_seconds(self) -> None:
        table = peer_table([result(), result(our_seconds=1.0)]).splitlines()
        assert "| 30 | 10: met | 20 |" in table[2]
        assert "| 3 | 10: missed | 20 |" in table[3]

    def test_a_single_run_is_called_one(self) -> None:
        assert "3 (one run)" in peer_table([result(runs=1)])
        assert "one run" not in peer_table([result()])

    def test_rows_have_as_many_cells_as_the_head(self) -> None:
        tables = [
            peer_table([result(goal=None)]),
            growth_table(
                [Growth("a", 10, 1.0, 1.5, 5, 2048), Growth("a", 100, 10.0, 15.0, 6, 2048)]
            ),
        ]
        for table in tables:
            assert len({line.count("|") for line in table.splitlines()}) == 1

    def test_growth_is_an_exponent_between_the_two_largest(self) -> None:
        found = [Growth("a", n, s, 7.5, 5, 2048) for n, s in ((10, 9.0), (100, 1.0), (1000, 100.0))]
        assert (
            growth_table(found).splitlines()[-1] == "| a | 9 | 1 | 100 | 2.00 | – | 7.5 | 5 | 2.0 |"
        )

    @pytest.mark.parametrize(("seconds", "verdict"), [(0.1, "met"), (0.2, "missed")])
    def test_growth_is_met_or_missed_at_the_largest_size(
        self, seconds: float, verdict: str
    ) -> None:
        found = [Growth("a", 10, 9.0, 1.0, 5, 9, 0.2), Growth("a", 100, seconds, 1.0, 5, 9, 0.2)]
        assert f"| 0.2 s: {verdict} |" in growth_table(found)

    def test_a_table_goes_between_its_comments_again_and_again(self) -> None:
        page = "a\n<!-- peers -->\nold\n<!-- end peers -->\nb\n<!-- growth -->\n<!-- end growth -->"
        once = put_table(page, "peers", "| new |")
        assert once == page.replace("old", "| new |")
        assert put_table(once, "peers", "| new |") == once

    @pytest.mark.parametrize(
        "page",
        ["", "<!-- end peers --> <!-- peers -->", "<!-- peers --><!-- peers --><!-- end peers -->"],
    )
    def test_a_page_without_the_place_is_refused(self, page: str) -> None:
        with pytest.raises(UserError, match=r"<!-- peers -->.*<!-- end peers -->"):
            put_table(page, "peers", "x")

    @pytest.mark.parametrize(
        ("promise", "theirs", "own", "said"),
        [
            ("list", [1, 2], [1, 2], "same"),
            ("list", [2, 1], [1, 2], "same set"),
            ("set", [1, 3], [1, 2], "1 of 2"),
            ("list", [1, 1], [1, 2], "1 of 2, peer repeats 1"),
            ("drawn", [4, 4], [1, 2], "drawn, peer repeats 1"),
            ("none", None, None, "–"),
        ],
    )
    def test_picks_are_compared_in_words(
        self, promise: str, theirs: list[int] | None, own: list[int] | None, said: str
    ) -> None:
        assert compare_picks(promise, theirs, own) == said


class TestPeers:
    def test_folders_of_peers_differ(self) -> None:
        assert len({peer.folder for peer in PEERS.values()}) == len(PEERS)

    def test_an_installed_peer_is_left_alone(self, tmp_path: Path) -> None:
        peer = Peer("None at all 1.0", ("no-such-package",))
        stamp = tmp_path / peer.folder / "installed.json"
        stamp.parent.mkdir()
        stamp.write_text('["no-such-package"]', encoding="utf-8")
        assert install(peer, tmp_path) == tmp_path / peer.folder / "bin" / "python"
        assert [path.name for path in stamp.parent.iterdir()] == ["installed.json"]

    def test_a_link_is_not_emptied_to_install_there(self, tmp_path: Path) -> None:
        peer = Peer("Elsewhere 1.0", ("no-such-package",))
        (tmp_path / "theirs").mkdir()
        (tmp_path / "theirs" / "kept").write_text("", encoding="utf-8")
        (tmp_path / peer.folder).symlink_to(tmp_path / "theirs")
        with pytest.raises(OperatorError, match="is a link"):
            install(peer, tmp_path)
        assert (tmp_path / "theirs" / "kept").exists()

    def test_what_could_not_be_installed_is_named_with_what_was_said(self, tmp_path: Path) -> None:
        peer = Peer("Wrong 1.0", ("no-such-package",))
        (tmp_path / peer.folder).write_text("in the way", encoding="utf-8")
        with pytest.raises(OperatorError, match=r"Wrong 1\.0 could not(.|\n)*irectory"):
            install(peer, tmp_path)


class TestCommandLine:
    def test_an_unknown_case_is_refused_with_those_there_are(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["bench", "--peers", str(tmp_path), "--only", "k_centre"])
        with pytest.raises(UserError, match=r"k_centre.*badge-4"):
            main()
        assert list(tmp_path.iterdir()) == []

    def test_nothing_asked_for_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["bench"])
        with pytest.raises(SystemExit):
            main()
        assert "--million" in capsys.readouterr().err
