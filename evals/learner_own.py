"""Our side of the learner benchmark, in a process of its own: training, scoring, a round.

    python -m labelwright.evals.learner_own JOB.json

The work and the answers are those of `learner_peer_worker`, which times both sides.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.encoders import load_encoder
from ..models.learners import Inputs, Learner, Training, load_learner, make_learner
from ..models.progress import NoProgress
from ..store.pool import Pool
from ..tools.hidden import PoolHidden
from ..tools.strategies import Candidates, strategy
from .learner_peer_worker import Job, Make, Once, serve, stage

_WARM_TEXTS = 12


def kept_states(texts: list[str], folder: Path) -> PoolHidden:
    """Where the frozen layers' outputs for these texts are kept: nothing yet."""
    import pyarrow as pa

    Pool.write(folder, pa.array([str(row) for row in range(len(texts))]), pa.array(texts), None)
    pool = Pool(folder)
    pool.write_groups(np.arange(len(texts)))
    return PoolHidden(folder, pool, NoProgress())


def _learner(job: Job) -> Learner:
    names = job["names"]
    encoder = load_encoder(job["encoder"])
    return make_learner("bert", label_names=names, label_texts=names, encoder=encoder)


def _train(job: Job) -> Once:
    """Train on the first of `draws` and save the model in `folder`."""
    draw = job["draws"][0]
    learner = _learner(job)
    training = _training(Inputs(draw["texts"], None), draw["labels"])

    def once() -> dict[str, Any]:
        _, train = stage(lambda: learner.fit(training, seed=draw["seed"]))
        learner.save(Path(job["folder"]))
        return {"train": train}

    return once


def _score(job: Job) -> Once:
    """Scoring by the model in `model`: `fresh` keeps nothing, `keep` keeps, `kept` uses it.

    `out` gets the probabilities of the first and of the last, (2, n, C).
    """
    learner = load_learner(Path(job["model"]))
    texts = job["texts"]
    learner.predict_proba(Inputs(texts[:_WARM_TEXTS], None))

    def once() -> dict[str, Any]:
        fresh, alone = stage(lambda: learner.predict_proba(Inputs(texts, None)))
        with tempfile.TemporaryDirectory() as folder:
            rows = np.arange(len(texts))
            hidden = kept_states(texts, Path(folder))
            _, first = stage(lambda: learner.predict_proba(Inputs(texts, None, hidden.of(rows))))
            kept, later = stage(lambda: learner.predict_proba(Inputs(texts, None, hidden.of(rows))))
        np.save(job["out"], np.stack([fresh, kept]))
        return {"fresh": alone, "keep": first, "kept": later}

    return once


def _round(job: Job) -> Once:
    """Two rounds for each of `draws`: nothing kept yet, then with what the first one kept.

    Both train on the same labels. `out` gets the probabilities of both, (2, n, C).
    """
    draws = iter(job["draws"])
    learner = _learner(job)

    def once() -> dict[str, Any]:
        draw = next(draws)
        texts = [*draw["texts"], *job["texts"]]
        labelled, pool = np.split(np.arange(len(texts)), [len(draw["texts"])])
        answer: dict[str, Any] = {}
        found = []
        with tempfile.TemporaryDirectory() as folder:
            hidden = kept_states(texts, Path(folder))
            training = _training(Inputs(draw["texts"], None, hidden.of(labelled)), draw["labels"])
            inputs = Inputs(job["texts"], None, hidden.of(pool))
            for when in ("first", "later"):
                scores, picks, stages = _one_round(
                    learner, training, inputs, job["k"], draw["seed"]
                )
                answer |= {f"{when} {name}": costs for name, costs in stages.items()}
                found.append(scores)
        np.save(job["out"], np.stack(found))
        return {**answer, "picks": picks.tolist()}

    return once


def _one_round(
    learner: Learner, training: Training, pool: Inputs, k: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], dict[str, dict[str, float]]]:
    _, train = stage(lambda: learner.fit(training, seed=seed))
    scores, score = stage(lambda: learner.predict_proba(pool))
    picks, select = stage(lambda: _margin(scores, k, seed))
    return scores, picks, {"train": train, "score": score, "select": select}


def _margin(scores: NDArray[np.float32], k: int, seed: int) -> NDArray[np.int64]:
    rows = np.arange(len(scores), dtype=np.int64)
    candidates = Candidates(rows=rows, probabilities=scores, classes=scores.shape[1])
    return strategy("margin").select(candidates, k, seed=seed).rows


def _training(inputs: Inputs, labels: list[int]) -> Training:
    ones = np.ones(len(labels), dtype=np.float32)
    return Training(inputs, np.array(labels, dtype=np.int64), ones)


WORK: Mapping[str, Make] = {"train": _train, "score": _score, "round": _round}


if __name__ == "__main__":
    serve(WORK, sys.argv[1])
