"""What the `setfit` learner draws, compares and loses in a training step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from labelwright.models.encoders import Encoder
from labelwright.models.learners.logistic import fit_logistic
from labelwright.models.learners.setfit_losses import (
    Classification,
    alike,
    cosine_loss,
    pair_vectors,
)
from labelwright.models.learners.setfit_training import (
    BATCH_ITEMS,
    FEWEST_ITEMS,
    LEARNING_RATE,
    batches,
    drawing_chances,
    learning_rate,
)
from labelwright.models.pairs import PairEncoder, join_pair
from numpy.typing import NDArray


def chances_of(
    labels: list[int], classes: int, weights: list[float] | None = None
) -> NDArray[np.float64]:
    targets = np.eye(classes, dtype=np.float32)[labels]
    return drawing_chances(
        targets, np.array(weights or [1.0] * len(labels), dtype=np.float32), multi_label=False
    )


@given(
    st.lists(st.integers(0, 19), min_size=2, max_size=80),
    st.integers(0, 9),
    st.integers(FEWEST_ITEMS, BATCH_ITEMS),
)
def test_batches_are_small_and_of_different_items(labels: list[int], seed: int, size: int) -> None:
    drawn = list(batches(chances_of(labels, 20), 5, seed, size=size))
    assert len(drawn) == 5
    for rows in drawn:
        assert 1 <= len(rows) <= size
        assert len(set(rows.tolist())) == len(rows)


def test_every_label_comes_with_a_partner_where_it_has_one() -> None:
    labels = [label for label in range(77) for _ in range(2)]
    for rows in batches(chances_of(labels, 77), 20, seed=0):
        counts = np.bincount(np.array(labels)[rows])
        assert set(counts[counts > 0]) == {2}


def test_labels_are_drawn_equally_often_however_rare() -> None:
    labels = [0] * 190 + [1] * 10 + [2] * 10
    met = np.zeros(3)
    for rows in batches(chances_of(labels, 3), 30, seed=0):
        met += np.bincount(np.array(labels)[rows], minlength=3)
    assert met.max() == met.min()


def test_many_labels_take_turns() -> None:
    labels = [label for label in range(64) for _ in range(2)]
    met = np.zeros(64)
    for rows in batches(chances_of(labels, 64), 8, seed=0):
        met[np.unique(np.array(labels)[rows])] += 1
    assert (met == 2).all()


def test_heavier_items_are_drawn_more_often() -> None:
    chances = chances_of([0] * 100 + [1] * 100, 2, [20.0] + [1.0] * 199)
    often = np.bincount(np.concatenate(list(batches(chances, 100, seed=0))), minlength=200)
    assert often[0] > 2 * often[1:].max()


def test_surer_items_are_drawn_more_often() -> None:
    targets = np.array([[1, 0]] * 50 + [[0.2, 0.8]] * 50 + [[0, 1]] * 2000, dtype=np.float32)
    chances = drawing_chances(targets, np.ones(2100, dtype=np.float32), multi_label=False)
    often = np.bincount(np.concatenate(list(batches(chances, 100, seed=0))), minlength=2100)
    assert often[:50].mean() > 3 * often[50:100].mean()


def test_draw_follows_its_seed() -> None:
    chances = chances_of([0, 1] * 50, 2)
    first, again, other = (
        np.concatenate(list(batches(chances, 3, seed))).tolist() for seed in (1, 1, 2)
    )
    assert first == again != other


def test_items_without_labels_are_drawn_as_a_label_of_their_own() -> None:
    targets = np.array([[1, 1], [0, 1], [0, 0], [0, 0.25]], dtype=np.float32)
    found = drawing_chances(targets, np.array([1, 2, 3, 4], dtype=np.float32), multi_label=True)
    np.testing.assert_allclose(found, [[1, 1, 0], [0, 2, 0], [0, 0, 3], [0, 1, 3]])


def test_many_labels_are_learned_in_smaller_steps() -> None:
    rates = [learning_rate(labels) for labels in (2, 8, 32, 128)]
    assert rates == pytest.approx(
        [LEARNING_RATE, LEARNING_RATE, LEARNING_RATE / 2, LEARNING_RATE / 4]
    )


def test_likeness_of_one_label_an_item_is_the_chance_of_the_same() -> None:
    targets = torch.tensor([[1.0, 0.0], [0.7, 0.3], [0.0, 1.0]])
    found, counts = alike(targets, multi_label=False)
    torch.testing.assert_close(found[0], torch.tensor([1.0, 0.7, 0.0]))
    torch.testing.assert_close(counts, 1.0 - torch.eye(3))


def test_likeness_of_several_labels_is_what_they_share() -> None:
    targets = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found, _ = alike(targets, multi_label=True)
    torch.testing.assert_close(found[0], torch.tensor([1.0, 0.5, 0.0]))


def test_two_items_without_labels_do_not_count() -> None:
    targets = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    found, counts = alike(targets, multi_label=True)
    assert counts[0, 1] == 0
    assert counts[0, 2] == 1
    assert found[0, 2] == 0


def test_loss_is_nothing_where_every_cosine_is_as_it_should_be() -> None:
    vectors = torch.eye(2)[[0, 0, 1, 1]]
    likeness, counts = alike(vectors, multi_label=False)
    assert float(cosine_loss(vectors, likeness, counts)) == pytest.approx(0)
    assert float(cosine_loss(vectors[[0, 2, 1, 3]], likeness, counts)) > 0.3


def test_half_of_the_loss_is_of_pairs_alike_however_few() -> None:
    # One pair alike with a cosine of 0 among many that differ and have it too.
    vectors = torch.eye(10)
    targets = torch.eye(10)[[0, *range(9)]]
    loss = cosine_loss(vectors, *alike(targets, multi_label=False))
    assert float(loss) == pytest.approx(0.5)


def test_loss_without_any_pair_alike_is_finite() -> None:
    vectors = torch.eye(3)
    assert float(cosine_loss(vectors, *alike(vectors, multi_label=False))) == pytest.approx(0)


def test_pair_vectors_are_the_first_features_of_the_pair_encoder(tiny: Encoder) -> None:
    firsts, seconds = ["card bank", "the app"], ["money", "the app"]
    found = pair_vectors(*(torch.from_numpy(tiny.encode(texts)) for texts in (firsts, seconds)))
    pairs = [join_pair(*pair) for pair in zip(firsts, seconds, strict=True)]
    expected = PairEncoder(tiny).encode(pairs)[:, : found.shape[1]]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-3)


@pytest.mark.parametrize(("labels", "multi_label"), [(2, False), (3, False), (3, True)])
def test_error_on_pairs_starts_as_that_of_the_logistic_regression(
    labels: int, multi_label: bool
) -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(30, 5)).astype(np.float32)
    targets = generator.dirichlet(np.ones(labels), size=30).astype(np.float32)
    ones = np.ones(30, dtype=np.float32)
    start, _ = fit_logistic(vectors, targets, ones, multi_label=multi_label)
    objective = Classification(torch.from_numpy(targets), start)
    rows = np.array([3, 7, 20])
    with torch.inference_mode():
        found = float(objective(torch.from_numpy(vectors[rows]), torch.from_numpy(rows)))
    chances, wanted = start.probabilities(vectors[rows]), targets[rows]
    loss = -wanted * np.log(chances)
    if multi_label:
        loss = (loss - (1 - wanted) * np.log(1 - chances)) / labels
    assert found == pytest.approx(float(loss.sum(axis=1).mean()), rel=1e-4)
