"""The wrappers, by name: strategies around strategies, written `anchor(margin)`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .adaptive import Adaptive
from .balance import ClassBalance, Quota
from .base import Wrapper, usage
from .neighbours import Anchor, Seals
from .prune import Prune
from .ranking import Cost, Gumbel
from .staged import WarmStart
from .subsample import Subsample

__all__ = ["WRAPPERS", "Wrapper", "usage"]

_ALL: tuple[type[Wrapper], ...] = (
    Subsample,
    Seals,
    Anchor,
    Prune,
    ClassBalance,
    Quota,
    Cost,
    Gumbel,
    WarmStart,
    Adaptive,
)

WRAPPERS: Mapping[str, type[Wrapper]] = MappingProxyType({one.called: one for one in _ALL})
