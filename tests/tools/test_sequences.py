"""Doubt of sequences from that of tokens: the same as one sequence at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.sequences import mnlp, token_max, token_mean, token_sum
from numpy.typing import NDArray

PLAIN: dict[str, tuple[Callable[..., NDArray[np.float32]], Callable[[list[float]], float]]] = {
    "mean": (token_mean, lambda tokens: math.fsum(tokens) / len(tokens)),
    "sum": (token_sum, math.fsum),
    "max": (token_max, max),
}

ragged = st.lists(st.lists(st.floats(0, 1, width=32), max_size=6), max_size=12)


def flat(sequences: list[list[float]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    lengths = [len(each) for each in sequences]
    values = np.array([token for each in sequences for token in each], dtype=np.float32)
    return values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


@pytest.mark.parametrize("name", sorted(PLAIN))
@settings(deadline=None)
@given(sequences=ragged)
def test_is_that_of_each_sequence_by_itself(name: str, sequences: list[list[float]]) -> None:
    reduce, plain = PLAIN[name]
    expected = [plain(each) if each else 0.0 for each in sequences]
    found = reduce(*flat(sequences))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_mnlp_is_one_less_the_geometric_mean() -> None:
    values, offsets = flat([[0.5, 0.125], [], [1.0, 1.0, 1.0], [0.9]])
    np.testing.assert_allclose(mnlp(np.log(values), offsets), [0.75, 0.0, 0.0, 0.1], atol=1e-6)


def test_mnlp_does_not_prefer_long_sequences_as_the_sum_does() -> None:
    short, long = [0.5] * 2, [0.8] * 20
    logs, offsets = flat([[math.log(p) for p in each] for each in (short, long)])
    assert np.argmax(mnlp(logs, offsets)) == 0
    assert np.argmax(token_sum(-logs, offsets)) == 1


def test_empty_sequences_at_the_ends() -> None:
    values, offsets = flat([[], [0.2, 0.4], [], []])
    assert token_max(values, offsets).tolist() == pytest.approx([0.0, 0.4, 0.0, 0.0])


@pytest.mark.parametrize(
    ("values", "offsets", "words"),
    [
        ([0.1, 0.2], [0, 1], "for 2 tokens"),
        ([0.1, 0.2], [1, 2], "must start at 0"),
        ([0.1, 0.2], [0, 2, 1, 2], "never fall"),
        ([0.1, 0.2], [], "one offset for each sequence"),
        ([[0.1, 0.2]], [0, 2], "one number for each token"),
    ],
)
@pytest.mark.parametrize("reduce", [token_mean, token_sum, token_max])
def test_refuses_offsets_that_do_not_fit(
    reduce: Callable[..., NDArray[np.float32]], values: object, offsets: object, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        reduce(np.array(values, dtype=np.float32), np.array(offsets, dtype=np.int64))


@pytest.mark.parametrize("bad", [0.5, float("nan")])
def test_mnlp_refuses_what_is_no_log_probability(bad: float) -> None:
    with pytest.raises(UserError, match=r"log_p\[1\] is"):
        mnlp(np.array([-1.0, bad], dtype=np.float32), np.array([0, 2]))
