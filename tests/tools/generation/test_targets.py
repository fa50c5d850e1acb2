"""For which labels texts are written."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.generation.material import Example, Material
from labelwright.tools.generation.targets import in_proportion, levelled, targets

EXAMPLES = [Example(f"a{n}", f"text {n}", "a") for n in range(9)] + [Example("b", "text", "b")]
MATERIAL = Material("goal", {"a": "", "b": "", "c": ""}, examples=EXAMPLES, f1={"a": 0.9, "b": 0.4})


def test_minority_fills_up_the_rarest() -> None:
    assert Counter(targets(MATERIAL, "minority", 9)) == {"b": 4, "c": 5}


def test_weak_spots_go_where_the_learner_errs() -> None:
    counts = Counter(targets(MATERIAL, "weak_spots", 12))
    assert counts["b"] > counts["c"] > counts["a"]


def test_others_share_equally_among_the_labels_named() -> None:
    assert Counter(targets(MATERIAL, "definitions", 6)) == {"a": 2, "b": 2, "c": 2}
    assert Counter(targets(MATERIAL, "definitions", 6, ["b", "a", "b"])) == {"a": 3, "b": 3}


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(UserError, match=r"'d' is not one of the task's: use a, b, c"):
        targets(MATERIAL, "definitions", 6, ["d"])


COUNTS = st.dictionaries(st.text("abcdef", min_size=1), st.integers(0, 50), min_size=1, max_size=6)


@given(COUNTS, st.integers(1, 80))
def test_levelling_never_leaves_one_behind(counts: dict[str, int], k: int) -> None:
    added = levelled(counts, k)
    assert sum(added.values()) == k
    total = {name: counts[name] + added[name] for name in counts}
    grown = [total[name] for name in counts if added[name]]
    assert max(grown) <= min(total.values()) + 1


@given(COUNTS, st.integers(1, 80))
def test_shares_are_within_one_of_proportional(counts: dict[str, int], k: int) -> None:
    weights = {name: float(count) for name, count in counts.items()}
    shares, total = in_proportion(weights, k), sum(weights.values())
    assert sum(shares.values()) == k
    for name, share in shares.items():
        exact = k * (weights[name] / total if total else 1 / len(weights))
        assert abs(share - exact) < 1
