"""Learning curves: accuracy against labels for strategies, learners and data sets.

    python -m labelwright.evals.curves DATA --out FOLDER [--data ag_news,trec] [--seeds 3]
        [--learners linear,svm] [--strategies random,margin] [--budget 300] [--step 25] [--jobs 2]
        [--llm STRING]

DATA is a folder with the data sets of `curve_data`. Each curve (data set, learner, strategy, seed)
is drawn in a process of its own with one thread, `--jobs` at a time, and is added to
`FOLDER/curves.csv` when it is finished; the same command again draws what is missing. In the end
`FOLDER/curves.md` has the summary, with one plot for each data set and learner beside it.
Strategies that ask a chat model (`llm_pick`, `llm_score`, …) need `--llm`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from ..models.chat import load_backend
from ..models.compute import SILENT
from ..models.encoders import DEFAULT_ENCODER, Encoder, load_encoder
from ..models.learners import LEARNERS, make_learner
from ..models.llm.cache import AnswerCache, default_path
from ..models.llm.gateway import Gateway
from ..models.progress import Progress
from ..store.errors import LabelwrightError, OperatorError, UserError
from ..tools.llm_selection.adviser import Adviser
from .curve_cells import WHOLE_POOL, Cell, Plan, Point, draw_curve, strategies_of
from .curve_data import (
    SOURCES,
    KnownVectors,
    embed,
    embedded_texts,
    hidden_of,
    load_texts,
    split,
)
from .curve_plots import plot_curves
from .curve_report import report
from .curve_table import CurveFile, Curves

STRATEGIES = (
    "random",
    "margin",
    "entropy",
    "k_center",
    "uncertainty_diversity",
    "typiclust+margin",
    "cluster+uncertainty_diversity",
    "badge",
    "contrastive",
    "adaptive(uncertainty_diversity, margin, badge)",
)
_LEARNERS = ("linear", "svm")
# These take vectors and never ask the encoder for a transformer, so they need not load one.
_VECTORS_SUFFICE = frozenset({"linear", "svm"})
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Job:
    """All that a process needs to draw one curve."""

    cell: Cell
    plan: Plan
    data: Path
    vectors: Path
    hidden: Path
    encoder: str
    digest: str


def draw(job: Job) -> list[Point]:
    """Draw the curve of a job, from files only."""
    found = load_texts(job.cell.data, job.data, pool=job.plan.pool, test=job.plan.test)
    vectors = np.load(job.vectors)
    encoder: Encoder
    hidden = None
    if job.cell.learner in _VECTORS_SUFFICE:
        encoder = KnownVectors(job.encoder, job.digest, embedded_texts(found), vectors)
    else:
        encoder = load_encoder(job.encoder)
        hidden = hidden_of(found, job.hidden)
    given = split(found, vectors, hidden)
    names = list(found.names)
    learner = make_learner(job.cell.learner, label_names=names, label_texts=names, encoder=encoder)
    with _adviser(job, names) as adviser:
        return draw_curve(
            given, learner, job.cell.strategy, job.plan, job.cell.seed, adviser=adviser
        )


@contextmanager
def _adviser(job: Job, names: Sequence[str]) -> Iterator[Adviser | None]:
    """The chat model of a job's plan; its answers are kept where those of runs are."""
    backend = load_backend(job.plan.llm)
    if backend is None:
        yield None
        return
    gateway = Gateway(backend, cache=AnswerCache(default_path()))
    try:
        goal = f"Say which label each text of the data set {job.cell.data} has"
        yield Adviser(gateway, goal, tuple(names), job.cell.seed)
    finally:
        gateway.close()


def draw_curves(
    data: Path,
    out: Path,
    *,
    encoder: Encoder,
    plan: Plan,
    data_sets: Sequence[str] = tuple(SOURCES),
    learners: Sequence[str] = _LEARNERS,
    strategies: Sequence[str] = STRATEGIES,
    seeds: int = 3,
    jobs: int = 2,
    progress: Progress = SILENT,
) -> Curves:
    """Draw all curves that `out` does not have yet, and one point with the whole pool labelled.

    Args:
        data: the folder of the data sets.
        out: where `curves.csv` and the vectors are kept.
        encoder: of the vectors that learners and strategies see.
        plan: budget, batch, and the sizes of pool and test set.
        data_sets: keys of `SOURCES`.
        learners: keys of `LEARNERS`.
        strategies: see `strategies_of`.
        seeds: 0 to this, exclusive.
        jobs: processes; 1 draws in this one.
        progress: a bar for the curves.

    Returns:
        Every curve in `out`, those of earlier starts too.

    Raises:
        UserError: a name or number that makes no sense, or `out` has curves of other settings.
        OperatorError: `out` cannot be written, or a process died; what is finished is kept.
    """
    if seeds < 1 or jobs < 1:
        raise UserError(f"seeds {seeds!r} and jobs {jobs!r}: give at least 1 of each")
    for name in strategies:
        asks = any("adviser" in each.needs for each in strategies_of(name))
        if asks and plan.llm == "none":
            raise UserError(f"strategy {name!r} asks a chat model: give one with --llm")
    for name in learners:
        if name not in LEARNERS:
            raise UserError(f"unknown learner {name!r}: choose one of {', '.join(LEARNERS)}")
    texts = {name: load_texts(name, data, pool=plan.pool, test=plan.test) for name in data_sets}
    file = CurveFile(out, plan, {"encoder": encoder.name, "encoder_digest": encoder.digest})
    curves = file.read()
    # Before anything is appended: a line that a kill cut short would spoil the next one.
    file.write(curves)
    with _processes(jobs) as pool:
        for name, found in texts.items():
            place = embed(found, encoder, out / "vectors", progress=progress)
            kept = out / "hidden"
            if any(learner not in _VECTORS_SUFFICE for learner in learners):
                hidden_of(found, kept)
            missing = [
                Job(cell, plan, data, place, kept, encoder.name, encoder.digest)
                for cell in _cells(name, learners, strategies, seeds)
                if cell not in curves
            ]
            with progress.task(f"Curves of {name}", len(missing)) as bar:
                for job, points in _finished(missing, pool):
                    file.append(job.cell, points)
                    curves[job.cell] = points
                    bar.advance()
    file.write(curves)
    return dict(sorted(curves.items()))


