"""Votes of a committee as numbers: who counts, who does not, and what decides where all differ."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from labelwright.tools.votes import Ballot, ballot

NAMES = ["a", "b", "c"]
TASK: Any = SimpleNamespace(spec=SimpleNamespace(label_names=NAMES))


def said(label: str | None, distribution: tuple[float, ...] | None = None) -> Any:
    return SimpleNamespace(label=label, distribution=distribution)


def test_the_share_is_smoothed_and_even_where_nobody_answered() -> None:
    found = ballot(TASK, [[said("a"), said(None)], [said("a"), None], [said("b"), said(None)]])
    assert found.answered.tolist() == [3, 0]
    np.testing.assert_allclose(
        found.share[0], np.array([2 + 1 / 3, 1 + 1 / 3, 1 / 3]) / 4, rtol=1e-5
    )
    np.testing.assert_allclose(found.share[1], 1 / 3)


def test_a_member_with_probabilities_divides_its_vote() -> None:
    found = ballot(TASK, [[said("a", (0.6, 0.4, 0.0))]])
    np.testing.assert_allclose(found.votes[0, 0], [0.6, 0.4, 0.0])


def test_where_all_differ_the_first_member_decides() -> None:
    for first in NAMES:
        others = [name for name in NAMES if name != first]
        found = ballot(TASK, [[said(first)], *([said(name)] for name in others)])
        assert NAMES[int(found.share[0].argmax())] == first


@given(st.lists(st.lists(st.sampled_from([*NAMES, None]), min_size=3, max_size=3), min_size=1))
def test_shares_are_distributions_above_0_and_the_commonest_label_has_the_most(
    votes: list[list[str | None]],
) -> None:
    found = ballot(TASK, [[said(row[member]) for row in votes] for member in range(3)])
    assert isinstance(found, Ballot)
    assert (found.share > 0).all()
    np.testing.assert_allclose(found.share.sum(axis=1), 1)
    for row, share in zip(votes, found.share, strict=True):
        counts = [row.count(name) for name in NAMES]
        assert counts[int(share.argmax())] == max(counts)
