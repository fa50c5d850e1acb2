"""Vectors on disk: filled once, gone on with after a stop, never half there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labelwright.store.errors import OperatorError
from labelwright.store.vectors import Vectors
from numpy.typing import NDArray

ROWS = np.arange(5, dtype=np.int64)


def some(n: int, dim: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(n).normal(size=(n, dim)).astype(np.float32)


def test_what_was_put_is_what_is_got(tmp_path: Path) -> None:
    vectors = Vectors(tmp_path, "abc", 5, 3)
    vectors.put(ROWS[[3, 1]], some(2))
    assert np.array_equal(vectors.get(ROWS[[1, 3]]), some(2)[::-1])
    assert vectors.get(ROWS[[1]]).dtype == np.float32


def test_a_stopped_fill_goes_on_where_it_was(tmp_path: Path) -> None:
    Vectors(tmp_path, "abc", 5, 3).put(ROWS[:2], some(2))
    again = Vectors(tmp_path, "abc", 5, 3)
    assert again.missing(ROWS).tolist() == [2, 3, 4]
    assert np.array_equal(again.get(ROWS[:2]), some(2))


def test_a_row_without_a_vector_is_not_given_as_zeros(tmp_path: Path) -> None:
    vectors = Vectors(tmp_path, "abc", 5, 3)
    vectors.put(ROWS[:2], some(2))
    with pytest.raises(ValueError, match="3 of 5 rows have no vector"):
        vectors.get(ROWS)


def test_encoders_do_not_share_vectors(tmp_path: Path) -> None:
    Vectors(tmp_path, "abc", 5, 3).put(ROWS, some(5))
    assert len(Vectors(tmp_path, "other", 5, 3).missing(ROWS)) == 5


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_lost_vectors_do_not_count_as_done(tmp_path: Path, damage: str) -> None:
    Vectors(tmp_path, "abc", 5, 3).put(ROWS, some(5))
    file = tmp_path / "embeddings" / "abc.f32"
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:7])
    assert len(Vectors(tmp_path, "abc", 5, 3).missing(ROWS)) == 5


def test_lost_marks_only_cost_time(tmp_path: Path) -> None:
    Vectors(tmp_path, "abc", 5, 3).put(ROWS, some(5))
    (tmp_path / "embeddings" / "abc.done").unlink()
    assert len(Vectors(tmp_path, "abc", 5, 3).missing(ROWS)) == 5


def test_what_is_got_can_be_changed_without_harm(tmp_path: Path) -> None:
    vectors = Vectors(tmp_path, "abc", 5, 3)
    vectors.put(ROWS, some(5))
    vectors.get(ROWS)[:] = 0
    assert np.array_equal(vectors.get(ROWS), some(5))


def test_a_folder_that_cannot_be_made_is_an_operators_error(tmp_path: Path) -> None:
    (tmp_path / "embeddings").write_text("in the way")
    with pytest.raises(OperatorError, match="opening the embeddings"):
        Vectors(tmp_path, "abc", 5, 3)
