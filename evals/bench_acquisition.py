"""Acquisition side by side with the peers, on the same arrays, in one run; and how it grows.

    python -m labelwright.evals.bench_acquisition --peers DIR --million [--write PAGE]
        [--only k_center,badge-4,margin]

`--peers` installs the peers into DIR (once, about 3 GB), runs a peer and ours by turns, each in a
process of its own, and prints seconds, ratio, peak memory and whether the picks are the same. A
peer that needs more than 20 s is run once, everything else three times; the median is reported.
`--million` runs strategies of ours on 10,000, 100,000 and 1,000,000 items of 384 dimensions.
`--write` puts the tables into a Markdown page, between the comments that name them.

The data are unit vectors around 40 planted centres and the probabilities of a random linear model:
acquisition does not depend on what the texts say, and anybody can make the same arrays.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from ..tools.strategies import STRATEGIES, Candidates, strategy
from ..tools.strategies.geometry import nearest_similarity
from ..tools.uncertainty import MEASURES
from . import peer_worker
from .acquisition_cases import CASES, Case
from .acquisition_tables import (
    Growth,
    Result,
    compare_picks,
    growth_table,
    peer_table,
    put_table,
)
from .peer_worker import Arrays, Call
from .peers import PEERS, Worker, install

_SLOW_SECONDS = 20.0
_TURNS = 3
_CALLS = 5
_LIMIT_SECONDS = 900.0
_CENTRES = 40
_SIZES = (10_000, 100_000, 1_000_000)
# The arrays that are made hold this and nothing else.
_MADE = frozenset({"vectors", "probabilities"})
# What --million runs, with the goal in seconds at the largest size.
_GROWING: Mapping[str, float | None] = {
    "least_confidence": 0.2,
    "margin": 0.2,
    "entropy": 0.2,
    "k_center": 60.0,
    "badge": 60.0,
    "facility_location": 60.0,
    "probcover": 60.0,
    "ranked_batch": None,
    "contrastive": None,
    "typiclust": None,
    "uncertainty_diversity": None,
}


def make_arrays(
    items: int, labelled: int, classes: int, *, seed: int = 0, dim: int = 384
) -> Arrays:
    """Unit vectors around planted centres, and class probabilities that depend on them.

    Returns:
        `vectors` (items, dim), `probabilities` (items, classes), and the same for `labelled` items
        under `labelled_vectors` and `labelled_probabilities`; all float32.
    """
    rng = np.random.default_rng(seed)
    total = items + labelled
    centres = rng.standard_normal((_CENTRES, dim), dtype=np.float32)
    weights = rng.standard_normal((dim, classes), dtype=np.float32)
    vectors = np.empty((total, dim), dtype=np.float32)
    for top in range(0, total, 50_000):
        rows = vectors[top : top + 50_000]
        rng.standard_normal(out=rows, dtype=np.float32)
        # Some items lie close to their centre, others far away.
        rows *= rng.uniform(0.5, 1.5, size=(len(rows), 1)).astype(np.float32)
        rows += centres[rng.integers(_CENTRES, size=len(rows))]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    logits = (vectors @ weights) * np.float32(2.0)
    logits -= logits.max(axis=1, keepdims=True)
    odds = np.exp(logits)
    odds /= odds.sum(axis=1, keepdims=True)
    return {
        "vectors": vectors[:items],
        "probabilities": odds[:items],
        "labelled_vectors": vectors[items:],
        "labelled_probabilities": odds[items:],
    }


def ball_radius(vectors: NDArray[np.float32], near: int) -> float:
    """The Euclidean radius at which a ball holds `near` others on average, from 500 items."""
    cosine = np.sort((vectors[:500] @ vectors.T).ravel())
    least = float(cosine[-500 * (near + 1)])
    return float(np.sqrt(2.0 - 2.0 * least))


def ours(name: str) -> peer_worker.Make:
    """Our side of a measurement: a registered strategy, or `scores MEASURE`."""

    def make(arrays: Arrays, options: dict[str, Any]) -> Call:
        if name.startswith("scores "):
            return lambda: MEASURES[name.removeprefix("scores ")](arrays["probabilities"])
        given = {key: value for key, value in options.items() if key != "k"}
        one = strategy(name)
        if given:
            one = replace(cast(Any, one), **given)
        candidates = as_candidates(arrays)
        return lambda: one.select(candidates, options["k"], seed=0).rows

    return make


def as_candidates(arrays: Arrays) -> Candidates:
    """The arrays as a strategy sees them; nothing is labelled where those arrays are empty."""
    some = bool(len(arrays["labelled_probabilities"]))
    return Candidates(
        rows=np.arange(len(arrays["probabilities"]), dtype=np.int64),
        vectors=arrays.get("vectors"),
        probabilities=arrays["probabilities"],
        labelled_vectors=arrays.get("labelled_vectors") if some else None,
        labelled_probabilities=arrays["labelled_probabilities"] if some else None,
        classes=arrays["probabilities"].shape[1],
    )


def run_case(
    case: Case, pythons: Mapping[str, Path], folder: Path, *, threads: int = 2
) -> list[Result]:
    """Run a case: every peer and ours by turns, on arrays that are written to `folder`."""
    arrays = make_arrays(case.items, case.labelled, case.classes, dim=case.dim)
    options: dict[str, Any] = {**case.options, "k": case.k}
    shared: dict[str, Any] = {"k": case.k}
    if case.near:
        options["radius"] = shared["radius"] = ball_radius(arrays["vectors"], case.near)
    path = folder / f"{case.name}.npz"
    np.savez(path, **arrays)
    with ExitStack() as stack:
        sides = {"ours": stack.enter_context(_own_worker(case.ours, options, path, threads))}
        for peer, work in case.peers.items():
            command = [str(pythons[peer]), peer_worker.__file__]
            worker = _worker(command, {"work": work, "options": shared}, path, peer, threads)
            sides[peer] = stack.enter_context(worker)
        outcomes = _by_turns(sides)
    path.unlink()
    own = outcomes.pop("ours")
    return [
        Result(
            case=case.name,
            peer=peer,
            goal=case.goal,
            seconds=_median(found),
            our_seconds=_median(own),
            cpu_ratio=_median(found, "cpu") / _median(own, "cpu"),
            runs=len(found),
            added_mb=max(each["added_mb"] for each in found),
            our_added_mb=max(each["added_mb"] for each in own),
            picks=_picks(case, arrays, options, found[0]["returned"], own[0]["returned"]),
        )
        for peer, found in outcomes.items()
    ]


def _picks(
    case: Case,
    arrays: Arrays,
    options: Mapping[str, Any],
    theirs: list[int] | None,
    own: list[int] | None,
) -> str:
    words = compare_picks(case.picks, theirs, own)
    if case.near and theirs is not None and own is not None:
        shares = [covered_share(arrays, picks, options["radius"]) for picks in (theirs, own)]
        words += f"; cover {shares[0]:.1%}, ours {shares[1]:.1%}"
    return words


def covered_share(arrays: Arrays, picks: Sequence[int], radius: float) -> float:
    """The share of items within the radius of a pick or a labelled item, in [0, 1]."""
    centres = np.concatenate([arrays["vectors"][list(picks)], arrays["labelled_vectors"]])
    nearest = nearest_similarity(arrays["vectors"], centres)
    return float((nearest >= 1.0 - 0.5 * radius**2).mean())


def _by_turns(sides: Mapping[str, Worker]) -> dict[str, list[dict[str, Any]]]:
    outcomes: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for turn in range(_TURNS):
        for name, worker in sides.items():
            if not turn or _median(outcomes[name]) <= _SLOW_SECONDS:
                outcomes[name].append(worker.ask())
    return outcomes


def _own_worker(name: str, options: Mapping[str, Any], arrays: Path, threads: int) -> Worker:
    command = [sys.executable, "-m", "labelwright.evals.bench_acquisition", "--job"]
    return _worker(command, {"work": name, "options": options}, arrays, "ours", threads)


def _worker(
    command: Sequence[str], job: Mapping[str, Any], arrays: Path, side: str, threads: int
) -> Worker:
    written = arrays.with_name(f"{arrays.stem} {side}.json")
    written.write_text(
        json.dumps({**job, "arrays": str(arrays), "calls": _CALLS}), encoding="utf-8"
    )
    what = f"{job['work']!r} of {side} on {arrays.stem!r}"
    return Worker([*command, str(written)], what=what, seconds=_LIMIT_SECONDS, threads=threads)


def _median(outcomes: Sequence[Mapping[str, Any]], what: str = "seconds") -> float:
    return float(statistics.median(statistics.median(each[what]) for each in outcomes))


def run_growth(
    names: Sequence[str], sizes: Sequence[int], k: int, folder: Path, *, threads: int = 2
) -> list[Growth]:
    """Run each strategy on each size, in a process of its own."""
    found = []
    for size in sizes:
        path = folder / f"{size}.npz"
        np.savez(path, **make_arrays(size, 100, 4))
        for name in names:
            with _own_worker(name, {"k": k}, path, threads) as worker:
                outcome = worker.ask()
            one = Growth(
                name,
                size,
                _median([outcome]),
                _median([outcome], "cpu"),
                outcome["added_mb"],
                outcome["peak_mb"],
                _GROWING.get(name),
            )
            found.append(one)
            _say(f"{name} {size:,}: {one.seconds:.3f} s, {one.cpu:.3f} s of CPU time")
        path.unlink()
    return found


def _chosen(only: str | None, names: Sequence[str]) -> list[str]:
    return list(names) if only is None else [name for name in only.split(",") if name in names]


def _check(only: str | None, names: Sequence[str]) -> None:
    unknown = [] if only is None else [name for name in only.split(",") if name not in names]
    if unknown:
        raise UserError(f"--only names {unknown!r}: use some of {', '.join(names)}")


def _side_by_side(chosen: Sequence[str], cache: Path, folder: Path, threads: int) -> str:
    wanted = [case for case in CASES if case.name in chosen]
    needed = {peer for case in wanted for peer in case.peers}
    pythons = {}
    for name in sorted(needed):
        _say(f"environment of {name}")
        pythons[name] = install(PEERS[name], cache)
    results = []
    for case in wanted:
        found = run_case(case, pythons, folder, threads=threads)
        results += found
        for each in found:
            _say(f"{each.case}, {each.peer}: {each.ratio:,.1f} times")
    return peer_table(results)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _machine(threads: int) -> str:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, {threads} threads; load average at the end {load}."


def _tables(args: argparse.Namespace) -> dict[str, str]:
    """What was asked for, by the name of its place in a page."""
    cases, found = [case.name for case in CASES], {}
    growing = [name for name in STRATEGIES if STRATEGIES[name].needs <= _MADE]
    known = (cases if args.peers else []) + (growing if args.million else [])
    _check(args.only, list(dict.fromkeys(known)))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if args.peers:
            table = _side_by_side(_chosen(args.only, cases), args.peers, folder, args.threads)
            found["peers"] = f"{table}\n\n{_machine(args.threads)}"
        if args.million:
            names = list(_GROWING) if args.only is None else _chosen(args.only, growing)
            grown = run_growth(names, _SIZES, args.picks, folder, threads=args.threads)
            found["growth"] = f"{growth_table(grown)}\n\n{_machine(args.threads)}"
    return found


def main() -> None:
    """Measure what the command line asks for and print the tables in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", type=Path, metavar="DIR", help="folder for the environments")
    parser.add_argument("--million", action="store_true", help="growth of ours to 1,000,000 items")
    parser.add_argument("--only", help="names of cases or strategies, with commas between")
    parser.add_argument("--picks", type=int, default=100, help="batch size of --million")
    parser.add_argument("--threads", type=int, default=2, help="of numeric libraries, both sides")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="page to put the tables into")
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        peer_worker.serve(ours, str(args.job))
        return
    if not (args.peers or args.million):
        parser.error("give --peers DIR for the comparison, --million for the growth, or both")
    if args.write and not args.write.is_file():
        parser.error(f"--write {str(args.write)!r} is no page: name one that has the marks")
    page = args.write.read_text(encoding="utf-8") if args.write else None
    tables = _tables(args)
    for name, table in tables.items():
        print(f"{table}\n")
        page = None if page is None else put_table(page, name, table)
    if page is not None:
        args.write.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
