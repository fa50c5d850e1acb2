"""The `bert` learner side by side with small-text, on the same texts with the same encoder.

    python -m labelwright.evals.bench_learners DATA --peers DIR [--only score-sensible,...]
        [--items N] [--labels 200] [--picks 50] [--seeds 3] [--peer NAME,NAME] [--threads 2]
        [--encoder all-MiniLM-L6-v2]

DATA is the folder of the learning curves; only AG News is read. small-text 1.4.1 and 2.0.0.dev4
are installed into DIR (once, 3 GB), and each side runs in a process of its own.

- `score-*`: probabilities of 1,000 texts. small-text scores the encoder with a plain head, which
  is one layer less than the folder that our learner saves: to hold that layer against it would
  flatter us. That the same weights give the same probabilities is checked apart from the clock.
- `round-*`: train on 200 labels, score the whole test set (7,600 texts less repeated ones) and
  choose 50 by the smallest margin. Ours runs twice for each draw of labels: with nothing kept, and
  with the frozen layers' outputs kept as in every round after the first. The labels come from
  other texts than those scored, so accuracy on these is that of the model.

Setups of small-text: `defaults` as it comes (512 tokens, padded; 10 epochs; 2e-5), `sensible` with
128 tokens, `tuned` with 128 tokens and a learning rate of 1e-4. `--items` caps the texts of both
kinds and `--labels` what is trained on: smaller numbers give another, smaller comparison, and the
table says which; nothing is extrapolated. Of `round-defaults` only the first draw is run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.compute import MAX_TOKENS
from ..models.encoders import DEFAULT_ENCODER, TransformerEncoder, load_encoder
from ..store.errors import LabelwrightError, UserError
from . import learner_peer_worker
from .curve_data import Texts, load_texts
from .learner_tables import (
    Agreed,
    Costs,
    Rounds,
    Scored,
    agreement_lines,
    round_table,
    scoring_table,
)
from .peers import Peer, Worker, install

SCORED_TEXTS = 1_000
ROUND_TEXTS = 7_600
_POOL = 10_000
_AGREED_TEXTS = 250
_SLOW_SECONDS = 20.0
_TURNS = 3
_LIMIT_SECONDS = 10_800.0


@dataclass(frozen=True, slots=True)
class Case:
    """What is compared: `kind` is `score` or `round`; what of small-text is not as it comes.

    `goal` is the smallest ratio that is wanted, `draws` the most draws of labels that are run.
    """

    kind: str
    goal: float
    max_length: int | None = None
    training: tuple[tuple[str, float], ...] = ()
    draws: int = 100


CASES: Mapping[str, Case] = {
    "score-sensible": Case("score", 4, 128),
    "score-defaults": Case("score", 12),
    "round-sensible": Case("round", 5, 128),
    "round-tuned": Case("round", 5, 128, (("lr", 1e-4),)),
    "round-defaults": Case("round", 5, draws=1),
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured: see the options of the command."""

    items: int | None = None
    labels: int = 200
    picks: int = 50
    seeds: int = 3

    def __post_init__(self) -> None:
        for name in ("items", "labels", "picks", "seeds"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} is {value!r}: give at least 1")
        if self.items is not None and self.picks > self.items:
            raise UserError(
                f"picks is {self.picks!r} of {self.items!r} items: give more items or fewer picks"
            )

    def cap(self, texts: int) -> int:
        """So many texts, or as many as were asked for where that is less."""
        return texts if self.items is None else min(texts, self.items)


