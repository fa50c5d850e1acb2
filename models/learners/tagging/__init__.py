"""Taggers: models that mark entities, found by name. To add one, write its file and register it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from ....store.errors import UserError
from ...encoders import Encoder
from ..base import read_card
from .base import TaggedTexts, Tagger

__all__ = ["TAGGERS", "TaggedTexts", "Tagger", "TaggerName", "load_tagger", "make_tagger"]

TaggerName: TypeAlias = Literal["linear", "bert"]
# Name to (module, class): a tagger's module, and what it needs, is imported when it is used.
TAGGERS: dict[str, tuple[str, str]] = {
    "linear": (".linear", "LinearTagger"),
    "bert": (".bert", "BertTagger"),
}


def make_tagger(name: str, *, types: Sequence[str], encoder: Encoder) -> Tagger:
    """A tagger that is yet to be trained.

    Args:
        name: a key of `TAGGERS`.
        types: C >= 1 different names of types; the columns of `TaggedTexts.occurs`.
        encoder: its transformer makes the word vectors of `linear`; `bert` fine-tunes a copy.

    Raises:
        UserError: unknown name, no types or repeated ones.
    """
    make: Callable[..., Tagger] = _class_of(name)
    return make(types=types, encoder=encoder)


def load_tagger(folder: Path, *, encoder: Encoder | None = None) -> Tagger:
    """Load a saved tagger.

    Args:
        folder: what `Tagger.save` wrote.
        encoder: the encoder it was trained with; `None` loads what `linear` needs by the name it
            had, once it is asked for something. `bert` tags without it.

    Raises:
        UserError: there is no tagger, or it was trained with another encoder.
    """
    card = read_card(folder)
    return cast(Tagger, _class_of(str(card.get("tagger"))).load(folder, card, encoder))


def _class_of(name: str) -> Any:
    if name not in TAGGERS:
        raise UserError(f"unknown tagger {name!r}: choose one of {', '.join(TAGGERS)}")
    module, attribute = TAGGERS[name]
    return getattr(import_module(module, __package__), attribute)
