"""From texts and spans to what is learned from, and from scores of tags to answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ....store.spans import Range, Span
from .base import TaggedTexts
from .chain import Scores, Steps, decode
from .words import spans_from, tags_of


def offsets_of(words: Sequence[Sequence[Range]]) -> NDArray[np.int64]:
    """(n + 1,) where the words of each text begin."""
    return np.concatenate([[0], np.cumsum([len(each) for each in words])]).astype(np.int64)


def all_tags(
    spans: Sequence[Sequence[Span]], words: Sequence[Sequence[Range]], names: Sequence[str]
) -> NDArray[np.intp]:
    """(m,) the tags of the words of all texts in order."""
    none = [np.empty(0, dtype=np.intp)]
    each = [tags_of(answer, ranges, names) for answer, ranges in zip(spans, words, strict=True)]
    return np.concatenate(each or none)


def answers_of(
    scores: Scores,
    steps: Steps,
    texts: Sequence[str],
    words: Sequence[Sequence[Range]],
    names: Sequence[str],
) -> TaggedTexts:
    """What scores (m, K) of the words of n texts amount to."""
    offsets = offsets_of(words)
    found = decode(scores, offsets, steps)
    spans = [
        spans_from(found.tags[offsets[row] : offsets[row + 1]], words[row], names, text)
        for row, text in enumerate(texts)
    ]
    tiny = np.finfo(np.float32).tiny
    return TaggedTexts(
        spans,
        np.maximum(np.exp(found.log_p), tiny).astype(np.float32),
        np.clip(found.occurs, 0.0, 1.0).astype(np.float32),
        (-np.expm1(found.log_p / np.maximum(np.diff(offsets), 1))).astype(np.float32),
    )


def joined(parts: Sequence[TaggedTexts], types: int) -> TaggedTexts:
    """Answers to parts of some texts as one."""
    empty = np.empty(0, dtype=np.float32)
    return TaggedTexts(
        [spans for part in parts for spans in part.spans],
        np.concatenate([empty, *(part.confidence for part in parts)]),
        np.concatenate([np.empty((0, types), np.float32), *(part.occurs for part in parts)]),
        np.concatenate([empty, *(part.doubt for part in parts)]),
    )


def never_met(types: Sequence[str], spans: Sequence[Sequence[Span]]) -> tuple[str, ...]:
    """A note that names the types without an example, if there are such."""
    met = {span.type for answer in spans for span in answer}
    missing = [name for name in types if name not in met]
    return (f"no example of {', '.join(missing)}: it will not be marked",) if missing else ()
