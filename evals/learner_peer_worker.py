"""small-text at work, in the Python of its own environment: scoring, a round, a learning curve.

Run as a script, `python learner_peer_worker.py JOB.json`, it needs small-text and what that needs,
nothing of ours. For each line on its input it does the work of the job once and answers with one
line of JSON. Our own side of a measurement goes through `serve` and `stage` of the same file, so
that both are timed in the same way: a model is loaded and called once before the clock starts.

Versions 1.4.1 and 2.0.0.dev4 differ in a few names; everything that is left out is as it comes.
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

Job: TypeAlias = dict[str, Any]
Once: TypeAlias = Callable[[], dict[str, Any]]
Make: TypeAlias = Callable[[Job], Once]

_WARM_TEXTS = 12
_STAGE_FIELDS = ("seconds", "cpu")


def serve(works: Mapping[str, Make], path: str) -> None:
    """Prepare the job of that file; for each line of the input do its work and answer.

    Whatever the measured code prints goes to standard error.

    Args:
        works: from a job to what does it once; the job names its `work`.
        path: a JSON file.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        job = json.loads(Path(path).read_text(encoding="utf-8"))
        once = works[job["work"]](job)
        for _ in sys.stdin:
            answers.write(json.dumps(once()) + "\n")
            answers.flush()


