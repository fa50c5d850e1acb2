"""Learning curves of small-text beside ours: its own loop on the same vectors, in the same file.

    python -m labelwright.evals.curve_peers DATA --out FOLDER --peers DIR [--data ag_news,trec]
        [--seeds 3] [--strategies small-text:breaking_ties] [--budget 300] [--step 25]

FOLDER is that of `labelwright.evals.curves`, drawn with the same `--budget`, `--step`, `--pool` and
`--test`: pools, test sets, vectors and the first batch of each seed are the same. small-text is
installed into DIR; it trains, queries and updates in its own `PoolBasedActiveLearner`. Its curves
are added to `FOLDER/curves.csv` under the names of `PEER_STRATEGIES`, learner `linear`, and
`FOLDER/curves.md` is written anew; the same command again draws what is missing.

small-text brings no classifier of vectors but scikit-learn's. A strategy without `@` has
`LogisticRegression` as it comes; `@same_strength` has the regularisation of our linear learner, so
that what is left of the difference is the strategy and what our learner knows of label names.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.compute import SILENT
from ..models.encoders import DEFAULT_ENCODER, Encoder, load_encoder
from ..models.learners.logistic import inverse_regularisation
from ..models.progress import Progress
from ..store.errors import LabelwrightError, UserError
from ..tools.strategies import Candidates, strategy
from . import learner_peer_worker
from .curve_cells import Cell, Plan, Point, accuracy, macro_f1
from .curve_data import SOURCES, Texts, embed, load_texts
from .curve_table import CurveFile, Curves
from .curves import write_report
from .peers import PEERS, Worker, install

PEER = "small-text 2.0.0.dev4"
LEARNER = "linear"
_SAME = "@same_strength"
_CLASSES = {
    "small-text:random": "RandomSampling",
    "small-text:breaking_ties": "BreakingTies",
    "small-text:prediction_entropy": "PredictionEntropy",
}
PEER_STRATEGIES: Mapping[str, str] = {
    name + variant: its for variant in ("", _SAME) for name, its in _CLASSES.items()
}
"""Name in our files to the class of small-text; its random tells what the others gain with it."""
_LIMIT_SECONDS = 1_800.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the peer runs: its Python, and how many threads it may use."""

    python: Path
    threads: int = 2


def first_batch(pool: int, classes: int, plan: Plan, seed: int) -> NDArray[np.int64]:
    """The rows of a pool that every curve of this seed begins with; see `curve_cells`."""
    draw = int(np.random.SeedSequence([seed, 2, 0]).generate_state(1)[0])
    candidates = Candidates(rows=np.arange(pool, dtype=np.int64), classes=classes)
    return strategy("random").select(candidates, plan.step, seed=draw).rows


def draw_peer_curves(
    data: Path,
    out: Path,
    place: Place,
    *,
    encoder: Encoder,
    plan: Plan,
    data_sets: Sequence[str] = tuple(SOURCES),
    strategies: Sequence[str] = tuple(PEER_STRATEGIES),
    seeds: int = 3,
    progress: Progress = SILENT,
) -> Curves:
    """Draw small-text's curves that `out` does not have yet.

    Args:
        data: the folder of the data sets.
        out: where `curves.csv` and the vectors are kept.
        place: an interpreter that has small-text.
        encoder: of the vectors.
        plan: budget, batch, and the sizes of pool and test set.
        data_sets: keys of `SOURCES`.
        strategies: keys of `PEER_STRATEGIES`.
        seeds: 0 to this, exclusive.
        progress: a bar for the curves.

    Returns:
        Every curve in `out`, ours too.

    Raises:
        UserError: a name or number that makes no sense, or `out` has curves of other settings.
        OperatorError: `out` cannot be written, or small-text failed; what is finished is kept.
    """
    if seeds < 1:
        raise UserError(f"seeds is {seeds!r}: give at least 1")
    for name in strategies:
        if name not in PEER_STRATEGIES:
            raise UserError(f"unknown strategy {name!r}: use one of {', '.join(PEER_STRATEGIES)}")
    file = CurveFile(out, plan, {"encoder": encoder.name, "encoder_digest": encoder.digest})
    curves = file.read()
    file.write(curves)
    for data_set in data_sets:
        texts = load_texts(data_set, data, pool=plan.pool, test=plan.test)
        if texts.pool < plan.budget:
            raise UserError(
                f"the pool of {data_set!r} has {texts.pool!r} items and the budget is "
                f"{plan.budget!r}: give a smaller budget"
            )
        cells = [
            Cell(data_set, LEARNER, name, seed) for seed in range(seeds) for name in strategies
        ]
        missing = [cell for cell in cells if cell not in curves]
        if not missing:
            continue
        vectors = embed(texts, encoder, out / "vectors", progress=progress)
        with (
            tempfile.TemporaryDirectory() as folder,
            progress.task(f"Curves of {data_set}", len(missing)) as bar,
            _worker(place, _job(missing, texts, vectors, plan, Path(folder))) as worker,
        ):
            for cell in missing:
                answer = worker.ask()
                points = _points(answer, np.load(Path(folder) / "out.npy"), texts, plan)
                file.append(cell, points)
                curves[cell] = points
                bar.advance()
    file.write(curves)
    return dict(sorted(curves.items()))


