"""Prompts: Markdown with front matter, filled with exactly what they name."""

from __future__ import annotations

import string
from importlib.resources import files

import pytest
from labelwright.prompts.loader import load_prompt

NAMES = sorted(
    file.name.removesuffix(".md")
    for file in files("labelwright.prompts").iterdir()
    if file.name.endswith(".md")
)


@pytest.mark.parametrize("name", NAMES)
def test_every_prompt_says_what_it_is(name: str) -> None:
    prompt = load_prompt(name)
    assert prompt.name == name
    assert prompt.version >= 1
    assert prompt.purpose
    assert prompt.output
    assert len(prompt.digest) == 16


@pytest.mark.parametrize("name", NAMES)
def test_the_variables_named_are_those_in_the_text(name: str) -> None:
    prompt = load_prompt(name)
    assert set(string.Template(prompt.body).get_identifiers()) == set(prompt.variables)


@pytest.mark.parametrize("name", NAMES)
def test_filling_puts_every_value_in_and_leaves_no_mark(name: str) -> None:
    prompt = load_prompt(name)
    values = {variable: f"<<{variable}>>" for variable in prompt.variables}
    text = prompt.fill(**values)
    assert all(value in text for value in values.values())
    assert not string.Template(text).get_identifiers()


def test_a_value_is_put_in_as_it_is() -> None:
    text = load_prompt("decide").fill(goal="costs $5 or ${target} {x}", target="95%")
    assert "costs $5 or ${target} {x}" in text


@pytest.mark.parametrize("values", [{}, {"goal": "g"}, {"goal": "g", "target": "t", "x": "y"}])
def test_a_missing_or_extra_value_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"prompt 'decide' takes \['goal', 'target'\]"):
        load_prompt("decide").fill(**values)
