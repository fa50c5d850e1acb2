"""The pool: what was written is what is read, and copies share a weight."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelwright.store.errors import OperatorError, UserError
from labelwright.store.pool import Pool, read_gold

TEXTS = ["it crashes", "thank you", "It crashes", "", "= 1+1 \u0000 ж"]


def pool_of(folder: Path, texts: Sequence[str], gold: Sequence[str | None] | None = None) -> Pool:
    ids = pa.array([f"m{n}" for n in range(len(texts))])
    Pool.write(folder, ids, pa.array(texts, pa.string()), None if gold is None else pa.array(gold))
    return Pool(folder)


def test_texts_and_ids_are_read_by_row(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, TEXTS)
    assert len(pool) == 5
    assert pool.texts([4, 0]) == [TEXTS[4], TEXTS[0]]
    assert pool.ids(np.array([2, 2])) == ["m2", "m2"]
    assert (pool.text(3), pool.id(3)) == ("", "m3")
    assert pool.texts([]) == []


def test_row_of_finds_each_id(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, TEXTS)
    assert [pool.row_of(pool.id(row)) for row in range(5)] == list(range(5))


def test_an_unknown_id_is_named_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no item has the id 'x'.*'m0' to 'm4'"):
        pool_of(tmp_path, TEXTS).row_of("x")


def test_copies_stand_for_nothing_and_originals_for_their_group(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, TEXTS)
    pool.write_groups(np.array([0, 1, 0, 3, 4]))
    assert pool.unique_rows.tolist() == [0, 1, 3, 4]
    assert pool.weights.tolist() == [0.4, 0.2, 0.0, 0.2, 0.2]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_weights_sum_to_one_over_the_unique_rows(tmp_path: Path, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 20))
    first = data.draw(st.lists(st.integers(0, n - 1), min_size=n, max_size=n))
    groups = np.array([min(row for row in range(n) if first[row] == each) for each in first])
    pool = pool_of(tmp_path, ["t"] * n)
    pool.write_groups(groups)
    assert pool.weights.sum() == pytest.approx(1)
    assert pool.weights[pool.unique_rows].sum() == pytest.approx(1)
    assert (pool.weights[pool.unique_rows] > 0).all()


def test_groups_of_another_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\), the pool 5 rows"):
        pool_of(tmp_path, TEXTS).write_groups(np.zeros(3, dtype=np.int64))


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    first = pool_of(tmp_path / "a", TEXTS).digest
    assert pool_of(tmp_path / "b", TEXTS).digest == first
    assert pool_of(tmp_path / "c", [*TEXTS[:4], "other"]).digest != first


def test_gold_is_read_apart_from_the_items(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, TEXTS, gold=["bug", None, "bug", "praise", "praise"])
    assert read_gold(tmp_path) == ["bug", None, "bug", "praise", "praise"]
    assert pool.table.column_names == ["id", "text"]


def test_without_gold_the_message_names_the_option(tmp_path: Path) -> None:
    pool_of(tmp_path, TEXTS)
    with pytest.raises(UserError, match="--gold-column"):
        read_gold(tmp_path)


def test_a_pool_that_cannot_be_written_is_an_operators_error(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, TEXTS)
    (tmp_path / "pool" / "groups.npy").mkdir()
    with pytest.raises(OperatorError, match=r"groups\.npy"):
        pool.write_groups(np.arange(5))
