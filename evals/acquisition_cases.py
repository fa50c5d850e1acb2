"""What the acquisition benchmark compares: shapes, strategies, peers, and the ratios wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .peers import PEERS


@dataclass(frozen=True, slots=True)
class Case:
    """One comparison: data of that shape, `k` picks, our strategy with `options`, and the peers.

    `peers` are names of `PEERS` with the work of `peer_worker.WORK` that they do. `goal` is the
    smallest ratio that is wanted; `picks` says what the peer promises: the same `list`, the same
    `set` (it gives them in no order), a random draw (`drawn`), or `none` for scores. With `near`
    a radius goes to both sides, such that a ball holds that many items on average.
    """

    name: str
    ours: str
    peers: Mapping[str, str]
    items: int
    k: int
    picks: str
    goal: float | None = None
    labelled: int = 100
    classes: int = 4
    options: Mapping[str, Any] = field(default_factory=dict)
    near: int | None = None
    dim: int = 384


_OLD, _NEW, _SK, _MODAL = PEERS

CASES: tuple[Case, ...] = (
    Case("k_center-25", "k_center", {_OLD: "small-text k_center"}, 10_000, 25, "list"),
    Case(
        "badge-4", "badge",
        {_OLD: "small-text badge", _NEW: "small-text badge", _SK: "scikit-activeml badge"},
        5_000, 50, "drawn", goal=30,
    ),
    Case(
        "badge-20", "badge", {_NEW: "small-text badge", _SK: "scikit-activeml badge"},
        5_000, 50, "drawn", goal=100, classes=20,
    ),
    Case(
        "entropy-scores", "scores entropy",
        {_NEW: "small-text entropy scores"},
        120_000, 100, "none", goal=1_000, labelled=0, dim=16,
    ),
    Case(
        "entropy", "entropy", {_NEW: "small-text entropy"}, 120_000, 100, "set", labelled=0, dim=16,
    ),
    Case(
        "margin-scores", "scores margin", {_NEW: "small-text margin scores"},
        120_000, 100, "none", labelled=0, dim=16,
    ),
    Case("margin", "margin", {_NEW: "small-text margin"}, 120_000, 100, "set", labelled=0, dim=16),
    # small-text looks for neighbours among all items and finds each to be its own first one.
    Case(
        "cal-all", "contrastive", {_NEW: "small-text contrastive"}, 10_000, 100, "set", goal=5,
        labelled=0, options={"neighbours": 9, "limit": 20_000},
    ),
    Case(
        "cal-labelled", "contrastive", {_SK: "scikit-activeml contrastive"}, 10_000, 100, "list",
        goal=5, labelled=500,
    ),
    Case(
        "probcover", "probcover",
        {_NEW: "small-text probcover", _SK: "scikit-activeml probcover"},
        5_000, 50, "list", goal=10, near=20,
    ),
    Case(
        "probcover-radius", "probcover", {_SK: "scikit-activeml probcover"},
        5_000, 50, "drawn", goal=10,
    ),
    Case(
        "typiclust", "typiclust", {_SK: "scikit-activeml typiclust"},
        5_000, 100, "drawn", goal=10, labelled=300,
    ),
    Case(
        "ranked", "ranked_batch", {_MODAL: "modAL ranked batch"}, 5_000, 50, "list", goal=20,
        labelled=500,
    ),
    # With nothing labelled it first needs the distances of all pairs, in double precision.
    Case(
        "ranked-cold", "ranked_batch", {_MODAL: "modAL ranked batch"}, 5_000, 50, "list",
        labelled=0,
    ),
    # As its strategy calls it: Euclidean distances by scikit-learn, where the function has cosines.
    Case(
        "k_center-strategy", "k_center", {_NEW: "small-text k_center whole"}, 10_000, 100, "list",
        goal=100,
    ),
    Case(
        "k_center", "k_center", {_NEW: "small-text k_center"}, 10_000, 100, "list", goal=100,
    ),
)  # fmt: skip
