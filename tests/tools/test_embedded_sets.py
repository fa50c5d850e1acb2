"""The annotator for sets of labels: what it suggests, from what, and that it does not cheat."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.embedded_sets import EmbeddedSetAnnotator, set_rationale
from numpy.typing import NDArray

NAMES = ["red", "green", "blue"]
LABELS = np.eye(3, 16, dtype=np.float32)


def items(n: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Vectors that lean towards the directions of their labels, some towards none."""
    rng = np.random.default_rng(seed)
    sets = (rng.random((n, 3)) < 0.4).astype(np.int64)
    vectors = sets @ LABELS + rng.normal(0, 0.12, (n, 16))
    vectors[:, 3] += 0.6
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), sets


def annotator(m: int, seed: int = 0) -> EmbeddedSetAnnotator:
    vectors, sets = items(m, seed)
    return EmbeddedSetAnnotator(LABELS, vectors, sets, np.arange(100, 100 + m))


def right(one: EmbeddedSetAnnotator) -> float:
    vectors, sets = items(400, 99)
    return float(((one.distribution(vectors) >= 0.5) == (sets > 0)).all(axis=1).mean())


def test_with_nothing_labelled_the_descriptions_speak() -> None:
    one = annotator(0)
    suggestion = one.suggest(LABELS[[1]])[0]
    assert suggestion.labels == (1,)
    assert suggestion.neighbours == ()
    assert "Nothing is labelled" in set_rationale(suggestion, NAMES, str)


def test_labels_teach_it() -> None:
    assert right(annotator(0)) < right(annotator(60))
    assert right(annotator(60)) > 0.85


def test_an_item_like_those_without_any_label_gets_none() -> None:
    vectors, sets = items(80, 3)
    one = EmbeddedSetAnnotator(LABELS, vectors, sets, np.arange(80))
    empty = vectors[~sets.any(axis=1)].mean(axis=0)
    suggestion = one.suggest((empty / np.linalg.norm(empty))[None].astype(np.float32))[0]
    assert suggestion.labels == ()


def test_the_set_is_the_labels_from_one_half_on() -> None:
    vectors, _ = items(20, 5)
    for each in annotator(40).suggest(vectors):
        assert each.labels == tuple(c for c, p in enumerate(each.distribution) if p >= 0.5)


def test_an_item_judged_for_the_thresholds_does_not_know_itself() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    noise = (rng.random((40, 3)) < 0.5).astype(np.int64)
    one = EmbeddedSetAnnotator(LABELS, vectors, noise, np.arange(40))
    # Random sets teach nothing: if items had been judged by themselves, it would be sure.
    fresh = rng.normal(size=(300, 16)).astype(np.float32)
    fresh /= np.linalg.norm(fresh, axis=1, keepdims=True)
    sure = np.abs(one.distribution(fresh) - 0.5)
    assert float(np.median(sure)) < 0.3


def test_the_rationale_names_scores_and_neighbours() -> None:
    vectors, _ = items(5, 7)
    suggestion = annotator(30).suggest(vectors)[0]
    text = set_rationale(suggestion, NAMES, lambda row: f"<{row}>")
    assert f"<{suggestion.neighbours[0].row}>" in text
    assert all(name in text for name in NAMES)


def test_the_same_items_give_the_same_suggestions() -> None:
    vectors, _ = items(10, 8)
    assert annotator(30).suggest(vectors) == annotator(30).suggest(vectors)


def test_one_labelled_item_is_too_few_for_a_threshold_and_does_no_harm() -> None:
    vectors, _ = items(10, 9)
    assert np.isfinite(annotator(1).distribution(vectors)).all()


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="do not fit"):
        EmbeddedSetAnnotator(LABELS, LABELS[:2], np.ones((2, 2), dtype=np.int64), np.arange(2))
