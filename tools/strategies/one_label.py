"""Which strategies need exactly one label an item, and the refusal where items may have several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from ...store.errors import UserError
from .base import Strategy
from .wrappers.base import Wrapper

ONE_LABEL = frozenset(
    {
        "region",
        "expected_gradient",
        "bald",
        "committee_vote_entropy",
        "committee_kl",
        "batch_bald",
        "label_descriptions",
    }
)
"""Strategies whose measure is of a distribution over labels, or that take labels in turn."""
ONE_LABEL_WRAPPERS = frozenset({"class_balance"})


def takes_sets(chosen: Strategy) -> bool:
    """Whether a strategy can choose where items may have several labels."""
    return next(_one_label(chosen), None) is None


def check_sets(chosen: Strategy) -> None:
    """Refuse a strategy that can not choose where items may have several labels.

    Raises:
        UserError: it, or one that it wraps, needs one label an item.
    """
    part = next(_one_label(chosen), None)
    if part is not None:
        raise UserError(
            f"strategy {part!r} needs one label an item, and here an item may have several: use "
            "least_confidence, margin, entropy, uncertainty_diversity, badge or another that "
            "docs/strategies.md names for several labels"
        )


def _one_label(chosen: Strategy) -> Iterator[str]:
    if isinstance(chosen, Wrapper):
        if chosen.called in ONE_LABEL_WRAPPERS:
            yield chosen.called
        for each in fields(chosen):
            value = getattr(chosen, each.name)
            for inner in value if isinstance(value, tuple) else (value,):
                if hasattr(inner, "select"):
                    yield from _one_label(inner)
    elif chosen.name in ONE_LABEL:
        yield chosen.name
