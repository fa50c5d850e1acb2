"""What every task keeps: closed answers, values that are written and read back, agreement."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from annotating import GOAL, SPECS
from labelwright.models.llm.parse import Unusable, parse_schema
from labelwright.models.pairs import join_pair
from labelwright.store.errors import UserError
from labelwright.store.spec import LabelSpec
from labelwright.tools.annotators import (
    Entities,
    Item,
    MultiLabel,
    PairLabel,
    Preference,
    Shown,
    SingleLabel,
    Span,
    Variant,
)
from labelwright.tools.annotators.prompting import STYLES, Script
from labelwright.tools.annotators.tasks import names_of, schema_of

PAIR = Item("p", join_pair("Ada wrote it", "Bob read it"))
TEXT = Item("t", "Ada met Bob")


class TaskContract:
    """Inherit it for a task; `values` are different ones, each an answer to `item`."""

    task: ClassVar[Any]
    item: ClassVar[Item]
    values: ClassVar[list[Any]]
    answers: ClassVar[list[dict[str, Any]]]
    """What the model writes for each value."""

    def schema(self) -> Any:
        return schema_of("Answer", self.task.fields())

    def test_an_answer_is_read_as_its_value(self) -> None:
        for answer, value in zip(self.answers, self.values, strict=True):
            parsed = parse_schema(json.dumps(answer), self.schema())
            reading = self.task.read(parsed, self.item)
            assert (reading.value, reading.issues) == (value, ())

    def test_different_values_are_written_differently_and_the_same_alike(self) -> None:
        written = [self.task.written(value) for value in self.values]
        assert len(set(written)) == len(self.values)
        assert [json.loads(each) for each in written]

    def test_agreement_is_one_with_itself_and_the_same_both_ways(self) -> None:
        for one in self.values:
            assert self.task.agreement(one, one) == 1.0
            for two in self.values:
                found = self.task.agreement(one, two)
                assert found == self.task.agreement(two, one)
                assert 0.0 <= found <= 1.0
                assert (found == 1.0) == (one == two)

    def test_members_of_one_mind_are_combined_to_what_they_say(self) -> None:
        for value in self.values:
            assert self.task.combined([value] * 3) == value
            assert self.task.combined([value]) == value

    def test_the_majority_is_what_is_combined(self) -> None:
        one, two = self.values[:2]
        assert self.task.combined([one, two, one]) == one

    def test_other_fields_and_values_are_refused(self) -> None:
        for answer in self.answers:
            with pytest.raises(Unusable):
                parse_schema(json.dumps({**answer, "more": 1}), self.schema())
        with pytest.raises(Unusable):
            parse_schema("{}", self.schema())

    @pytest.mark.parametrize("style", STYLES)
    @pytest.mark.parametrize("stated", [False, True])
    def test_the_examples_in_the_prompt_fit_the_form(self, style: Any, stated: bool) -> None:
        script = Script(self.task, GOAL, Variant(style), stated=stated, several=True)
        shown = [line for line in script.system.splitlines() if line.startswith("{")]
        assert len(shown) == 3
        for line in shown[:2]:
            parse_schema(line, script.schema)
        parse_schema(shown[2], script.schema_of_several)

    def test_the_prompt_has_goal_rules_and_every_definition(self) -> None:
        system = Script(self.task, GOAL, Variant()).system
        assert GOAL.goal in system
        assert f"Rules for hard cases:\n{GOAL.guidelines}" in system
        for label in self.task.labels:
            assert f"- {json.dumps(label.name)}: {label.definition}" in system

    def test_instructions_stand_before_the_data_and_hold_none_of_it(self) -> None:
        script = Script(self.task, GOAL, Variant())
        system, user = script.messages([self.item])
        assert (system.role, user.role) == ("system", "user")
        for block in self.task.blocks(self.item):
            assert block.text in user.content
            assert block.text not in system.content

    def test_an_answer_has_room(self) -> None:
        script = Script(self.task, GOAL, Variant("rationale_first"), stated=True)
        for answer in self.answers:
            # A token is a byte at the least.
            assert self.task.room(self.item) >= len(json.dumps(answer)) // 2
        assert script.room([self.item]) > self.task.room(self.item)
        assert script.room([self.item] * 3) > 3 * self.task.room(self.item)

    def test_a_demonstration_is_shown_with_its_value(self) -> None:
        script = Script(self.task, GOAL, Variant())
        value = self.values[0]
        _, user = script.messages([self.item], [Shown(self.item, value)])
        assert self.task.written(value) in user.content


class TestSingleLabel(TaskContract):
    task = SingleLabel(SPECS)
    item = TEXT
    values: ClassVar[list[Any]] = ["billing", "bug", "praise"]
    answers: ClassVar[list[dict[str, Any]]] = [{"label": v} for v in values]


class TestPairLabel(TestSingleLabel):
    task = PairLabel(SPECS)
    item = PAIR


class TestMultiLabel(TaskContract):
    task = MultiLabel(SPECS)
    item = TEXT
    values: ClassVar[list[Any]] = [("billing", "praise"), (), ("bug",)]
    answers: ClassVar[list[dict[str, Any]]] = [
        {"labels": ["praise", "billing"]},
        {"labels": []},
        {"labels": ["bug", "bug"]},
    ]


class TestPreference(TaskContract):
    task = Preference("the clearer text")
    item = PAIR
    values: ClassVar[list[Any]] = ["first", "second", "tie"]
    answers: ClassVar[list[dict[str, Any]]] = [{"label": v} for v in values]

    def test_an_answer_in_the_swapped_order_is_the_other_text(self) -> None:
        parsed = [parse_schema(json.dumps(answer), self.schema()) for answer in self.answers]
        found = [self.task.read(each, self.item, 1).value for each in parsed]
        assert found == ["second", "first", "tie"]
        blocks = [self.task.blocks(self.item, order) for order in (0, 1)]
        assert [block.text for block in blocks[0]] == [block.text for block in blocks[1]][::-1]

    def test_without_ties_a_tie_is_no_answer(self) -> None:
        task = Preference(tie=False)
        assert names_of(task) == ("first", "second")
        with pytest.raises(Unusable):
            parse_schema('{"label": "tie"}', schema_of("Answer", task.fields()))


class TestEntities(TaskContract):
    task = Entities(SPECS)
    item = TEXT
    values: ClassVar[list[Any]] = [
        (Span(0, 3, "bug", "Ada"), Span(8, 11, "praise", "Bob")),
        (),
        (Span(0, 3, "praise", "Ada"),),
    ]
    answers: ClassVar[list[dict[str, Any]]] = [
        {"entities": [{"text": "Bob", "type": "praise"}, {"text": "Ada", "type": "bug"}]},
        {"entities": []},
        {"entities": [{"text": "Ada", "type": "praise"}]},
    ]

    def test_a_demonstrations_quotes_are_fenced_too(self) -> None:
        item = Item("t", "call <|im_end|> now")
        value = (Span(5, 15, "bug", "<|im_end|>"),)
        _, user = Script(self.task, GOAL, Variant()).messages([TEXT], [Shown(item, value)])
        assert "<|im_end|>" not in user.content
        assert user.content.count("<text-") == 4

    def test_spans_of_tokens_follow_the_tokens(self) -> None:
        item = Item("t", "", tokens=("Ada-May", "met", "Bob"))
        schema = self.schema()
        for quote, issues in (("Ada", 1), ("Bob", 0)):
            said = json.dumps({"entities": [{"text": quote, "type": "bug"}]})
            assert len(self.task.read(parse_schema(said, schema), item).issues) == issues


@pytest.mark.parametrize("make", [SingleLabel, PairLabel, MultiLabel, Entities])
def test_labels_must_be_there_and_differ(make: Any) -> None:
    with pytest.raises(UserError, match="all different"):
        make((SPECS[0], SPECS[0]))
    with pytest.raises(UserError, match="at least"):
        make(())


def test_names_with_quotes_and_other_scripts_are_shown_as_they_must_be_written() -> None:
    odd = ('say "no"', "façade", "ja/nein", "日本")
    task = SingleLabel(tuple(LabelSpec(name=name) for name in odd))
    script = Script(task, GOAL, Variant())
    for name in odd:
        assert f"- {json.dumps(name, ensure_ascii=False)}\n" in script.system
        parse_schema(json.dumps({"label": name}), script.schema)


def test_the_question_is_another_way_to_ask_the_same() -> None:
    task = SingleLabel(SPECS)
    one, two = (Script(task, GOAL, Variant(wording=w)) for w in ("instruction", "question"))
    assert one.system != two.system
    assert one.schema.model_json_schema() == two.schema.model_json_schema()
