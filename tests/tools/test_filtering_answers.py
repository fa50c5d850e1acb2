"""Final answers of worked solutions; the recorded ones say whether each is right."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from labelwright.tools.filtering import Written, sift
from labelwright.tools.filtering_answers import AnswerIs, agreed_answer, final_answer

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "recorded" / "gsm8k_solutions.jsonl"


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("2 + 2 = 4\n#### 4", "4"),
        ("so it is 7 and 5\nA: 1,250", "1250"),
        (r"thus \boxed{-3.5}", "-3.5"),
        ("The answer is: $18.00", "18"),
        ("the final answer is 3/4 of a cup", "0.75"),
        ("#### 4\nno, wait\n#### 5", "5"),
        ("Answer: −2", "-2"),
    ],
)
def test_the_marked_answer_is_found(solution: str, answer: str) -> None:
    assert final_answer(solution) == Decimal(answer)


@pytest.mark.parametrize("solution", ["", "there are 3 apples", "the answer is unknown", "A: none"])
def test_a_number_that_is_not_marked_is_no_answer(solution: str) -> None:
    assert final_answer(solution) is None


def test_a_wrong_or_missing_answer_is_rejected_with_the_reason() -> None:
    texts = ["a: first\nA: 4", "second\nA: 5", "third, nothing"]
    known = dict.fromkeys(texts, Decimal(4))
    found = sift(Written(texts, [""] * 3, [()] * 3), [AnswerIs(known)])
    assert found.kept == (0,)
    assert [each.why for each in found.dropped] == [
        "the final answer is not the known one",
        "no final answer is marked",
    ]


def test_most_solutions_must_agree() -> None:
    assert agreed_answer(["A: 4", "A: 4.0", "A: 5"]) == 4
    assert agreed_answer(["A: 4", "A: 5"]) is None
    assert agreed_answer(["A: 4", "none", "none"]) is None
    assert agreed_answer([]) is None


def test_every_recorded_solution_is_judged_as_it_was_recorded() -> None:
    if not RECORDED.exists():
        pytest.skip("the recorded solutions are not there: ../shared/data/recorded")
    judged = 0
    with RECORDED.open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            known = final_answer(row["answer"])
            for each in row["llm"].values():
                found = final_answer(each["solution"])
                assert (found is not None and found == known) == each["is_correct"]
                judged += 1
    assert judged == 4 * 1319