def write_report(curves: Curves, plan: Plan, out: Path) -> None:
    """Write `curves.md` and one `DATA-LEARNER.svg` for each data set and learner.

    Args:
        curves: what `draw_curves` returned.
        plan: the one they were drawn with.
        out: the folder.

    Raises:
        OperatorError: the folder cannot be written.
    """
    try:
        (out / "curves.md").write_text(report(curves, plan), encoding="utf-8")
        for data, learner in sorted({(cell.data, cell.learner) for cell in curves}):
            picture = plot_curves(curves, data, learner)
            (out / f"{data}-{learner}.svg").write_text(picture, encoding="utf-8")
    except OSError as error:
        raise OperatorError(
            f"the report cannot be written to {str(out)!r} ({error}): give a writable folder"
        ) from error


def _cells(
    data: str, learners: Sequence[str], strategies: Sequence[str], seeds: int
) -> Iterator[Cell]:
    for learner in learners:
        for seed in range(seeds):
            for name in (WHOLE_POOL, *strategies):
                yield Cell(data, learner, name, seed)


@contextmanager
def _processes(jobs: int) -> Iterator[ProcessPoolExecutor | None]:
    """So many processes with one thread each for linear algebra; none for one job."""
    if jobs == 1:
        yield None
        return
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _finished(
    missing: Sequence[Job], pool: ProcessPoolExecutor | None
) -> Iterator[tuple[Job, list[Point]]]:
    """Jobs and their curves, each as soon as it is drawn."""
    if pool is None:
        for job in missing:
            yield job, draw(job)
        return
    futures: dict[Future[list[Point]], Job] = {pool.submit(draw, job): job for job in missing}
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise OperatorError(
            "a process that drew curves died, perhaps for want of memory: start the command "
            "again, finished curves are kept, with fewer --jobs if it happens again"
        ) from error


def names(text: str) -> list[str]:
    """The parts between commas; those within brackets belong to a composed strategy."""
    found, depth = [""], 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            found.append("")
        else:
            found[-1] += char
    return [name.strip() for name in found if name.strip()]


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m labelwright.evals.curves", description=(__doc__ or "").splitlines()[0]
    )
    plan = Plan()

    parser.add_argument("folder", type=Path, metavar="DATA", help="folder with the data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder of CSV, report and plots")
    parser.add_argument("--data", type=names, default=list(SOURCES), help=", ".join(SOURCES))
    parser.add_argument("--learners", type=names, default=list(_LEARNERS))
    parser.add_argument("--strategies", type=names, default=list(STRATEGIES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=plan.budget, help="labels of a curve")
    parser.add_argument("--step", type=int, default=plan.step, help="labels of a batch")
    parser.add_argument("--pool", type=int, default=plan.pool, help="most items of a pool")
    parser.add_argument("--test", type=int, default=plan.test, help="most test items")
    parser.add_argument("--jobs", type=int, default=2, help="curves drawn at the same time")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER)
    parser.add_argument("--llm", default=plan.llm, help="chat model of the strategies that ask one")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 when what was given makes no sense."""
    from rich.console import Console

    from ..app.show import RichProgress

    args = _arguments(given)
    try:
        plan = Plan(args.budget, args.step, args.pool, args.test, args.llm)
        curves = draw_curves(
            args.folder,
            args.out,
            encoder=load_encoder(args.encoder),
            plan=plan,
            data_sets=args.data,
            learners=args.learners,
            strategies=args.strategies,
            seeds=args.seeds,
            jobs=args.jobs,
            progress=RichProgress(Console(stderr=True)),
        )
        write_report(curves, plan, args.out)
    except LabelwrightError as error:
        print(f"curves: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    print(args.out / "curves.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
