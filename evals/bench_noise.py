"""What each way of bearing wrong labels gains over plain training, on labels that are really wrong.

    python -m labelwright.evals.bench_noise DATA [--only NAME] [--learners linear,svm,bert]
        [--methods NAME,NAME] [--train-rows N] [--test-rows N] [--seeds 3] [--alone]
        [--cache FOLDER]

DATA is a folder with `ag_news/train_human_noisy.csv` (`human_label` is what people answered),
`ag_news/test.csv` and `recorded/policy_en.jsonl` (what named language models answered). Every
method gets the same rows with the same wrong labels and the same learner; gold is used to score,
and by `meta weights` and its own baseline, which get 100 right labels besides. For `bert` there
are the ways of its own, options of `BertOptions`, besides. A Markdown table is printed for each
case as it is done.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..models.encoders import Encoder, load_encoder
from ..models.learners import Learner, Training, make_learner
from ..models.learners.bert import BertLearner
from ..models.learners.bert_options import DEFAULTS, BertOptions
from ..tools.noise import FitPredict, out_of_fold, small_loss
from ..tools.noise_issues import co_prediction, label_issues, relabel
from ..tools.noise_weights import meta_weights, soft_weights
from .bench_bert import kept_states
from .noise_cases import Case, cases


@dataclass(frozen=True, slots=True)
class Plan:
    """What a method would train on.

    Args:
        rows: rows of the table.
        labels: the label of each.
        weights: the weight of each, above 0.
        suspected: (train,) what the method takes to be wrong; `None` if it does not say.
        options: how the BERT learner trains.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    weights: NDArray[np.float32]
    suspected: NDArray[np.bool_] | None
    options: BertOptions = DEFAULTS


@dataclass(slots=True)
class Scores:
    """What a method reached, one number a seed."""

    accuracy: list[float] = field(default_factory=list)
    precision: list[float] = field(default_factory=list)
    recall: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


BERT_WAYS = {
    "bert: no smoothing": BertOptions(smoothing=0.0),
    "bert: smoothing 0.3": BertOptions(smoothing=0.3),
    "bert: reverse cross entropy": BertOptions(loss="reverse_cross_entropy"),
    "bert: mixup": BertOptions(mixup=True),
    "bert: small loss": BertOptions(small_loss=True),
    "bert: small loss and mixup": BertOptions(small_loss=True, mixup=True),
    "bert: early stopping": BertOptions(early_stopping=True),
}

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
        learner = self._learner(name, plan.options)
        inputs = self.case.inputs(plan.rows)
        learner.fit(Training(inputs, plan.labels, plan.weights), seed=self.seed)
        return learner.predict_proba(self.case.inputs(asked))

    def _learner(self, name: str, options: BertOptions) -> Learner:
        names = self.case.table.names
        if name == "bert":
            return BertLearner(
                label_names=names, label_texts=names, encoder=self.encoder, options=options
            )
        return make_learner(name, label_names=names, label_texts=names, encoder=self.encoder)

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
        if len(self.case.extra) and self.case.table.vectors is not None:
            found["meta weights + 100 right"] = ((), self._meta)
        if self.learner == "bert":
            found |= {name: ((), self._way(options)) for name, options in BERT_WAYS.items()}
        return found

    def _way(self, options: BertOptions) -> Callable[[], Plan]:
        return lambda: replace(self.plan(), options=options)

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
        vectors = table.vectors
        if vectors is None:
            raise ValueError("meta weights need vectors: run a learner of vectors beside")
        weights = meta_weights(
            vectors[case.train],
            case.given(),
            vectors[case.extra],
            table.gold[case.extra],
            self.classes,
        )
        return self.plan(weights=weights, suspected=weights < 0.5, extra=True)

    def _oracle(self) -> Plan:
        return self.plan(self.case.given() == self.case.table.gold[self.case.train])

    def score(self, into: dict[str, Scores], *, alone: bool, only: Sequence[str]) -> None:
        """Run methods and add what each reached.

        Args:
            into: by the name of the method.
            alone: none that needs a second learner.
            only: plain and those whose name begins with one of these.
        """
        table, case = self.case.table, self.case
        wrong = case.given() != table.gold[case.train]
        for name, (needs, method) in self.methods().items():
            wanted = name == "plain" or name.startswith(tuple(only))
            if not wanted or (alone and len(needs) > 1):
                continue
            for learner in needs:
                self.said(learner)
            started = time.perf_counter()
            plan = method()
            guess = self.train(self.learner, plan, case.test).argmax(axis=1)
            scores = into.setdefault(name, Scores())
            scores.seconds.append(time.perf_counter() - started + self.cost(needs))
            scores.accuracy.append(float((guess == table.gold[case.test]).mean()))
            print(
                f"seed {self.seed}, {name}: {scores.accuracy[-1]:.3f}", file=sys.stderr, flush=True
            )
            if plan.suspected is not None:
                hits = int((plan.suspected & wrong).sum())
                scores.precision.append(hits / max(1, int(plan.suspected.sum())))
                scores.recall.append(hits / max(1, int(wrong.sum())))


def cut(case: Case, train: int | None, test: int | None) -> Case:
    """The case with no more rows than these."""
    return replace(case, train=case.train[:train], test=case.test[:test])


def keeping(case: Case, folder: Path, seed: int) -> Case:
    """The case with a place for what frozen layers make of its rows, in a folder of its seed."""
    texts = [case.table.texts[row] for row in case.rows()]
    return replace(case, hidden=kept_states(texts, folder / str(seed)))


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
    parser.add_argument(
        "--methods", default="", help="plain and those whose names begin with one of these"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train-rows", type=int, help="of each case (default: all)")
    parser.add_argument("--test-rows", type=int, help="of each case (default: all)")
    parser.add_argument("--alone", action="store_true", help="nothing that needs a second learner")
    parser.add_argument("--cache", type=Path, help="keep vectors here (default: a temporary one)")
    args = parser.parse_args()
    encoder = load_encoder()
    only = args.methods.split(",")
    with tempfile.TemporaryDirectory() as folder:
        cache = args.cache or Path(folder)
        cache.mkdir(parents=True, exist_ok=True)
        embeds = None if args.learners == "bert" else encoder
        for name, draw in cases(args.data, cache, embeds, args.seeds).items():
            if args.only not in name:
                continue
            draws = [cut(case, args.train_rows, args.test_rows) for case in draw()]
            opinions: list[Opinions] = [{} for _ in draws]
            for learner in args.learners.split(","):
                if learner == "bert":
                    draws = [
                        keeping(case, Path(folder) / name, seed) for seed, case in enumerate(draws)
                    ]
                found: dict[str, Scores] = {}
                for seed, case in enumerate(draws):
                    bench = Bench(case, learner, seed, encoder, opinions[seed])
                    bench.score(found, alone=args.alone, only=only)
                print(report(name, learner, draws, found), flush=True)


if __name__ == "__main__":
    main()