@dataclass(frozen=True, slots=True)
class Ground:
    """What all measurements of a run share."""

    texts: Texts
    location: str
    folder: Path
    sizes: Sizes
    threads: int

    def scored(self, number: int) -> list[str]:
        """The first texts of the test set, at most so many."""
        return list(self.texts.texts[self.texts.pool :][: self.sizes.cap(number)])

    def gold(self, number: int) -> NDArray[np.int64]:
        """The labels of `scored`."""
        return self.texts.labels[self.texts.pool :][: self.sizes.cap(number)]

    def draws(self, number: int) -> list[dict[str, Any]]:
        """At most so many draws of labelled texts, none of them in the test set."""
        found = []
        for seed in range(min(self.sizes.seeds, number)):
            rng = np.random.default_rng(seed)
            rows = rng.choice(self.texts.pool, self.sizes.labels, replace=False)
            found.append(
                {
                    "seed": seed,
                    "texts": [self.texts.texts[row] for row in rows],
                    "labels": self.texts.labels[rows].tolist(),
                }
            )
        return found

    @contextmanager
    def worker(self, python: Path | None, job: Mapping[str, Any], side: str) -> Iterator[_Side]:
        """A process that does this job, of a peer or (`None`) of ours."""
        name = f"{job['work']} {side}".replace(os.sep, " ")
        place, out = self.folder / f"{name}.json", self.folder / f"{name}.npy"
        classes = list(self.texts.names)
        shared = {"classes": len(classes), "names": classes, "encoder": self.location}
        given = {**shared, **job, "out": str(out)}
        place.write_text(json.dumps(given), encoding="utf-8")
        command = [str(python), learner_peer_worker.__file__]
        if python is None:
            command = [sys.executable, "-m", "labelwright.evals.learner_own"]
        with Worker(
            [*command, str(place)], what=name, seconds=_LIMIT_SECONDS, threads=self.threads
        ) as worker:
            yield _Side(worker, out)


@dataclass(frozen=True, slots=True)
class _Side:
    worker: Worker
    out: Path

    def ask(self) -> tuple[dict[str, Costs], NDArray[np.float32]]:
        """Have the job done once: the cost of its stages, and the probabilities."""
        answer = self.worker.ask()
        stages: dict[str, Costs] = {
            name: costs for name, costs in answer.items() if isinstance(costs, dict)
        }
        return stages, np.load(self.out)


def learner_peers() -> dict[str, Peer]:
    """The versions of small-text, each with a transformers that it works with."""
    mine = f"transformers=={version('transformers')}"
    found = (
        # It asks the tokeniser for `encode_plus`, which version 5 no longer has.
        Peer("small-text 1.4.1 with transformers", _needs("1.4.1", "transformers==4.57.6")),
        # Without `datasets` it leaves out its transformer classes and does not say so.
        Peer("small-text 2.0.0.dev4 with transformers", _needs("2.0.0.dev4", mine, "datasets")),
    )
    return {peer.name.removesuffix(" with transformers"): peer for peer in found}


def run_scoring(name: str, peer: str, python: Path, ground: Ground) -> Scored:
    """Score the same number of texts by both sides, by turns."""
    case = CASES[name]
    texts = ground.scored(SCORED_TEXTS)
    job = {"work": "score", "texts": texts, "max_length": case.max_length}
    theirs: list[Mapping[str, Costs]] = []
    own: list[Mapping[str, Costs]] = []
    with (
        ground.worker(python, job, peer) as other,
        ground.worker(None, {**job, "model": str(_trained(ground))}, "ours") as mine,
    ):
        for turn in range(_TURNS):
            if not turn or theirs[0]["predict"]["seconds"] <= _SLOW_SECONDS:
                theirs.append(other.ask()[0])
            own.append(mine.ask()[0])
    return Scored(name, peer, case.goal, len(texts), theirs, own)


def run_agreement(peer: str, python: Path, ground: Ground) -> Agreed:
    """Score a few texts by both sides with the weights that our learner saved."""
    texts = ground.scored(_AGREED_TEXTS)
    job = {"work": "score", "texts": texts, "model": str(_trained(ground))}
    # As many tokens as ours reads, so that both see the same.
    with ground.worker(python, {**job, "max_length": MAX_TOKENS}, f"{peer} same") as other:
        theirs = other.ask()[1]
    with ground.worker(None, job, "ours same") as mine:
        found = np.abs(mine.ask()[1] - theirs)
    fresh, kept = ((float(each.max()), float(each.mean())) for each in found)
    return Agreed(peer, len(texts), fresh, kept)


def run_rounds(name: str, peer: str, python: Path, ground: Ground) -> Rounds:
    """Whole rounds of both sides on the same draws of labels, by turns."""
    case = CASES[name]
    gold = ground.gold(ROUND_TEXTS)
    draws = ground.draws(case.draws)
    job = {
        "work": "round",
        "texts": ground.scored(ROUND_TEXTS),
        "draws": draws,
        "k": ground.sizes.picks,
        "max_length": case.max_length,
        "training": dict(case.training),
    }
    theirs, own, accuracies, own_accuracies = [], [], [], []
    with ground.worker(python, job, peer) as other, ground.worker(None, job, "ours") as mine:
        for draw in draws:
            stages, scores = other.ask()
            theirs.append(stages)
            accuracies.append(_accuracy(scores, gold))
            stages, both = mine.ask()
            own.append(stages)
            own_accuracies.append((_accuracy(both[0], gold), _accuracy(both[1], gold)))
            _say(f"draw {draw['seed']}: accuracy {accuracies[-1]:.3f}, ours {own_accuracies[-1]}")
    sizes = ground.sizes.labels, len(gold)
    return Rounds(name, peer, case.goal, *sizes, theirs, own, accuracies, own_accuracies)


