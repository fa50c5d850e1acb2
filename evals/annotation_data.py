"""Recorded answers of real language models and people, as votes, and draws of gold from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.encoders import load_encoder
from ..tools.quality.aggregation import Votes

FILES = {"toxicity": "toxicity_en", "policy": "policy_en"}


@dataclass(frozen=True, slots=True)
class Record:
    """One recorded data set.

    Attributes:
        name: `toxicity`, `policy`, `tweets` or `preferences`.
        texts: n items.
        gold: (n,) the right label.
        votes: (n, m), -1 where the answer is no label.
        annotators: names of the m columns.
        labels: names of the C labels.
        seconds: (m,) recorded inference time for all items; NaN where none was recorded.
    """

    name: str
    texts: list[str]
    gold: NDArray[np.int64]
    votes: Votes
    annotators: list[str]
    labels: list[str]
    seconds: NDArray[np.float64]

    @property
    def classes(self) -> int:
        """Number of labels."""
        return len(self.labels)

    def right(self) -> NDArray[np.bool_]:
        """(n, m) whether each annotator is right; no answer is not."""
        return np.asarray(self.votes == self.gold[:, None], dtype=np.bool_)

    def column(self, annotator: str) -> int:
        """The column of an annotator."""
        return self.annotators.index(annotator)


def load_record(data: Path, name: str) -> Record:
    """Answers of the language models to one of `FILES`."""
    rows = read_lines(data / "recorded" / f"{FILES[name]}.jsonl")
    annotators = sorted(rows[0]["llm"])
    labels = sorted({row["label"] for row in rows})
    given = [[row["llm"].get(model) for model in annotators] for row in rows]
    times = json.loads((data / "recorded" / f"{FILES[name]}_seconds.json").read_text("utf-8"))
    seconds = np.array([_seconds(times.get(model)) for model in annotators])
    texts, gold = [row["text"] for row in rows], [row["label"] for row in rows]
    return _record(name, texts, gold, given, annotators, labels, seconds)


def load_tweets(data: Path) -> Record:
    """Four people and a language model on tweets."""
    rows = read_lines(data / "recorded" / "tweet_emoji.jsonl")
    labels = sorted({row["label"] for row in rows})
    given = [[*row["crowd"], row["llm"]] for row in rows]
    names = ["person 1", "person 2", "person 3", "person 4", "LLM"]
    texts, gold = [row["text"] for row in rows], [row["label"] for row in rows]
    return _record("tweets", texts, gold, given, names, labels, np.full(5, np.nan))


def load_preferences(data: Path) -> Record:
    """Three people and a judging model on pairs of answers; gold is what most people said.

    A pair on which the three people say three different things has no gold and is left out.
    """
    rows = read_lines(data / "recorded" / "preferences.jsonl")
    said = {"1": "first", "2": "second", "Tie": "tie"}
    labels = ["first", "second", "tie"]
    kept = [row for row in rows if len(set(row["crowd"])) < 3]
    gold = [max(labels, key=row["crowd"].count) for row in kept]
    given = [[*row["crowd"], said.get(row["llm"]["gpt_result"])] for row in kept]
    names = ["person 1", "person 2", "person 3", "judge"]
    texts = [row["instruction"] for row in kept]
    return _record("preferences", texts, gold, given, names, labels, np.full(4, np.nan))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def vectors(record: Record, cache: Path) -> NDArray[np.float32]:
    """Embeddings of the texts by the embedded encoder, (n, d), kept in a folder."""
    path = cache / f"annotation_{record.name}.npy"
    if not path.exists():
        np.save(path, load_encoder().encode(record.texts))
    found: NDArray[np.float32] = np.load(path)
    return found


def committee(
    record: Record,
    size: int,
    rng: np.random.Generator,
    gold_rows: NDArray[np.int64] | None = None,
    among: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Columns of a committee: the best on some gold items, or drawn at random where there is none.

    Args:
        record: whose models.
        size: of the committee.
        rng: draws, and breaks ties.
        gold_rows: gold items that are paid for.
        among: columns to take from (default: all).
    """
    columns = np.arange(record.votes.shape[1]) if among is None else among
    columns = rng.permutation(columns)
    if gold_rows is None:
        return columns[:size]
    hits = record.right()[np.ix_(gold_rows, columns)].sum(axis=0)
    return columns[np.argsort(-hits, kind="stable")[:size]]


def _record(
    name: str,
    texts: list[str],
    gold: Sequence[str],
    given: Sequence[Sequence[str | None]],
    annotators: list[str],
    labels: list[str],
    seconds: NDArray[np.float64],
) -> Record:
    index: dict[str | None, int] = {label: place for place, label in enumerate(labels)}
    votes = np.array([[index.get(each, -1) for each in row] for row in given], dtype=np.int64)
    truth = np.array([index[label] for label in gold], dtype=np.int64)
    return Record(name, texts, truth, votes, annotators, labels, seconds)


def _seconds(text: str | None) -> float:
    """The number in `Inference Time: 12.3 seconds`."""
    return float("nan") if text is None else float(text.split()[2])
