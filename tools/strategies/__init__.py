"""The acquisition strategies, by name: one file each and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...store.errors import UserError
from .base import Candidates, Need, Selection, Strategy
from .chance import Random
from .cluster import Cluster
from .diverse import UncertaintyDiversity
from .k_center import KCenter
from .uncertain import Uncertainty

__all__ = ["STRATEGIES", "Candidates", "Need", "Selection", "Strategy", "strategy"]

_ALL: tuple[Strategy, ...] = (
    Random(),
    Uncertainty("least_confidence"),
    Uncertainty("margin"),
    Uncertainty("entropy"),
    KCenter(),
    UncertaintyDiversity(),
    Cluster(),
)

STRATEGIES: Mapping[str, Strategy] = MappingProxyType({one.name: one for one in _ALL})


def strategy(name: str) -> Strategy:
    """The strategy of that name.

    Raises:
        UserError: no such strategy; the message lists those there are.
    """
    if name not in STRATEGIES:
        raise UserError(f"no strategy is called {name!r}: use one of {', '.join(STRATEGIES)}")
    return STRATEGIES[name]
