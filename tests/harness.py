"""The command line with the fast encoder, in this process or one of its own, and its deaths.

As a script: `harness.py cli ARGS…` is `labelwright ARGS…` with the fast encoder;
`harness.py deaths PLAN` runs a project while killing it again and again (see `deaths`).
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import sqlalchemy as sa
from labelwright.app.answering import make_reviewer
from labelwright.app.options import Options
from labelwright.app.project import Project
from labelwright.app.runs import create_project, drive
from labelwright.models.progress import NoProgress, Task
from support import HashEncoder

SAMPLE = Path(__file__).parents[1] / "evals" / "sample" / "support.csv"
GOAL = "Sort the messages by what the customer wants"
OPTIONS: dict[str, Any] = {
    "text_columns": ("text",),
    "id_column": "id",
    "gold_column": "intent",
    "labels_from_gold": True,
    "reviewer": "simulated",
    "reviewer_error_rate": 0.1,
    "learner": "linear",
    "human_labels": 40,
    "label_price": 0.25,
    "seed": 3,
}


def sample(path: Path, items: int = 120) -> Path:
    """The first items of the sample as a file of their own."""
    with SAMPLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[: items + 1]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def arguments(data: Path, folder: Path, **changed: Any) -> list[str]:
    """`run` on the command line, with `OPTIONS` and changes to them; `None` leaves one out."""
    given = {"data": str(data), "project": str(folder), **OPTIONS, **changed}
    found = ["run", str(given.pop("goal", GOAL))]
    for name, value in given.items():
        option = f"--{name.replace('_', '-')}"
        if name == "text_columns":
            found += [part for column in value for part in ("--text-column", str(column))]
        elif value is True:
            found.append(option)
        elif value is not None and value is not False:
            found += [option, str(value)]
    return found


def start(*args: str, as_user: int = 0) -> subprocess.Popen[str]:
    """`labelwright ARGS…` with the fast encoder in a process of its own.

    `as_user`: become that user first, with everything imported: it may not read our packages.
    """
    mode = ["cli"] if not as_user else ["cli-as", str(as_user)]
    return subprocess.Popen(
        [sys.executable, "-W", "error", __file__, *mode, *args],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def fingerprint(folder: Path) -> dict[str, Any]:
    """What two runs of the same seed must have in common, and that the trace holds."""
    project = Project(folder)
    try:
        found = project.store.annotations()
        totals = project.store.totals()
        return {
            "labels": project.labels().to_pylist() if project.finished else None,
            "annotations": Counter((each.purpose, each.kind) for each in found),
            "human_labels": totals.human_labels,
            "usd": round(totals.usd, 9),
            "certificate": project.store.artefact("certificate"),
            "problems": project.verify(),
        }
    finally:
        project.close()


def asked_twice(folder: Path) -> list[tuple[str, int]]:
    """Questions that were answered more than once, or asked in more than one review."""
    project = Project(folder)
    try:
        reviews = project.store.reviews()
        answers = Counter(
            (each.review, each.row)
            for review in reviews
            for each in project.store.answer_log(review.id)
        )
        asked = Counter(question.row for review in reviews for question in review.questions)
    finally:
        project.close()
    twice = [key for key, count in answers.items() if count > 1]
    return twice + [("any", row) for row, count in asked.items() if count > 1]


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder, by its relative path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def error_line(self) -> str:
        """The one line of standard error, as every error on purpose is."""
        assert self.err.startswith("labelwright: "), self
        assert self.err.count("\n") == 1, self
        assert self.err.endswith("\n"), self
        return self.err.removeprefix("labelwright: ").rstrip()

    @property
    def json(self) -> Any:
        """The one JSON value on standard output."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a run dies.

    `seconds` after it began; before the `number`th `commit`, with everything written and nothing
    kept; at the `number`th thing `told`, which is after its commit and before the checkpoint; at
    the `number`th `advance` of a tool's bar; at the `number`th text `encode`; when the trace has
    grown by `number` `events`.
    """

    kind: str
    number: float


def moments(seed: int) -> Iterator[Moment]:
    """Endless random moments, each kind in its turn."""
    rng = np.random.default_rng(seed)
    while True:
        yield Moment("seconds", round(float(rng.uniform(0.05, 1.5)), 3))
        yield Moment("commit", int(rng.integers(2, 25)))
        yield Moment("told", int(rng.integers(1, 9)))
        yield Moment("advance", int(rng.integers(1, 30)))
        yield Moment("events", int(rng.integers(1, 25)))
        yield Moment("encode", int(rng.integers(1, 3)))


def deaths(data: Path, base: Path, kills: int, seed: int) -> dict[str, Any]:
    """Run projects below `base`, each killed and resumed until `kills` deaths were died.

    Every attempt is a fork of this process, which has imported everything and run nothing.
    """
    died: list[dict[str, Any]] = []
    folders = [base / "run-0"]
    for moment in moments(seed):
        if len(died) >= kills:
            break
        status = _attempt(data, folders[-1], moment)
        if os.WIFSIGNALED(status):
            died.append({**asdict(moment), "events": events(folders[-1])})
        elif os.waitstatus_to_exitcode(status) == 0:
            folders.append(base / f"run-{len(folders)}")
        else:
            raise RuntimeError(f"{moment}: exit code {os.waitstatus_to_exitcode(status)}")
    if folders[-1].exists() and not _finish(data, folders[-1]):
        raise RuntimeError("the last resume failed")
    return {"died": died, "folders": [str(each) for each in folders if each.exists()]}


def walk(data: Path, folder: Path) -> int:
    """Run one project that dies as soon as it has got any further; returns how often it died.

    It dies before the third commit of an attempt, one commit later each time that was too early
    for anything new: so it dies between any two commits that bring it on.
    """
    number, before = 9, 0
    for died in range(400):
        if _attempt(data, folder, Moment("commit", number)) == 0:
            return died
        after = events(folder, "key NOT LIKE 'run:%'")
        number, before = (3 if after > before else number + 1), after
    raise RuntimeError("the run gets nowhere")


def _finish(data: Path, folder: Path) -> bool:
    return _attempt(data, folder, Moment("never", 0)) == 0


def _attempt(data: Path, folder: Path, moment: Moment) -> int:
    before = events(folder)
    child = os.fork()
    if child == 0:
        _child(data, folder, moment)
    started = time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        late = moment.kind == "seconds" and time.monotonic() - started >= moment.number
        grown = moment.kind == "events" and events(folder) >= before + moment.number
        if late or grown:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)


def _child(data: Path, folder: Path, moment: Moment) -> NoReturn:
    code = 1
    try:
        countdown = _Countdown(moment)
        if folder.exists():
            project = Project(folder)
        else:
            given = Options(goal=GOAL, data=str(data), project=folder, **OPTIONS)
            project = create_project(given)
        progress = _CountedProgress(countdown)
        drive(
            project,
            reviewer=make_reviewer(project, progress),
            encoder=_CountedEncoder(countdown),
            progress=progress,
            on_event=lambda _what, _detail: countdown("told"),
        )
        project.close()
        code = 0
    finally:
        if code:
            import traceback

            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)


class _Countdown:
    """Kills this process when what it waits for has happened so many times."""

    def __init__(self, moment: Moment) -> None:
        self._moment, self._left = moment, int(moment.number)
        sa.event.listen(sa.Engine, "commit", lambda _connection: self("commit"))

    def __call__(self, kind: str) -> None:
        if kind == self._moment.kind:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


class _CountedTask:
    def __init__(self, countdown: _Countdown) -> None:
        self._countdown = countdown

    def advance(self, units: int = 1) -> None:
        self._countdown("advance")


class _CountedProgress(NoProgress):
    def __init__(self, countdown: _Countdown) -> None:
        self._countdown = countdown

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Task]:
        yield _CountedTask(self._countdown)


class _CountedEncoder(HashEncoder):
    def __init__(self, countdown: _Countdown) -> None:
        self._countdown = countdown

    def encode(self, texts: Sequence[str], **options: Any) -> Any:
        found = super().encode(texts, **options)
        self._countdown("encode")
        return found


def events(folder: Path, which: str = "1") -> int:
    """Length of the trace, or of the part that an SQL condition says; 0 while there is none."""
    database = folder / "labelwright.db"
    if not database.exists():
        return 0
    connection = sqlite3.connect(database, timeout=10)
    try:
        return int(connection.execute(f"SELECT count(*) FROM events WHERE {which}").fetchone()[0])
    finally:
        connection.close()


def use_fast_encoder() -> None:
    """Let the command line of this process use the fast encoder, whatever it is asked for."""
    sys.modules["labelwright.app.runs"].load_encoder = lambda _name: HashEncoder()  # type: ignore[attr-defined]


def _import_all() -> None:
    """Import what a run imports on its way, running nothing."""
    for name in (
        "pyarrow.parquet",
        "rich.progress",
        "sklearn.linear_model",
        "langgraph.checkpoint.sqlite",
        "labelwright.app.show",
        "labelwright.graphs.main",
        "labelwright.tools.deliver",
    ):
        import_module(name)


def _main() -> None:
    what, *rest = sys.argv[1:]
    if what == "deaths":
        _import_all()
        plan = json.loads(rest[0])
        data, base = Path(plan["data"]), Path(plan["base"])
        result = deaths(data, base, plan["kills"], plan["seed"])
        died = walk(data, base / "walk")
        print(json.dumps({**result, "walked": died, "walk": str(base / "walk")}))
        return
    from labelwright.app.cli import main

    if what == "cli-as":
        _import_all()
        user = int(rest.pop(0))
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    use_fast_encoder()
    sys.argv = ["labelwright", *rest]
    main()


if __name__ == "__main__":
    _main()
