"""Named ways to choose samples, for the playbook and for comparing them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..store.spec import RecipeName

_COVER = "there is no model yet: typical items of different regions cover the pool"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Which strategy chooses before there is a model, and which once its scores are there."""

    name: RecipeName
    cold: str
    warm: str
    cold_reason: str
    warm_reason: str


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "standard",
        "cluster",
        "uncertainty_diversity",
        _COVER,
        "the items the model is least sure of, spread over the pool, teach it most",
    ),
    Recipe("uncertainty", "cluster", "margin", _COVER, "the items the model is least sure of"),
    Recipe(
        "coverage",
        "k_center",
        "k_center",
        "items far from one another cover the pool",
        "items far from everything labelled cover what is still unseen",
    ),
    Recipe(
        "adaptive",
        "cluster",
        "adaptive(uncertainty_diversity, margin, badge)",
        _COVER,
        "of several strategies, one by what its earlier batches gained",
    ),
    Recipe(
        "random", "random", "random", "the baseline: evenly drawn", "the baseline: evenly drawn"
    ),
)


def recipe(name: RecipeName, strategy: str = "") -> Recipe:
    """The recipe of that name, with another strategy once there is a model if one is given."""
    found = next(each for each in RECIPES if each.name == name)
    if not strategy:
        return found
    return replace(found, warm=strategy, warm_reason="the strategy that was asked for")
