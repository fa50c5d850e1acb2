"""ROUGE-L against the textbook dynamic programme."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools import rouge
from labelwright.tools.duplicates import normalise
from labelwright.tools.rouge import RougeIndex, max_rouge_l, rouge_l

sentences = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=12).map(" ".join)
batches = st.lists(sentences, max_size=7)


def plain(a: str, b: str) -> float:
    """Longest common subsequence by the textbook, then F1."""
    left, right = normalise(a).split(), normalise(b).split()
    table = np.zeros((len(left) + 1, len(right) + 1), dtype=int)
    for i, x in enumerate(left):
        for j, y in enumerate(right):
            table[i + 1, j + 1] = (
                table[i, j] + 1 if x == y else max(table[i, j + 1], table[i + 1, j])
            )
    total = len(left) + len(right)
    return 2 * int(table[-1, -1]) / total if left and right else 0.0


def best(query: str, references: list[str], floor: float) -> tuple[float, int]:
    scores = [plain(query, reference) for reference in references]
    top = max(scores, default=0.0)
    return (top, scores.index(top)) if top > 0 and top >= floor else (0.0, -1)


def test_by_hand() -> None:
    # police killed the gunman / police kill the gunman: Lin 2004, LCS 3 of 4 and 4.
    assert rouge_l("police killed the gunman", "police kill the gunman") == pytest.approx(0.75)
    assert rouge_l("police killed the gunman", "the gunman kill police") == pytest.approx(0.5)


def test_ignores_case_and_punctuation() -> None:
    assert rouge_l("Where's my CARD?", "where s my card") == 1.0


@settings(deadline=None)
@given(a=sentences, b=sentences)
def test_one_pair_is_the_plain_programme(a: str, b: str) -> None:
    assert rouge_l(a, b) == pytest.approx(plain(a, b))
    assert rouge_l(a, b) == rouge_l(b, a)


@settings(deadline=None)
@given(a=sentences)
def test_a_text_is_its_own_double(a: str) -> None:
    assert rouge_l(a, a) == (1.0 if a else 0.0)


@settings(deadline=None)
@given(queries=batches, references=batches, floor=st.sampled_from([0.0, 0.3, 0.5, 0.85, 1.0]))
def test_batch_is_the_plain_programme_for_all_pairs(
    queries: list[str], references: list[str], floor: float
) -> None:
    scores, places = max_rouge_l(queries, references, floor=floor)
    expected = [best(query, references, floor) for query in queries]
    np.testing.assert_allclose(scores, [score for score, _ in expected], atol=1e-6)
    assert places.tolist() == [place for _, place in expected]


def test_many_references_are_as_exact_as_few() -> None:
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(40)])
    made = [" ".join(rng.choice(words, size=rng.integers(1, 15))) for _ in range(600)]
    queries, references = made[:20], made[20:]
    scores, places = max_rouge_l(queries, references)
    expected = [best(query, references, 0.0) for query in queries]
    np.testing.assert_allclose(scores, [score for score, _ in expected], atol=1e-6)
    assert places.tolist() == [place for _, place in expected]


def test_blocks_of_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"a{i % 7} b{i % 5} c{i % 3} d" for i in range(60)]
    whole = max_rouge_l(texts[:30], texts[30:])
    monkeypatch.setattr(rouge, "_CELLS", 90)
    parts = max_rouge_l(texts[:30], texts[30:])
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_array_equal(whole[1], parts[1])


def test_queries_may_be_looked_up_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rouge, "_CELLS", 8)
    index = RougeIndex(["a b", "c d", "e f", "a d"], ["c d x", "a b", "e"])
    ahead = [index.best(query) for query in range(4)]
    assert [index.best(query) for query in (3, 1, 2, 0)] == [ahead[i] for i in (3, 1, 2, 0)]


def test_the_first_of_equals_is_found_behind_looser_bounds() -> None:
    # All score 2/3; the bound of the later ones is 8/9, so they are compared before the first.
    scores, places = max_rouge_l(["a b c d"], ["a b", *["d a b c x"] * (2 * rouge._STEP)])
    assert scores[0] == pytest.approx(2 / 3)
    assert places[0] == 0


def test_the_bound_counts_repeated_words_no_more_often_than_both_have_them() -> None:
    places, overlap = RougeIndex(["a a b"], ["a a a", "b a a"])._overlap(0)
    assert dict(zip(places.tolist(), overlap.tolist(), strict=True)) == {0: 2, 1: 3}


def test_only_allowed_references_count() -> None:
    index = RougeIndex(["a b c"], ["a b c", "a b x", "y"])
    assert index.best(0) == (1.0, 0)
    score, place = index.best(0, allowed=np.array([False, True, True]))
    assert score == pytest.approx(2 / 3)
    assert place == 1
    assert index.best(0, allowed=np.array([False, False, True])) == (0.0, -1)


def test_more_words_than_there_are_characters_below_the_surrogates() -> None:
    # Token 55,296 would be the first surrogate if tokens were numbered straight through.
    words = " ".join(f"w{i}" for i in range(57_000))
    scores, places = max_rouge_l([words], ["w999 w56999", "w56999 w999", words])
    assert scores[0] == 1.0
    assert places[0] == 2


def test_nothing_to_compare() -> None:
    scores, places = max_rouge_l(["a", ""], [])
    assert scores.tolist() == [0.0, 0.0]
    assert places.tolist() == [-1, -1]
    assert max_rouge_l([], ["a"])[0].shape == (0,)
    assert max_rouge_l(["", "!"], ["", "?"])[1].tolist() == [-1, -1]


@pytest.mark.parametrize("floor", [-0.1, 1.1, float("nan")])
def test_refuses_a_floor_out_of_range(floor: float) -> None:
    with pytest.raises(UserError, match="from 0 to 1"):
        max_rouge_l(["a"], ["a"], floor=floor)
