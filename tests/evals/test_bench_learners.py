"""The learner benchmark: that both sides get the same task, and that the tables tell it.

With `LABELWRIGHT_PEERS` naming a folder of environments that the benchmark made, small-text itself
is run too; nothing is installed here.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelwright.evals.bench_learners import (
    CASES,
    Ground,
    Sizes,
    chosen,
    learner_peers,
    main,
)
from labelwright.evals.curve_data import Texts
from labelwright.evals.learner_own import WORK
from labelwright.evals.learner_peer_worker import stage
from labelwright.evals.learner_tables import (
    Agreed,
    Rounds,
    Scored,
    agreement_lines,
    peak,
    round_table,
    scoring_table,
    total,
)
from labelwright.evals.peers import Worker
from labelwright.store.errors import OperatorError, UserError
from support import LABELS, messages, write_csv

TEXTS = [row.text for row in messages(60)]
ANSWERS = [LABELS.index(row.label) for row in messages(60)]


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random transformer of two narrow layers that knows the words of the messages."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *sorted({w for text in TEXTS for w in text.split()}),
    ]
    tokenizer = Tokenizer(models.WordLevel({w: n for n, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=256,
    ).save_pretrained(folder)
    # Version 5 of transformers writes a name that version 4, in one peer's environment, lacks.
    config = folder / "tokenizer_config.json"
    written = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**written, "tokenizer_class": "PreTrainedTokenizerFast"}))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
        BertModel(
            BertConfig(
                vocab_size=len(words), intermediate_size=32, max_position_embeddings=256, **shape
            )
        ).save_pretrained(folder)
    return folder


def ground(folder: Path, **sizes: Any) -> Ground:
    names = tuple(f"text {number}" for number in range(100))
    labels = np.arange(100) % 4
    texts = Texts("ag_news", names, labels, ("a", "b", "c", "d"), 70)
    return Ground(texts, "somewhere", folder, Sizes(**{"picks": 2, "labels": 9, **sizes}), 1)


def costs(seconds: float, cpu: float = 1.0, peak_mb: float = 100.0) -> dict[str, float]:
    return {"seconds": seconds, "cpu": cpu, "peak_mb": peak_mb}


def scored(**changed: Any) -> Scored:
    theirs = [{"tokenise": costs(2.0), "predict": costs(10.0, peak_mb=700)}]
    own = [{"fresh": costs(1.0), "keep": costs(1.5), "kept": costs(0.5, peak_mb=300)}]
    given: dict[str, Any] = {"theirs": theirs, "own": own, "goal": 15, "texts": 1_000, **changed}
    return Scored(case="score-defaults", peer="small-text", **given)


def rounds(**changed: Any) -> Rounds:
    theirs = {"tokenise": costs(1.0), "train": costs(20.0), "select": costs(9.0)}
    own = {
        f"{when} {name}": costs(seconds)
        for when, all_of_them in (("first", (3.0, 2.0, 1.0)), ("later", (2.0, 0.5, 0.5)))
        for name, seconds in zip(("train", "score", "select"), all_of_them, strict=True)
    }
    given: dict[str, Any] = {
        "theirs": [theirs, theirs],
        "own": [own, own],
        "accuracies": [0.8, 0.9],
        "own_accuracies": [(0.85, 0.86), (0.87, 0.88)],
        "goal": 6,
        **changed,
    }
    return Rounds(case="round-sensible", peer="small-text", labels=200, texts=7_600, **given)


def cells(table: str, line: int = 2) -> list[str]:
    return [cell.strip() for cell in table.splitlines()[line].split("|")[1:-1]]


class TestGround:
    def test_what_is_trained_on_is_never_scored(self, tmp_path: Path) -> None:
        one = ground(tmp_path)
        trained = {text for draw in one.draws(3) for text in draw["texts"]}
        assert trained
        assert not trained & set(one.scored(1_000))

    def test_a_draw_has_the_labels_of_its_texts_and_no_text_twice(self, tmp_path: Path) -> None:
        for draw in ground(tmp_path).draws(3):
            assert [int(text.split()[1]) % 4 for text in draw["texts"]] == draw["labels"]
            assert len(set(draw["texts"])) == len(draw["texts"]) == 9

    def test_draws_repeat_and_differ_by_seed(self, tmp_path: Path) -> None:
        one = ground(tmp_path).draws(3)
        assert one == ground(tmp_path).draws(3)
        assert one[0]["texts"] != one[1]["texts"]

    def test_scored_texts_come_with_their_gold_labels(self, tmp_path: Path) -> None:
        one = ground(tmp_path, items=5)
        assert one.scored(1_000) == [f"text {number}" for number in range(70, 75)]
        assert one.gold(1_000).tolist() == [number % 4 for number in range(70, 75)]

    def test_a_case_may_ask_for_fewer_draws_than_there_are_seeds(self, tmp_path: Path) -> None:
        one = ground(tmp_path, seeds=2)
        assert [len(one.draws(number)) for number in (1, 2, 100)] == [1, 2, 2]
        assert CASES["round-defaults"].draws == 1

    @pytest.mark.parametrize("wrong", [{"seeds": 0}, {"items": 0}, {"labels": -1}])
    def test_numbers_below_one_are_refused(self, wrong: dict[str, int]) -> None:
        with pytest.raises(UserError, match=f"{next(iter(wrong))} is"):
            Sizes(**wrong)

    def test_more_picks_than_items_are_refused(self) -> None:
        with pytest.raises(UserError, match=r"picks is 50 of 20 items"):
            Sizes(items=20)


class TestOwnSide:
    def test_a_round_trains_scores_and_picks_the_smallest_margins_twice(
        self, tmp_path: Path, tiny_encoder: Path
    ) -> None:
        draw = {"seed": 3, "texts": TEXTS[:20], "labels": ANSWERS[:20]}
        job = {
            "encoder": str(tiny_encoder),
            "names": list(LABELS),
            "draws": [draw],
            "texts": TEXTS[20:],
            "k": 5,
            "out": str(tmp_path / "out.npy"),
        }
        answer = WORK["round"](job)()
        first, later = np.load(tmp_path / "out.npy")
        assert first.shape == (40, 3)
        np.testing.assert_allclose(first, later, atol=1e-3)
        ordered = np.sort(later, axis=1)
        margins = ordered[:, -1] - ordered[:, -2]
        assert set(answer["picks"]) == set(np.argsort(margins)[:5].tolist())
        for when in ("first", "later"):
            for name in ("train", "score", "select"):
                assert answer[f"{when} {name}"]["seconds"] > 0

    def test_a_saved_model_scores_alike_with_states_kept_and_not(
        self, tmp_path: Path, tiny_encoder: Path
    ) -> None:
        shared = {"encoder": str(tiny_encoder), "names": list(LABELS), "texts": TEXTS}
        draw = {"seed": 0, "texts": TEXTS[:20], "labels": ANSWERS[:20]}
        folder = tmp_path / "model"
        WORK["train"]({**shared, "draws": [draw], "folder": str(folder)})()
        out = tmp_path / "out.npy"
        answer = WORK["score"]({**shared, "model": str(folder), "out": str(out)})()
        fresh, kept = np.load(out)
        assert fresh.shape == (60, 3)
        np.testing.assert_allclose(fresh, kept, atol=0.02)
        assert set(answer) == {"fresh", "keep", "kept"}


class TestStage:
    def test_what_is_returned_comes_with_its_costs(self) -> None:
        found, cost = stage(lambda: "answer")
        assert found == "answer"
        assert set(cost) == {"seconds", "cpu", "peak_mb"}

    def test_memory_taken_and_given_back_is_seen(self) -> None:
        _, little = stage(lambda: None)
        _, much = stage(lambda: float(np.ones(16_000_000).sum()))
        assert much["peak_mb"] - little["peak_mb"] > 100


class TestTables:
    def test_fresh_counts_tokens_of_the_peer_and_kept_does_not(self) -> None:
        found = cells(scoring_table([scored()]))
        assert found[3:7] == ["2, 10", "1, 1.5, 0.5", "12.0", "20.0"]
        assert found[8] == "15: missed, met"

    def test_a_single_run_is_called_one(self) -> None:
        assert "(one run)" in cells(scoring_table([scored()]))[1]
        twice = scored(theirs=[*scored().theirs, *scored().theirs])
        assert "(one run)" not in cells(scoring_table([twice]))[1]

    def test_memory_is_the_largest_of_all_stages(self) -> None:
        assert cells(scoring_table([scored()]))[-1] == "700, 300"
        assert peak([{"a": costs(1, peak_mb=5)}, {"b": costs(1, peak_mb=7)}]) == 7

    def test_the_median_is_that_of_whole_runs(self) -> None:
        runs = [{"a": costs(1.0), "b": costs(9.0)}, {"a": costs(9.0), "b": costs(2.0)}]
        assert total(runs, ("a", "b"), "seconds") == 10.5
        assert total(runs, ("b",), "seconds") == 5.5

    def test_a_later_round_is_compared_without_the_peers_tokens(self) -> None:
        found = cells(round_table([rounds()]))
        assert found[2] == "200, 7,600, 2"
        assert found[3:7] == ["1, 20, 9", "3, 3; 2, 1", "5.0", "9.7"]
        assert found[8] == "6: missed, met"

    def test_accuracies_show_their_mean_and_each_of_them(self) -> None:
        found = cells(round_table([rounds()]))
        assert found[9] == "0.850 (0.800, 0.900)"
        assert found[10] == "0.860 (0.850, 0.870); 0.870 (0.860, 0.880)"

    @pytest.mark.parametrize(("largest", "verdict"), [(0.019, "met"), (0.021, "missed")])
    def test_agreement_is_judged_by_the_largest_difference(
        self, largest: float, verdict: str
    ) -> None:
        line = agreement_lines([Agreed("small-text", 250, (0.01, 0.001), (largest, 0.001))])
        assert f"{largest:.4f}" in line
        assert line.endswith(f"{verdict}.")

    def test_rows_have_as_many_cells_as_the_head(self) -> None:
        for table in (scoring_table([scored()]), round_table([rounds()])):
            assert len({line.count("|") for line in table.splitlines()}) == 1


class TestCommandLine:
    def test_unknown_names_are_refused_with_those_there_are(self) -> None:
        with pytest.raises(UserError, match=r"'score-sensibel'.*score-sensible"):
            chosen("score-sensible,score-sensibel", list(CASES), "--only")
        assert chosen(None, ["a", "b"], "--only") == ["a", "b"]

    def test_a_mistake_in_the_command_is_said_before_anything_is_installed(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        peers = tmp_path / "peers"
        for wrong in (["--only", "all"], ["--peer", "modAL"], ["--items", "3"]):
            assert main([str(tmp_path), "--peers", str(peers), *wrong]) == 2
        assert main([str(tmp_path), "--peers", str(peers)]) == 2
        assert "ag_news" in capsys.readouterr().err
        assert not peers.exists()

    def test_the_versions_have_folders_of_their_own(self) -> None:
        folders = [peer.folder for peer in learner_peers().values()]
        assert len(set(folders)) == len(folders) == 2

    def test_a_side_that_fails_says_so(self, tmp_path: Path) -> None:
        one = ground(tmp_path)
        with (
            one.worker(Path(sys.executable), {"work": "score", "texts": []}, "peer") as side,
            pytest.raises(OperatorError, match=r"score peer ended(.|\n)*small_text"),
        ):
            side.ask()


def _python_of(peer: str) -> Path:
    folder = os.environ.get("LABELWRIGHT_PEERS")
    if not folder:
        pytest.skip("LABELWRIGHT_PEERS names no folder of the benchmark's environments")
    python = Path(folder) / learner_peers()[peer].folder / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{peer} is not installed in {folder}")
    return python


@pytest.mark.slow
@pytest.mark.parametrize("peer", list(learner_peers()))
def test_small_text_and_ours_agree_on_the_same_weights(
    peer: str, tmp_path: Path, tiny_encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _python_of(peer)
    (tmp_path / "ag_news").mkdir()
    write_csv(tmp_path / "ag_news" / "train_human_noisy.csv", messages(60))
    write_csv(tmp_path / "ag_news" / "test.csv", messages(40, seed=8))
    sizes = ["--items", "30", "--labels", "24", "--picks", "5", "--seeds", "1"]
    only = ["--only", "score-sensible,round-sensible", "--peer", peer, "--threads", "1"]
    places = [str(tmp_path), "--peers", os.environ["LABELWRIGHT_PEERS"]]
    assert main([*places, *sizes, *only, "--encoder", str(tiny_encoder)]) == 0
    said = capsys.readouterr().out
    assert f"- Same weights, 30 texts, {peer}" in said
    assert "wanted at most 0.02: met." in said
    assert f"| round-sensible | {peer} | 24, 30, 1 |" in said


def test_a_worker_ends_when_nothing_more_is_asked(tmp_path: Path) -> None:
    code = (
        "from labelwright.evals.learner_peer_worker import serve\n"
        "def make(job):\n"
        "    print('noise on standard output')\n"
        "    return lambda: {'n': job['n']}\n"
        f"serve({{'w': make}}, {str(tmp_path / 'job.json')!r})"
    )
    (tmp_path / "job.json").write_text('{"work": "w", "n": 3}', encoding="utf-8")
    with Worker([sys.executable, "-c", code], what="the test", seconds=60) as worker:
        assert [worker.ask(), worker.ask()] == [{"n": 3}, {"n": 3}]
