"""A set of labels as one string: canonical, complete, and read back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.store.label_sets import decode, encode, names_in, shown
from labelwright.store.spec import TaskSpec

NAMES = ["billing", "bug", "praise", 'odd "name" é, …']


@given(st.permutations(NAMES), st.integers(0, 4))
def test_one_set_has_one_string_in_the_order_of_the_spec(order: list[str], size: int) -> None:
    chosen = order[:size]
    text = encode(chosen, NAMES)
    assert text == encode(sorted(chosen), NAMES)
    assert decode(text) == tuple(name for name in NAMES if name in chosen)


def test_the_empty_set_is_a_set() -> None:
    assert encode([], NAMES) == "[]"
    assert decode("[]") == ()
    assert shown("[]") == "no label"


def test_an_unknown_label_is_refused_and_never_mapped_to_a_near_one() -> None:
    with pytest.raises(UserError, match="'Bug' is not a label"):
        encode(["Bug"], NAMES)


def test_a_label_given_twice_is_refused() -> None:
    with pytest.raises(UserError, match="twice"):
        encode(["bug", "bug"], NAMES)


@pytest.mark.parametrize("text", ["bug", "", '"bug"', "[1]", '{"a": 1}', "[[]]", "[" * 100_000])
def test_what_is_no_list_of_strings_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="no set of labels"):
        decode(text)


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("bug", ["bug"]),
        (" bug ; billing", ["bug", "billing"]),
        ('["bug", "a;b"]', ["bug", "a;b"]),
        ("", []),
        ("  ", []),
        ("[]", []),
    ],
)
def test_a_cell_is_read_as_people_write_it(cell: str, names: list[str]) -> None:
    assert names_in(cell) == names


@pytest.mark.parametrize("cell", ["bug;", ";", "a;;b", "a;a", '["a", "a"]', '[""]', "[a"])
def test_a_cell_that_is_not_a_clean_set_is_refused(cell: str) -> None:
    with pytest.raises(UserError):
        names_in(cell)


@pytest.mark.parametrize("name", ["a;b", "[a"])
def test_a_label_that_could_not_be_told_from_a_set_is_refused_where_there_are_sets(
    name: str,
) -> None:
    spec = {"goal": "g", "labels": [{"name": name}, {"name": "c"}], "text_columns": ["text"]}
    assert TaskSpec.checked(spec).several is False
    with pytest.raises(UserError, match="rename it"):
        TaskSpec.checked({**spec, "kind": "multi_label"})


def test_the_kind_survives_the_yaml_file() -> None:
    spec = TaskSpec.checked(
        {
            "goal": "g",
            "kind": "multi_label",
            "labels": [{"name": "a"}, {"name": "b"}],
            "text_columns": ["text"],
        }
    )
    assert spec.several
    assert TaskSpec.from_yaml(spec.to_yaml()) == spec
