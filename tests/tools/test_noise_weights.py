"""Weights of labels that may be wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.models.learners import Inputs, Training, make_learner
from labelwright.store.errors import UserError
from labelwright.tools.noise import out_of_fold
from labelwright.tools.noise_weights import meta_weights, soft_weights

CLASSES = 3
TOPICS = (
    ["parcel", "courier", "delivery", "late", "van", "tracking", "depot", "doorstep"],
    ["invoice", "refund", "charge", "payment", "card", "bank", "receipt", "price"],
    ["password", "login", "account", "email", "reset", "profile", "username", "locked"],
)


def planted(rows=240, wrong=0.2, seed=0):
    rng = np.random.default_rng(seed)
    gold = np.arange(rows) % CLASSES
    vectors = np.eye(CLASSES)[gold] + rng.normal(0, 0.25, (rows, CLASSES))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    flipped = np.zeros(rows, dtype=bool)
    flipped[rng.choice(rows, int(wrong * rows), replace=False)] = True
    return vectors, gold, np.where(flipped, (gold + 1) % CLASSES, gold), flipped


def softmax_regression(vectors):
    """A learner that takes weights: scikit-learn's own."""
    from sklearn.linear_model import LogisticRegression

    calls = []

    def call(train_rows, labels, weights, predict_rows):
        calls.append((train_rows, weights))
        model = LogisticRegression(C=5.0, max_iter=300)
        model.fit(vectors[train_rows], labels, sample_weight=weights)
        found = np.zeros((len(predict_rows), CLASSES), dtype=np.float32)
        found[:, model.classes_] = model.predict_proba(vectors[predict_rows])
        return found

    return call, calls


def test_wrong_labels_weigh_less_than_right_ones():
    vectors, _, labels, flipped = planted()
    call, _ = softmax_regression(vectors)
    found = soft_weights(call, labels, CLASSES, seed=0)
    assert found.weights[flipped].mean() < 0.2
    assert found.weights[~flipped].mean() > 0.8
    assert found.weights.dtype == np.float32


def test_the_second_round_learns_with_the_weights_of_the_first():
    vectors, _, labels, _ = planted()
    call, calls = softmax_regression(vectors)
    first = soft_weights(call, labels, CLASSES, seed=0, rounds=1)
    assert all((weights == 1).all() for _, weights in calls)
    calls.clear()
    soft_weights(call, labels, CLASSES, seed=0, rounds=2)
    assert len(calls) == 10
    for rows, weights in calls[5:]:
        assert np.array_equal(weights, first.weights[rows])
        assert (weights > 0).all()


def test_a_known_opinion_spares_the_fits_of_the_first_round():
    vectors, _, labels, _ = planted()
    call, calls = softmax_regression(vectors)
    whole = soft_weights(call, labels, CLASSES, seed=3)
    known = out_of_fold(call, labels, CLASSES, seed=3)
    calls.clear()
    spared = soft_weights(call, labels, CLASSES, seed=3, first=known)
    assert len(calls) == 5
    assert np.array_equal(whole.weights, spared.weights)


def test_changes_are_those_of_each_round_and_settle():
    vectors, _, labels, _ = planted(wrong=0.3)
    call, _ = softmax_regression(vectors)
    found = soft_weights(call, labels, CLASSES, seed=0, rounds=3)
    assert len(found.changes) == 3
    assert found.changes[2] < found.changes[0]


def test_a_label_whose_items_all_look_wrong_keeps_one_of_them():
    vectors, gold, _, _ = planted(rows=120)
    # Label 2 was given only to items of class 0.
    labels = np.where(np.arange(120) % 12 == 0, 2, np.minimum(gold, 1))
    call, _ = softmax_regression(vectors)
    found = soft_weights(call, labels, CLASSES, seed=0, rounds=2)
    assert all(found.weights[labels == label].max() > 0 for label in range(CLASSES))