def stage(call: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Do something once.

    Returns:
        What it returned; and its `seconds`, `cpu` seconds and `peak_mb` of the process meanwhile.
    """
    # Beside this file when it runs as a script, in our package otherwise.
    name = f"{__package__}.peer_worker" if __package__ else "peer_worker"
    kept: list[Any] = []

    def work() -> None:
        kept.append(call())

    found = import_module(name).measure(work, 1)
    cost = {field: found[field][0] for field in _STAGE_FIELDS}
    return kept[0], {**cost, "peak_mb": found["peak_mb"]}


def _score(job: Job) -> Once:
    """Scoring of texts: `tokenise` and `predict`."""
    module = import_module("small_text")
    model = _classifier(job).new()
    if hasattr(model, "initialize"):
        model.initialize()
    else:
        model.initialize_transformer(model.cache_dir)
    model.model = model.model.to(model.device)
    model.predict_proba(_dataset(module, model.tokenizer, job, job["texts"][:_WARM_TEXTS]))

    def once() -> dict[str, Any]:
        data, tokenise = stage(lambda: _dataset(module, model.tokenizer, job, job["texts"]))
        probabilities, predict = stage(lambda: model.predict_proba(data))
        np.save(job["out"], probabilities.astype(np.float32))
        return {"tokenise": tokenise, "predict": predict}

    return once


def _round(job: Job) -> Once:
    """Rounds of active learning, one for each of `draws`: `tokenise`, `train`, `select`.

    Selecting predicts everything, as BreakingTies does; those probabilities are saved.
    """
    module = import_module("small_text")
    tokenizer = import_module("transformers").AutoTokenizer.from_pretrained(job["encoder"])
    draws = iter(job["draws"])

    def once() -> dict[str, Any]:
        draw = next(draws)
        _seed(draw["seed"])
        texts = [*draw["texts"], *job["texts"]]
        labels = np.array(draw["labels"], dtype=np.int64)
        known = np.arange(len(labels))
        data, tokenise = stage(lambda: _dataset(module, tokenizer, job, texts, labels))
        learner = module.PoolBasedActiveLearner(_classifier(job), module.BreakingTies(), data)
        _, train = stage(lambda: _start(learner, known, labels))
        kept = _Kept(learner.classifier)
        picks, select = stage(lambda: learner.query(num_samples=job["k"]))
        np.save(job["out"], kept.returned[len(labels) :].astype(np.float32))
        stages = {"tokenise": tokenise, "train": train, "select": select}
        return {**stages, "picks": [int(row) - len(labels) for row in picks]}

    return once


def _curve(job: Job) -> Once:
    """Learning curves, one for each of `curves`, with a scikit-learn classifier on vectors.

    `out` gets what each model says of the test set, (models, n) label indices; the answer has for
    each model the seconds of training, of predicting for the next choice and of choosing the
    batch labelled last, and the `rows` that were labelled.
    """
    module = import_module("small_text")
    vectors, labels = np.load(job["vectors"]), np.load(job["labels"])
    pool, test = vectors[: job["pool"]], vectors[job["pool"] : len(labels)]
    curves = iter(job["curves"])

    def once() -> dict[str, Any]:
        curve = next(curves)
        _seed(curve["seed"])
        template = import_module("sklearn.linear_model").LogisticRegression(**curve["classifier"])
        factory = module.SklearnClassifierFactory(template, job["classes"])
        data = module.SklearnDataset(
            pool, labels[: job["pool"]].copy(), target_labels=np.arange(job["classes"])
        )
        strategy = getattr(module.query_strategies, curve["strategy"])()
        learner = module.PoolBasedActiveLearner(factory, strategy, data)
        times, answered = _label_and_train(learner, curve["first"], labels, test, job)
        np.save(job["out"], np.array(answered, dtype=np.int64))
        return {"times": times, "rows": learner.indices_labeled.tolist()}

    return once


def _label_and_train(
    learner: Any, first: list[int], labels: Any, test: Any, job: Job
) -> tuple[list[dict[str, float]], list[Any]]:
    """small-text's loop: train, query, update, until all batches are labelled."""
    rows = np.array(first, dtype=np.int64)
    times: list[dict[str, float]] = []
    answered = []
    select = 0.0
    for number in range(job["batches"]):
        started = time.perf_counter()
        if number == 0:
            _start(learner, rows, labels[rows])
        else:
            learner.update(labels[learner.indices_queried])
        fit = time.perf_counter() - started
        # Not by `predict` of small-text's wrapper: it takes the place of a column for the label,
        # which is wrong as long as a label has not been seen.
        answered.append(learner.classifier.model.predict(test))
        times.append({"fit": fit, "score": 0.0, "select": select})
        if number + 1 < job["batches"]:
            kept = _Kept(learner.classifier)
            started = time.perf_counter()
            learner.query(num_samples=job["step"])
            times[-1]["score"] = kept.seconds
            select = time.perf_counter() - started - kept.seconds
    return times, answered


class _Kept:
    """Keeps what a classifier predicts from now on, and how long that takes."""

    def __init__(self, classifier: Any) -> None:
        self.returned: Any = None
        self.seconds = 0.0
        self._original = classifier.predict_proba
        classifier.predict_proba = self._predict

    def _predict(self, *args: Any, **named: Any) -> Any:
        started = time.perf_counter()
        self.returned = self._original(*args, **named)
        self.seconds += time.perf_counter() - started
        return self.returned


def _start(learner: Any, rows: Any, labels: Any) -> None:
    """The first training of a learner, on these rows."""
    if hasattr(learner, "initialize"):
        learner.initialize(rows)
    else:
        learner.initialize_data(rows, labels)


def _classifier(job: Job) -> Any:
    """A factory of transformer classifiers; only what the job names differs from the defaults.

    Weights come from the folder `model`, or the encoder itself, with a new head.
    """
    module = import_module("small_text")
    encoder = job["encoder"]
    arguments = module.TransformerModelArguments(job.get("model", encoder), tokenizer=encoder)
    options = {"num_classes": job["classes"], **job.get("training", {})}
    return module.TransformerBasedClassificationFactory(
        arguments, options.pop("num_classes"), options
    )


def _dataset(module: Any, tokenizer: Any, job: Job, texts: list[str], labels: Any = ()) -> Any:
    """Tokenised texts; the first have these labels, the others none."""
    every = np.full(len(texts), module.LABEL_UNLABELED, dtype=np.int64)
    every[: len(labels)] = labels
    named = {"max_length": job["max_length"]} if job["max_length"] else {}
    classes = np.arange(job["classes"])
    return module.TransformersDataset.from_arrays(
        texts, every, tokenizer, target_labels=classes, **named
    )


def _seed(seed: int) -> None:
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


WORK: Mapping[str, Make] = {"score": _score, "round": _round, "curve": _curve}


if __name__ == "__main__":
    serve(WORK, sys.argv[1])
