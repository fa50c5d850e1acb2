"""The data sets of the learning curves: one pool and one fixed test set each, and their vectors.

Nothing is downloaded: the files are read from a folder that the user gives, and are CSV with the
columns `text` and `label`. What a learning curve needs from an encoder is computed once for each
data set and kept on disk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..models.compute import SILENT
from ..models.encoders import Encoder
from ..models.learners import Inputs
from ..models.progress import Progress
from ..store.errors import OperatorError, UserError
from ..store.pool import GROUPS, Pool
from ..tools.hidden import PoolHidden

_TEST_SHARE = 0.2
_SPLIT_SEED = 0


@dataclass(frozen=True, slots=True)
class Source:
    """Where a data set lies; without `test` a fifth is held out, always the same fifth."""

    title: str
    train: str
    test: str | None


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "ag_news": Source("AG News", "ag_news/train_human_noisy.csv", "ag_news/test.csv"),
        "trec": Source("TREC", "trec/train.csv", "trec/test.csv"),
        "mr": Source("MR", "mr/all.csv", None),
        "sst2": Source("SST-2", "sst2/train.csv", "sst2/test.csv"),
        "banking77": Source("Banking77", "banking77/train.csv", "banking77/test.csv"),
    }
)


@dataclass(frozen=True, slots=True)
class Texts:
    """A data set: n texts, each once, with the index of its gold label.

    `labels` (n,) index `names`; the first `pool` texts are the pool, the others the test set.
    """

    name: str
    texts: tuple[str, ...]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    pool: int


@dataclass(frozen=True, slots=True)
class Part:
    """n rows of a data set: texts, their unit vectors (n, d) and gold labels (n,).

    The first of them is row `first` of the data set; `hidden` keeps what a transformer's frozen
    layers make of the data set's rows, for the learners that have such layers.
    """

    texts: tuple[str, ...]
    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]
    first: int = 0
    hidden: PoolHidden | None = None

    def inputs(self, rows: NDArray[np.int64]) -> Inputs:
        """Some of the rows as a learner takes them."""
        kept = None if self.hidden is None else self.hidden.of(self.first + rows)
        return Inputs([self.texts[row] for row in rows], self.vectors[rows], kept)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class Split:
    """What one curve is drawn on: the pool that labels are bought from, and the test set.

    `label_vectors` (C, d) are unit vectors of the label names.
    """

    pool: Part
    test: Part
    names: tuple[str, ...]
    label_vectors: NDArray[np.float32]


class KnownVectors:
    """An `Encoder` that holds the vectors of all texts it will be asked for.

    So that a process which draws curves does not load an encoder only to embed label names.
    """

    def __init__(
        self, name: str, digest: str, texts: Sequence[str], vectors: NDArray[np.float32]
    ) -> None:
        self.name = name
        self.digest = digest
        self.dim = int(vectors.shape[1])
        self._rows = {text: row for row, text in enumerate(texts)}
        self._vectors = vectors

    def encode(self, texts: Sequence[str], *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """See `Encoder.encode`.

        Raises:
            UserError: a text that was not embedded before.
        """
        strange = [text for text in texts if text not in self._rows]
        if strange:
            raise UserError(f"text {strange[0][:80]!r} has no vector yet: embed it first")
        return np.asarray(self._vectors[[self._rows[text] for text in texts]])


def load_texts(name: str, folder: Path, *, pool: int, test: int) -> Texts:
    """Read a data set.

    A text of the test set is left out of the pool, and a text that stands twice counts once.

    Args:
        name: a key of `SOURCES`.
        folder: the folder below which the files lie.
        pool: at most this many items in the pool, drawn evenly, always the same.
        test: at most this many test items, likewise.

    Raises:
        UserError: no such data set, or a file that is absent or lacks a column.
    """
    if name not in SOURCES:
        raise UserError(f"no data set is called {name!r}: use one of {', '.join(SOURCES)}")
    source = SOURCES[name]
    held = _read(folder / source.test) if source.test else []
    rows = [*held, *_read(folder / source.train)]
    first = {text: place for place, (text, _) in reversed(list(enumerate(rows)))}
    kept = [place for place, (text, _) in enumerate(rows) if first[text] == place]
    names = tuple(sorted({label for _, label in rows}))
    index = {label: number for number, label in enumerate(names)}
    mixed = np.random.default_rng(_SPLIT_SEED).permutation(kept)
    outside = mixed < len(held)
    if not held:
        outside = np.arange(len(mixed)) < round(_TEST_SHARE * len(mixed))
    used = np.concatenate([mixed[~outside][:pool], mixed[outside][:test]])
    return Texts(
        name,
        tuple(rows[place][0] for place in used),
        np.array([index[rows[place][1]] for place in used], dtype=np.int64),
        names,
        min(pool, int((~outside).sum())),
    )


def split(found: Texts, vectors: NDArray[np.float32], hidden: PoolHidden | None = None) -> Split:
    """The pool and the test set of a data set.

    Args:
        found: the data set of n texts and C labels.
        vectors: (n + C, d) of its texts and label names, as `embed` keeps them.
        hidden: see `Part`.
    """
    end = len(found.texts)
    return Split(
        _part(found, vectors, 0, found.pool, hidden),
        _part(found, vectors, found.pool, end, hidden),
        found.names,
        np.asarray(vectors[end : end + len(found.names)]),
    )


def hidden_of(found: Texts, folder: Path) -> PoolHidden:
    """Where the frozen layers' states of a data set are kept, made where it is absent.

    Raises:
        OperatorError: the folder cannot be written.
    """
    key = hashlib.sha256("\0".join(found.texts).encode("utf-8", "replace")).hexdigest()[:16]
    place = folder / f"{found.name}-{key}"
    if not (place / "pool" / GROUPS).exists():
        ids = pa.array([str(row) for row in range(len(found.texts))])
        Pool.write(place, ids, pa.array(found.texts, pa.large_string()), None)
        Pool(place).write_groups(np.arange(len(found.texts), dtype=np.int64))
    return PoolHidden(place, Pool(place), SILENT)


def embed(found: Texts, encoder: Encoder, folder: Path, *, progress: Progress = SILENT) -> Path:
    """The file of the vectors of a data set and of its label names, made where it is absent.

    Args:
        found: the data set.
        encoder: what makes the vectors; its digest and the texts are the key.
        folder: where the vectors are kept; made if absent.
        progress: a bar while texts are embedded.

    Returns:
        An `.npy` file of shape (n + C, d): n texts, then C label names as words.

    Raises:
        OperatorError: the folder cannot be written.
    """
    every = embedded_texts(found)
    key = hashlib.sha256("\0".join([encoder.digest, *every]).encode("utf-8", "replace"))
    place = folder / f"{found.name}-{key.hexdigest()[:16]}.npy"
    if place.exists():
        return place
    vectors = encoder.encode(every, progress=progress)
    # Written aside and renamed: a start that is killed leaves no half file under the name.
    aside = place.with_suffix(f".{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            np.save(file, vectors)
        aside.replace(place)
    except OSError as error:
        raise OperatorError(
            f"vectors cannot be kept in {str(folder)!r} ({error}): give a writable folder"
        ) from error
    return place


def embedded_texts(found: Texts) -> list[str]:
    """The texts whose vectors `embed` keeps, in its order."""
    from ..models.learners.base import plain_words

    return [*found.texts, *(plain_words(name) for name in found.names)]


def _part(
    found: Texts, vectors: NDArray[np.float32], start: int, stop: int, hidden: PoolHidden | None
) -> Part:
    part = slice(start, stop)
    mine = np.asarray(vectors[part])
    return Part(found.texts[part], mine, found.labels[part], start, hidden)


def _read(place: Path) -> list[tuple[str, str]]:
    from pyarrow import csv

    try:
        table = csv.read_csv(
            place,
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                include_columns=["text", "label"],
                column_types={"text": pa.string(), "label": pa.string()},
            ),
        )
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise UserError(
            f"{str(place)!r} cannot be read ({error}): give a data folder that holds it, "
            "with the columns text and label"
        ) from error
    return list(zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True))
