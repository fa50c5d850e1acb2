"""What a word looks like, and its neighbours: features of the linear tagger that no encoder gives.

An encoder of lower-cased words does not see capitals. Features are strings such as `0:shape=Xx`,
kept if a training text has them; a word's own are under 0, its neighbours' under their distance.
The words themselves, their beginnings and endings are features only where no vectors say what the
words are: beside vectors they made no clear difference (docs/results/entities.md) and cost time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LONGEST_AFFIX = 3
_REACH = 2
_LONGEST_WORD = 30
_WORD = "0:word="
_RUNS = re.compile(r"(.)\1+")


class WordFeatures:
    """The features met in some texts, each with a column.

    Args:
        names: the features, in the order of their columns.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._lexical = any(name.startswith(_WORD) for name in self.names)
        self._column = {name: place for place, name in enumerate(self.names)}

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]], *, lexical: bool) -> WordFeatures:
        """All features that occur in texts given as words.

        Args:
            texts: the words of each text.
            lexical: whether the words themselves are features, or only what they look like.
        """
        seen: dict[str, None] = {}
        distinct = sorted({word for words in texts for word in words})
        for word in distinct:
            seen.update(dict.fromkeys(f"0:{each}" for each in _own(word, lexical)))
            for distance in _distances():
                seen.update(dict.fromkeys(f"{distance}:{each}" for each in _shown(word, lexical)))
        for distance in _distances():
            seen[f"{distance}:edge"] = None
        return cls(sorted(seen))

    def table(self, texts: Sequence[Sequence[str]]) -> Any:
        """(m, columns) float64 sparse rows of ones, one for each word of the texts in order.

        What a word has is looked up once for each different word.
        """
        from scipy.sparse import csr_matrix

        numbers: dict[str, int] = {}
        each = [[numbers.setdefault(word, len(numbers)) for word in words] for words in texts]
        lengths = np.array([len(words) for words in texts], dtype=np.int64)
        flat = np.array([number for row in each for number in row], dtype=np.int64)
        edge = len(numbers)
        distinct = [*numbers, None]
        rows = ((f"0:{f}" for f in _own(word, self._lexical)) for word in distinct)
        table = self._looked_up(rows)[flat]
        for distance in _distances():
            near = _shifted(flat, lengths, distance, edge)
            table = table + self._looked_up(self._near(distance, distinct))[near]
        return csr_matrix(table)

    def _near(self, distance: int, words: list[str | None]) -> Iterator[Iterator[str]]:
        for word in words:
            yield (f"{distance}:{each}" for each in _shown(word, self._lexical))

    def _looked_up(self, rows: Iterable[Iterable[str]]) -> Any:
        from scipy.sparse import csr_matrix

        columns, starts = list[int](), [0]
        for row in rows:
            known = {self._column[name] for name in row if name in self._column}
            columns.extend(sorted(known))
            starts.append(len(columns))
        shape = len(starts) - 1, len(self.names)
        return csr_matrix((np.ones(len(columns)), columns, starts), shape=shape)


def shape_of(word: str) -> str:
    """`Ab3-X` as `Xx0-X`: the kind of each character, runs of one kind cut to one."""
    kinds = "".join(_kind(char) for char in word[:_LONGEST_WORD])
    return _RUNS.sub(r"\1", kinds)


def _kind(char: str) -> str:
    if char.isalpha():
        return "X" if char.isupper() else "x"
    return "0" if char.isdigit() else char


def _distances() -> Iterator[int]:
    yield from (d for d in range(-_REACH, _REACH + 1) if d)


def _own(word: str | None, lexical: bool) -> Iterator[str]:
    """Features of a word itself; `None` stands outside of the text."""
    if word is None:
        return
    yield f"shape={shape_of(word)}"
    if not lexical:
        return
    small = word[:_LONGEST_WORD].lower()
    yield f"word={small}"
    for size in range(1, min(len(small), _LONGEST_AFFIX + 1)):
        yield f"ends={small[-size:]}"
        yield f"begins={small[:size]}"


def _shown(word: str | None, lexical: bool) -> Iterator[str]:
    """Features of a word that its neighbours see."""
    if word is None:
        yield "edge"
        return
    yield f"shape={shape_of(word)}"
    if lexical:
        yield f"word={word[:_LONGEST_WORD].lower()}"


def _shifted(
    flat: NDArray[np.int64], lengths: NDArray[np.int64], distance: int, edge: int
) -> NDArray[np.int64]:
    """The number of the word `distance` away within the same text, or `edge`."""
    text = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(flat)) + distance
    inside = (place >= 0) & (place < len(flat))
    near = np.where(inside, place, 0)
    same = inside & (text[near] == text) if len(flat) else inside
    return np.where(same, flat[near], edge) if len(flat) else flat
