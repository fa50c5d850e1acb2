"""Filters that ask a chat model: judge, agreement, tags."""

from __future__ import annotations

from typing import Any

import pytest
from advising import asker, listed
from labelwright.models.llm.base import Failure, Reply, Request
from labelwright.models.llm.gateway import Gateway
from labelwright.tools.filtering import Written, sift
from labelwright.tools.filtering_asked import Confirmed, NovelTags
from scripted import Script, ScriptedBackend

LABELS = {"billing": "billing: money", "bug": "bug"}
TEXTS = ["where is my refund", "the app is broken", "my refund app"]


def written(*labels: str) -> Written:
    return Written(TEXTS[: len(labels)], labels, [()] * len(labels))


def judge(request: Request) -> dict[str, Any]:
    return {"label": "billing" if "refund" in listed(request)[0]["text"] else "bug"}


def test_the_judge_confirms_or_rejects_and_never_hears_the_proposal() -> None:
    backend = ScriptedBackend(judge)
    found = sift(
        written("billing", "billing", "bug"), [Confirmed(Gateway(backend), LABELS, "Sort")]
    )
    assert found.kept == (0,)
    assert {each.why for each in found.dropped} == {"the judge gives another label"}
    heard = {request.messages[0].content for request in backend.asked}
    assert len(heard) == 1


@pytest.mark.parametrize(
    "script",
    [
        lambda _: "billing",
        lambda _: {"label": "Billing"},
        lambda _: {"label": "bіlling"},
        lambda _: Reply("no", finish="refusal"),
        lambda _: Failure("request", "bad"),
    ],
    ids=["bare", "case", "look-alike", "refusal", "failure"],
)
def test_an_unusable_answer_confirms_nothing(script: Script) -> None:
    found = sift(written("billing"), [Confirmed(asker(script), LABELS, "Sort")])
    assert found.kept == ()
    assert found.dropped[0].why == "the judge gave no usable answer"


@pytest.mark.parametrize(("right", "kept"), [(0, ()), (1, ()), (2, (0,)), (3, (0,))])
def test_agreement_counts_votes(right: int, kept: tuple[int, ...]) -> None:
    def voting(request: Request) -> dict[str, Any]:
        assert request.temperature > 0
        return {"label": "billing" if request.sample < right else "bug"}

    confirmed = Confirmed(asker(voting), LABELS, "Sort", votes=3, agreement=0.6)
    found = sift(written("billing"), [confirmed])
    assert found.kept == kept
    if not kept:
        assert found.dropped[0].why == f"{right} of 3 answers of the judge give its label"


def tagging(request: Request) -> dict[str, Any]:
    return {
        "items": [
            {"index": each["index"], "tags": [word.upper() for word in each["text"].split()[-2:]]}
            for each in listed(request)
        ]
    }


def test_a_text_with_no_new_tag_goes() -> None:
    found = sift(
        Written(["my refund", "refund my", "late refund"], ["x"] * 3, [()] * 3),
        [NovelTags(asker(tagging))],
    )
    assert found.kept == (0, 2)
    assert found.dropped[0].why == "all its 2 tags are covered already"


def test_known_tags_count_and_missing_ones_reject_nothing() -> None:
    def partly(request: Request) -> dict[str, Any]:
        return {"items": [{"index": 1, "tags": ["old"]}, {"index": 9, "tags": ["old"]}]}

    tags = NovelTags(asker(partly), known=frozenset({"old"}))
    assert sift(written("billing", "bug"), [tags]).kept == (1,)


def test_two_entries_for_one_text_are_no_tags() -> None:
    def twice(_: Request) -> dict[str, Any]:
        return {"items": [{"index": 1, "tags": ["a"]}, {"index": 1, "tags": ["b"]}]}

    assert NovelTags(asker(twice)).tags(["text"]) == [frozenset()]
    assert NovelTags(asker(lambda _: "no")).tags(["text"]) == [frozenset()]


def test_many_texts_are_tagged_in_parts() -> None:
    backend = ScriptedBackend(tagging)
    texts = [f"text {n}" for n in range(45)]
    tags = NovelTags(Gateway(backend)).tags(texts)
    assert len(backend.asked) == 3
    assert [f"{n}" in found for n, found in enumerate(tags)] == [True] * 45
