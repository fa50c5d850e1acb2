"""Strategies that ask a chat model: what they take, and what they do when it answers badly."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from advising import adviser, count_wanted, listed, sensible, yes_or_no
from hypothesis import given
from hypothesis import strategies as st
from labelwright.models.llm.base import Failure, Reply, Request
from labelwright.models.llm.gateway import Gateway
from labelwright.store.errors import UserError
from labelwright.tools.strategies import Candidates, Selection, strategy
from labelwright.tools.strategies.llm_pick import LLMPick
from labelwright.tools.strategies.llm_rated import quotas
from scripted import Script, ScriptedBackend
from strategy_contract import LooksAtVectors, pool, unit

NAMES = [
    "llm_pick",
    "llm_pick_informative",
    "llm_pick_diverse",
    "llm_pick_difficult",
    "llm_score",
    "llm_useful",
    "llm_difficulty",
]


class TestLLMPick(LooksAtVectors):
    name = "llm_pick"


class TestLLMPickInformative(LooksAtVectors):
    name = "llm_pick_informative"


class TestLLMPickDiverse(LooksAtVectors):
    name = "llm_pick_diverse"


class TestLLMPickDifficult(LooksAtVectors):
    name = "llm_pick_difficult"


class TestLLMScore(LooksAtVectors):
    name = "llm_score"


class TestLLMUseful(LooksAtVectors):
    name = "llm_useful"


class TestLLMDifficulty(LooksAtVectors):
    name = "llm_difficulty"


def chosen(name: str, script: Script, n: int = 120, k: int = 10) -> tuple[Selection, Candidates]:
    candidates = replace(pool(n), adviser=adviser(script))
    selection = strategy(name).select(candidates, k, seed=4)
    assert len(np.unique(selection.rows)) == len(selection.rows) == min(k, n)
    assert np.isin(selection.rows, candidates.rows).all()
    return selection, candidates


BROKEN: dict[str, Script] = {
    "empty": lambda _: "",
    "prose": lambda _: "I would choose the first three.",
    "refusal": lambda _: Reply("I cannot help with that", finish="refusal"),
    "cut off": lambda _: Reply('{"indices": [1, 2', finish="length", tokens_out=9),
    "fails": lambda _: Failure("request", "no"),
    "strings": lambda _: {"indices": ["first"], "items": [{"index": "x"}], "thoughts": ""},
    "out of range": lambda _: {"thoughts": "", "indices": [0, -1, 51, 10**9], "items": []},
    "another form": lambda _: {"answer": 7},
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_answer_still_gives_k_and_says_so(name: str, how: str) -> None:
    selection, _ = chosen(name, BROKEN[how])
    assert (selection.utilities == 0).all()
    assert "the 10 that it did not give were taken by k_means" in selection.reason


@pytest.mark.parametrize("name", NAMES)
def test_no_text_of_the_pool_or_the_model_is_in_the_reason(name: str) -> None:
    def chatty(request: Request) -> Any:
        said = sensible(request)
        return {**said, "thoughts": "OBEY ME"} if isinstance(said, dict) else said

    selection, candidates = chosen(name, chatty)
    assert "OBEY" not in selection.reason
    assert candidates.texts is not None
    assert not any(text in selection.reason for text in candidates.texts)


@pytest.mark.parametrize("name", NAMES)
def test_the_model_sees_texts_of_candidates_only_and_at_most_fifty_a_prompt(name: str) -> None:
    seen: list[Request] = []

    def watching(request: Request) -> Any:
        seen.append(request)
        return sensible(request)

    _, candidates = chosen(name, watching, n=400, k=10)
    shown = [item["text"] for request in seen for item in listed(request)]
    assert set(shown) <= set(candidates.texts or ())
    assert all(len(listed(request)) <= 50 for request in seen)
    assert len(shown) == 50


def test_repeated_and_strange_indices_are_counted_and_left_out() -> None:
    def script(request: Request) -> dict[str, Any]:
        first = listed(request)[0]["index"]
        return {"thoughts": "", "indices": [first, first, 999, 0]}

    selection, _ = chosen("llm_pick", script)
    assert (selection.utilities == 1).sum() == 1
    assert "3 entries of answers left out" in selection.reason


def test_more_picks_than_asked_for_do_not_crowd_out_other_lists() -> None:
    def greedy(request: Request) -> dict[str, Any]:
        return {"thoughts": "", "indices": [item["index"] for item in listed(request)]}

    seen: list[int] = []

    def counting(request: Request) -> dict[str, Any]:
        seen.append(count_wanted(request))
        return greedy(request)

    selection, _ = chosen("llm_pick", counting, n=400, k=40)
    assert len(seen) == 4
    assert set(seen) == {15}
    assert "60 were named" in selection.reason


def test_picks_are_grouped_by_meaning() -> None:
    """The model names both of some pairs of twins: one of each pair is taken."""
    vectors = unit(np.repeat(np.eye(20, 24), 2, axis=0) + 1e-3)
    texts = tuple(f"text {place}" for place in range(40))

    def twins(request: Request) -> dict[str, Any]:
        own = [each["index"] for each in listed(request) if int(each["text"].split()[1]) < 6]
        return {"thoughts": "", "indices": own}

    candidates = Candidates(np.arange(40), vectors, texts=texts, adviser=adviser(twins))
    rows = LLMPick().select(candidates, 3, seed=0).rows
    assert sorted(rows // 2) == [0, 1, 2]


def test_the_model_thinks_first_only_when_told_to() -> None:
    backend = ScriptedBackend(sensible)
    mine = replace(adviser(), asker=Gateway(backend))
    for reasoned in (True, False):
        LLMPick(reasoned=reasoned).select(replace(pool(60), adviser=mine), 5, seed=0)
    with_thoughts, without = backend.asked[0], backend.asked[-1]
    assert "First write down briefly" in with_thoughts.messages[0].content
    assert "First write down briefly" not in without.messages[0].content
    assert without.max_tokens < with_thoughts.max_tokens


def test_the_best_scored_are_taken() -> None:
    selection, candidates = chosen("llm_score", sensible, n=50)
    scores = [1 + zlib.crc32(text.encode()) % 10 for text in candidates.texts or ()]
    np.testing.assert_allclose(
        np.sort(selection.utilities), np.sort(np.sort(scores)[-10:] / 10), rtol=1e-6
    )


def test_an_item_with_two_scores_has_none() -> None:
    def two_minds(request: Request) -> dict[str, Any]:
        return {
            "items": [
                {"index": each["index"], "score": score}
                for each in listed(request)
                for score in (3, 9)
            ]
        }

    selection, _ = chosen("llm_score", two_minds)
    assert "0 were rated" in selection.reason


def test_one_score_outside_the_scale_makes_the_answer_invalid() -> None:
    selection, _ = chosen("llm_score", lambda _: {"items": [{"index": 1, "score": 11}]})
    assert "answers unusable" in selection.reason
    assert (selection.utilities == 0).all()


def test_usefulness_needs_log_probabilities() -> None:
    selection, _ = chosen("llm_useful", lambda _: "yes")
    assert "50 of 50 answers unusable" in selection.reason


def test_the_most_useful_are_taken_in_falling_order() -> None:
    def by_number(request: Request) -> Reply:
        (item,) = listed(request)
        return yes_or_no(0.01 + 0.9 * int(item["text"].split()[1]) / 60)

    texts = tuple(f"text {place}" for place in range(50))
    vectors = unit(np.random.default_rng(0).standard_normal((50, 8)))
    candidates = Candidates(np.arange(50), vectors, texts=texts, adviser=adviser(by_number))
    picks = strategy("llm_useful").select(candidates, 5, seed=0).rows
    assert picks.tolist() == [49, 48, 47, 46, 45]


def test_every_level_of_difficulty_has_its_share_easy_first() -> None:
    def by_number(request: Request) -> dict[str, Any]:
        names = ("easy", "moderate", "challenging", "hard")
        return {
            "items": [
                {"index": each["index"], "level": names[int(each["text"].split()[1]) % 4]}
                for each in listed(request)
            ]
        }

    texts = tuple(f"text {place}" for place in range(48))
    vectors = unit(np.random.default_rng(0).standard_normal((48, 8)))
    candidates = Candidates(np.arange(48), vectors, texts=texts, adviser=adviser(by_number))
    picks = strategy("llm_difficulty").select(candidates, 8, seed=0).rows
    assert (picks % 4).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(0, 60))
def test_quotas_give_all_that_can_be_given(sizes: list[int], k: int) -> None:
    shares = quotas(sizes, k)
    assert sum(shares) == min(k, sum(sizes))
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    open_shares = [s for s, size in zip(shares, sizes, strict=True) if s < size]
    if open_shares:
        assert max(shares) - min(open_shares) <= 1


def test_all_candidates_are_taken_without_a_call() -> None:
    def never(_: Request) -> str:
        raise AssertionError("asked")

    selection, _ = chosen("llm_pick", never, n=10, k=10)
    assert "was not asked" in selection.reason


def test_without_a_chat_model_it_says_what_to_do() -> None:
    with pytest.raises(UserError, match=r"needs 'adviser'.*--llm"):
        strategy("llm_pick").select(replace(pool(9), adviser=None), 3, seed=0)
