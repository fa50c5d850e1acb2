"""From words to what a transformer reads, and back: pieces, windows, and where each word is read.

A text longer than the transformer's limit is read in windows that overlap, so that nothing is cut
off; each word is read in the window where it has most around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....store.spans import Range
from ...compute import MAX_TOKENS, encodable, quiet_libraries

# The part of a window that its neighbours repeat.
_OVERLAP = 0.25


@dataclass(frozen=True, slots=True)
class Windows:
    """What is read of n texts with m words.

    Args:
        ids: token ids of each window, special ones included; windows of a text one after another.
        window: (m,) in which window each word is read.
        place: (m,) at which token of it the word begins.
        text: (windows,) which text each is of.
    """

    ids: list[NDArray[np.int32]]
    window: NDArray[np.int64]
    place: NDArray[np.int64]
    text: NDArray[np.int64]


def windows_of(tokenizer: Any, texts: Sequence[str], words: Sequence[Sequence[Range]]) -> Windows:
    """Windows of each text, one at least, and where they read its words.

    A word is read at its first piece; one that the tokeniser drops, at the piece after it.
    """
    limit = min(MAX_TOKENS, int(tokenizer.model_max_length))
    before, after = _frame(tokenizer)
    room = limit - len(before) - len(after)
    ids = list[NDArray[np.int32]]()
    window, place, text = list[NDArray[np.int64]](), list[NDArray[np.int64]](), list[int]()
    for row, (pieces, ends) in enumerate(_pieces(tokenizer, texts)):
        starts = np.array([start for start, _ in words[row]], dtype=np.int64)
        at = np.minimum(np.searchsorted(ends, starts, side="right"), max(len(pieces) - 1, 0))
        which, begins = _cut(len(pieces), room, at)
        window.append(which + len(ids))
        place.append(at - begins[which] + len(before))
        for begin in begins.tolist():
            ids.append(np.concatenate([before, pieces[begin : begin + room], after]))
            text.append(row)
    nothing = [np.empty(0, dtype=np.int64)]
    return Windows(
        ids,
        np.concatenate(window or nothing),
        np.concatenate(place or nothing),
        np.array(text, dtype=np.int64),
    )


def _pieces(
    tokenizer: Any, texts: Sequence[str]
) -> list[tuple[NDArray[np.int32], NDArray[np.int64]]]:
    """Ids of each text without special tokens, and the character where each piece ends."""
    if not len(texts):
        return []
    with quiet_libraries():
        found = tokenizer(
            [encodable(text) for text in texts],
            add_special_tokens=False,
            truncation=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
    return [
        (
            np.array(ids, dtype=np.int32),
            np.maximum.accumulate(np.array([end for _, end in offsets], dtype=np.int64)),
        )
        for ids, offsets in zip(found["input_ids"], found["offset_mapping"], strict=True)
    ]


def _frame(tokenizer: Any) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The special tokens before and after a text."""
    special = np.array(tokenizer("")["input_ids"], dtype=np.int32)
    return special[:1], special[1:]


def _cut(
    pieces: int, room: int, at: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The window that each piece of `at` is read in, and where each window begins."""
    if pieces <= room:
        return np.zeros(len(at), dtype=np.int64), np.zeros(1, dtype=np.int64)
    overlap = int(room * _OVERLAP)
    step = room - overlap
    begins = np.arange(0, pieces - overlap, step, dtype=np.int64)
    which = np.clip((at - overlap // 2) // step, 0, len(begins) - 1)
    return which, begins
