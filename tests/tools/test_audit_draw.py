"""Audit items are drawn by the recorded probabilities, in an order that never changes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from labelwright.store.errors import UserError
from labelwright.tools.audit_draw import AuditDraw, draw_audit, labels_digest
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Frozen:
    """Machine rows as they were frozen."""

    rows: NDArray[np.int64]
    weights: NDArray[np.float64]
    labels: NDArray[np.int64]
    doubt: NDArray[np.float64]

    def draw(self, k: int, seed: int, **options: object) -> AuditDraw:
        return draw_audit(
            self.rows,
            self.weights,
            self.labels,
            k,
            seed=seed,
            doubt=self.doubt,
            **options,  # type: ignore[arg-type]
        )


def frozen(n: int) -> Frozen:
    rng = np.random.default_rng(n)
    copies = rng.integers(1, 4, size=n)
    return Frozen(
        rows=np.sort(rng.choice(10 * n, size=n, replace=False)),
        weights=0.8 * copies / copies.sum(),
        labels=rng.integers(0, 3, size=n),
        doubt=rng.beta(0.5, 4.5, size=n),
    )


def test_twenty_and_twenty_more_are_the_same_as_forty() -> None:
    pool = frozen(300)
    first = pool.draw(20, seed=4)
    both = pool.draw(20, seed=4, already=first)
    at_once = pool.draw(40, seed=4)
    for field in ("rows", "probabilities", "weights", "bounds", "remaining"):
        np.testing.assert_array_equal(getattr(both, field), getattr(at_once, field))
        np.testing.assert_array_equal(getattr(both, field)[:20], getattr(first, field))


def test_another_seed_draws_other_rows() -> None:
    pool = frozen(300)
    assert pool.draw(20, seed=1).rows.tolist() != pool.draw(20, seed=2).rows.tolist()


def test_doubtful_rows_come_earlier_but_no_row_is_neglected() -> None:
    pool = frozen(1000)
    draw = pool.draw(1000, seed=0, floor=0.4)
    doubt = pool.doubt[np.searchsorted(pool.rows, draw.rows)]
    assert doubt[:200].mean() > 1.3 * doubt.mean()
    even = draw.weights / draw.remaining
    # The mean tilt of the rows left falls as doubtful ones go, so this holds at every draw.
    assert (draw.probabilities / even)[:1].min() >= 0.39
    assert (draw.weights / draw.probabilities <= draw.bounds * (1 + 1e-9)).all()


@pytest.mark.parametrize("change", ["labels", "weights", "doubt", "seed"])
def test_going_on_with_another_population_is_refused(change: str) -> None:
    pool = frozen(50)
    first = pool.draw(5, seed=0)
    if change == "seed":
        with pytest.raises(UserError, match="frozen"):
            pool.draw(5, seed=1, already=first)
        return
    values = getattr(pool, change).copy()
    values[0] = 0 if values[0] else 1e-3
    if change == "weights":
        values[0] = pool.weights[0] / 2
    with pytest.raises(UserError, match="frozen"):
        dataclasses.replace(pool, **{change: values}).draw(5, seed=0, already=first)


@pytest.mark.parametrize(
    ("rows", "weights", "labels", "options"),
    [
        ([1, 1], [0.1, 0.1], [0, 0], {}),
        ([1, 2], [0.1, 0.0], [0, 0], {}),
        ([1, 2], [0.8, 0.8], [0, 0], {}),
        ([1, 2], [0.1, np.nan], [0, 0], {}),
        ([1, 2], [0.1], [0, 0], {}),
        ([1, 2], [0.1, 0.1], [0], {}),
        ([1, 2], [0.1, 0.1], [0, 0], {"floor": 0.0}),
        ([1, 2], [0.1, 0.1], [0, 0], {"doubt": [0.1]}),
        ([1, 2], [0.1, 0.1], [0, 0], {"doubt": [0.1, 1.1]}),
        ([1, 2], [0.1, 0.1], [0, 0], {"doubt": [0.1, np.nan]}),
        ([1, 2], [0.1, 0.1], [0, 0], {"k": -1}),
    ],
)
def test_a_population_that_makes_no_sense_is_refused(
    rows: list[int], weights: list[float], labels: list[int], options: dict[str, object]
) -> None:
    k = options.pop("k", 1)
    with pytest.raises(UserError):
        draw_audit(rows, weights, labels, k, seed=0, **options)  # type: ignore[arg-type]


def test_doubts_of_zero_everywhere_draw_evenly() -> None:
    draw = draw_audit([0, 1], [0.5, 0.5], [0, 0], 2, seed=0, doubt=[0, 0])
    assert draw.probabilities.tolist() == [0.5, 1.0]


def test_the_labels_digest_ignores_order_and_sees_every_label() -> None:
    digest = labels_digest([3, 1, 2], [0, 1, 2])
    assert digest == labels_digest([1, 2, 3], [1, 2, 0])
    assert digest != labels_digest([1, 2, 3], [1, 2, 1])
    with pytest.raises(UserError):
        labels_digest([1, 2], [0])
