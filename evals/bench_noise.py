"""What each way of bearing wrong labels gains over plain training, on labels that are really wrong.

    python -m labelwright.evals.bench_noise DATA [--only NAME] [--learners linear,svm]
        [--seeds 3] [--test-rows N] [--alone] [--cache FOLDER]

DATA is a folder with `ag_news/train_human_noisy.csv` (`human_label` is what people answered),
`ag_news/test.csv` and `recorded/policy_en.jsonl` (what named language models answered). Every
method gets the same rows with the same wrong labels and the same learner; gold is used to score,
and by `meta weights` and its own baseline, which get 100 right labels besides. A Markdown table
is printed for each case as it is done.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..models.encoders import Encoder, load_encoder
from ..models.learners import Inputs, Training, make_learner
from ..tools.noise import FitPredict, out_of_fold, small_loss
from ..tools.noise_issues import co_prediction, label_issues, relabel
from ..tools.noise_weights import meta_weights, soft_weights

GOLD = 100
# 39%, 62% and 71% right: of 88 recorded models a weak one, the middle, and the best.
MODELS = ("dolphin3", "pixtral-large-2411", "o1-2024-12-17")


@dataclass(frozen=True, slots=True)
class Table:
    """A data set: n texts, their vectors, right labels and the labels that were given (or -1)."""

    texts: list[str]
    vectors: NDArray[np.float32]
    gold: NDArray[np.int64]
    given: NDArray[np.int64]
    names: list[str]


@dataclass(frozen=True, slots=True)
class Case:
    """One draw of rows to train on, to test on, and of right labels (may be none)."""

    table: Table
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    extra: NDArray[np.int64]

    def given(self) -> NDArray[np.int64]:
        """The labels to train with, possibly wrong."""
        return self.table.given[self.train]

    def inputs(self, rows: NDArray[np.int64]) -> Inputs:
        """What a learner sees of some rows of the table."""
        return Inputs([self.table.texts[row] for row in rows], self.table.vectors[rows])


@dataclass(frozen=True, slots=True)
class Plan:
    """What a method would train on.

    Args:
        rows: rows of the table.
        labels: the label of each.
        weights: the weight of each, above 0.
        suspected: (train,) what the method takes to be wrong; `None` if it does not say.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    weights: NDArray[np.float32]
    suspected: NDArray[np.bool_] | None


@dataclass(slots=True)
class Scores:
    """What a method reached, one number a seed."""

    accuracy: list[float] = field(default_factory=list)
    precision: list[float] = field(default_factory=list)
    recall: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


# Out-of-fold probabilities by learner, and the seconds that they took.
Opinions = dict[str, tuple[NDArray[np.float32], float]]


