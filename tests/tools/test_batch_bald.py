"""BatchBALD: the same batches as the definition worked out in full, and its guarantees."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.batch_bald import batch_bald
from labelwright.tools.disagreement import SCRATCH_BYTES, bald
from numpy.typing import NDArray


def committee(
    members: int, items: int, classes: int, seed: int, sharpness: float = 0.5
) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(classes, sharpness), (members, items)).astype(np.float32)


def information(samples: NDArray[np.float32], batch: list[int]) -> float:
    """Joint mutual information of a batch, as it is defined: over every labelling of it."""
    p = samples.astype(np.float64)
    joint = 0.0
    for labels in itertools.product(range(p.shape[2]), repeat=len(batch)):
        chance = np.prod([p[:, i, c] for i, c in zip(batch, labels, strict=True)], axis=0).mean()
        joint -= chance * np.log(chance) if chance > 0 else 0.0
    logs = np.log(np.maximum(p[:, batch], 1e-300))
    return float(joint + (p[:, batch] * logs).sum(axis=(1, 2)).mean())


def by_definition(samples: NDArray[np.float32], k: int) -> tuple[list[int], list[float]]:
    batch: list[int] = []
    totals = [0.0]
    for _ in range(k):
        others = [i for i in range(samples.shape[1]) if i not in batch]
        values = [information(samples, [*batch, i]) for i in others]
        batch.append(others[int(np.argmax(values))])
        totals.append(max(values))
    return batch, list(np.diff(totals))


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    members=st.integers(2, 6),
    classes=st.integers(2, 3),
    items=st.integers(1, 9),
)
def test_gains_are_those_of_the_definition(
    seed: int, members: int, classes: int, items: int
) -> None:
    samples = committee(members, items, classes, seed)
    k = min(4, items)
    found = batch_bald(samples, k, seed=0)
    picks, gains = by_definition(samples, k)
    assert found.exact == k
    np.testing.assert_allclose(found.gains, gains, atol=2e-5)
    assert information(samples, found.picks.tolist()) == pytest.approx(
        information(samples, picks), abs=5e-5
    )


def test_the_first_pick_is_that_of_bald() -> None:
    samples = committee(8, 3000, 4, 1)
    found = batch_bald(samples, 1, seed=0)
    assert found.picks[0] == np.argmax(bald(samples))
    assert found.gains[0] == pytest.approx(bald(samples).max() * np.log(4), abs=1e-5)


def test_drawn_labellings_come_near_to_all_of_them() -> None:
    samples = committee(6, 60, 3, 2)
    exact = batch_bald(samples, 7, seed=0, joint=3**7)
    drawn = batch_bald(samples, 7, seed=0, joint=1, draws=20_000)
    assert (exact.exact, drawn.exact) == (7, 1)
    assert information(samples, drawn.picks.tolist()) == pytest.approx(
        information(samples, exact.picks.tolist()), rel=0.03
    )
    assert drawn.gains.sum() == pytest.approx(exact.gains.sum(), rel=0.03)


def test_goes_over_from_all_labellings_to_drawn_ones() -> None:
    samples = committee(5, 40, 4, 3)
    found = batch_bald(samples, 8, seed=0, joint=64, draws=4000)
    # 1, 4, 16 and 64 labellings are before picks 1 to 4.
    assert found.exact == 4
    np.testing.assert_array_equal(found.picks[:4], batch_bald(samples, 4, seed=9).picks)
    assert (np.diff(found.gains) < 0.02).all()


def test_a_batch_tells_no_more_than_there_is_to_tell() -> None:
    # Picking the largest of many noisy gains would go far beyond the log of 10 members.
    samples = committee(10, 3000, 4, 4)
    found = batch_bald(samples, 30, seed=0, joint=64, draws=500)
    assert np.log(10) - 0.02 <= found.gains.sum() <= np.log(10) + 0.02
    assert (np.diff(found.gains) <= 0.02).all()
    # Members that rule everything else out are told apart by three picks, and then it is over.
    sure = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (4, 2000))]
    told = batch_bald(sure, 40, seed=0)
    assert told.gains.sum() == pytest.approx(np.log(4), abs=1e-4)
    assert len(set(told.picks.tolist())) == 40


def test_does_not_fill_the_batch_with_copies_of_one_item() -> None:
    # Items 0 to 9 are the same question; 10 asks the committee something else, a little less.
    hard = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)
    other = np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]], dtype=np.float32)
    samples = np.stack([hard] * 10 + [other], axis=1)
    assert np.argsort(-bald(samples), kind="stable")[:2].tolist() == [0, 1]
    found = batch_bald(samples, 3, seed=0)
    assert found.picks.tolist()[:2] == [0, 10]
    assert found.gains[2] == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(("k", "joint"), [(5, 2048), (12, 8), (50, 1)])
def test_picks_are_distinct_and_the_same_again(k: int, joint: int) -> None:
    samples = committee(4, 30, 3, 5)
    first = batch_bald(samples, k, seed=7, joint=joint, draws=100)
    again = batch_bald(samples, k, seed=7, joint=joint, draws=100)
    assert len(set(first.picks.tolist())) == len(first.picks) == min(k, 30)
    np.testing.assert_array_equal(first.picks, again.picks)
    np.testing.assert_array_equal(first.gains, again.gains)
    assert (first.gains >= 0).all()


def test_equal_items_are_taken_in_their_order() -> None:
    samples = np.full((3, 6, 2), 0.5, dtype=np.float32)
    assert batch_bald(samples, 4, seed=0).picks.tolist() == [0, 1, 2, 3]


def test_members_that_rule_labels_out_are_no_trouble() -> None:
    samples = np.eye(3, dtype=np.float32)[np.random.default_rng(0).integers(0, 3, (5, 40))]
    for joint in (2048, 1):
        found = batch_bald(samples, 10, seed=0, joint=joint, draws=200)
        assert np.isfinite(found.gains).all()
        assert found.gains.sum() == pytest.approx(np.log(5), abs=0.05)


def test_memory_stays_within_the_documented_bound() -> None:
    samples = committee(5, 2000, 50, 6, sharpness=1.0)
    tracemalloc.start()
    batch_bald(samples, 3, seed=0, joint=2500, draws=500)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 2,500 labellings of 2,000 items and 50 classes would be 1 GB.
    assert peak <= SCRATCH_BYTES + 16 * 2000 + 16 * 5 * 2500 + 500_000


def test_no_items_give_no_picks() -> None:
    found = batch_bald(np.empty((2, 0, 3), dtype=np.float32), 3, seed=0)
    assert len(found.picks) == len(found.gains) == 0


@pytest.mark.parametrize("name", ["k", "joint", "draws"])
def test_refuses_parameters_below_one(name: str) -> None:
    given = {"k": 1, "joint": 1, "draws": 1} | {name: 0}
    with pytest.raises(UserError, match=f"{name} is 0"):
        batch_bald(committee(2, 3, 2, 0), seed=0, **given)