def _needs(release: str, *more: str) -> tuple[str, ...]:
    return (f"small-text=={release}", "torch", *more)


def _accuracy(scores: NDArray[np.float32], gold: NDArray[np.int64]) -> float:
    return float((scores.argmax(axis=1) == gold).mean())


def _trained(ground: Ground) -> Path:
    """The folder of a trained model of ours, made first where it is not there yet."""
    folder = ground.folder / "model"
    if not folder.exists():
        job = {"work": "train", "draws": ground.draws(1), "folder": str(folder)}
        with ground.worker(None, job, "ours") as worker:
            worker.worker.ask()
    return folder


def compare(cases: Sequence[str], peers: Mapping[str, Path], ground: Ground) -> str:
    """Run these cases with these peers; the tables in Markdown."""
    scored, agreed, rounds = [], [], []
    for name in cases:
        for peer, python in peers.items():
            _say(f"{name}, {peer}")
            if CASES[name].kind == "score":
                scored.append(run_scoring(name, peer, python, ground))
                _say(scoring_table(scored[-1:]))
            else:
                rounds.append(run_rounds(name, peer, python, ground))
                _say(round_table(rounds[-1:]))
    if scored:
        agreed = [run_agreement(peer, python, ground) for peer, python in peers.items()]
    parts = [
        scoring_table(scored) if scored else "",
        agreement_lines(agreed),
        round_table(rounds) if rounds else "",
    ]
    return "\n\n".join(part for part in parts if part)


def chosen(given: str | None, known: Sequence[str], option: str) -> list[str]:
    """The names in a list with commas between, or all that are known.

    Raises:
        UserError: a name that is not known.
    """
    names = list(known) if given is None else given.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"{option} names {unknown!r}: use some of {', '.join(known)}")
    return names


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m labelwright.evals.bench_learners",
        description=(__doc__ or "").splitlines()[0],
    )
    sizes = Sizes()
    parser.add_argument("folder", type=Path, metavar="DATA", help="folder with ag_news")
    parser.add_argument(
        "--peers", type=Path, metavar="DIR", required=True, help="folder for the environments"
    )
    parser.add_argument("--only", help=f"some of {', '.join(CASES)}, with commas between")
    parser.add_argument("--peer", help="versions of small-text, with commas between")
    parser.add_argument("--items", type=int, help="most texts to score")
    parser.add_argument("--labels", type=int, default=sizes.labels, help="to train on")
    parser.add_argument("--picks", type=int, default=sizes.picks, help="chosen in a round")
    parser.add_argument("--seeds", type=int, default=sizes.seeds, help="draws of labels")
    parser.add_argument("--threads", type=int, default=2, help="of numeric libraries, both sides")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="what both sides fine-tune")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 when what was given makes no sense."""
    args = _arguments(given)
    try:
        cases = chosen(args.only, list(CASES), "--only")
        known = learner_peers()
        wanted = chosen(args.peer, list(known), "--peer")
        sizes = Sizes(args.items, args.labels, args.picks, args.seeds)
        texts = load_texts("ag_news", args.folder, pool=_POOL, test=ROUND_TEXTS)
        encoder = load_encoder(args.encoder)
        if not isinstance(encoder, TransformerEncoder):
            raise UserError(f"encoder {encoder.name!r} has no transformer: give another --encoder")
        pythons = {}
        for name in wanted:
            _say(f"environment of {name}")
            pythons[name] = install(known[name], args.peers)
        with tempfile.TemporaryDirectory() as folder:
            ground = Ground(texts, encoder.location, Path(folder), sizes, args.threads)
            print(compare(cases, pythons, ground))
    except LabelwrightError as error:
        print(f"bench_learners: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n{os.cpu_count()} cores, {args.threads} threads; load average at the end {load}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
