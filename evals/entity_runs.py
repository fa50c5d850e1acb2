"""Marking entities, the whole cycle on real texts: what was certified and what is true.

    python -m labelwright.evals.entity_runs DATA [--items 400] [--seeds 0,1] [--learners linear]
        [--human-labels 160] [--recipes standard] [--types person,location,product]

DATA holds `wnut17/train.jsonl`, of which a part is drawn by a seed of its own, the same for every
run. Each run is `labelwright.app.run` with a simulated reviewer without errors. What was delivered
is then compared with the gold answers, which nothing in the run but the reviewer has read: exact
answers and the mean F1 of a text over all texts, precision, recall and F1 of the parts over the
texts that the machine marked, as they were delivered.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from ..app import run
from ..app.project import Project
from ..store.pool import read_gold
from ..store.records import HUMAN_KINDS
from ..store.spans import Span, decode, encode, span_f1
from ..tools.entity_quality import entity_scores

GOAL = "Mark persons, places and products"
HEAD = (
    "| learner | recipe | seed | exact, true | certified | text F1, true | certified | precision | "
    "recall | F1 | audit's F1 | processor s |\n"
    "| --- | --- | ---: | ---: | --- | ---: | --- | ---: | ---: | ---: | --- | ---: |"
)


def sample(data: Path, items: int, to: Path) -> Path:
    """Write `items` of the tweets to a file in `to`."""
    lines = (data / "wnut17" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    random.Random(0).shuffle(lines)
    path = to / "tweets.jsonl"
    path.write_text("\n".join(lines[:items]), encoding="utf-8")
    return path


def marked_run(
    file: Path, folder: Path, *, learner: str, types: str, human_labels: int, seed: int, recipe: str
) -> dict[str, Any]:
    """One run, and what is true of what it delivered."""
    started = time.process_time()
    result = run(
        GOAL,
        file,
        entities=True,
        labels=types,
        gold_column="tags",
        reviewer="simulated",
        learner=learner,
        human_labels=human_labels,
        autonomy="auto",
        seed=seed,
        recipe=recipe,
        project=folder,
    )
    seconds = time.process_time() - started
    with closing(Project(result.project)) as project:
        certificate = dict(result.certificate or {})
        return {
            "learner": learner,
            "recipe": recipe,
            "seed": seed,
            "seconds": seconds,
            "certificate": certificate,
            **compared(project),
        }


def compared(project: Project) -> dict[str, Any]:
    """The delivered answers of a finished run against its gold ones."""
    rows, gold = project.labels().to_pylist(), [decode(str(g)) for g in read_gold(project.folder)]
    given = [
        decode(encode(Span(e["start"], e["end"], e["label"], e["text"]) for e in row["entities"]))
        for row in rows
    ]
    own = [place for place, row in enumerate(rows) if row["source"] not in HUMAN_KINDS]
    scores = entity_scores([gold[p] for p in own], [given[p] for p in own], seed=0)
    f1 = [span_f1(one, other) for one, other in zip(given, gold, strict=True)]
    return {
        "exact": float(np.mean([a == b for a, b in zip(given, gold, strict=True)])),
        "text_f1": float(np.mean(f1)),
        **{
            name: None if each is None else each.estimate
            for name, each in (
                ("precision", scores.precision),
                ("recall", scores.recall),
                ("f1", scores.f1),
            )
        },
    }


def row_of(found: Mapping[str, Any]) -> str:
    """A run as a row of the table."""
    certificate = found["certificate"]
    cells = [found["learner"], found["recipe"], str(found["seed"])]
    cells += [f"{found['exact']:.3f}", _interval(certificate, "delivered_")]
    cells += [f"{found['text_f1']:.3f}", _interval(certificate["text_f1"], "delivered_")]
    cells += [_number(found[name]) for name in ("precision", "recall", "f1")]
    audit = (certificate.get("spans") or {}).get("f1")
    cells.append("–" if audit is None else f"{audit[0]:.2f} ({audit[1]:.2f}–{audit[2]:.2f})")
    cells.append(f"{found['seconds']:.0f}")
    return f"| {' | '.join(cells)} |"


def _interval(found: Mapping[str, Any], before: str) -> str:
    low, high = found[f"{before}low"], found[f"{before}high"]
    return f"{found[f'{before}estimate']:.3f} ({low:.3f}–{high:.3f})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def main(argv: Sequence[str] | None = None) -> None:
    """Run what the command line asks for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--learners", default="linear")
    parser.add_argument("--recipes", default="standard")
    parser.add_argument("--human-labels", type=int, default=160)
    parser.add_argument("--types", default="person,location,product")
    parser.add_argument("--json", action="store_true", help="a line of JSON a run instead")
    given = parser.parse_args(argv)
    if not given.json:
        print(HEAD, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = sample(given.data, given.items, Path(folder))
        for learner in given.learners.split(","):
            for recipe in given.recipes.split(","):
                for seed in given.seeds.split(","):
                    found = marked_run(
                        file,
                        Path(folder) / f"{learner}-{recipe}-{seed}",
                        learner=learner,
                        types=given.types,
                        human_labels=given.human_labels,
                        seed=int(seed),
                        recipe=recipe,
                    )
                    print(json.dumps(found) if given.json else row_of(found), flush=True)


if __name__ == "__main__":
    main()
