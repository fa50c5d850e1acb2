"""The forms that answers take: one label an item, a set of them, or marked parts of the text.

Whatever reads probabilities, compares answers or writes labels asks the form, so that a tool is
written once. With one label an answer is an index; with several it is a row of zeros and ones,
one for each label of the task, all zeros being an answer too; marked parts are one string, and
their form is in `entity_form`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from ..store.label_sets import decode, encode
from ..store.label_sets import shown as shown_set
from ..store.spec import TaskSpec
from .calibration import Calibrator, Temperature, fit_temperature
from .certificate import Interval
from .entity_form import MarkedParts
from .set_calibration import SetCalibration, SetConfidence, fit_sets
from .set_quality import set_measures
from .stopping import cohen_kappa

Answers = NDArray[Any]
"""Label indices (n,), zeros and ones (n, C), or strings of marked parts (n,)."""


class LabelForm(Protocol):
    """How answers are written, compared and measured."""

    @property
    def several(self) -> bool:
        """Whether each label is a question by itself: an item may have several, or none."""

    def read(self, labels: Sequence[str]) -> Answers:
        """Stored labels as answers.

        Raises:
            UserError: a label that is none of the task's.
        """

    def written(self, answers: Answers) -> list[str]:
        """Answers as they are stored."""

    def shown(self, label: str) -> str:
        """A stored label in words."""

    def same(self, left: Answers, right: Answers) -> NDArray[np.bool_]:
        """(n,) where two rows of answers are the same, as a whole."""

    def kappa(self, left: Answers, right: Answers) -> float:
        """Agreement of two rows of answers beyond chance."""

    def counts(self, answers: Answers) -> NDArray[np.int64]:
        """(C,) how many of the answers have each label."""

    def loss(self, machine: Answers, truth: Answers) -> NDArray[np.float64] | None:
        """(n,) how wrong each answer is, from 0 to 1; `None` where it is right or wrong."""

    def compared(self, answers: Answers) -> NDArray[np.int64]:
        """The labels of answers for those who compare them: indices (n,), or 0 and 1 (n, C)."""

    def keys(self, answers: Answers) -> NDArray[np.int64]:
        """Whole numbers for the answers, (n,) or (n, k), equal exactly where those are the same."""

    def packed(self, answers: Answers) -> NDArray[Any]:
        """The answers as an array that a file of numbers can hold."""

    def unpacked(self, stored: NDArray[Any]) -> Answers:
        """What `packed` was given."""

    def measures(
        self, answers: Answers, truth: Answers, *, level: float, seed: int
    ) -> dict[str, Interval]:
        """What is measured within the answers of n >= 1 gold items, with bootstrap intervals."""


class ProbabilityForm(LabelForm, Protocol):
    """A form whose answers follow from the probabilities of the labels."""

    def predicted(self, probabilities: NDArray[np.float32]) -> Answers:
        """The answers that probabilities (n, C) amount to."""

    def certainty(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n,) how probable those answers are by (n, C) themselves, in [0, 1]."""

    def fit_calibration(
        self, probabilities: NDArray[np.float32], truth: Answers
    ) -> tuple[Calibrator, dict[str, Any]]:
        """A calibration fitted on gold, and its fields of the `model` artefact."""

    def calibration(self, model: dict[str, Any]) -> Calibrator | None:
        """The calibration that a `model` artefact holds; `None` where it has none."""

    def set_confidence(self, model: dict[str, Any]) -> SetConfidence | None:
        """How a set's confidence follows from calibrated probabilities; `None` for one label."""


class _Numbers:
    """What holds for all answers that are numbers: they are compared and kept as they are."""

    __slots__ = ()

    def compared(self, answers: Answers) -> NDArray[np.int64]:
        """See `LabelForm.compared`."""
        return answers

    def keys(self, answers: Answers) -> NDArray[np.int64]:
        """See `LabelForm.keys`."""
        return answers

    def packed(self, answers: Answers) -> NDArray[Any]:
        """See `LabelForm.packed`."""
        return answers

    def unpacked(self, stored: NDArray[Any]) -> Answers:
        """See `LabelForm.unpacked`."""
        return stored


