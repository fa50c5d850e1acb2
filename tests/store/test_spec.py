"""The task spec: YAML that comes back the same, and errors of one line that name the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.store.spec import Budgets, LabelSpec, TaskSpec

PLAIN: dict[str, Any] = {
    "goal": "Sort messages",
    "labels": [{"name": "billing"}, {"name": "bug"}],
    "text_columns": ["text"],
}

names = st.text(min_size=1, max_size=20).filter(lambda name: name == name.strip() != "")
label_lists = st.lists(
    st.builds(LabelSpec, name=names, definition=st.text(max_size=40)),
    min_size=2,
    max_size=5,
    unique_by=lambda label: label.name.casefold(),
)
shares = st.floats(0, 1, exclude_min=True, exclude_max=True)
specs = st.builds(
    TaskSpec,
    goal=st.text(min_size=1),
    labels=label_lists,
    guidelines=st.text(),
    text_columns=st.lists(st.text(), min_size=1, max_size=3),
    target_accuracy=st.none() | shares,
    confidence_level=st.floats(0.5, 1, exclude_max=True),
    budgets=st.builds(
        Budgets,
        human_labels=st.none() | st.integers(0, 10**12),
        usd=st.none() | st.floats(0, 1e300),
        minutes=st.none() | st.floats(0, 1e300, exclude_min=True),
    ),
    autonomy=st.sampled_from(["ask-all", "ask-labels", "auto"]),
)


@settings(max_examples=150)
@given(specs)
def test_yaml_comes_back_as_an_equal_spec(spec: TaskSpec) -> None:
    again = TaskSpec.from_yaml(spec.to_yaml())
    assert again == spec
    assert again.digest == spec.digest


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"goal": ""}, "goal"),
        ({"goal": None}, "goal"),
        ({"labels": [{"name": "one"}]}, "labels"),
        ({"labels": [{"name": "a"}, {"name": "A"}]}, "'a' and 'A' are the same"),
        ({"labels": [{"name": " a"}, {"name": "b"}]}, "labels.0.name: label ' a'"),
        ({"labels": [{"name": "a\nb "}, {"name": "b"}]}, "labels.0.name"),
        ({"labels": [{"name": "a", "colour": "red"}, {"name": "b"}]}, "labels.0.colour"),
        ({"text_columns": []}, "text_columns"),
        ({"target_accuracy": 95}, "target_accuracy"),
        ({"target_accuracy": "high"}, "target_accuracy"),
        ({"confidence_level": 0.2}, "confidence_level"),
        ({"budgets": {"human_labels": -1}}, "budgets.human_labels"),
        ({"budgets": {"human_labels": "many"}}, "budgets.human_labels"),
        ({"budgets": {"minutes": 0}}, "budgets.minutes"),
        ({"autonomy": "ask"}, "autonomy"),
        ({"kind": "several"}, "kind"),
        ({"version": 2}, "version"),
        ({"lables": []}, "lables"),
    ],
)
def test_an_error_names_place_and_field_in_one_line(change: dict[str, Any], field: str) -> None:
    with pytest.raises(UserError) as caught:
        TaskSpec.checked({**PLAIN, **change}, place="task.yaml")
    message = str(caught.value)
    assert message.startswith("task.yaml: ")
    assert field in message
    assert "\n" not in message


@pytest.mark.parametrize("field", ["goal", "labels", "text_columns"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(UserError, match=f"the task spec: {field}: "):
        TaskSpec.checked({name: value for name, value in PLAIN.items() if name != field})


@pytest.mark.parametrize("text", ["goal: [", "a: b: c", "", "- 1", "just words", "goal: \x00"])
def test_what_is_no_spec_at_all_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError) as caught:
        TaskSpec.from_yaml(text, place="task.yaml")
    assert str(caught.value).startswith("task.yaml")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_utf8_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_bytes("goal: Größe".encode("latin-1"))
    with pytest.raises(UserError, match=r"task\.yaml.*UTF-8"):
        TaskSpec.read(path)


def test_whole_numbers_are_fine_where_amounts_are_meant() -> None:
    spec = TaskSpec.from_yaml(
        "goal: g\nlabels: [{name: a}, {name: b}]\ntext_columns: [t]\nbudgets: {usd: 5, minutes: 60}"
    )
    assert (spec.budgets.usd, spec.budgets.minutes) == (5, 60)


def test_the_digest_changes_with_any_field() -> None:
    plain = TaskSpec.checked(PLAIN)
    other = TaskSpec.checked({**PLAIN, "guidelines": "When in doubt, bug."})
    assert plain.digest != other.digest
    assert plain.label_names == ["billing", "bug"]
