"""Several labels an item, the whole cycle on real texts: exact sets, F1 and the certificate.

    python -m labelwright.evals.bench_multi_label DATA [--items 1500] [--seeds 0,1,2]
        [--learners linear] [--recipes standard,random] [--human-labels 200] [--only NAME]

DATA holds `wnut17/train.jsonl`, `ag_news/test.csv` and `recorded/african_ner.jsonl`. None of these
has several labels an item by itself; they are derived, in ways that leave the labels true:

- `tweets`: which types of entity occur in a tweet (WNUT-17, 6 types). Two in three have none.
- `news`: one to three news texts (AG News, 4 topics), each cut to 200 characters, as one text with
  the topics of all. The texts are drawn by a seed of their own, the same for every run.
- `african`: which types of entity occur in a sentence of 8 African languages (4 types).

Each run is `labelwright.app.run` with a simulated reviewer without errors. What was delivered is
then compared with the gold sets, which nothing in the run but the reviewer has read: exact sets
over all items and over those that the machine labelled, micro and macro F1 over the latter.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..app import run
from ..app.project import Project
from ..models.encoders import Encoder, load_encoder
from ..store.label_sets import SEPARATOR
from ..store.spec import LearnerName, RecipeName
from ..tools.set_quality import set_measures

GOAL = "Tag each text with everything that occurs in it"


@dataclass(frozen=True, slots=True)
class Tagged:
    """Texts and the set of labels of each; `names` are all labels, sorted."""

    texts: list[str]
    sets: list[list[str]]

    @property
    def names(self) -> list[str]:
        """All labels, sorted."""
        return sorted({name for each in self.sets for name in each})

    def first(self, n: int) -> Tagged:
        """The first n items."""
        return Tagged(self.texts[:n], self.sets[:n])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run came to."""

    exact: float
    machine: float
    micro: float
    macro: float
    majority: float
    """Exact sets, if every machine item got the set that is most frequent among them."""
    sets: tuple[float, float, float]
    """Certificate of exact sets as delivered: estimate, low, high."""
    decisions: tuple[float, float, float]
    decisions_truth: float
    labels: int
    seconds: float

    @property
    def held(self) -> tuple[bool, bool]:
        """Whether both certificates' intervals hold the truth."""
        return (
            self.sets[1] <= self.exact <= self.sets[2],
            self.decisions[1] <= self.decisions_truth <= self.decisions[2],
        )


def entity_types(rows: Sequence[dict[str, Any]]) -> Tagged:
    """Which entity types occur in each row's `tokens` by its IOB2 `tags`."""
    return Tagged(
        [" ".join(row["tokens"]) for row in rows],
        [sorted({tag[2:] for tag in row["tags"] if tag != "O"}) for row in rows],
    )


def tweets(data: Path) -> Tagged:
    """WNUT-17 as entity types in a tweet."""
    return entity_types(_lines(data / "wnut17" / "train.jsonl"))


def african(data: Path) -> Tagged:
    """Every sentence of the recorded African set once, as entity types in it."""
    once: dict[tuple[str, str], dict[str, Any]] = {}
    for row in _lines(data / "recorded" / "african_ner.jsonl"):
        once.setdefault((row["lang"], row["id"]), row)
    return entity_types(list(once.values()))


