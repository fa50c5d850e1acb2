"""Hidden states of a pool: each batch computed once, whole, whatever rows are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from labelwright.models.progress import NoProgress
from labelwright.store.pool import Pool
from labelwright.tools.hidden import PoolHidden
from numpy.typing import NDArray

DIM = 4
TEXTS = [" ".join(["word"] * (1 + number % 90)) + f" {number}" for number in range(200)]
# Row 150 has the text of row 3.
TEXTS[150] = TEXTS[3]
ROWS = np.array([3, 150, 7, 199])


class Letters:
    """Layers whose states are letters and, like those of real ones, depend on the batch."""

    dim = DIM
    device = torch.device("cpu")

    def __init__(self, key: str = "letters", fails_after: int = 10_000) -> None:
        self.key = key
        self.batches = 0
        self.texts = 0
        self._left = fails_after

    def tokenise(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        self.texts += len(texts)
        return [np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32) for text in texts]

    def states(self, tokens: Sequence[NDArray[np.int32]]) -> list[NDArray[np.uint16]]:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        self.batches += 1
        batch = len(tokens) + sum(int(row.sum()) for row in tokens) % 1000
        return [np.outer(row, [1, 2, 3, batch]).astype(np.uint16) for row in tokens]


def project(folder: Path) -> Pool:
    folder.mkdir(exist_ok=True)
    ids = pa.array([str(row) for row in range(len(TEXTS))])
    Pool.write(folder, ids, pa.array(TEXTS), None)
    pool = Pool(folder)
    groups = np.arange(len(TEXTS))
    groups[150] = 3
    pool.write_groups(groups)
    return pool


def kept(folder: Path, **options: int) -> PoolHidden:
    return PoolHidden(folder, project(folder), NoProgress(), **options)


def read(hidden: PoolHidden, layers: Letters, rows: NDArray[np.int64]) -> list[list[list[int]]]:
    states = hidden.of(rows).open(layers)
    assert states is not None
    found = states.get(np.arange(len(rows)))
    assert [len(each) for each in found] == states.lengths.tolist()
    return [each.tolist() for each in found]


def test_states_are_those_of_the_rows_and_copies_share_them(tmp_path: Path) -> None:
    found = read(kept(tmp_path), Letters(), ROWS)
    for row, states in zip(ROWS, found, strict=True):
        assert [token[0] for token in states] == list(TEXTS[row].encode())
    assert found[0] == found[1]


def test_nothing_is_computed_twice(tmp_path: Path) -> None:
    layers, everything = Letters(), np.arange(len(TEXTS))
    hidden = kept(tmp_path)
    read(hidden, layers, ROWS)
    few = layers.batches
    read(hidden, layers, everything)
    most = layers.batches
    assert 0 < few < most
    read(hidden, layers, everything)
    read(kept(tmp_path), layers, everything)
    assert layers.batches == most
    assert layers.texts == len(TEXTS) - 1


def test_what_is_asked_for_first_changes_no_number(tmp_path: Path) -> None:
    everything = np.arange(len(TEXTS))
    at_once = read(kept(tmp_path / "a"), Letters(), everything)
    hidden = kept(tmp_path / "b")
    for row in (199, 3, 77):
        read(hidden, Letters(), np.array([row]))
    assert read(hidden, Letters(), everything) == at_once


@pytest.mark.parametrize("moment", [0, 1, 5])
def test_a_stopped_fill_ends_with_the_same_numbers(tmp_path: Path, moment: int) -> None:
    everything = np.arange(len(TEXTS))
    calm = read(kept(tmp_path / "calm"), Letters(), everything)
    with pytest.raises(KeyboardInterrupt):
        read(kept(tmp_path / "killed"), Letters(fails_after=moment), everything)
    assert read(kept(tmp_path / "killed"), Letters(), everything) == calm


def test_other_layers_have_states_of_their_own(tmp_path: Path) -> None:
    hidden, other = kept(tmp_path), Letters("other")
    read(hidden, Letters(), ROWS)
    read(hidden, other, ROWS)
    assert other.batches > 0


def test_beyond_the_budget_nothing_is_kept(tmp_path: Path) -> None:
    needed = 2 * DIM * sum(len(text) for row, text in enumerate(TEXTS) if row != 150)
    assert kept(tmp_path, budget=needed).of(ROWS).open(Letters()) is not None
    small = tmp_path / "small"
    hidden, layers = kept(small, budget=needed - 1), Letters()
    assert hidden.of(ROWS).open(layers) is None
    assert hidden.of(ROWS).open(layers) is None
    assert layers.texts == len(TEXTS) - 1, "tokenised again to learn the same"
    assert not (small / "embeddings").exists()