def _job(
    cells: Sequence[Cell], texts: Texts, vectors: Path, plan: Plan, folder: Path
) -> dict[str, Any]:
    classes = len(texts.names)
    labels = folder / "labels.npy"
    np.save(labels, texts.labels)
    same = {"C": inverse_regularisation(classes), "max_iter": 500}
    curves = [
        {
            "strategy": PEER_STRATEGIES[cell.strategy],
            "classifier": same if cell.strategy.endswith(_SAME) else {},
            "seed": cell.seed,
            "first": first_batch(texts.pool, classes, plan, cell.seed).tolist(),
        }
        for cell in cells
    ]
    return {
        "work": "curve",
        "vectors": str(vectors),
        "labels": str(labels),
        "pool": texts.pool,
        "classes": classes,
        "step": plan.step,
        "batches": len(plan.labels()),
        "curves": curves,
        "out": str(folder / "out.npy"),
        "file": str(folder / "job.json"),
    }


def _worker(place: Place, job: Mapping[str, Any]) -> Worker:
    file = Path(job["file"])
    file.write_text(json.dumps(job), encoding="utf-8")
    return Worker(
        [str(place.python), learner_peer_worker.__file__, str(file)],
        what=f"the curves of {PEER}",
        seconds=_LIMIT_SECONDS,
        threads=place.threads,
    )


def _points(
    answer: Mapping[str, Any], answered: NDArray[np.int64], texts: Texts, plan: Plan
) -> list[Point]:
    gold = texts.labels[texts.pool :]
    return [
        Point(
            labels=labels,
            accuracy=round(accuracy(gold, row), 5),
            macro_f1=round(macro_f1(gold, row), 5),
            **{name: round(seconds, 4) for name, seconds in times.items()},
        )
        for labels, row, times in zip(plan.labels(), answered, answer["times"], strict=True)
    ]


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m labelwright.evals.curve_peers", description=(__doc__ or "").splitlines()[0]
    )
    plan = Plan()

    def names(text: str) -> list[str]:
        return [name.strip() for name in text.split(",") if name.strip()]

    parser.add_argument("folder", type=Path, metavar="DATA", help="folder with the data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder of our curves")
    parser.add_argument(
        "--peers", type=Path, metavar="DIR", required=True, help="folder for the environment"
    )
    parser.add_argument("--data", type=names, default=list(SOURCES), help=", ".join(SOURCES))
    parser.add_argument("--strategies", type=names, default=list(PEER_STRATEGIES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=plan.budget, help="labels of a curve")
    parser.add_argument("--step", type=int, default=plan.step, help="labels of a batch")
    parser.add_argument("--pool", type=int, default=plan.pool, help="most items of a pool")
    parser.add_argument("--test", type=int, default=plan.test, help="most test items")
    parser.add_argument("--threads", type=int, default=2, help="of numeric libraries")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER)
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 when what was given makes no sense."""
    from rich.console import Console

    from ..app.show import RichProgress

    args = _arguments(given)
    try:
        plan = Plan(args.budget, args.step, args.pool, args.test)
        curves = draw_peer_curves(
            args.folder,
            args.out,
            Place(install(PEERS[PEER], args.peers), args.threads),
            encoder=load_encoder(args.encoder),
            plan=plan,
            data_sets=args.data,
            strategies=args.strategies,
            seeds=args.seeds,
            progress=RichProgress(Console(stderr=True)),
        )
        write_report(curves, plan, args.out)
    except LabelwrightError as error:
        print(f"curve_peers: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    print(args.out / "curves.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
