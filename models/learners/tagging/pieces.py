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
        end: (m,) the token after its last, above `place`.
        text: (windows,) which text each is of.
    """

    ids: list[NDArray[np.int32]]
    window: NDArray[np.int64]
    place: NDArray[np.int64]
    end: NDArray[np.int64]
    text: NDArray[np.int64]

    def means(self, rows: Sequence[int], states: NDArray[np.float32]) -> NDArray[np.float32]:
        """(words of these windows, d) the mean over the tokens of each word, in order.

        Args:
            rows: b windows.
            states: (b, longest, d) of their tokens.
        """
        parts = [self.part(row) for row in rows]
        row_of = np.repeat(np.arange(len(parts)), [part.stop - part.start for part in parts])
        place = np.concatenate([self.place[part] for part in parts])
        end = np.concatenate([self.end[part] for part in parts])
        sums = np.zeros((states.shape[0], states.shape[1] + 1, states.shape[2]), dtype=np.float32)
        np.cumsum(states, axis=1, out=sums[:, 1:])
        total = sums[row_of, end] - sums[row_of, place]
        return np.asarray(total / (end - place)[:, None], dtype=np.float32)

    def part(self, row: int) -> slice:
        """Which words are read in a window."""
        first, last = np.searchsorted(self.window, [row, row + 1])
        return slice(int(first), int(last))


def windows_of(tokenizer: Any, texts: Sequence[str], words: Sequence[Sequence[Range]]) -> Windows:
    """Windows of each text, one at least, and where they read its words.

    A word is read at its pieces; one that the tokeniser drops, at the piece after it.
    """
    limit = min(MAX_TOKENS, int(tokenizer.model_max_length))
    before, after = _frame(tokenizer)
    room = limit - len(before) - len(after)
    ids = list[NDArray[np.int32]]()
    window, place, end = (list[NDArray[np.int64]]() for _ in range(3))
    text = list[int]()
    for row, (pieces, edges) in enumerate(_pieces(tokenizer, texts)):
        ranges = np.array(words[row], dtype=np.int64).reshape(-1, 2)
        at = np.searchsorted(edges[:, 1], ranges[:, 0], side="right")
        at = np.minimum(at, max(len(pieces) - 1, 0))
        after_it = np.maximum(np.searchsorted(edges[:, 0], ranges[:, 1], side="left"), at + 1)
        which, begins = _cut(len(pieces), room, at)
        window.append(which + len(ids))
        place.append(at - begins[which] + len(before))
        end.append(np.minimum(after_it - begins[which], room) + len(before))
        for begin in begins.tolist():
            ids.append(np.concatenate([before, pieces[begin : begin + room], after]))
            text.append(row)
    nothing = [np.empty(0, dtype=np.int64)]
    return Windows(
        ids,
        np.concatenate(window or nothing),
        np.concatenate(place or nothing),
        np.concatenate(end or nothing),
        np.array(text, dtype=np.int64),
    )


def _pieces(
    tokenizer: Any, texts: Sequence[str]
) -> list[tuple[NDArray[np.int32], NDArray[np.int64]]]:
    """Ids of each text without special tokens, and where each piece begins and ends, (p, 2)."""
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
            np.maximum.accumulate(np.array(offsets, dtype=np.int64).reshape(-1, 2), axis=0),
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
