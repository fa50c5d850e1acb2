"""The benchmark of the gateway: it measures both ways on the same prompts, and says so plainly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from labelwright.evals.bench_llm import Pass, Result, measure, report, sample_texts
from labelwright.store.errors import OperatorError, UserError

BACKENDS = Path(__file__).parents[1] / "models" / "llm" / "backends"
ANSWER = json.dumps({"rationale": "", "label": "billing"})


@pytest.fixture(autouse=True)
def _helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BACKENDS)


def test_both_ways_send_the_same_prompts_the_same_number_of_times() -> None:
    from chat_server import completion, serving

    with serving(lambda _: completion(ANSWER)) as server:
        found = measure(f"vllm:tiny@{server.url}", sample_texts(6), repeats=2)
    assert (found.texts, len(found.raw), len(found.gateway)) == (6, 2, 2)
    assert [each.tokens_in for each in found.raw + found.gateway] == [540] * 4
    assert len(server.asked) == 6 * 5, "one pass to warm up, two of each; replays make no call"
    sent = {json.dumps(body, sort_keys=True) for body in server.asked}
    assert len(sent) == 6
    assert all(rate > 0 for rate in found.replays)
    assert "vllm:tiny@…" in report([found])
    assert server.url not in report([found])


def test_a_failing_engine_is_no_measurement() -> None:
    from chat_server import completion, refused, serving

    seen: list[Any] = []

    def answer(body: Any) -> Any:
        seen.append(body)
        return completion(ANSWER) if len(seen) <= 8 else refused(404, "gone")

    with serving(answer) as server, pytest.raises(OperatorError, match="4 calls failed"):
        measure(f"vllm:tiny@{server.url}", sample_texts(4), repeats=1)


def test_what_has_no_engine_behind_it_cannot_be_measured() -> None:
    with pytest.raises(UserError, match="name a server"):
        measure("hf:nothing", ["a"], repeats=1)


def test_the_ratio_is_the_median_over_pairs() -> None:
    raw = [Pass(1.0, 0.1, 50, 50), Pass(2.0, 0.2, 50, 50), Pass(1.0, 0.3, 50, 50)]
    ours = [Pass(2.0, 0.4, 50, 50), Pass(2.0, 0.4, 50, 50), Pass(0.5, 0.4, 50, 50)]
    result = Result("vllm:/far/away/tiny", 10, raw, ours, [2_500.0])
    assert result.ratio == 1.0
    text = report([result])
    assert "| `vllm:tiny` | 10 | 100, 50, 100 | 50, 50, 200 | 1.00 | 0.90 | 20.0 | 40.0 |" in text
    assert "| `vllm:tiny` | 2,500 | 2,000 |" in text
