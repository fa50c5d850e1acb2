"""The acquisition strategies, by name: one file each and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .badge import Badge
from .base import Candidates, Need, Selection, Strategy
from .batch_bald import BatchBald
from .chance import Random
from .cluster import Cluster
from .cluster_margin import ClusterMargin
from .committee import Disagreement
from .contrastive import Contrastive
from .density import Density
from .discriminative import Discriminative
from .diverse import UncertaintyDiversity
from .dpp import DeterminantalPoints
from .expected_gradient import ExpectedGradient
from .facility_location import FacilityLocation
from .graph_cover import GraphCover
from .idds import InDomainDiversity
from .k_center import KCenter
from .k_means import KMeans
from .label_descriptions import LabelDescriptions
from .lightweight_coreset import LightweightCoreset
from .llm_pick import LLMPick
from .llm_rated import LLMDifficulty, llm_score, llm_useful
from .max_herding import MaxHerding
from .parsing import parse
from .probcover import ProbCover
from .ranked_batch import RankedBatch
from .region import RegionUncertainty
from .typiclust import TypiClust
from .uncertain import Uncertainty
from .vote_k import VoteK
from .wrappers import WRAPPERS

__all__ = ["STRATEGIES", "WRAPPERS", "Candidates", "Need", "Selection", "Strategy", "strategy"]

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
    RankedBatch(),
    DeterminantalPoints(),
    Density(),
    ExpectedGradient(),
    RegionUncertainty(),
    Disagreement("bald"),
    Disagreement("committee_vote_entropy"),
    Disagreement("committee_kl"),
    BatchBald(),
    LabelDescriptions(),
    LLMPick(),
    LLMPick("llm_pick_informative", criterion="informative"),
    LLMPick("llm_pick_diverse", criterion="diverse"),
    LLMPick("llm_pick_difficult", criterion="difficult"),
    llm_score(),
    llm_useful(),
    LLMDifficulty(),
)

STRATEGIES: Mapping[str, Strategy] = MappingProxyType({one.name: one for one in _ALL})


def strategy(name: str) -> Strategy:
    """The strategy of that name, or that a text such as `anchor(margin)` composes.

    Raises:
        UserError: no such strategy, or arguments that do not fit; the message says what there is.
    """
    if name in STRATEGIES:
        return STRATEGIES[name]
    return parse(name, STRATEGIES, WRAPPERS)
