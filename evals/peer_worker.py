"""One measurement of the acquisition benchmark, in the Python of a peer library.

Run as a script, `python peer_worker.py JOB.json`, it needs numpy and the peer, nothing of ours, and
measures once for each line on its input. The benchmark runs its own side through `serve` of the
same file, so that both are timed in the same way: arrays are loaded, everything is called once on a
small part (first imports, thread pools), and only then the clock and the memory counter start.

The peers get a classifier that returns the given probabilities at once: what is timed is the
acquisition, not a model.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Arrays: TypeAlias = dict[str, Any]
Call: TypeAlias = Callable[[], Any]
Make: TypeAlias = Callable[[Arrays, dict[str, Any]], Call]

_WARM_ROWS = 240
_WARM_PICKS = 3


def prepared(make: Make, job: Mapping[str, Any]) -> Call:
    """Load the arrays of a job, call everything once on a small part, and give the call to time.

    Args:
        make: from arrays and options to the call that is timed; it returns picks or scores.
        job: `arrays`, the path of an .npz file, and `options`, with at least `k`.
    """
    with np.load(job["arrays"]) as file:
        arrays = {name: file[name] for name in file.files}
    options = dict(job["options"])
    make(_part(arrays), {**options, "k": _WARM_PICKS})()
    return make(arrays, options)


def measure(call: Call, calls: int) -> dict[str, Any]:
    """Time a call, again while it takes less than a second, and its memory in this process.

    Returns:
        `seconds` and `cpu` seconds of each of at most `calls` calls, what the first `returned`
        (positions, or `None` for scores), `peak_mb` of the process meanwhile, and `added_mb`, how
        much of it came with the calls.
    """
    before = _reset_peak()
    seconds: list[float] = []
    cpu: list[float] = []
    returned: Any = None
    while len(seconds) < calls and sum(seconds) < 1.0:
        started, worked = time.perf_counter(), time.process_time()
        found = np.asarray(call())
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - worked)
        if len(seconds) == 1 and np.issubdtype(found.dtype, np.integer):
            returned = found.tolist()
    peak = _memory("VmHWM")
    return {
        "seconds": seconds,
        "cpu": cpu,
        "returned": returned,
        "peak_mb": peak,
        "added_mb": peak - before,
    }


def serve(work: Callable[[str], Make], path: str) -> None:
    """Prepare the job of that file, and for each line of the input measure it and answer.

    The answer is one line of JSON. Whatever the measured code prints goes to standard error.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        job = json.loads(Path(path).read_text(encoding="utf-8"))
        call = prepared(work(job["work"]), job)
        for _ in sys.stdin:
            answers.write(json.dumps(measure(call, job["calls"])) + "\n")
            answers.flush()


