"""Ways of aggregating beside each other, and whether disagreement is slips or ambiguity."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..tools.quality.aggregation import (
    Votes,
    dawid_skene,
    gold_accuracy,
    mace,
    majority,
    weighted,
)
from ..tools.quality.ambiguity import disagreement
from .annotation_data import Record, committee, load_preferences, load_tweets
from .annotation_tables import spread, table

GOLD = 50
RESTARTS = 1
METHODS = ("one annotator", "majority", "log-odds weights", "Dawid–Skene", "MACE")


def aggregation_table(records: list[Record], seeds: int, *, restarts: int = RESTARTS) -> str:
    """Accuracy of each method on committees drawn at random, and on all models.

    Args:
        records: recorded data sets.
        seeds: draws of the committee.
        restarts: of MACE, which takes most of the time; 0 leaves it out.
    """
    rows = []
    for record in records:
        for size in (3, 5, 7):
            draws = [_drawn(record, size, seed, restarts) for seed in range(seeds)]
            rows.append(_row(record.name, f"{size} models, drawn", draws))
        every = np.arange(record.votes.shape[1])
        rows.append(
            _row(record.name, f"all {len(every)} models", [_scores(record, every, 0, restarts)])
        )
    return table(("data", "annotators", *METHODS), rows)


def people_table(data: Path, seeds: int, *, restarts: int = RESTARTS) -> str:
    """The same for people on tweets, alone and with the language model, and on preferences."""
    rows = []
    for record in (load_tweets(data), load_preferences(data)):
        machine = record.votes.shape[1] - 1
        people = np.arange(machine)
        groups = {record.annotators[machine]: np.array([machine])}
        if record.name == "tweets":
            groups |= {"4 people": people, "4 people and the LLM": np.arange(machine + 1)}
        for name, columns in groups.items():
            draws = [_scores(record, columns, seed, restarts) for seed in range(seeds)]
            rows.append(_row(record.name, name, draws))
    return table(("data", "annotators", *METHODS), rows)


def disagreement_table(data: Path, records: list[Record]) -> str:
    """Dispersion of agreement, for people and for committees of models."""
    rows = []
    for name, votes, classes in _groups(data, records):
        found = disagreement(votes, classes, seed=0)
        rows.append(
            [
                name,
                votes.shape[1],
                f"{np.nanmean(found.agreement):.2f}",
                f"{found.dispersion:.2f} ({found.dispersion_low:.2f}–{found.dispersion_high:.2f})",
                found.looks_like,
                f"{found.ambiguous().mean():.1%}",
            ]
        )
    head = ("annotators", "answers an item", "agreeing pairs", "dispersion", "looks like")
    return table((*head, "items beyond slips"), rows)


def _groups(data: Path, records: list[Record]) -> Iterator[tuple[str, Votes, int]]:
    tweets, preferences = load_tweets(data), load_preferences(data)
    yield "people on tweets", tweets.votes[:, :4], tweets.classes
    yield "people on preferences", preferences.votes[:, :3], preferences.classes
    for record in records:
        columns = committee(record, 7, np.random.default_rng(0))
        yield f"7 models on {record.name}", record.votes[:, columns], record.classes
        yield f"all models on {record.name}", record.votes, record.classes


def _drawn(record: Record, size: int, seed: int, restarts: int) -> list[float]:
    columns = committee(record, size, np.random.default_rng(seed))
    return _scores(record, columns, seed, restarts)


def _scores(record: Record, columns: NDArray[np.int64], seed: int, restarts: int) -> list[float]:
    """Accuracy of each method outside the gold items that weigh the votes."""
    order = np.random.default_rng(seed).permutation(len(record.gold))
    gold, rest = order[:GOLD], order[GOLD:]
    votes, classes = record.votes[:, columns], record.classes
    alone = float(record.right()[np.ix_(rest, columns)].mean())
    if len(columns) == 1:
        return [alone] + [float("nan")] * (len(METHODS) - 1)
    accuracy = gold_accuracy(votes[gold], record.gold[gold], classes)
    found = [
        majority(votes, classes),
        weighted(votes, classes, accuracy),
        dawid_skene(votes, classes),
    ]
    if restarts:
        found.append(mace(votes, classes, seed=seed, restarts=restarts))
    scores = [alone] + [float((each.labels == record.gold)[rest].mean()) for each in found]
    return scores + [float("nan")] * (len(METHODS) - len(scores))


def _row(data: str, name: str, draws: list[list[float]]) -> list[str]:
    return [data, name, *(spread(each) for each in np.array(draws).T)]
