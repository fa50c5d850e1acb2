"""Batches by length, work over threads, settings of others left as they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from labelwright.models.compute import (
    compute_dtype,
    encodable,
    length_batches,
    quiet_libraries,
    run_batches,
    single_threaded,
)
from labelwright.models.progress import NoProgress
from numpy.typing import NDArray

LENGTHS = st.lists(st.integers(0, 5_000), max_size=600)


@given(LENGTHS, st.integers(1, 20_000), st.integers(1, 3_000))
def test_batches_hold_every_row_once_within_the_budget(
    lengths: list[int], budget: int, cap: int
) -> None:
    batches = list(length_batches(lengths, budget, cap=cap))
    rows = np.concatenate([np.empty(0, dtype=np.int64), *batches])
    assert sorted(rows.tolist()) == list(range(len(lengths)))
    for batch in batches:
        longest = max(min(max(lengths[row], 1), cap) for row in batch)
        assert len(batch) == 1 or longest * len(batch) <= budget
        assert len(batch) <= 256


@given(LENGTHS)
def test_batches_go_from_long_to_short(lengths: list[int]) -> None:
    order = [lengths[row] for batch in length_batches(lengths, 1_000, cap=5_000) for row in batch]
    assert [max(length, 1) for length in order] == sorted(
        (max(length, 1) for length in order), reverse=True
    )


@given(st.text(st.characters(exclude_categories=())))
def test_encodable_text_has_bytes_and_the_same_length(text: str) -> None:
    cleaned = encodable(text)
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned
    assert len(cleaned) == len(text)


def test_results_land_in_their_rows() -> None:
    result = np.zeros((100, 1), dtype=np.float32)

    def work(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return rows[:, None].astype(np.float32) * 2

    batches = list(length_batches(list(range(100)), 50, cap=100))
    with NoProgress().task("", 100) as task:
        run_batches(work, batches, result, device=torch.device("cpu"), task=task)
    assert result[:, 0].tolist() == [2 * row for row in range(100)]


def test_error_in_a_batch_reaches_the_caller_and_restores_threads() -> None:
    before = torch.get_num_threads()

    def work(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        raise MemoryError("too large")

    with NoProgress().task("", 1) as task, pytest.raises(MemoryError, match="too large"):
        run_batches(
            work,
            [np.zeros(1, dtype=np.int64)],
            np.zeros((1, 1), dtype=np.float32),
            device=torch.device("cpu"),
            task=task,
        )
    assert torch.get_num_threads() == before


def test_threads_are_as_before_after_single_threaded_work() -> None:
    before = torch.get_num_threads()
    with single_threaded():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_quiet_libraries_speak_again_afterwards() -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with quiet_libraries():
        assert logging.get_verbosity() == logging.ERROR
        assert not logging.is_progress_bar_enabled()
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_precision_is_one_of_two() -> None:
    assert compute_dtype(torch.device("cpu")) in (torch.bfloat16, torch.float32)
