"""Every strategy either chooses where items have several labels, or is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from labelwright.agent.recipes import RECIPES, Recipe
from labelwright.store.errors import UserError
from labelwright.tools.strategies import STRATEGIES, WRAPPERS, Candidates, strategy
from labelwright.tools.strategies.one_label import (
    ONE_LABEL,
    ONE_LABEL_WRAPPERS,
    check_sets,
    takes_sets,
)


def several(n: int = 60) -> Candidates:
    """Candidates whose probabilities do not sum to 1, as the tool gives them."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(n + 8, 12)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Candidates(
        rows=np.arange(n),
        vectors=vectors[:n],
        labelled_vectors=vectors[n:],
        labelled_rows=np.arange(n, n + 8),
        labelled_probabilities=rng.random((8, 4)).astype(np.float32),
        probabilities=rng.random((n, 4)).astype(np.float32),
        samples=rng.random((5, n, 4)).astype(np.float32),
        texts=[f"text number {i}" for i in range(n)],
        label_vectors=vectors[:4],
        classes=4,
        multi_label=True,
    )


ASKING = {name for name, one in STRATEGIES.items() if "adviser" in one.needs}
"""Strategies that ask a chat model: they see texts, and labels by their names only."""


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - ONE_LABEL - ASKING))
def test_what_is_not_refused_works(name: str) -> None:
    check_sets(strategy(name))
    assert len(strategy(name).select(several(), 7, seed=1)) == 7


@pytest.mark.parametrize("name", sorted(ONE_LABEL))
def test_what_needs_one_label_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(UserError, match=f"'{name}' needs one label an item") as caught:
        check_sets(strategy(name))
    assert "\n" not in str(caught.value)


def test_a_wrapper_is_refused_for_what_it_wraps() -> None:
    assert takes_sets(strategy("anchor(margin)"))
    assert not takes_sets(strategy("anchor(bald)"))
    assert not takes_sets(strategy("adaptive(margin, subsample(region))"))
    assert not takes_sets(strategy("class_balance(margin)"))


def test_the_names_exist() -> None:
    assert set(STRATEGIES) >= ONE_LABEL
    assert set(WRAPPERS) >= ONE_LABEL_WRAPPERS


@pytest.mark.parametrize("name", sorted(set(WRAPPERS) - ONE_LABEL_WRAPPERS))
def test_the_other_wrappers_work(name: str) -> None:
    inner = {"adaptive": "margin, entropy", "warm_start": "random, margin"}.get(name, "margin")
    chosen = strategy(f"{name}({inner})")
    check_sets(chosen)
    assert len(chosen.select(several(), 5, seed=2)) == 5


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda each: each.name)
def test_every_recipe_can_be_used(recipe: Recipe) -> None:
    for text in (recipe.cold, recipe.warm):
        check_sets(strategy(text))
