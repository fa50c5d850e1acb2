"""`kill -9` at any moment: nothing is lost, nothing happens twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import harness
import pytest
from labelwright.app.runs import Options, create_project, drive
from support import HashEncoder

KILLS = 25


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Runs that were killed 25 times in all, and one that was left alone."""
    base = tmp_path_factory.mktemp("killed")
    data = harness.sample(base / "messages.csv")
    plan = {"data": str(data), "base": str(base), "kills": KILLS, "seed": 11}
    done = subprocess.run(
        [sys.executable, "-W", "error", harness.__file__, "deaths", json.dumps(plan)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    calm = create_project(
        Options(goal=harness.GOAL, data=str(data), project=base / "calm", **harness.OPTIONS)
    )
    drive(calm, encoder=HashEncoder())
    calm.close()
    return {**json.loads(done.stdout), "calm": harness.fingerprint(base / "calm")}


@pytest.mark.slow
def test_every_kind_of_moment_killed(killed: dict[str, Any]) -> None:
    assert len(killed["died"]) == KILLS
    kinds = Counter(death["kind"] for death in killed["died"])
    assert set(kinds) == {"seconds", "commit", "told", "advance", "events", "encode"}
    assert max(death["events"] for death in killed["died"]) > 60, "all died early"


@pytest.mark.slow
def test_killed_runs_end_as_the_one_left_alone(killed: dict[str, Any]) -> None:
    calm = killed["calm"]
    assert calm["human_labels"] == 40
    assert calm["usd"] == 10.0
    assert len(calm["labels"]) == 120
    for folder in killed["folders"]:
        assert harness.fingerprint(Path(folder)) == calm


@pytest.mark.slow
def test_a_run_that_dies_at_every_step_forward_ends_the_same(killed: dict[str, Any]) -> None:
    assert killed["walked"] > 60
    assert harness.fingerprint(Path(killed["walk"])) == killed["calm"]
    assert harness.asked_twice(Path(killed["walk"])) == []


@pytest.mark.slow
def test_the_traces_of_killed_runs_verify(killed: dict[str, Any]) -> None:
    assert [harness.fingerprint(Path(each))["problems"] for each in killed["folders"]] == [
        [] for _ in killed["folders"]
    ]


@pytest.mark.slow
def test_nobody_is_asked_twice(killed: dict[str, Any]) -> None:
    assert [harness.asked_twice(Path(each)) for each in killed["folders"]] == [
        [] for _ in killed["folders"]
    ]
