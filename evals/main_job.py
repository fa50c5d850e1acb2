"""The main job on real data: accuracy, human labels, seconds and peak memory.

    python -m labelwright.evals.main_job DATA [--only NAME] [--learner NAME] [--seed N]

DATA is a folder with `ag_news/test.csv`, `trec/train.csv` and `banking77/test.csv`, each with the
columns `text` and `label`. Every job is the `labelwright run` command that the table shows, in a
process of its own with a simulated reviewer; the accuracy is that of the exported labels against
the gold column, which nothing in the run but the reviewer has read.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..app.project import Project
from ..store.pool import read_gold


@dataclass(frozen=True, slots=True)
class Job:
    """One `labelwright run` on one data set."""

    name: str
    file: str
    goal: str
    options: tuple[str, ...] = ()


JOBS = (
    Job("AG News", "ag_news/test.csv", "Sort news into world, sports, business and sci_tech"),
    Job(
        "TREC",
        "trec/train.csv",
        "Sort questions as abbreviation, entity, description, human, location or number",
    ),
    Job(
        "Banking77",
        "banking77/test.csv",
        "Sort bank customers' messages by what they want",
        ("--labels-from-gold",),
    ),
)
BUDGET = "150"


def command(job: Job, data: Path, seed: int, learner: str | None) -> list[str]:
    """The arguments of `labelwright` for a job."""
    chosen = ["--learner", learner] if learner else []
    return [
        "run",
        job.goal,
        "--data",
        str(data / job.file),
        "--gold-column",
        "label",
        "--reviewer",
        "simulated",
        "--human-labels",
        BUDGET,
        "--seed",
        str(seed),
        *job.options,
        *chosen,
    ]


def measure(arguments: list[str]) -> dict[str, Any]:
    """Run one job in a child process and compare what it exported with gold."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        full = [sys.executable, "-m", "labelwright.app.cli", *arguments]
        child = subprocess.Popen(
            [*full, "--project", str(project), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        printed = child.stdout.read() if child.stdout else ""
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments)} ended with {child.returncode}")
        result = json.loads(printed.splitlines()[-1])
        table = pq.read_table(project / "exports" / "labels.parquet")
        gold = pa.array(read_gold(project))
        with closing(Project(project)) as opened:
            learner = opened.settings.learner
    right = pc.equal(table.column("label"), gold)
    machine = pc.equal(table.column("source"), "learner")
    found = result["certificate"]
    return {
        "learner": learner,
        "items": table.num_rows,
        "accuracy": pc.mean(right).as_py(),
        "machine": pc.mean(pc.filter(right, machine)).as_py(),
        "certified": (found["delivered_estimate"], found["delivered_low"], found["delivered_high"]),
        "labels": result["totals"]["human_labels"],
        "seconds": result["seconds"],
        "peak_mb": usage.ru_maxrss / 1024,
    }


def row(name: str, found: dict[str, Any]) -> str:
    """One line of the table."""
    estimate, low, high = found["certified"]
    return (
        f"| {name} | {found['learner']} | {found['items']:,} | {found['accuracy']:.3f} | "
        f"{found['machine']:.3f} | {estimate:.3f} [{low:.3f}, {high:.3f}] | {found['labels']} | "
        f"{found['seconds']:.0f} | {found['peak_mb']:,.0f} |"
    )


def main() -> None:
    """Run the jobs and print a Markdown table, a line as each is done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only")
    parser.add_argument("--learner")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print(
        "| data | learner | items | accuracy of all labels | of the machine's | certified | "
        "human labels | seconds | peak MB |\n|---|---|---|---|---|---|---|---|---|"
    )
    for job in JOBS:
        if args.only in (None, job.name):
            found = measure(command(job, args.data, args.seed, args.learner))
            print(row(job.name, found), flush=True)


if __name__ == "__main__":
    main()
