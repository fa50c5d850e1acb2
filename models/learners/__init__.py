"""Learners: the models being trained, found by name. To add one, write its file and register it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from ...store.errors import UserError
from ..encoders import Encoder
from .base import FitReport, Inputs, Learner, Training, read_card

__all__ = [
    "LEARNERS",
    "FitReport",
    "Inputs",
    "Learner",
    "Training",
    "load_learner",
    "make_learner",
]

# Name to (module, class): a learner's module, and what it needs, is imported when it is used.
LEARNERS: dict[str, tuple[str, str]] = {
    "linear": (".linear", "LinearLearner"),
    "svm": (".svm", "SvmLearner"),
    "bert": (".bert", "BertLearner"),
    "setfit": (".setfit", "SetFitLearner"),
}


def make_learner(
    name: str,
    *,
    label_names: list[str],
    label_texts: list[str],
    encoder: Encoder,
    multi_label: bool = False,
) -> Learner:
    """A learner that is yet to be trained.

    Args:
        name: a key of `LEARNERS`.
        label_names: C >= 2 different names; a label's index everywhere is its place here.
        label_texts: C texts, each the label's name or `name: definition`.
        encoder: makes vectors where none are given; `bert` and `setfit` fine-tune its
            transformer.
        multi_label: an item may have several labels, or none.

    Raises:
        UserError: unknown name, too few or repeated labels.
    """
    make: Callable[..., Learner] = _class_of(name)
    return make(
        label_names=label_names,
        label_texts=label_texts,
        encoder=encoder,
        multi_label=multi_label,
    )


def load_learner(folder: Path, *, encoder: Encoder | None = None) -> Learner:
    """Load a saved learner. Loads pickles: only from folders you trust.

    Args:
        folder: what `Learner.save` wrote.
        encoder: the encoder it was trained with; `None` if inputs will come with vectors.

    Raises:
        UserError: there is no learner, or it was trained with another encoder.
    """
    card = read_card(folder)
    return cast(Learner, _class_of(str(card.get("learner"))).load(folder, card, encoder))


def _class_of(name: str) -> Any:
    if name not in LEARNERS:
        raise UserError(f"unknown learner {name!r}: choose one of {', '.join(LEARNERS)}")
    module, attribute = LEARNERS[name]
    return getattr(import_module(module, __package__), attribute)
