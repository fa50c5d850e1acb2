"""The certificate of a share: each audited item is wrong in part, from not at all to wholly."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.certificate import certify, draw_audit, labels_digest
from numpy.typing import NDArray

N, C = 300, 4


def population(seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Frozen sets, how wrong each is, and a doubt that knows a little of it."""
    rng = np.random.default_rng(seed)
    wrong = rng.random((N, C)) < rng.choice([0.02, 0.4], size=(N, 1), p=[0.8, 0.2])
    losses = wrong.mean(axis=1)
    doubt = np.clip(0.2 + 0.5 * (losses > 0) + rng.normal(0, 0.1, N), 0.0, 1.0)
    return rng.integers(0, 2, (N, C)), losses, doubt


def certified(seed: int, k: int) -> tuple[float, float, float]:
    sets, losses, doubt = population(0)
    rows = np.arange(N)
    draw = draw_audit(rows, np.full(N, 1 / N), sets, k, seed=seed, doubt=doubt)
    found = certify(
        losses[draw.rows],
        draw,
        labels=labels_digest(rows, sets),
        used_in_training=np.empty(0, dtype=np.int64),
        level=0.9,
    )
    assert found.n_errors == int((losses[draw.rows] > 0).sum())
    return found.low, found.estimate, found.high


def test_the_interval_holds_the_true_share_at_least_as_often_as_it_says() -> None:
    _, losses, _ = population(0)
    truth = 1 - losses.mean()
    found = [certified(seed, 50) for seed in range(120)]
    assert np.mean([low <= truth <= high for low, _, high in found]) >= 0.9
    assert np.mean([middle for _, middle, _ in found]) == pytest.approx(truth, abs=0.01)


def test_when_everything_was_audited_the_share_is_known() -> None:
    _, losses, _ = population(0)
    low, middle, high = certified(3, N)
    assert low == pytest.approx(high)
    assert middle == pytest.approx(1 - losses.mean())


def test_putting_errors_right_adds_exactly_what_was_wrong() -> None:
    sets, losses, _ = population(0)
    rows = np.arange(N)
    draw = draw_audit(rows, np.full(N, 1 / N), sets, 40, seed=1)
    answers = losses[draw.rows]
    skipped = np.arange(40) == int(answers.argmax())
    found = certify(
        answers,
        draw,
        labels=labels_digest(rows, sets),
        used_in_training=np.empty(0, dtype=np.int64),
        corrected=~skipped,
    )
    assert found.corrected == pytest.approx(answers[~skipped].sum() / N)


def test_the_digest_sees_a_change_in_any_label_of_a_set() -> None:
    sets, _, _ = population(0)
    other = sets.copy()
    other[17, 2] = 1 - other[17, 2]
    assert labels_digest(np.arange(N), sets) != labels_digest(np.arange(N), other)


@pytest.mark.parametrize("loss", [-0.1, 1.5, float("nan")])
def test_a_loss_outside_its_range_is_refused(loss: float) -> None:
    sets, _, _ = population(0)
    draw = draw_audit(np.arange(N), np.full(N, 1 / N), sets, 1, seed=0)
    with pytest.raises(UserError, match="outside"):
        certify(
            [loss],
            draw,
            labels=labels_digest(np.arange(N), sets),
            used_in_training=np.empty(0, dtype=np.int64),
        )