def news(data: Path, n: int = 3000, longest: int = 200) -> Tagged:
    """One to three AG News texts as one, with the topics of all."""
    with (data / "ag_news" / "test.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rng = np.random.default_rng(17)
    texts, sets = [], []
    for size in rng.choice([1, 2, 3], size=n, p=[0.4, 0.4, 0.2]):
        picked = [rows[place] for place in rng.choice(len(rows), int(size), replace=False)]
        texts.append(" ".join(row["text"][:longest] for row in picked))
        sets.append(sorted({row["label"] for row in picked}))
    return Tagged(texts, sets)


SOURCES: dict[str, Callable[[Path], Tagged]] = {
    "tweets": tweets,
    "news": news,
    "african": african,
}


def measure(
    tagged: Tagged,
    *,
    encoder: Encoder,
    seed: int,
    learner: LearnerName = "linear",
    recipe: RecipeName = "standard",
    human_labels: int = 200,
) -> Outcome:
    """Run the whole cycle on tagged texts and compare what it delivered with the gold sets."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "text", "gold"])
            for place, (text, names) in enumerate(zip(tagged.texts, tagged.sets, strict=True)):
                writer.writerow([place, text, SEPARATOR.join(names)])
        started = time.perf_counter()
        result = run(
            GOAL,
            path,
            labels=",".join(tagged.names),
            multi_label=True,
            gold_column="gold",
            reviewer="simulated",
            encoder=encoder,
            learner=learner,
            recipe=recipe,
            human_labels=human_labels,
            seed=seed,
            autonomy="auto",
            project=Path(folder) / "project",
        )
        seconds = time.perf_counter() - started
        with closing(Project(result.project)) as project:
            labels = project.labels().to_pydict()
    return _outcome(tagged, labels, result.certificate or {}, result.totals.human_labels, seconds)


def _outcome(
    tagged: Tagged,
    delivered: dict[str, list[Any]],
    certificate: dict[str, Any],
    human_labels: int,
    seconds: float,
) -> Outcome:
    names = tagged.names
    truth = _matrix([tagged.sets[int(item)] for item in delivered["id"]], names)
    answers = _matrix(delivered["labels"], names)
    machine = np.array([source == "learner" for source in delivered["source"]])
    right = (truth == answers).all(axis=1)
    inside = set_measures(answers[machine], truth[machine], level=0.95, seed=0)
    frequent = Counter(map(bytes, truth[machine].astype(np.uint8))).most_common(1)[0][1]
    by_label = certificate["decisions"]
    ends = ("delivered_estimate", "delivered_low", "delivered_high")
    return Outcome(
        exact=float(right.mean()),
        machine=float(right[machine].mean()),
        micro=inside["micro_f1"].estimate,
        macro=inside["macro_f1"].estimate,
        majority=frequent / int(machine.sum()),
        sets=(certificate[ends[0]], certificate[ends[1]], certificate[ends[2]]),
        decisions=(by_label[ends[0]], by_label[ends[1]], by_label[ends[2]]),
        decisions_truth=float((truth == answers).mean()),
        labels=human_labels,
        seconds=seconds,
    )


def row(name: str, learner: str, recipe: str, items: int, found: Sequence[Outcome]) -> str:
    """One line of the table: means over the seeds, and how often the certificates held."""

    def mean(value: Callable[[Outcome], float]) -> float:
        return float(np.mean([value(each) for each in found]))

    held = [sum(each.held[place] for each in found) for place in (0, 1)]
    return (
        f"| {name} | {learner} | {recipe} | {items:,} | {mean(lambda o: o.labels):.0f} | "
        f"{mean(lambda o: o.machine):.3f} | {mean(lambda o: o.majority):.3f} | "
        f"{mean(lambda o: o.micro):.3f} | {mean(lambda o: o.macro):.3f} | "
        f"{mean(lambda o: o.exact):.3f} | {mean(lambda o: o.sets[0]):.3f} "
        f"[{mean(lambda o: o.sets[1]):.3f}, {mean(lambda o: o.sets[2]):.3f}], "
        f"{held[0]} of {len(found)} | {mean(lambda o: o.decisions_truth):.3f} | "
        f"{mean(lambda o: o.decisions[0]):.3f} [{mean(lambda o: o.decisions[1]):.3f}, "
        f"{mean(lambda o: o.decisions[2]):.3f}], {held[1]} of {len(found)} | "
        f"{mean(lambda o: o.seconds):.0f} |"
    )


HEAD = (
    "| data | learner | recipe | items | human labels | machine's exact sets | majority set | "
    "micro F1 | macro F1 | all exact sets | certified, held | all decisions | certified, held | "
    "seconds |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Run everything and print a Markdown table, a line as each is done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--items", type=int, default=1500)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--learners", default="linear")
    parser.add_argument("--recipes", default="standard,random")
    parser.add_argument("--human-labels", type=int, default=200)
    parser.add_argument("--only", choices=list(SOURCES))
    args = parser.parse_args()
    encoder = load_encoder()
    print(HEAD, flush=True)
    for name, read in SOURCES.items():
        if args.only not in (None, name):
            continue
        tagged = read(args.data).first(args.items)
        for learner in args.learners.split(","):
            for recipe in args.recipes.split(","):
                found = [
                    measure(
                        tagged,
                        encoder=encoder,
                        seed=int(seed),
                        learner=learner,
                        recipe=recipe,
                        human_labels=args.human_labels,
                    )
                    for seed in args.seeds.split(",")
                ]
                print(row(name, learner, recipe, len(tagged.texts), found), flush=True)


def _matrix(sets: Sequence[Sequence[str]], names: Sequence[str]) -> NDArray[np.int64]:
    return np.array([[name in each for name in names] for each in sets], dtype=np.int64)


def _lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    main()
