"""The acquisition strategies, by name: one file each and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...store.errors import UserError
from .badge import Badge
from .base import Candidates, Need, Selection, Strategy
from .chance import Random
from .cluster import Cluster
from .cluster_margin import ClusterMargin
from .contrastive import Contrastive
from .discriminative import Discriminative
from .diverse import UncertaintyDiversity
from .dpp import DeterminantalPoints
from .facility_location import FacilityLocation
from .graph_cover import GraphCover
from .idds import InDomainDiversity
from .k_center import KCenter
from .k_means import KMeans
from .lightweight_coreset import LightweightCoreset
from .max_herding import MaxHerding
from .probcover import ProbCover
from .typiclust import TypiClust
from .uncertain import Uncertainty
from .vote_k import VoteK

__all__ = ["STRATEGIES", "Candidates", "Need", "Selection", "Strategy", "strategy"]

_ALL: tuple[Strategy, ...] = (
    Random(),
    Uncertainty("least_confidence"),
    Uncertainty("margin"),
    Uncertainty("entropy"),
    KCenter(),
    UncertaintyDiversity(),
    Cluster(),
    TypiClust(),
    KMeans(),
    LightweightCoreset(),
    ProbCover(),
    MaxHerding(),
    FacilityLocation(),
    GraphCover(),
    VoteK(),
    InDomainDiversity(),
    Discriminative(),
    Badge(),
    Contrastive(),
    ClusterMargin(),
    DeterminantalPoints(),
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