@dataclass(frozen=True, slots=True)
class OneLabel(_Numbers):
    """Exactly one label an item."""

    names: tuple[str, ...]
    several: bool = False

    def read(self, labels: Sequence[str]) -> Answers:
        """See `LabelForm.read`."""
        place = {name: index for index, name in enumerate(self.names)}
        return np.array([place[label] for label in labels], dtype=np.int64)

    def written(self, answers: Answers) -> list[str]:
        """See `LabelForm.written`."""
        return [self.names[index] for index in answers.tolist()]

    def shown(self, label: str) -> str:
        """See `LabelForm.shown`."""
        return label

    def predicted(self, probabilities: NDArray[np.float32]) -> Answers:
        """The most probable label of each row."""
        return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)

    def certainty(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """The highest probability of each row."""
        return np.asarray(probabilities.max(axis=1), dtype=np.float32)

    def same(self, left: Answers, right: Answers) -> NDArray[np.bool_]:
        """See `LabelForm.same`."""
        return np.asarray(left == right, dtype=bool)

    def kappa(self, left: Answers, right: Answers) -> float:
        """See `LabelForm.kappa`."""
        return cohen_kappa(left, right, len(self.names))

    def counts(self, answers: Answers) -> NDArray[np.int64]:
        """See `LabelForm.counts`."""
        return np.asarray(np.bincount(answers, minlength=len(self.names)), dtype=np.int64)

    def loss(self, machine: Answers, truth: Answers) -> None:
        """See `LabelForm.loss`."""
        return

    def measures(
        self, answers: Answers, truth: Answers, *, level: float, seed: int
    ) -> dict[str, Interval]:
        """Nothing more than whether the labels are right; see `LabelForm.measures`."""
        return {}

    def fit_calibration(
        self, probabilities: NDArray[np.float32], truth: Answers
    ) -> tuple[Calibrator, dict[str, Any]]:
        """One temperature; see `LabelForm.fit_calibration`."""
        fitted = fit_temperature(probabilities, truth)
        return fitted, {"temperature": fitted.temperature, "gold": fitted.n}

    def calibration(self, model: dict[str, Any]) -> Calibrator | None:
        """See `LabelForm.calibration`."""
        if model["temperature"] is None:
            return None
        return Temperature(float(model["temperature"]), int(model["gold"]))

    def set_confidence(self, model: dict[str, Any]) -> SetConfidence | None:
        """None: the confidence is the highest probability."""
        return None


@dataclass(frozen=True, slots=True)
class SeveralLabels(_Numbers):
    """Any number of labels an item, none included."""

    names: tuple[str, ...]
    several: bool = True

    def read(self, labels: Sequence[str]) -> Answers:
        """See `LabelForm.read`."""
        place = {name: index for index, name in enumerate(self.names)}
        answers = np.zeros((len(labels), len(self.names)), dtype=np.int64)
        for row, label in enumerate(labels):
            answers[row, [place[name] for name in decode(label)]] = 1
        return answers

    def written(self, answers: Answers) -> list[str]:
        """See `LabelForm.written`; each different set is written once."""
        # Packed to bits, a row is one short value, which sorts many times faster than a row.
        packed = np.ascontiguousarray(np.packbits(answers.astype(bool), axis=1))
        keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        sets = answers[first]
        texts = [
            encode([name for name, has in zip(self.names, row, strict=True) if has], self.names)
            for row in sets
        ]
        return [texts[place] for place in np.ravel(which).tolist()]

    def shown(self, label: str) -> str:
        """See `LabelForm.shown`."""
        return shown_set(label)

    def predicted(self, probabilities: NDArray[np.float32]) -> Answers:
        """The labels of each row whose probability is a half or more."""
        return np.asarray(probabilities >= np.float32(0.5), dtype=np.int64)

    def certainty(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """The product over the labels of max(p, 1 - p)."""
        return SetConfidence().of(probabilities)

    def same(self, left: Answers, right: Answers) -> NDArray[np.bool_]:
        """See `LabelForm.same`."""
        return np.asarray((left == right).all(axis=1), dtype=bool)

    def kappa(self, left: Answers, right: Answers) -> float:
        """Cohen's kappa over all yes-or-no decisions, one for each item and label."""
        return cohen_kappa(left.ravel(), right.ravel(), 2)

    def counts(self, answers: Answers) -> NDArray[np.int64]:
        """See `LabelForm.counts`."""
        return np.asarray(answers.sum(axis=0), dtype=np.int64)

    def loss(self, machine: Answers, truth: Answers) -> NDArray[np.float64]:
        """Share of the labels that are wrong (Hamming loss); see `LabelForm.loss`."""
        return np.asarray((machine != truth).mean(axis=1), dtype=np.float64)

    def measures(
        self, answers: Answers, truth: Answers, *, level: float, seed: int
    ) -> dict[str, Interval]:
        """F1 and single decisions; see `set_quality.set_measures`."""
        return set_measures(answers, truth, level=level, seed=seed)

    def fit_calibration(
        self, probabilities: NDArray[np.float32], truth: Answers
    ) -> tuple[Calibrator, dict[str, Any]]:
        """A temperature and a threshold for each label, and the power of the set."""
        fitted = fit_sets(probabilities, truth)
        mean = float(np.exp(np.mean(np.log(fitted.temperatures))))
        return fitted, {
            "temperature": mean,
            "temperatures": list(fitted.temperatures),
            "shifts": list(fitted.shifts),
            "thresholds": list(fitted.thresholds),
            "power": fitted.sets.power,
            "gold": fitted.n,
        }

    def calibration(self, model: dict[str, Any]) -> Calibrator | None:
        """See `LabelForm.calibration`."""
        if model["temperature"] is None:
            return None
        return SetCalibration(
            tuple(model["temperatures"]), tuple(model["shifts"]), self.set_confidence(model)
        )

    def set_confidence(self, model: dict[str, Any]) -> SetConfidence:
        """See `LabelForm.set_confidence`."""
        if model["temperature"] is None:
            return SetConfidence()
        return SetConfidence(float(model["power"]), int(model["gold"]))


def form_of(spec: TaskSpec) -> LabelForm:
    """The form of the answers to a task."""
    return MarkedParts(tuple(spec.label_names)) if spec.marked else probability_form(spec)


def probability_form(spec: TaskSpec) -> ProbabilityForm:
    """The form of the answers to a task whose answers follow from probabilities of labels.

    Raises:
        UserError: the task is to mark parts of texts.
    """
    if spec.marked:
        raise UserError("the task is to mark entities: their answers are no labels of whole items")
    names = tuple(spec.label_names)
    return SeveralLabels(names) if spec.several else OneLabel(names)
