"""The text of a composed strategy: what it means, its canonical form, and what is wrong with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.strategies import STRATEGIES, WRAPPERS, strategy
from labelwright.tools.strategies.wrappers.adaptive import Adaptive
from labelwright.tools.strategies.wrappers.balance import Quota
from labelwright.tools.strategies.wrappers.neighbours import Anchor
from labelwright.tools.strategies.wrappers.prune import Prune
from labelwright.tools.strategies.wrappers.ranking import Gumbel
from labelwright.tools.strategies.wrappers.staged import WarmStart
from labelwright.tools.strategies.wrappers.subsample import Subsample

MARGIN, ENTROPY = STRATEGIES["margin"], STRATEGIES["entropy"]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("margin", MARGIN),
        ("anchor(margin)", Anchor(MARGIN)),
        ("anchor(margin, 300, 5)", Anchor(MARGIN, 300, 5)),
        ("subsample(margin, 50)", Subsample(MARGIN, 50)),
        ("quota(gumbel(entropy))", Quota(Gumbel(ENTROPY))),
        ("quota(margin, clusters, 20)", Quota(MARGIN, "clusters", 20)),
        ("warm_start(typiclust, margin)", WarmStart(STRATEGIES["typiclust"], MARGIN)),
        ("warm_start(typiclust, margin, 9)", WarmStart(STRATEGIES["typiclust"], MARGIN, 9)),
        ("adaptive(margin, anchor(entropy))", Adaptive((MARGIN, Anchor(ENTROPY)))),
        ("adaptive(margin, entropy, 0.5)", Adaptive((MARGIN, ENTROPY), 0.5)),
        ("prune(margin, 0.1, 0)", Prune(MARGIN, 0.1, 0.0)),
        ("gumbel(margin, 5e-1)", Gumbel(MARGIN, 0.5)),
        ("  quota (margin ,\n bins,3 ) ", Quota(MARGIN, "bins", 3)),
    ],
)
def test_a_text_means_what_it_says(text: str, meaning: object) -> None:
    assert strategy(text) == meaning


def test_plain_names_give_the_registered_ones() -> None:
    for name, one in STRATEGIES.items():
        assert strategy(name) is one
        assert strategy(f" {name} ") is one


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("subsample(margin,5000)", "subsample(margin)"),
        ("anchor( margin, 1000, 3, 50)", "anchor(margin, 1000, 3)"),
        ("quota(margin, bins, 5)", "quota(margin)"),
        ("prune(margin, 0.250)", "prune(margin)"),
        ("adaptive(margin,entropy,0.9)", "adaptive(margin, entropy)"),
    ],
)
def test_the_name_is_the_canonical_text(text: str, name: str) -> None:
    assert strategy(text).name == name


_RANKED = st.sampled_from(["margin", "entropy", "least_confidence"])


def _around(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("subsample({}, {})".format, inner, st.integers(1, 10**9)),
        st.builds("seals({})".format, inner),
        st.builds("anchor({}, {}, {})".format, inner, st.integers(1, 99), st.integers(1, 99)),
        st.builds("prune({}, {!r})".format, inner, st.floats(0.001, 1.0)),
        st.builds(
            "quota({}, {}, {})".format,
            inner,
            st.sampled_from(["bins", "clusters"]),
            st.integers(1, 9),
        ),
        st.builds("warm_start({}, {}, {})".format, inner, inner, st.integers(1, 99)),
        st.builds("adaptive({}, random, {!r})".format, inner, st.floats(0.01, 1.0)),
        st.builds("gumbel(cost({}), {!r})".format, _RANKED, st.floats(1e-9, 1e9)),
    )


@given(st.recursive(_RANKED, _around, max_leaves=5))
def test_the_name_reads_back_as_the_same(text: str) -> None:
    found = strategy(text)
    assert strategy(found.name) == found
    assert strategy(found.name).name == found.name


@given(st.text(alphabet="margin(),. 5_-anchorseals=;é0\n", max_size=40))
def test_any_text_gives_a_strategy_or_a_user_error(text: str) -> None:
    try:
        found = strategy(text)
    except UserError:
        return
    assert strategy(found.name) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nosuch", r"no strategy is called 'nosuch': use one of random, .*anchor\(strategy, 1000"),
        ("5", "no strategy is called '5'"),
        ("", "found the end"),
        ("anchor", r"'anchor'.* needs what it wraps: write anchor\(strategy, 1000, 10, 50\)"),
        ("anchor()", r"found '\)'"),
        ("anchor(margin", r"found the end in strategy 'anchor\(margin' where ',' or '\)'"),
        ("anchor(margin))", "nothing more was expected"),
        ("anchor(margin,)", r"found '\)'.*where a strategy"),
        ("anchor(margin; 3)", "found ';'"),
        ("margin(3)", "'margin' has arguments.*takes none"),
        ("foo(margin)", "'foo' has arguments.*is unknown.*subsample"),
        ("seals(foo)", "seals got 'foo', which is no strategy.*least_confidence"),
        ("subsample(500)", "subsample got 500, which is no strategy"),
        ("subsample(margin, x)", r"got 'x' as 'n', which is a whole number.*\(strategy, 5000\)"),
        ("subsample(margin, 2.5)", "got 2.5 as 'n', which is a whole number"),
        ("subsample(margin, entropy)", "got 'entropy' as 'n'"),
        ("subsample(margin, 3x)", "'3x'.* is no number"),
        ("subsample(margin, 0)", "n=0: give at least 1"),
        ("subsample(margin, 1e400)", "got inf as 'n'"),
        ("seals(margin, -4)", "neighbours=-4"),
        ("anchor(margin, 9, 0)", "anchors=0"),
        ("prune(margin, 1.5)", "share=1.5"),
        ("prune(margin, 0.5, -1)", "beta=-1.0"),
        ("gumbel(margin, 0)", "temperature=0.0"),
        ("gumbel(margin, high)", "got 'high' as 'temperature', which is a number"),
        ("quota(margin, boxes)", "'by', which is one of bins, clusters"),
        ("quota(margin, bins, 3, 4)", "quota got 4 too many"),
        ("warm_start(typiclust)", "'then' is absent in warm_start"),
        ("warm_start(typiclust, margin, 0)", "labels=0"),
        ("adaptive(margin)", r"\['margin'\]: give at least 2"),
        ("adaptive(margin, margin)", "give each strategy once"),
        ("adaptive(margin, entropy, 0)", "memory=0.0"),
        ("adaptive(margin, 0.5, entropy)", "too many"),
        ("seals(" * 9 + "margin" + ")" * 9, "nests more than 8 deep"),
    ],
)
def test_an_error_says_what_is_wrong_and_what_there_is(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        strategy(text)


def test_wrappers_nest_eight_deep() -> None:
    text = "seals(" * 8 + "margin" + ")" * 8
    assert strategy(text).name == text


def test_the_message_for_an_unknown_name_lists_all_there_are() -> None:
    with pytest.raises(UserError) as caught:
        strategy("nosuch")
    for name in (*STRATEGIES, *WRAPPERS):
        assert name in str(caught.value)