class Bench:
    """One case, learner and seed; out-of-fold predictions are shared by methods and learners."""

    def __init__(
        self, case: Case, learner: str, seed: int, encoder: Encoder, opinions: Opinions
    ) -> None:
        self.case, self.learner, self.seed, self.encoder = case, learner, seed, encoder
        self.partner = "linear" if learner == "svm" else "svm"
        self.classes = len(case.table.names)
        self._said = opinions

    def fit_predict(self, name: str) -> FitPredict:
        """A learner as the callback that the cores take; rows count within the training rows."""

        def call(
            rows: NDArray[np.int64],
            labels: NDArray[np.int64],
            weights: NDArray[np.float32],
            asked: NDArray[np.int64],
        ) -> NDArray[np.float32]:
            train = self.case.train
            return self.train(name, Plan(train[rows], labels, weights, None), train[asked])

        return call

    def train(self, name: str, plan: Plan, asked: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities of rows of the table by a model trained on a plan."""
        names = self.case.table.names
        learner = make_learner(name, label_names=names, label_texts=names, encoder=self.encoder)
        inputs = self.case.inputs(plan.rows)
        learner.fit(Training(inputs, plan.labels, plan.weights), seed=self.seed)
        return learner.predict_proba(self.case.inputs(asked))

    def said(self, name: str) -> NDArray[np.float32]:
        """Out-of-fold probabilities of the training rows, computed once."""
        if name not in self._said:
            started = time.perf_counter()
            found = out_of_fold(
                self.fit_predict(name), self.case.given(), self.classes, seed=self.seed
            )
            self._said[name] = found, time.perf_counter() - started
        return self._said[name][0]

    def cost(self, names: tuple[str, ...]) -> float:
        """Seconds that the out-of-fold predictions took."""
        return sum(self._said[name][1] for name in names)

    def plan(
        self,
        keep: NDArray[np.bool_] | None = None,
        *,
        labels: NDArray[np.int64] | None = None,
        weights: NDArray[np.float32] | None = None,
        suspected: NDArray[np.bool_] | None = None,
        extra: bool = False,
    ) -> Plan:
        """Training rows with some left out, relabelled or weighted, and right labels added."""
        case = self.case
        counted = np.ones(len(case.train), dtype=np.float32) if weights is None else weights
        kept = counted > 0 if keep is None else keep
        given = case.given() if labels is None else labels
        rows, labels, counted = case.train[kept], given[kept], counted[kept]
        if extra:
            rows = np.concatenate([rows, case.extra])
            labels = np.concatenate([labels, case.table.gold[case.extra]])
            counted = np.concatenate([counted, np.ones(len(case.extra), dtype=np.float32)])
        return Plan(rows, labels, counted, suspected)

    def methods(self) -> dict[str, tuple[tuple[str, ...], Callable[[], Plan]]]:
        """Name to the learners whose out-of-fold opinion it needs, and how it plans."""
        alone, both = (self.learner,), (self.learner, self.partner)
        found: dict[str, tuple[tuple[str, ...], Callable[[], Plan]]] = {
            "plain": ((), self.plan),
            "small loss, drop": (alone, self._small_loss),
            "confident learning, drop": (alone, self._issues),
            "confident learning, relabel": (alone, self._corrected),
            "soft weights, 1 round": (alone, lambda: self._soft(1)),
            "soft weights, 2 rounds": (alone, lambda: self._soft(2)),
            "co-prediction, drop": (both, self._co_drop),
            "co-prediction, relabel": (both, self._relabel),
            "right labels only (bound)": ((), self._oracle),
        }
        if len(self.case.extra):
            found["plain + 100 right"] = ((), lambda: self.plan(extra=True))
            found["meta weights + 100 right"] = ((), self._meta)
        return found

    def _small_loss(self) -> Plan:
        clean = small_loss(self.said(self.learner), self.case.given(), seed=self.seed).clean
        return self.plan(clean, suspected=~clean)

    def _issues(self) -> Plan:
        suspected = label_issues(self.said(self.learner), self.case.given()).suspected
        return self.plan(~suspected, suspected=suspected)

    def _corrected(self) -> Plan:
        found = label_issues(self.said(self.learner), self.case.given())
        return self.plan(labels=found.suggestion, suspected=found.suspected)

    def _soft(self, rounds: int) -> Plan:
        weights = soft_weights(
            self.fit_predict(self.learner),
            self.case.given(),
            self.classes,
            seed=self.seed,
            rounds=rounds,
            first=self.said(self.learner),
        ).weights
        return self.plan(weights=weights, suspected=weights < 0.5)

    def _co_drop(self) -> Plan:
        both = self.said(self.learner), self.said(self.partner)
        purify = co_prediction(*both, self.case.given()).purify
        return self.plan(~purify, suspected=purify)

    def _relabel(self) -> Plan:
        both = self.said(self.learner), self.said(self.partner)
        found = relabel(*both, self.case.given())
        return self.plan(labels=found.labels, suspected=found.changed)

    def _meta(self) -> Plan:
        table, case = self.case.table, self.case
        weights = meta_weights(
            table.vectors[case.train],
            case.given(),
            table.vectors[case.extra],
            table.gold[case.extra],
            self.classes,
        )
        return self.plan(weights=weights, suspected=weights < 0.5, extra=True)

    def _oracle(self) -> Plan:
        return self.plan(self.case.given() == self.case.table.gold[self.case.train])

    def score(self, into: dict[str, Scores], *, alone: bool) -> None:
        """Run every method, or those that need no second learner, and add what it reached."""
        table, case = self.case.table, self.case
        wrong = case.given() != table.gold[case.train]
        for name, (needs, method) in self.methods().items():
            if alone and len(needs) > 1:
                continue
            for learner in needs:
                self.said(learner)
            started = time.perf_counter()
            plan = method()
            guess = self.train(self.learner, plan, case.test).argmax(axis=1)
            scores = into.setdefault(name, Scores())
            scores.seconds.append(time.perf_counter() - started + self.cost(needs))
            scores.accuracy.append(float((guess == table.gold[case.test]).mean()))
            if plan.suspected is not None:
                hits = int((plan.suspected & wrong).sum())
                scores.precision.append(hits / max(1, int(plan.suspected.sum())))
                scores.recall.append(hits / max(1, int(wrong.sum())))


def ag_news(data: Path, cache: Path, encoder: Encoder) -> tuple[Table, int]:
    """Human-labelled news followed by the test set, and the number of the former."""
    rows: list[dict[str, str]] = []
    labelled: list[int] = []
    for name in ("train_human_noisy.csv", "test.csv"):
        with (data / "ag_news" / name).open(encoding="utf-8", newline="") as file:
            rows.extend(csv.DictReader(file))
        labelled.append(len(rows))
    names = sorted({row["label"] for row in rows})
    given: list[str | None] = [row["human_label"] for row in rows]
    texts, gold = [row["text"] for row in rows], [row["label"] for row in rows]
    table = _table(texts, gold, given, names, cache / "ag_news.npy", encoder)
    return table, labelled[0]


def policy(data: Path, model: str, cache: Path, encoder: Encoder) -> Table:
    """Policy texts with what one language model answered, unusable answers being -1."""
    with (data / "recorded" / "policy_en.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    gold = [row["label"] for row in rows]
    given = [row["llm"][model] for row in rows]
    names = sorted(set(gold))
    texts = [row["text"] for row in rows]
    return _table(texts, gold, given, names, cache / "policy.npy", encoder)


def _table(
    texts: list[str],
    gold: list[str],
    given: list[str | None],
    names: list[str],
    cached: Path,
    encoder: Encoder,
) -> Table:
    if not cached.exists():
        np.save(cached, encoder.encode(texts))
    index = {name: place for place, name in enumerate(names)}
    return Table(
        texts,
        np.load(cached),
        np.array([index[label] for label in gold]),
        np.array([-1 if label is None else index.get(label, -1) for label in given]),
        names,
    )


def policy_draws(table: Table, seeds: int) -> list[Case]:
    """Half of the rows to train on, where the model gave a usable answer, half to test on."""
    draws = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(table.texts))
        train, test = order[: len(order) // 2], order[len(order) // 2 :]
        train = train[table.given[train] >= 0]
        draws.append(Case(table, train, test, np.empty(0, dtype=np.int64)))
    return draws


def news_draws(table: Table, labelled: int, size: int, seeds: int) -> list[Case]:
    """`size` rows to train on, less the 100 whose right labels are known, and the test set."""
    test = np.arange(labelled, len(table.texts))
    draws = []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(labelled)
        draws.append(Case(table, order[GOLD : GOLD + size], test, order[:GOLD]))
    return draws


def cases(
    data: Path, cache: Path, encoder: Encoder, seeds: int
) -> dict[str, Callable[[], list[Case]]]:
    """Name to what makes one draw for each seed."""

    def recorded(model: str) -> Callable[[], list[Case]]:
        return lambda: policy_draws(policy(data, model, cache, encoder), seeds)

    def news(size: int) -> Callable[[], list[Case]]:
        return lambda: news_draws(*ag_news(data, cache, encoder), size, seeds)

    found = {f"policy {model}": recorded(model) for model in MODELS}
    return found | {f"ag_news {size}": news(size) for size in (2_000, 10_000)}


def report(name: str, learner: str, draws: list[Case], found: dict[str, Scores]) -> str:
    """A heading and a Markdown table."""
    noise = [np.mean(case.given() != case.table.gold[case.train]) for case in draws]
    plain = np.array(found["plain"].accuracy)
    lines = [
        f"### {name}, learner {learner}",
        "",
        f"{len(draws[0].train):,} training rows, {np.mean(noise):.1%} of their labels wrong; "
        f"{len(draws[0].test):,} test rows; {len(draws)} seeds.",
        "",
        "| method | accuracy | gain over plain, each seed | precision | recall | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for method, scores in found.items():
        reached = np.array(scores.accuracy)
        gains = " ".join(f"{100 * gain:+.1f}" for gain in reached - plain)
        detected = [
            f"{np.mean(each):.2f}" if each else "–" for each in (scores.precision, scores.recall)
        ]
        lines.append(
            f"| {method} | {reached.mean():.3f} | {100 * (reached - plain).mean():+.1f} ({gains}) "
            f"| {detected[0]} | {detected[1]} | {np.mean(scores.seconds):.1f} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    """Run the cases and print a table as each is done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--learners", default="linear,svm")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test-rows", type=int, help="of each case (default: all)")
    parser.add_argument("--alone", action="store_true", help="nothing that needs a second learner")
    parser.add_argument("--cache", type=Path, help="keep vectors here (default: a temporary one)")
    args = parser.parse_args()
    encoder = load_encoder()
    with tempfile.TemporaryDirectory() as folder:
        cache = args.cache or Path(folder)
        cache.mkdir(parents=True, exist_ok=True)
        for name, draw in cases(args.data, cache, encoder, args.seeds).items():
            if args.only not in name:
                continue
            draws = [replace(case, test=case.test[: args.test_rows]) for case in draw()]
            opinions: list[Opinions] = [{} for _ in draws]
            for learner in args.learners.split(","):
                found: dict[str, Scores] = {}
                for seed, case in enumerate(draws):
                    bench = Bench(case, learner, seed, encoder, opinions[seed])
                    bench.score(found, alone=args.alone)
                print(report(name, learner, draws, found), flush=True)


if __name__ == "__main__":
    main()
