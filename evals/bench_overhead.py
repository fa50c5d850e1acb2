"""What the machinery itself costs: checkpoints, graph and store, and how the job grows.

    python -m labelwright.evals.bench_overhead [--sizes 1000,25000,100000] [--labels 60]

For each pool size one child process runs the whole job on texts made by varying the sample, with
random vectors in place of an encoder (embedding is not what is measured here) and a simulated
reviewer, and reports

- bytes of each checkpoint (state, metadata and the writes of the step),
- milliseconds of graph and store for each step: the time from one decision to the next, less
  what the tool and the reviewer took,
- seconds of each stage, and the exponent with which they grow from size to size (1 is linear),
- peak memory.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.progress import NoProgress, Progress

DIM = 384
SIZES = "1000,25000,50000,100000"


class RandomEncoder:
    """Gives each text a random unit vector of its own: an `Encoder` that costs next to nothing."""

    name = "random"
    digest = "random-384"
    dim = DIM

    def encode(
        self, texts: Sequence[str], *, progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """(n, 384) unit vectors, the same for the same text in one process or another."""
        vectors = np.empty((len(texts), DIM), dtype=np.float32)
        for place, text in enumerate(texts):
            rng = np.random.default_rng(zlib.crc32(text.encode()))
            vectors[place] = rng.standard_normal(DIM, dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


def vary_sample(path: Path, size: int, seed: int) -> None:
    """Write `size` different messages made from the sample: words dropped, doubled, numbered."""
    source = files(__package__ or "labelwright.evals") / "sample" / "support.csv"
    rows = list(csv.DictReader(io.StringIO(source.read_text(encoding="utf-8"))))
    rng = np.random.default_rng(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "intent"])
        for number in range(size):
            row = rows[number % len(rows)]
            words = row["text"].split()
            if number >= len(rows):
                words.pop(int(rng.integers(len(words))))
                words.insert(int(rng.integers(len(words) + 1)), f"#{number}")
            writer.writerow([f"v{number}", " ".join(words), row["intent"]])


class _Clock:
    """Takes the time of decisions, tools and reviews while a run goes on."""

    def __init__(self) -> None:
        self.decisions: list[tuple[float, str]] = []
        self.away: list[float] = []
        self.stages: dict[str, float] = {}

    def on_event(self, what: str, detail: dict[str, Any]) -> None:
        if what == "decision":
            self.decisions.append((time.perf_counter(), detail["tool"]))
            self.away.append(0.0)

    def spend(self, name: str, started: float) -> None:
        took = time.perf_counter() - started
        self.stages[name] = self.stages.get(name, 0.0) + took
        if self.away:
            self.away[-1] += took

    def overhead(self) -> list[float]:
        """Milliseconds between decisions that neither tool nor reviewer took."""
        times = [at for at, _ in self.decisions]
        return [
            1000 * (after - before - away)
            for before, after, away in zip(times, times[1:], self.away, strict=False)
        ]


def measure(size: int, labels: int, folder: Path) -> dict[str, Any]:
    """Run the whole job on `size` texts in this process and measure it."""
    from ..app.options import Options
    from ..app.project import Project
    from ..app.reviewers import SimulatedReviewer
    from ..app.runs import create_project, drive
    from ..tools.registry import TOOLS

    data = folder / "texts.csv"
    vary_sample(data, size, seed=1)
    clock = _Clock()
    for tool in TOOLS.values():
        _time(tool, "run", tool.name, clock)
    started = time.perf_counter()
    project: Project = create_project(
        Options(
            goal="Sort into delivery, returns, billing, product_question and account",
            data=str(data),
            text_columns=("text",),
            gold_column="intent",
            human_labels=labels,
            learner="linear",
            reviewer="simulated",
            autonomy="auto",
            project=folder / "project",
        )
    )
    clock.spend("load", started)
    reviewer = SimulatedReviewer(project.folder, error_rate=0, seed=0, progress=NoProgress())
    _time(reviewer, "review", "review", clock)
    started = time.perf_counter()
    drive(project, reviewer=reviewer, encoder=RandomEncoder(), on_event=clock.on_event)
    total = time.perf_counter() - started
    clock.stages["finish: labels, exports, report"] = time.perf_counter() - clock.decisions[-1][0]
    tools = sum(took for name, took in clock.stages.items() if name != "load")
    clock.stages["prepare: duplicates"] = max(
        0.0, clock.decisions[0][0] - started - _prepared(clock)
    )
    return {
        "size": size,
        "steps": len(clock.decisions),
        "checkpoint_bytes": _checkpoint_bytes(project.folder),
        "overhead_ms": clock.overhead(),
        "stages": clock.stages,
        "seconds": total,
        "tools": tools,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _time(owner: Any, method: str, name: str, clock: _Clock) -> None:
    inner = getattr(owner, method)

    def timed(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return inner(*args, **kwargs)
        finally:
            clock.spend(name, started)

    setattr(owner, method, timed)


def _prepared(clock: _Clock) -> float:
    return clock.stages.get("embed_pool", 0.0)


def _checkpoint_bytes(folder: Path) -> list[int]:
    """Bytes of each checkpoint with its metadata and the writes that belong to it."""
    query = (
        "SELECT length(checkpoint) + length(metadata) + coalesce((SELECT sum(length(value)) "
        "FROM writes WHERE writes.checkpoint_id = checkpoints.checkpoint_id), 0) FROM checkpoints"
    )
    with sqlite3.connect(folder / "labelwright.db") as connection:
        return [int(row[0]) for row in connection.execute(query)]


def report(results: list[dict[str, Any]]) -> str:
    """The tables that the benchmark prints, in Markdown."""
    lines = [
        "| items | steps | checkpoint mean / max (bytes) | graph + store (ms a step, median / max) "
        "| whole job (s) | peak memory (MB) |",
        "|---|---|---|---|---|---|",
    ]
    for each in results:
        sizes, overhead = each["checkpoint_bytes"], each["overhead_ms"]
        lines.append(
            f"| {each['size']:,} | {each['steps']} | {np.mean(sizes):,.0f} / {max(sizes):,} | "
            f"{np.median(overhead):.1f} / {max(overhead):.1f} | {each['seconds']:.1f} | "
            f"{each['peak_mb']:,.0f} |"
        )
    first, last = results[0], results[-1]
    ratio = np.mean(last["checkpoint_bytes"]) / np.mean(first["checkpoint_bytes"])
    lines += [
        "",
        f"Checkpoint of {last['size']:,} items to that of {first['size']:,}: {ratio:.3f}.",
    ]
    lines += ["", *_growth(results)]
    return "\n".join(lines)


def _growth(results: list[dict[str, Any]]) -> list[str]:
    """Seconds of each stage by size, and the exponent between the two largest sizes."""
    sizes = [each["size"] for each in results]
    head = " | ".join(f"{size:,}" for size in sizes)
    lines = [f"| stage (s) | {head} | exponent |", "|---" * (len(sizes) + 2) + "|"]
    for name in sorted({name for each in results for name in each["stages"]}):
        seconds = [each["stages"].get(name, 0.0) for each in results]
        cells = " | ".join(f"{value:.2f}" for value in seconds)
        lines.append(f"| {name} | {cells} | {_exponent(sizes, seconds)} |")
    return lines


def _exponent(sizes: list[int], seconds: list[float]) -> str:
    if len(sizes) < 2 or min(seconds[-2:]) < 0.05:
        return "–"
    return f"{math.log(seconds[-1] / seconds[-2]) / math.log(sizes[-1] / sizes[-2]):.2f}"


def main() -> None:
    """Run one child for each size and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--labels", type=int, default=60)
    parser.add_argument("--child", type=int)
    args = parser.parse_args()
    if args.child:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(args.child, args.labels, Path(folder))))
        return
    results = []
    for size in (int(part) for part in args.sizes.split(",")):
        command = [sys.executable, "-m", "labelwright.evals.bench_overhead"]
        command += ["--child", str(size), "--labels", str(args.labels)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
    print(report(results))


if __name__ == "__main__":
    main()
