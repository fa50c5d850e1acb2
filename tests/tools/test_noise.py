"""Suspicion from out-of-fold losses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.store.errors import ModelError, UserError
from labelwright.tools.noise import given_loss, out_of_fold, small_loss


class Centroids:
    """A real, small learner: nearest weighted class centre. Remembers what it was asked."""

    def __init__(self, vectors, classes):
        self.vectors, self.classes, self.calls = vectors, classes, []

    def __call__(self, train_rows, labels, weights, predict_rows):
        self.calls.append((train_rows, labels, weights, predict_rows))
        scores = np.full((len(predict_rows), self.classes), -30.0)
        for label in np.unique(labels):
            chosen = labels == label
            centre = np.average(self.vectors[train_rows[chosen]], axis=0, weights=weights[chosen])
            distances = ((self.vectors[predict_rows] - centre) ** 2).sum(axis=1)
            scores[:, label] = -distances
        found = np.exp(scores - scores.max(axis=1, keepdims=True))
        return (found / found.sum(axis=1, keepdims=True)).astype(np.float32)


def planted(rows=300, classes=3, wrong=0.2, seed=0):
    """Clusters far apart, and a known share of labels moved to the next class."""
    rng = np.random.default_rng(seed)
    gold = np.arange(rows) % classes
    vectors = (3.0 * np.eye(classes)[gold] + rng.normal(0, 0.5, (rows, classes))).astype(np.float32)
    flipped = np.zeros(rows, dtype=bool)
    flipped[rng.choice(rows, int(wrong * rows), replace=False)] = True
    return vectors, gold, np.where(flipped, (gold + 1) % classes, gold), flipped


def opinion(**kwargs):
    vectors, _, labels, flipped = planted(**kwargs)
    return out_of_fold(Centroids(vectors, 3), labels, 3, seed=1), labels, flipped


def test_no_model_predicts_a_row_that_it_learned_from_and_each_is_predicted_once():
    vectors, _, labels, _ = planted(rows=53)
    learner = Centroids(vectors, 3)
    out_of_fold(learner, labels, 3, seed=0, folds=4)
    assert len(learner.calls) == 4
    for train_rows, given_labels, _, held in learner.calls:
        assert not set(train_rows) & set(held)
        assert (given_labels == labels[train_rows]).all()
    assert sorted(np.concatenate([call[3] for call in learner.calls])) == list(range(53))


def test_every_fold_holds_its_share_of_every_label():
    vectors, _, labels, _ = planted(rows=300, wrong=0.3)
    learner = Centroids(vectors, 3)
    out_of_fold(learner, labels, 3, seed=0)
    shares = np.array([np.bincount(labels[call[3]], minlength=3) for call in learner.calls])
    assert (np.ptp(shares, axis=0) <= 1).all()


def test_a_row_of_weight_0_is_predicted_but_never_learned_from():
    vectors, _, labels, _ = planted(rows=60)
    weights = np.ones(60, dtype=np.float32)
    weights[:7] = 0
    learner = Centroids(vectors, 3)
    found = out_of_fold(learner, labels, 3, seed=0, weights=weights)
    assert all(call[0].min() >= 7 and (call[2] > 0).all() for call in learner.calls)
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)


def test_folds_follow_the_seed():
    vectors, _, labels, _ = planted()
    learner = Centroids(vectors, 3)
    once, again, other = (out_of_fold(learner, labels, 3, seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


def test_a_learner_that_answers_with_the_wrong_shape_or_nan_is_an_error_of_the_model():
    labels = np.arange(10) % 2
    for answer in (np.ones((1, 2)), np.full((5, 2), np.nan)):
        with pytest.raises(ModelError, match="finite row for each"):
            out_of_fold(lambda *_, said=answer: said, labels, 2, seed=0, folds=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": 1}, "folds is 1"),
        ({"folds": 11}, "folds is 11"),
        ({"weights": -np.ones(10, dtype=np.float32)}, "at least 0"),
        ({"weights": np.ones(3, dtype=np.float32)}, r"\(3,\)"),
        ({"weights": np.zeros(10, dtype=np.float32)}, "more rows weight"),
        ({"labels": np.full(10, 2)}, "label index 2"),
        ({"labels": np.ones(10)}, "float64"),
        ({"classes": 1}, "classes is 1"),
    ],
)
def test_arguments_out_of_range_are_named(change, message):
    arguments = {"labels": np.arange(10) % 2, "classes": 2, "seed": 0} | change
    learner = Centroids(np.zeros((10, 2), dtype=np.float32), 2)
    with pytest.raises(UserError, match=message):
        out_of_fold(learner, arguments.pop("labels"), arguments.pop("classes"), **arguments)


def test_loss_is_minus_log_of_the_given_label_and_bounded():
    said = np.array([[0.25, 0.75], [1.0, 0.0]], dtype=np.float32)
    found = given_loss(said, np.array([0, 1]))
    assert found == pytest.approx([np.log(4), -np.log(1e-6)], rel=1e-5)


def test_small_loss_finds_planted_wrong_labels():
    said, labels, flipped = opinion()
    found = small_loss(said, labels, seed=0)
    assert (~found.clean)[flipped].mean() > 0.95
    assert found.clean[~flipped].mean() > 0.9


def test_a_smaller_loss_is_never_less_clean():
    said, labels, _ = opinion(wrong=0.35)
    found = small_loss(said, labels, seed=0).probability
    by_loss = found[np.argsort(given_loss(said, labels), kind="stable")]
    assert (np.diff(by_loss) <= 1e-6).all()


def test_no_label_is_suspected_where_all_losses_are_alike():
    said = np.tile(np.array([[0.6, 0.4]], dtype=np.float32), (20, 1))
    found = small_loss(said, np.zeros(20, dtype=np.int64), seed=0)
    assert found.clean.all()
    assert (found.probability == 1).all()


def test_the_bar_decides_what_is_clean():
    said, labels, _ = opinion(wrong=0.3)
    low, high = (small_loss(said, labels, seed=0, clean_above=bar) for bar in (0.1, 0.99))
    assert low.clean.sum() >= high.clean.sum()
    assert np.array_equal(low.clean, low.probability > 0.1)
    with pytest.raises(UserError, match="clean_above is 1"):
        small_loss(said, labels, seed=0, clean_above=1.0)


def test_one_label_has_no_two_heaps():
    with pytest.raises(UserError, match="at least 2"):
        small_loss(np.array([[0.5, 0.5]], dtype=np.float32), np.array([0]), seed=0)


@pytest.mark.parametrize(
    ("said", "labels", "message"),
    [
        (np.full((3, 2), 0.5), np.array([0, 1]), r"\(3, 2\)"),
        (np.full((2, 2), 3.0), np.array([0, 1]), "not margins"),
        (np.full((2, 2), np.nan), np.array([0, 1]), "not margins"),
        (np.full((2, 2), 0.5), np.array([0, -1]), "label index -1"),
        (np.empty((0, 2)), np.empty(0, dtype=np.int64), "give the index"),
    ],
)
def test_what_is_no_table_of_probabilities_is_refused(said, labels, message):
    with pytest.raises(UserError, match=message):
        given_loss(said.astype(np.float32), labels)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(2, 60), classes=st.integers(2, 6))
def test_any_probabilities_give_a_probability_for_each_label(seed, rows, classes):
    rng = np.random.default_rng(seed)
    said = rng.dirichlet(np.full(classes, 0.2), size=rows).astype(np.float32)
    labels = rng.integers(0, classes, rows)
    found = small_loss(said, labels, seed=seed)
    assert found.clean.shape == found.probability.shape == (rows,)
    assert ((found.probability >= 0) & (found.probability <= 1)).all()
    assert np.array_equal(found.probability, small_loss(said, labels, seed=seed).probability)
