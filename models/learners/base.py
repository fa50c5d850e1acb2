"""What every learner takes, gives and leaves on disk; see `Learner`.

A learner sees texts and their vectors, never the pool or its ids. It knows all labels of the
task from the start, and gives each of them a probability, labelled examples or none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...store.errors import OperatorError, UserError
from ..compute import SILENT
from ..progress import Progress
from .states import HiddenStates

CARD_NAME = "labelwright.json"
CARD_VERSION = 1
# What a row of float32 probabilities may lose in its sum.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a learner may look at, rows aligned.

    Args:
        texts: n texts; any may be empty.
        vectors: (n, dim) float32 vectors of the texts by the learner's encoder, rows of norm 1;
            `None` lets a learner that needs them make them.
        hidden: keeps what a transformer's frozen layers make of these rows, for the learners
            that have such layers; `None` lets them compute it each time.
    """

    texts: Sequence[str]
    vectors: NDArray[np.float32] | None
    hidden: HiddenStates | None = None

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class Training:
    """Labelled rows.

    Args:
        inputs: n rows.
        labels: (n,) each the index of a label; or (n, C) float32 targets in [0, 1], soft labels:
            for one label an item each row sums to 1, for several (`Learner.multi_label`) each
            value is the probability that the item has that label.
        weights: (n,) how much each row counts, above 0; 1 is one sure example.
    """

    inputs: Inputs
    labels: NDArray[np.int64] | NDArray[np.float32]
    weights: NDArray[np.float32]

    def targets(self, classes: int) -> NDArray[np.float32]:
        """The labels as targets (n, C); an index becomes a row with a single 1."""
        if self.labels.ndim == 2:
            return self.labels.astype(np.float32, copy=False)
        rows = np.zeros((len(self.labels), classes), dtype=np.float32)
        rows[np.arange(len(rows)), self.labels.astype(np.int64)] = 1.0
        return rows


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a fit cost.

    Args:
        seconds: wall-clock time.
        steps: gradient steps or solver iterations; 0 where nothing was optimised.
        loss: mean training loss at the end, `None` where there is none.
        notes: what a person should know about how this model was made.
    """

    seconds: float
    steps: int
    loss: float | None
    notes: tuple[str, ...]


class Learner(Protocol):
    """A classifier that is trained again and again as labels come in."""

    @property
    def name(self) -> str:
        """The name it is registered by."""

    @property
    def multi_label(self) -> bool:
        """Whether an item may have several labels, or none of them."""

    @property
    def digest(self) -> str:
        """16 hex digits over the fitted weights; `UserError` before `fit`."""

    def fit(self, training: Training, *, seed: int, progress: Progress = SILENT) -> FitReport:
        """Train from the start: nothing of an earlier fit remains.

        The same rows in the same order with the same seed give the same weights.

        Raises:
            UserError: rows that do not fit together, or too few of them.
        """

    def predict_proba(self, inputs: Inputs, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """Probabilities (n, C) of all C labels, also those never seen.

        Rows sum to 1; with `multi_label` each value is in [0, 1] by itself.

        Raises:
            UserError: not fitted yet, or the vectors are of another encoder.
        """

    def embed(self, inputs: Inputs, *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """Vectors (n, d) of norm 1, as the fitted model sees the rows.

        Raises:
            UserError: not fitted yet, or the vectors are of another encoder.
        """

    def sample_proba(
        self, inputs: Inputs, samples: int, *, seed: int, progress: Progress = SILENT
    ) -> NDArray[np.float32]:
        """Probabilities (samples, n, C) by models drawn from what the labels leave open.

        The draw of models is the same for every row and every call with one seed, so that rows
        may be asked for in parts.

        Raises:
            UserError: `samples` below 1, not fitted yet, or vectors of another encoder.
        """

    def save(self, folder: Path) -> None:
        """Write the model and `labelwright.json` into `folder`, made if absent.

        Raises:
            UserError: not fitted yet.
            OperatorError: the folder cannot be written.
        """


def check_training(
    training: Training, classes: int, *, smallest: int = 1, multi_label: bool = False
) -> None:
    """Raise `UserError` if the rows are misaligned, out of range, or fewer than `smallest`."""
    rows = len(training.inputs)
    check_inputs(training.inputs)
    shape = (rows, classes) if training.labels.ndim == 2 else (rows,)
    if training.labels.shape != shape:
        raise UserError(
            f"labels have shape {training.labels.shape!r} for {rows!r} texts and {classes!r} "
            "labels: give one index, or one row of targets, for each text"
        )
    if training.weights.shape != (rows,):
        raise UserError(
            f"weights have shape {training.weights.shape!r} for {rows!r} texts: "
            "give one for each text"
        )
    if rows < smallest:
        raise UserError(
            f"there are {rows!r} labelled items: label at least {smallest!r} before training"
        )
    if training.labels.ndim == 2:
        _check_targets(training.labels, multi_label=multi_label)
    else:
        _check_indices(training.labels, classes, multi_label=multi_label)
    wrong = training.weights[~(np.isfinite(training.weights) & (training.weights > 0))]
    if wrong.size:
        raise UserError(f"weight {float(wrong[0])!r} is not above 0: leave such rows out")


def _check_indices(labels: NDArray[Any], classes: int, *, multi_label: bool) -> None:
    if multi_label:
        raise UserError(
            f"labels have shape {labels.shape!r} for items with several labels each: "
            f"give {classes!r} targets for each text"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"labels are {labels.dtype!r}: give the index of each label")
    strange = labels[(labels < 0) | (labels >= classes)]
    if strange.size:
        raise UserError(f"label index {int(strange[0])!r} is not within 0 to {classes - 1!r}")


def _check_targets(targets: NDArray[Any], *, multi_label: bool) -> None:
    strange = targets[~((targets >= 0) & (targets <= 1))]
    if strange.size:
        raise UserError(f"target {float(strange[0])!r} is not within 0 to 1: give probabilities")
    sums = targets.sum(axis=1)
    off = np.flatnonzero(np.abs(sums - 1) > _SUM_TOLERANCE)
    if off.size and not multi_label:
        raise UserError(
            f"the targets of row {int(off[0])!r} sum to {float(sums[off[0]])!r}: make each row "
            "sum to 1, or use a learner for several labels an item"
        )


def check_inputs(inputs: Inputs) -> None:
    """Raise `UserError` if there are vectors and not one finite vector for each text."""
    vectors = inputs.vectors
    if vectors is None:
        return
    if vectors.ndim != 2 or len(vectors) != len(inputs):
        raise UserError(
            f"vectors have shape {vectors.shape!r} for {len(inputs)!r} texts: "
            "give one row for each text"
        )
    if not np.isfinite(vectors).all():
        raise UserError("vectors hold nan or infinite values: embed the texts again")


def check_labels(label_names: Sequence[str], label_texts: Sequence[str]) -> None:
    """Raise `UserError` unless there are two different labels or more, each with its text."""
    if len(label_names) < 2:
        raise UserError(f"labels {list(label_names)!r} are too few: give at least 2")
    twice = [name for name in label_names if list(label_names).count(name) > 1]
    if twice:
        raise UserError(f"label {twice[0]!r} is given twice: give each label once")
    if len(label_texts) != len(label_names):
        raise UserError(
            f"there are {len(label_texts)!r} label texts for {len(label_names)!r} labels: "
            "give one for each"
        )


def plain_words(label_text: str) -> str:
    """A label as one would say it: `card_arrival` is two words to a model of language."""
    return label_text.replace("_", " ")


def unfitted(name: str) -> UserError:
    """The error for asking an untrained learner for what only a trained one has."""
    return UserError(f"learner {name!r} is not trained yet: call fit first")


def digest_arrays(*arrays: NDArray[Any]) -> str:
    """16 hex digits over shapes, types and values."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.shape}{array.dtype}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def softmax(logits: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Rows of logits to rows that sum to 1, without overflow."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float32] = (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)
    return result


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Weights are written within.

    Raises:
        OperatorError: the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise OperatorError(
            f"the model cannot be saved in {str(folder)!r} ({error}): give a writable folder"
        ) from error


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Make `folder` and write what is needed to load the learner again."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"version": CARD_VERSION, **card}, indent=2, ensure_ascii=False)
        (folder / CARD_NAME).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise OperatorError(
            f"the learner cannot be saved in {str(folder)!r} ({error}): give a writable folder"
        ) from error


def read_card(folder: Path) -> dict[str, Any]:
    """Read the card of a saved learner.

    Raises:
        UserError: there is none, or it is of a newer version or no card at all.
    """
    place = folder / CARD_NAME
    try:
        card = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"no saved learner in {str(folder)!r} ({error}): give the folder that `save` wrote"
        ) from error
    if not isinstance(card, dict) or card.get("version") != CARD_VERSION:
        raise UserError(
            f"{str(place)!r} is not a learner of version {CARD_VERSION!r}: "
            "train it again with this version"
        )
    return card
