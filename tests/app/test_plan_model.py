"""What a plan says of a chat model: from real prompts, at the price given, asking nobody."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from harness import sample
from labelwright.app.plan import make_plan, print_plan
from labelwright.store.errors import UserError
from rich.console import Console

SERVER = "openai:some-model@http://127.0.0.1:9/v1"
"""Nothing listens there: a plan that asked would fail."""


def planned(tmp_path: Path, **changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "goal": "Sort messages into delivery, returns, billing, product_question and account",
        "data": str(sample(tmp_path / "data.csv")),
        "text_columns": ("text",),
        "human_labels": 60,
        "learner": "linear",
        "llm": SERVER,
    }
    return make_plan(**{**given, **changed})


def test_without_a_chat_model_nothing_is_said(tmp_path: Path) -> None:
    assert planned(tmp_path, llm="none")["chat_model"] is None
    assert planned(tmp_path, annotator="embedded")["chat_model"] is None


def test_calls_follow_from_the_rounds_and_the_pool(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    found = plan["chat_model"]
    assert found["calls_in_rounds"] == plan["rounds"] * (round(1.2 * plan["batch"]) + plan["gold"])
    assert found["calls_at_most"] == found["calls_in_rounds"] + plan["unique"]


def test_money_is_calls_times_what_one_costs_at_most(tmp_path: Path) -> None:
    cheap = planned(tmp_path, price_in=1.0, price_out=2.0)["chat_model"]
    dear = planned(tmp_path, price_in=10.0, price_out=20.0)["chat_model"]
    once = (cheap["tokens_a_call"] * 1.0 + 80 * 2.0) / 1e6
    assert cheap["usd_at_most"] == pytest.approx(cheap["calls_at_most"] * once, abs=1e-4)
    assert dear["usd_at_most"] == pytest.approx(10 * cheap["usd_at_most"], rel=1e-3)


def test_longer_guidelines_make_longer_prompts(tmp_path: Path) -> None:
    short = planned(tmp_path)["chat_model"]["tokens_a_call"]
    long = planned(tmp_path, guidelines="Money goes first. " * 50)["chat_model"]["tokens_a_call"]
    assert long > short + 100


def test_with_a_target_labels_are_kept_back_for_more_gold_where_a_model_annotates(
    tmp_path: Path,
) -> None:
    with_model = planned(tmp_path, target_accuracy=0.8)
    without = planned(tmp_path, target_accuracy=0.8, llm="none")
    assert (with_model["gold_reserve"], without["gold_reserve"]) == (10, 0)
    shares = ("train", "gold", "audit", "human_labels", "rounds")
    assert [with_model[name] for name in shares] == [without[name] for name in shares]
    asked = round(1.2 * with_model["batch"]) + with_model["gold"] + 10
    assert with_model["chat_model"]["calls_in_rounds"] == with_model["rounds"] * asked


def test_the_labels_kept_back_are_in_what_is_printed(tmp_path: Path) -> None:
    def printed(plan: dict[str, Any]) -> str:
        out = io.StringIO()
        print_plan(Console(file=out, width=200), plan)
        return out.getvalue()

    words = "10 to calibrate (and 10 of the training labels, if the chat model is good), 15"
    assert words in printed(planned(tmp_path, target_accuracy=0.8))
    assert "10 to calibrate, 15" in printed(planned(tmp_path))


def test_a_model_that_cannot_be_had_is_refused_before_the_data_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a chat model"):
        planned(tmp_path, llm="nonsense", data="there-is-no-such-file.csv")
