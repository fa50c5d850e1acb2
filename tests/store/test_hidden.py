"""Hidden states on disk: whole blocks, filled once, never zeros in their place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labelwright.store.errors import OperatorError
from labelwright.store.hidden import Hidden, read_tokens, write_tokens
from numpy.typing import NDArray

LENGTHS = np.array([2, 1, 4, 3, 1], dtype=np.int64)
BLOCKS = [np.array([2]), np.array([3, 0]), np.array([4, 1])]
ALL = np.arange(5)


def opened(folder: Path, key: str = "abc") -> Hidden:
    return Hidden(folder, key, LENGTHS, BLOCKS, 3)


def states(item: int) -> NDArray[np.uint16]:
    return np.random.default_rng(item).integers(1, 60_000, (LENGTHS[item], 3)).astype(np.uint16)


def fill(hidden: Hidden, *blocks: int) -> None:
    for block in blocks:
        hidden.put(block, [states(item) for item in BLOCKS[block]])


def test_what_was_put_is_what_is_got(tmp_path: Path) -> None:
    hidden = opened(tmp_path)
    fill(hidden, 1, 0, 2)
    for item, found in zip([4, 0, 2], hidden.get(np.array([4, 0, 2])), strict=True):
        assert np.array_equal(found, states(item))


def test_a_stopped_fill_goes_on_with_the_blocks_that_lack(tmp_path: Path) -> None:
    fill(opened(tmp_path), 1)
    again = opened(tmp_path)
    assert again.missing(ALL).tolist() == [0, 2]
    assert again.missing(np.array([0, 3])).tolist() == []
    assert np.array_equal(again.get(np.array([3]))[0], states(3))


def test_an_item_without_states_is_not_given_as_zeros(tmp_path: Path) -> None:
    hidden = opened(tmp_path)
    fill(hidden, 0)
    with pytest.raises(ValueError, match="2 blocks have no hidden states"):
        hidden.get(ALL)


def test_models_do_not_share_states(tmp_path: Path) -> None:
    fill(opened(tmp_path), 0, 1, 2)
    assert len(opened(tmp_path, "other").missing(ALL)) == 3


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_lost_states_do_not_count_as_done(tmp_path: Path, damage: str) -> None:
    fill(opened(tmp_path), 0, 1, 2)
    file = tmp_path / "embeddings" / "abc.hidden"
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:7])
    assert len(opened(tmp_path).missing(ALL)) == 3


def test_tokens_come_back(tmp_path: Path) -> None:
    assert read_tokens(tmp_path, "abc") is None
    write_tokens(tmp_path, "abc", np.arange(11, dtype=np.int32), LENGTHS)
    found = read_tokens(tmp_path, "abc")
    assert found is not None
    assert found[0].tolist() == list(range(11))
    assert found[1].tolist() == LENGTHS.tolist()
    assert read_tokens(tmp_path, "other") is None


def test_a_folder_that_cannot_be_made_is_an_operators_error(tmp_path: Path) -> None:
    (tmp_path / "embeddings").write_text("in the way")
    with pytest.raises(OperatorError, match="opening the hidden states"):
        opened(tmp_path)
    with pytest.raises(OperatorError, match="opening the hidden states"):
        write_tokens(tmp_path, "abc", np.arange(11, dtype=np.int32), LENGTHS)