def _part(arrays: Arrays) -> Arrays:
    # Fewer labelled items than others: `_scikit_activeml` tells them apart by their number.
    rows = {name: _WARM_ROWS // (2 if name.startswith("labelled") else 1) for name in arrays}
    return {name: array[: rows[name]].copy() for name, array in arrays.items()}


def _reset_peak() -> float:
    """Start the kernel's peak of resident memory anew; the megabytes in use now."""
    # The peak that getrusage reports starts with that of the parent process.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _memory("VmRSS")


def _memory(field: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {field!r}: this benchmark runs on Linux only")


class Given:
    """A classifier as small-text calls it; a data set is an array of row numbers."""

    def __init__(self, vectors: Any, probabilities: Any) -> None:
        self.vectors, self.probabilities = vectors, probabilities

    def predict_proba(self, dataset: Any) -> Any:
        """Probabilities (n, C) of those rows."""
        return self.probabilities[dataset]

    def embed(self, dataset: Any, return_proba: bool = False, **_options: Any) -> Any:
        """Vectors (n, d) of those rows, with the probabilities where they are asked for."""
        if return_proba:
            return self.vectors[dataset], self.probabilities[dataset]
        return self.vectors[dataset]


def _small_text(arrays: Arrays, options: dict[str, Any], strategy: Any) -> Call:
    """A query of small-text: the unlabelled items come first, the labelled ones after them."""
    n, m = len(arrays["probabilities"]), len(arrays["labelled_probabilities"])
    both = np.concatenate([arrays["probabilities"], arrays["labelled_probabilities"]])
    vectors = None
    if "vectors" in arrays:
        vectors = np.concatenate([arrays["vectors"], arrays["labelled_vectors"]])
    model, rows = Given(vectors, both), np.arange(n + m)
    labels = np.zeros(m, dtype=np.int64)
    return lambda: strategy.query(model, rows, rows[:n], rows[n:], labels, n=options["k"])


def _st_k_center(arrays: Arrays, options: dict[str, Any]) -> Call:
    coreset = import_module("small_text.query_strategies.coresets").greedy_coreset
    n, m = len(arrays["vectors"]), len(arrays["labelled_vectors"])
    both, rows = np.concatenate([arrays["vectors"], arrays["labelled_vectors"]]), np.arange(n + m)
    return lambda: coreset(both, rows[:n], rows[n:], options["k"], normalized=True)


def _st_badge(arrays: Arrays, options: dict[str, Any]) -> Call:
    module = import_module("small_text.integrations.pytorch.query_strategies.strategies")
    return _small_text(arrays, options, module.BADGE(arrays["probabilities"].shape[1]))


def _st_core(name: str, **fixed: Any) -> Make:
    def make(arrays: Arrays, options: dict[str, Any]) -> Call:
        strategy = getattr(import_module("small_text.query_strategies"), name)(**fixed)
        return _small_text(arrays, options, strategy)

    return make


def _st_scores(name: str) -> Make:
    def make(arrays: Arrays, options: dict[str, Any]) -> Call:
        strategy = getattr(import_module("small_text.query_strategies"), name)()
        n = len(arrays["probabilities"])
        model, rows = Given(None, arrays["probabilities"]), np.arange(n)
        return lambda: strategy.get_confidence(model, rows, rows, rows[:0], rows[:0])

    return make


def _st_probcover(arrays: Arrays, options: dict[str, Any]) -> Call:
    strategies = import_module("small_text.query_strategies")
    # Its index gives squared distances.
    strategy = strategies.ProbCover(ball_radius=options["radius"] ** 2)
    return _small_text(arrays, options, strategy)


def _scikit_activeml(arrays: Arrays, options: dict[str, Any], strategy: Any) -> Call:
    """A query of scikit-activeml: labels are NaN for the candidates, which come first."""
    vectors = np.concatenate([arrays["vectors"], arrays["labelled_vectors"]])
    n, m = len(arrays["vectors"]), len(arrays["labelled_vectors"])
    labels = np.full(n + m, np.nan)
    labels[n:] = np.arange(m) % arrays["probabilities"].shape[1]
    if not options.get("model"):
        return lambda: strategy.query(vectors, labels, batch_size=options["k"])
    tables = {n: arrays["probabilities"], m: arrays["labelled_probabilities"]}
    base = import_module("skactiveml.base").SkactivemlClassifier
    methods = {
        "fit": lambda self, *args, **named: self,
        # The two parts of the data have other lengths.
        "predict_proba": lambda self, x: tables[len(x)].copy(),
    }
    model = type("Given", (base,), methods)(classes=list(range(tables[n].shape[1])))
    size = options["k"]
    return lambda: strategy.query(vectors, labels, model, fit_clf=False, batch_size=size)


def _sk(name: str, *, model: bool = False, **fixed: Any) -> Make:
    def make(arrays: Arrays, options: dict[str, Any]) -> Call:
        extra = dict(fixed)
        if name == "ProbCover":
            extra["n_classes"] = arrays["probabilities"].shape[1]
            extra["deltas"] = [options["radius"]] if "radius" in options else None
        strategy = getattr(import_module("skactiveml.pool"), name)(random_state=0, **extra)
        return _scikit_activeml(arrays, {**options, "model": model}, strategy)

    return make


def _ranked_batch(arrays: Arrays, options: dict[str, Any]) -> Call:
    """A query of modAL, which asks its learner for training data and probabilities only."""
    query = import_module("modAL.batch").uncertainty_batch_sampling
    known = arrays["labelled_vectors"]
    members = {
        "X_training": known if len(known) else None,
        "on_transformed": False,
        "predict_proba": lambda self, x: arrays["probabilities"],
    }
    learner = type("Given", (), members)()
    return lambda: query(learner, arrays["vectors"], n_instances=options["k"])[0]


WORK: Mapping[str, Make] = {
    "small-text k_center": _st_k_center,
    "small-text k_center whole": _st_core("GreedyCoreset"),
    "small-text badge": _st_badge,
    "small-text entropy": _st_core("PredictionEntropy"),
    "small-text entropy scores": _st_scores("PredictionEntropy"),
    "small-text margin": _st_core("BreakingTies"),
    "small-text margin scores": _st_scores("BreakingTies"),
    "small-text contrastive": _st_core("ContrastiveActiveLearning", pbar=None),
    "small-text probcover": _st_probcover,
    "scikit-activeml badge": _sk("Badge", model=True),
    "scikit-activeml contrastive": _sk(
        "ContrastiveAL", model=True, eps=1e-6, nearest_neighbors_dict={"n_neighbors": 10}
    ),
    "scikit-activeml probcover": _sk("ProbCover"),
    "scikit-activeml typiclust": _sk("TypiClust", k=20),
    "modAL ranked batch": _ranked_batch,
}


if __name__ == "__main__":
    serve(WORK.__getitem__, sys.argv[1])
