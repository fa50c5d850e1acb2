"""Committee measures: the contract that all keep, known values, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from labelwright.store.errors import UserError
from labelwright.tools.disagreement import (
    COMMITTEE_MEASURES,
    bald,
    blocks,
    check_samples,
    mean_kl,
    variation_ratio,
    vote_entropy,
)
from labelwright.tools.uncertainty import shannon
from numpy.typing import NDArray


@st.composite
def committees(draw: st.DrawFn) -> NDArray[np.float32]:
    shape = (draw(st.integers(2, 6)), draw(st.integers(1, 8)), draw(st.integers(2, 6)))
    raw = draw(arrays(np.float64, shape, elements=st.floats(0.0, 1.0))) + 1e-9
    return np.asarray(raw / raw.sum(axis=2, keepdims=True), dtype=np.float32)


def random_committee(members: int, items: int, classes: int, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(classes), (members, items)).astype(np.float32)


every_measure = pytest.mark.parametrize("name", sorted(COMMITTEE_MEASURES))


@every_measure
@settings(deadline=None)
@given(samples=committees())
def test_stays_in_the_unit_interval_with_one_float32_an_item(
    name: str, samples: NDArray[np.float32]
) -> None:
    u = COMMITTEE_MEASURES[name](samples)
    assert u.shape == (samples.shape[1],)
    assert u.dtype == np.float32
    assert ((u >= 0) & (u <= 1)).all()


@every_measure
@pytest.mark.parametrize(("members", "classes"), [(2, 2), (3, 3), (4, 2), (3, 77)])
def test_is_one_for_opposed_members_and_zero_for_members_of_one_mind(
    name: str, members: int, classes: int
) -> None:
    opposed = np.eye(classes)[np.arange(members) % classes]
    # Even odds are doubt but no disagreement.
    agreed = np.tile(np.full(classes, 1 / classes), (members, 1))
    sure = np.tile(np.eye(classes)[1], (members, 1))
    samples = np.stack([opposed, agreed, sure], axis=1).astype(np.float32)
    np.testing.assert_allclose(COMMITTEE_MEASURES[name](samples), [1.0, 0.0, 0.0], atol=1e-5)


@every_measure
@settings(deadline=None)
@given(samples=committees(), data=st.data())
def test_does_not_depend_on_the_order_of_members_and_follows_that_of_items(
    name: str, samples: NDArray[np.float32], data: st.DataObject
) -> None:
    members = data.draw(st.permutations(range(samples.shape[0])))
    items = data.draw(st.permutations(range(samples.shape[1])))
    measure = COMMITTEE_MEASURES[name]
    np.testing.assert_allclose(
        measure(samples[members][:, items]), measure(samples)[items], atol=1e-5
    )


@every_measure
def test_does_not_depend_on_the_order_of_classes(name: str) -> None:
    samples = random_committee(5, 40, 6)
    measure = COMMITTEE_MEASURES[name]
    order = [3, 1, 5, 0, 2, 4]
    np.testing.assert_allclose(measure(samples[:, :, order]), measure(samples), atol=1e-5)


@every_measure
def test_blocks_change_nothing(name: str) -> None:
    # 40 members of 200 classes fill a block with some 260 items.
    samples = random_committee(40, 700, 200)
    measure = COMMITTEE_MEASURES[name]
    alone = np.concatenate([measure(samples[:, i : i + 1]) for i in (0, 262, 263, 699)])
    np.testing.assert_allclose(measure(samples)[[0, 262, 263, 699]], alone, atol=1e-6)


@every_measure
def test_does_not_write_to_its_input_and_takes_no_items(name: str) -> None:
    samples = random_committee(3, 5, 4)
    before = samples.copy()
    COMMITTEE_MEASURES[name](samples)
    np.testing.assert_array_equal(samples, before)
    assert COMMITTEE_MEASURES[name](samples[:, :0]).shape == (0,)


def test_values_by_hand() -> None:
    samples = np.array([[[0.9, 0.1]], [[0.6, 0.4]], [[0.3, 0.7]]])
    # Mean (.6, .4): H .67301; own .32508, .67301, .61086: mean .53632.
    assert bald(samples)[0] == pytest.approx((0.673012 - 0.536318) / np.log(2), abs=1e-5)
    # Votes 2 to 1.
    assert vote_entropy(samples)[0] == pytest.approx(0.636514 / np.log(2), abs=1e-5)
    assert variation_ratio(samples)[0] == pytest.approx((1 / 3) / (1 / 2))


def test_mean_kl_is_bald_and_keeps_small_differences() -> None:
    samples = random_committee(6, 200, 5)
    np.testing.assert_allclose(mean_kl(samples), bald(samples), atol=1e-5)
    exact = samples.astype(np.float64)
    exact /= exact.sum(axis=2, keepdims=True)
    kl = (exact * np.log(exact / exact.mean(axis=0))).sum(axis=2).mean(axis=0) / np.log(5)
    np.testing.assert_allclose(mean_kl(samples), kl, atol=1e-5)


def test_shannon_is_that_of_scipy() -> None:
    from scipy.stats import entropy

    samples = random_committee(3, 50, 7)
    np.testing.assert_allclose(shannon(samples), entropy(samples, axis=2), rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 4), (1, 3, 4), (0, 3, 4), (2, 2, 2, 2)])
def test_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="at least two members"):
        check_samples(np.full(shape, 0.25, dtype=np.float32))


@every_measure
def test_names_the_member_and_row_that_are_no_probabilities(name: str) -> None:
    samples = random_committee(3, 5, 4)
    samples[2, 3] = 0.0
    with pytest.raises(UserError, match="member 2 of the committee: row 3"):
        COMMITTEE_MEASURES[name](samples)


@pytest.mark.parametrize(("items", "row", "scratch"), [(10, 3, 9), (10, 100, 9), (0, 1, 9)])
def test_blocks_cover_all_items_within_the_bound(items: int, row: int, scratch: int) -> None:
    parts = list(blocks(items, row, scratch))
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(items))
    assert all((part.stop - part.start) * row <= max(scratch, row) for part in parts)
