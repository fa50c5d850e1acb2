"""Canonical JSON: the same record always gives the same bytes, and other records others."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.store.records import canonical_json, digest_of

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_what_is_read_back_is_written_the_same(value: object) -> None:
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text


@given(st.dictionaries(st.text(), st.integers(), min_size=2, max_size=6))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    turned = dict(reversed(value.items()))
    assert canonical_json(turned) == canonical_json(value)


@pytest.mark.parametrize(
    ("one", "two"),
    [(1, 1.0), (0.1, 0.1 + 1e-17 + 1e-16), (None, "null"), (True, 1), ([], {}), ("é", "e\u0301")],
)
def test_what_differs_is_written_differently(one: object, two: object) -> None:
    assert canonical_json(one) != canonical_json(two)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"x": value})


def test_a_digest_covers_order_and_ends_of_records() -> None:
    one, two = {"a": 1}, {"b": 2}
    assert digest_of([one, two]) != digest_of([two, one])
    assert digest_of([one, two]) != digest_of([{"a": 1, "b": 2}])
    assert digest_of([]) == digest_of([])
