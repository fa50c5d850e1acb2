"""Entity matching: how well the learners tell from few labels which two records are one thing.

    python -m labelwright.evals.bench_pairs DATA [--labels 100,300,1000] [--seeds 0,1,2]
        [--learners cosine,linear,svm] [--test test.jsonl]

DATA is a folder with `train.jsonl` and the test file; each line has the records `left` and `right`
and the `label`, `match` or `no_match`. For each number of labels and each seed all methods train
on the same rows, drawn at random from `train.jsonl`, and answer the whole test file. The figure is
F1 of `match`. `cosine` is the baseline: a logistic regression on the cosine of the two records'
vectors. Seconds are those of training and of labelling the test file, with the vectors given;
making the vectors is timed apart.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..models.encoders import Encoder, load_encoder
from ..models.learners import LEARNERS, Inputs, Training, make_learner
from ..models.pairs import PairEncoder, join_pair, record_text, split_pair

NAMES = ["match", "no_match"]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of records as text, and whether they match (0) or not (1)."""

    texts: list[str]
    labels: NDArray[np.int64]

    def at(self, rows: NDArray[np.int64]) -> Pairs:
        """The pairs at these places."""
        return Pairs([self.texts[row] for row in rows], self.labels[rows])


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of pairs, made once: of each pair, and the cosine of its two texts."""

    encoder: Encoder
    pairs: dict[str, NDArray[np.float32]]
    cosines: dict[str, float]

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, d) of n pairs."""
        return np.stack([self.pairs[text] for text in texts])

    def cosine(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(n, 1) of n pairs."""
        return np.array([[self.cosines[text]] for text in texts])


def read_pairs(path: Path) -> Pairs:
    """All pairs of a file."""
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    texts = [join_pair(record_text(row["left"]), record_text(row["right"])) for row in rows]
    return Pairs(texts, np.array([NAMES.index(row["label"]) for row in rows], dtype=np.int64))


def draw(pairs: Pairs, labels: int, seed: int) -> Pairs:
    """Random pairs to train on; the same seed with fewer labels gives the first of them."""
    return pairs.at(np.random.default_rng(seed).permutation(len(pairs.texts))[:labels])


def f1_of_match(given: NDArray[np.int64], gold: NDArray[np.int64]) -> float:
    """2 right / (answered match + really match); 0 where nothing is right."""
    right = int(((given == 0) & (gold == 0)).sum())
    return 2.0 * right / max(1, int((given == 0).sum()) + int((gold == 0).sum()))


def answer(
    method: str, train: Pairs, test: Pairs, vectors: Vectors, seed: int
) -> NDArray[np.int64]:
    """What a method, trained on some pairs, says of others: (n,) 0 or 1.

    Args:
        method: `cosine`, or a learner's name.
        train: what it learns from.
        test: what it answers.
        vectors: of both.
        seed: of the learner.
    """
    if method == "cosine":
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=10.0).fit(vectors.cosine(train.texts), train.labels)
        found: NDArray[np.int64] = model.predict(vectors.cosine(test.texts))
        return found
    learner = make_learner(
        method, label_names=NAMES, label_texts=NAMES, encoder=PairEncoder(vectors.encoder)
    )
    weights = np.ones(len(train.texts), dtype=np.float32)
    given = Inputs(train.texts, vectors.of(train.texts))
    learner.fit(Training(given, train.labels, weights), seed=seed)
    asked = Inputs(test.texts, vectors.of(test.texts))
    answers: NDArray[np.int64] = learner.predict_proba(asked).argmax(axis=1)
    return answers


def embed(texts: list[str], encoder: Encoder) -> Vectors:
    """Vectors of all pairs."""
    vectors = PairEncoder(encoder).encode(texts)
    parts = list(dict.fromkeys(part for text in texts for part in split_pair(text)))
    place = dict(zip(parts, encoder.encode(parts), strict=True))
    cosines = {text: float(np.dot(*(place[part] for part in split_pair(text)))) for text in texts}
    return Vectors(encoder, dict(zip(texts, vectors, strict=True)), cosines)


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Entity matching from few labels.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--labels", type=_numbers, default=[100, 300, 1000])
    parser.add_argument("--seeds", type=_numbers, default=[0, 1, 2])
    parser.add_argument("--learners", default="cosine,linear,svm")
    parser.add_argument("--test", default="test.jsonl")
    return parser.parse_args()


def main() -> None:
    """Print one row for each number of labels and method."""
    options = _options()
    methods = options.learners.split(",")
    unknown = sorted(set(methods) - {"cosine", *LEARNERS})
    if unknown:
        raise SystemExit(f"unknown learner {unknown[0]!r}: choose of cosine, {', '.join(LEARNERS)}")
    pool, test = read_pairs(options.data / "train.jsonl"), read_pairs(options.data / options.test)
    draws = {
        (labels, seed): draw(pool, labels, seed)
        for labels in options.labels
        for seed in options.seeds
    }
    needed = [text for train in draws.values() for text in train.texts]
    started = time.perf_counter()
    vectors = embed(list(dict.fromkeys([*needed, *test.texts])), load_encoder())
    print(f"vectors of {len(vectors.pairs)} pairs: {time.perf_counter() - started:.0f} s\n")
    print("| labels | learner | F1 | each seed | seconds |")
    print("| ---: | --- | ---: | --- | ---: |", flush=True)
    for labels in options.labels:
        for method in methods:
            scores, started = [], time.perf_counter()
            for seed in options.seeds:
                found = answer(method, draws[labels, seed], test, vectors, seed)
                scores.append(f1_of_match(found, test.labels))
            seconds = (time.perf_counter() - started) / len(scores)
            each = " ".join(f"{score:.3f}" for score in scores)
            print(
                f"| {labels} | {method} | {np.mean(scores):.3f} | {each} | {seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
