"""The benchmark of filters and augmentation keeps pool, gold and test apart."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from labelwright.evals.bench_generation import (
    GOLD,
    SOURCES,
    Gain,
    Task,
    augmented,
    rejections,
    without_a_word,
)
from labelwright.evals.curve_data import Texts
from support import LABELS, HashEncoder, messages


@pytest.fixture(scope="module")
def task() -> Task:
    rows = messages(300)
    texts = tuple(f"first {row.text}, and then {row.text[::-1]}" for row in rows)
    labels = np.array([LABELS.index(row.label) for row in rows])
    found = Texts("made", texts, labels, LABELS, 200)
    return Task(found, HashEncoder().encode(texts))


def test_pool_and_test_are_apart(task: Task) -> None:
    assert len(task.pool) == 200
    assert len(task.test) == 100
    assert not set(task.pool) & set(task.test)


def test_pool_texts_without_a_word_are_caught_and_the_held_out_by_their_filter(task: Task) -> None:
    texts = without_a_word(task.texts(task.pool), 0)
    found = rejections(task, texts, HashEncoder().encode(texts))
    assert sum(found.values()) == 200
    assert found["held_out"] >= GOLD


def test_a_word_is_left_out_of_the_middle() -> None:
    (short, long) = without_a_word(["a b", "a b c d"], 0)
    assert short == "a b"
    words = long.split()
    assert (len(words), words[0], words[-1]) == (3, "a", "d")


def test_the_gate_takes_one_of_the_two_models(task: Task) -> None:
    for source, seed in product(SOURCES, range(3)):
        found: Gain = augmented(task, HashEncoder(), 20, seed, source)
        assert 0 < found.items <= 20
        assert found.gated == (found.always if found.used else found.plain)
        assert found == augmented(task, HashEncoder(), 20, seed, source)