def test_soft_weights_work_with_a_learner_of_the_package():
    rng = np.random.default_rng(0)
    gold = np.arange(90) % CLASSES
    texts = [" ".join(rng.choice(TOPICS[label], 5)) for label in gold]
    flipped = np.zeros(90, dtype=bool)
    flipped[rng.choice(90, 15, replace=False)] = True
    labels = np.where(flipped, (gold + 1) % CLASSES, gold)
    names = ["delivery", "billing", "account"]

    def call(train_rows, given_labels, weights, predict_rows):
        learner = make_learner("svm", label_names=names, label_texts=names, encoder=None)
        inputs = Inputs([texts[row] for row in train_rows], None)
        learner.fit(Training(inputs, given_labels, weights), seed=0)
        return learner.predict_proba(Inputs([texts[row] for row in predict_rows], None))

    found = soft_weights(call, labels, CLASSES, seed=0, rounds=2, folds=3)
    assert found.weights[flipped].mean() < 0.3 < found.weights[~flipped].mean()


def test_rounds_below_1_are_refused():
    with pytest.raises(UserError, match="rounds is 0"):
        soft_weights(softmax_regression(np.eye(3))[0], np.arange(3), 3, seed=0, rounds=0)


def split(seed=0, wrong=0.3):
    vectors, gold, labels, flipped = planted(rows=300, wrong=wrong, seed=seed)
    kept = slice(30, None)
    return vectors[kept], labels[kept], vectors[:30], gold[:30], flipped[kept]


def test_learned_weights_tell_right_from_wrong():
    *arguments, flipped = split()
    found = meta_weights(*arguments, CLASSES)
    assert found[flipped].mean() < 0.2 * found[~flipped].mean()
    assert found.mean() == pytest.approx(1, abs=1e-4)
    assert (found >= 0).all()


def test_the_first_step_is_the_slope_of_the_gold_loss():
    vectors, labels, gold_vectors, gold, _ = split()
    found = meta_weights(vectors, labels, gold_vectors, gold, CLASSES, steps=1)

    def gold_loss(model):
        inputs = np.c_[gold_vectors, np.ones(len(gold))].astype(np.float64)
        logits = inputs @ model.T
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return -logits[np.arange(len(gold)), gold].mean()

    slopes = []
    for vector, label in zip(vectors[:40], labels[:40], strict=True):
        error = np.full(CLASSES, 1 / CLASSES) - np.eye(CLASSES)[label]
        step = 1e-4 * np.outer(error, [*vector, 1.0])
        slopes.append((gold_loss(step) - gold_loss(-step)) / 2e-4)
    # Learning from a row moves the model by minus its gradient.
    wanted = np.maximum(slopes, 0)
    assert np.corrcoef(found[:40], wanted)[0, 1] > 0.999
    assert np.array_equal(found[:40] > 0, wanted > 0)


def test_learned_weights_have_no_randomness():
    *arguments, _ = split()
    once, again = (meta_weights(*arguments, CLASSES) for _ in range(2))
    assert np.array_equal(once, again)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), steps=st.integers(1, 8))
def test_weights_stay_finite_and_have_mean_1(seed, steps):
    *arguments, _ = split(seed=seed)
    found = meta_weights(*arguments, CLASSES, steps=steps)
    assert np.isfinite(found).all()
    assert found.mean() == pytest.approx(1, abs=1e-3)


def test_labels_that_all_point_away_from_gold_are_an_error():
    vectors = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (6, 1))
    with pytest.raises(UserError, match="no given label helps"):
        meta_weights(vectors, np.ones(6, dtype=int), vectors, np.zeros(6, dtype=int), 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"rate": 0.0}, "rate 0.0"),
        ({"vectors": np.full((270, 3), np.nan, dtype=np.float32)}, "not finite"),
        ({"vectors": np.ones((270, 5), dtype=np.float32)}, "one encoder"),
        ({"gold_labels": np.full(30, 7)}, "label index 7"),
    ],
)
def test_arguments_that_do_not_fit_are_named(change, message):
    names = ("vectors", "labels", "gold_vectors", "gold_labels")
    arguments = dict(zip(names, split()[:4], strict=True)) | {"classes": CLASSES} | change
    with pytest.raises(UserError, match=message):
        meta_weights(**arguments)
