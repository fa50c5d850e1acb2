"""The filter for repeated texts: what goes, why, and what each rejection points to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.filters import Filtered, filter_near_duplicates, normalise, rouge_l
from numpy.typing import NDArray

DISTINCT = [
    "my card was swallowed by the machine",
    "what is the exchange rate today",
    "please close this account for good",
    "why does the transfer still say pending",
]
LONG = "the transfer that i made last monday to my landlord has still not arrived today"


def axes(*places: int) -> NDArray[np.float32]:
    return np.eye(64, dtype=np.float32)[list(places)]


def filtered(
    texts: Sequence[str],
    kept: Sequence[str] = (),
    vectors: NDArray[np.float32] | None = None,
    kept_vectors: NDArray[np.float32] | None = None,
    **limits: float,
) -> Filtered:
    """Rows 100, 101, … against kept rows 0, 1, …"""
    rows, kept_rows = np.arange(100, 100 + len(texts)), np.arange(len(kept))
    return filter_near_duplicates(rows, texts, vectors, kept_rows, kept, kept_vectors, **limits)


def test_keeps_all_that_differ() -> None:
    found = filtered(DISTINCT, vectors=axes(0, 1, 2, 3), kept_vectors=axes())
    assert found.kept.tolist() == [100, 101, 102, 103]
    assert found.rejected == ()


def test_same_key_as_a_kept_text() -> None:
    found = filtered(["MY card was swallowed, by the machine!"], DISTINCT)
    assert found.kept.tolist() == []
    (rejection,) = found.rejected
    assert (rejection.row, rejection.like) == (100, 0)
    assert rejection.why == "the same text as row 0"


def test_same_key_within_the_batch_keeps_the_first() -> None:
    found = filtered([DISTINCT[1], DISTINCT[0], DISTINCT[1] + "?"])
    assert found.kept.tolist() == [100, 101]
    assert [(one.row, one.like) for one in found.rejected] == [(102, 100)]


def test_close_embedding_to_a_kept_item() -> None:
    near = axes(0) * 0.96 + axes(5) * 0.28
    found = filtered(["wholly other words"], DISTINCT[:2], vectors=near, kept_vectors=axes(1, 0))
    (rejection,) = found.rejected
    assert rejection.like == 1
    assert rejection.why == "cosine 0.960 with row 1, limit 0.95"


def test_close_embedding_within_the_batch_points_to_the_closest() -> None:
    vectors = np.concatenate([axes(0), axes(1), axes(1) * 0.96 + axes(0) * 0.28])
    found = filtered(DISTINCT[:3], vectors=vectors, kept_vectors=axes())
    assert found.kept.tolist() == [100, 101]
    assert [(one.row, one.like) for one in found.rejected] == [(102, 101)]


def test_close_words_to_a_kept_item_and_within_the_batch() -> None:
    changed = LONG.replace("monday", "friday")
    against_kept = filtered([changed], [DISTINCT[0], LONG])
    assert [one.like for one in against_kept.rejected] == [1]
    assert against_kept.rejected[0].why.startswith("ROUGE-L 0.933 with row 1")
    within = filtered([LONG, DISTINCT[0], changed])
    assert [(one.row, one.like) for one in within.rejected] == [(102, 100)]


def test_a_rejected_row_rejects_no_other() -> None:
    # Each is a neighbour of the one before; the third is far from the first.
    step = np.deg2rad(15)
    vectors = np.zeros((3, 64), dtype=np.float32)
    for i in range(3):
        vectors[i, :2] = np.cos(i * step), np.sin(i * step)
    found = filtered(DISTINCT[:3], vectors=vectors, kept_vectors=axes())
    assert found.kept.tolist() == [100, 102]


@pytest.mark.parametrize(("limit", "stays"), [(0.8, False), (0.801, True)])
def test_the_cosine_limit_itself_rejects(limit: float, stays: bool) -> None:
    vectors = axes(0) * 0.8 + axes(1) * 0.6
    found = filtered(["x y"], ["z"], vectors=vectors, kept_vectors=axes(0), cosine=limit)
    assert (len(found.kept) == 1) is stays


@pytest.mark.parametrize(("limit", "stays"), [(0.75, False), (0.76, True)])
def test_the_rouge_limit_itself_rejects(limit: float, stays: bool) -> None:
    found = filtered(["a b c d"], ["a b c x"], rouge_l=limit)
    assert (len(found.kept) == 1) is stays


words = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=6).map(" ".join)


@settings(deadline=None)
@given(batch=st.lists(words, max_size=10), kept=st.lists(words, max_size=5))
def test_is_the_plain_rule_applied_one_by_one(batch: list[str], kept: list[str]) -> None:
    found = filtered(batch, kept, rouge_l=0.7)
    staying = list(kept)
    rows = []
    for row, text in enumerate(batch, start=100):
        same = any(normalise(text) == normalise(other) for other in staying)
        if not same and all(rouge_l(text, other) < 0.7 for other in staying):
            staying.append(text)
            rows.append(row)
    assert found.kept.tolist() == rows
    assert sorted([*rows, *(one.row for one in found.rejected)]) == list(
        range(100, 100 + len(batch))
    )
    for one in found.rejected:
        assert one.like in rows or one.like < len(kept)


def test_embeddings_are_the_plain_rule_across_blocks() -> None:
    rng = np.random.default_rng(0)
    raw = rng.standard_normal((5200, 4)).astype(np.float32)
    vectors = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    texts = [f"w{i}" for i in range(5200)]
    every = np.arange(5200)
    found = filter_near_duplicates(
        every[:600],
        texts[:600],
        vectors[:600],
        every[600:],
        texts[600:],
        vectors[600:],
        cosine=0.999,
    )
    free = (vectors[:600] @ vectors[600:].T).max(axis=1) < 0.999
    rows: list[int] = []
    for i in np.flatnonzero(free):
        if not rows or (vectors[rows] @ vectors[i]).max() < 0.999:
            rows.append(int(i))
    assert found.kept.tolist() == rows
    assert 0 < len(rows) < 600
    for one in found.rejected:
        assert vectors[one.row] @ vectors[one.like] >= 0.999


def test_empty_batch() -> None:
    found = filtered([], DISTINCT, vectors=axes(), kept_vectors=axes(0, 1, 2, 3))
    assert found.kept.tolist() == []
    assert found.rejected == ()


@pytest.mark.parametrize("name", ["cosine", "rouge_l"])
@pytest.mark.parametrize("limit", [0.0, -1.0, 1.01, float("nan")])
def test_refuses_limits_out_of_range(name: str, limit: float) -> None:
    limits = {"cosine": 0.9, "rouge_l": 0.9, name: limit}
    with pytest.raises(UserError, match=f"{name} is"):
        filtered(["a"], cosine=limits["cosine"], rouge_l=limits["rouge_l"])


def test_refuses_lengths_that_differ() -> None:
    with pytest.raises(UserError, match=r"the batch rows, texts and vectors have lengths \[1, 2\]"):
        filter_near_duplicates(np.arange(1), ["a", "b"], None, np.arange(0), [], None)
    with pytest.raises(UserError, match="the kept rows"):
        filtered(["a"], ["b"], vectors=axes(0), kept_vectors=axes(0, 1))


def test_refuses_vectors_on_one_side() -> None:
    with pytest.raises(UserError, match="one side only"):
        filtered(["a"], ["b"], vectors=axes(0))
