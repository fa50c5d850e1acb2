"""Recorded answers: what was said then is said again, and what was not is a failure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backend_contract import ITEMS, BackendContract, Label, asking, complete, reply
from labelwright.models.llm.backends.replay import ReplayBackend, replayed
from labelwright.models.llm.base import Backend, Failure, Request
from labelwright.models.llm.gateway import Gateway
from labelwright.store.errors import UserError
from pydantic import BaseModel

RECORDED = Path(__file__).parents[5] / "shared" / "data" / "recorded"
ROWS: list[dict[str, Any]] = [
    {"text": ITEMS[0], "llm": {"big": "billing", "small": "bug"}, "crowd": ["bug", "billing"]},
    {"text": ITEMS[1], "llm": {"big": "bug", "small": None}, "crowd": ["bug", "praise"]},
    {"text": ITEMS[2], "llm": {"big": "praise", "small": "Praise!"}, "crowd": ["praise"]},
]


def written(folder: Path, rows: list[Any], name: str = "recorded.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


class TestContract(BackendContract):
    counts = False

    @pytest.fixture
    def made(self, tmp_path: Path) -> Iterator[Backend]:
        return replayed(f"{written(tmp_path, ROWS)}#big")

    def unanswerable(self) -> Request:
        return asking("never seen")

    def expected(self, item: str) -> str | None:
        return json.dumps({"label": next(r["llm"]["big"] for r in ROWS if r["text"] == item)})


def test_an_item_without_a_record_is_a_failure_that_is_not_tried_again(tmp_path: Path) -> None:
    (found,) = complete(replayed(f"{written(tmp_path, ROWS)}#big"), [asking("never seen")])
    assert isinstance(found, Failure)
    assert (found.kind, found.message) == ("request", "no answer was recorded for 'never seen'")


def test_an_unusable_answer_is_replayed_as_it_was(tmp_path: Path) -> None:
    backend = replayed(f"{written(tmp_path, ROWS)}#small")
    found = complete(backend, [asking(item) for item in ITEMS])
    assert [reply(each).text for each in found] == [
        '{"label": "bug"}',
        '{"label": null}',
        '{"label": "Praise!"}',
    ]
    statuses = [each.status for each in Gateway(backend).ask([asking(item) for item in ITEMS])]
    assert statuses == ["ok", "invalid", "invalid"]


def test_people_are_found_by_their_number(tmp_path: Path) -> None:
    backend = replayed(f"{written(tmp_path, ROWS)}#crowd/1")
    found = complete(backend, [asking(item, schema=None) for item in ITEMS])
    assert [reply(each).text for each in found[:2]] == ["billing", "praise"]
    assert isinstance(found[2], Failure)


def test_a_single_answer_has_the_name_llm(tmp_path: Path) -> None:
    path = written(tmp_path, [{"text": "a", "llm": "bug"}])
    assert reply(complete(replayed(f"{path}#llm"), [asking("a")])[0]).text == '{"label": "bug"}'


def test_several_answers_of_one_model_are_its_samples(tmp_path: Path) -> None:
    row = {"model": "m", "tokens": ["Bo", "ran"], "answers": [[["Bo", "B-PER"]], [["Bo", "O"]]]}
    backend = replayed(f"{written(tmp_path, [row, {**row, 'model': 'n', 'answers': []}])}#m")
    found = complete(backend, [asking("Bo ran", schema=None, sample=k) for k in range(3)])
    assert json.loads(reply(found[1]).text) == [["Bo", "O"]]
    assert isinstance(found[2], Failure)
    assert "there is no sample 2" in found[2].message


def test_without_a_field_label_the_answer_is_given_bare(tmp_path: Path) -> None:
    class Other(BaseModel):
        entities: list[str]

    row = {"text": "a", "llm": {"m": {"entities": ["x"]}}}
    backend = replayed(f"{written(tmp_path, [row])}#m")
    (answer,) = Gateway(backend).ask([asking("a", schema=Other)])
    assert answer.parsed == Other(entities=["x"])


def test_the_first_line_of_a_text_counts(tmp_path: Path) -> None:
    rows = [{"text": "a", "llm": "bug"}, {"text": "a", "llm": "praise"}]
    backend = replayed(f"{written(tmp_path, rows)}#llm")
    assert len(backend) == 1
    assert reply(complete(backend, [asking("a")])[0]).text == '{"label": "bug"}'


def test_recorded_times_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, ROWS)
    assert replayed(f"{path}#big").seconds is None
    beside = tmp_path / "recorded_seconds.json"
    beside.write_text('{"big": "Inference Time: 81.5 seconds"}', encoding="utf-8")
    assert replayed(f"{path}#big").seconds == 81.5
    assert replayed(f"{path}#small").seconds is None
    beside.write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match="no JSON object"):
        replayed(f"{path}#big")


def test_an_edited_file_is_another_model_to_the_cache(tmp_path: Path) -> None:
    first = replayed(f"{written(tmp_path, ROWS)}#big")
    same = replayed(f"{written(tmp_path, ROWS, 'copy.jsonl')}#big")
    other = replayed(f"{written(tmp_path, ROWS[:2])}#big")
    assert first.identity == same.identity != other.identity
    assert first.name != same.name


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ('{"text": "a", "llm": "x"}\n', "gpt", "'gpt' is not in the file: use one of llm"),
        ('{"llm": "x"}\n', "llm", "line 1: neither `text` nor `tokens`"),
        ("\n[1]\n", "llm", "line 2 is no JSON object"),
        ('{"text": ', "llm", "is not JSON lines"),
        ("", "llm", "is not in the file"),
    ],
)
def test_a_file_of_another_form_is_refused(
    tmp_path: Path, content: str, name: str, message: str
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        ReplayBackend(path, name)


@pytest.mark.parametrize("rest", ["", "file", "file#", "#name"])
def test_a_string_without_file_and_name_says_how_to_write_it(rest: str) -> None:
    with pytest.raises(UserError, match="write replay:FILE#NAME"):
        replayed(rest)


def test_a_missing_file_is_one_line() -> None:
    with pytest.raises(UserError, match=r"'nowhere\.jsonl' cannot be read"):
        replayed("nowhere.jsonl#m")


@pytest.mark.parametrize(
    ("rest", "items", "samples"),
    [
        ("toxicity_en.jsonl#gpt-4o-2024-05-13", 749, 1),
        ("policy_en.jsonl#athene-v2", 926, 1),
        ("tweet_emoji.jsonl#llm", 2982, 1),
        ("tweet_emoji.jsonl#crowd/3", 2982, 1),
        ("african_ner.jsonl#llama_70b", 399, 10),
    ],
)
def test_answers_of_real_models_are_replayed(rest: str, items: int, samples: int) -> None:
    if not RECORDED.exists():
        pytest.skip("needs ../shared/data/recorded")
    backend = replayed(f"{RECORDED}/{rest}")
    assert len(backend) == items
    lines = (RECORDED / rest.partition("#")[0]).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    row = next(each for each in rows if each.get("model") in (None, backend.name.split("#")[1]))
    item = row.get("text") or " ".join(row["tokens"])
    (found,) = complete(backend, [asking(item, schema=None if samples > 1 else Label)])
    assert reply(found).text
