"""Quality of labels by recorded language models and people: confidence, votes, routing, training.

    python -m labelwright.evals.bench_annotation DATA [--only PART,PART] [--seeds N]
        [--learner linear] [--budgets 1,2.5,5,10,20] [--cache FOLDER]

DATA is a folder with `recorded/` (what named language models and people really answered). Nothing
is asked of any model. The parts, each printed as Markdown when it is done: `confidence`, `votes`,
`entities`, `routing`, `cascade`, `training`. No committee, threshold or calibration sees the gold
of the items it is measured on: gold that is used is drawn at random, counted as labels by people
and left out of the measurement, or, for routing and training, is what people were paid for.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .annotation_cascade import cascade_table
from .annotation_confidence import confidence_table
from .annotation_data import Record, load_record, vectors
from .annotation_entities import entities_table
from .annotation_routing import PANELS, needed, stopped, strengths
from .annotation_training import BUDGETS, training_table
from .annotation_votes import aggregation_table, disagreement_table, people_table

TARGETS = {"toxicity": (0.95, 0.98, 0.99), "policy": (0.85, 0.90)}
RISKS = {"toxicity": (0.02, 0.03, 0.05), "policy": (0.15, 0.20, 0.25)}
CHOSEN = PANELS[4]


class Bench:
    """The recorded data, and the parts of the benchmark."""

    def __init__(self, data: Path, cache: Path, learner: str, budgets: tuple[float, ...]) -> None:
        self.data, self.cache, self.learner, self.budgets = data, cache, learner, budgets
        self.records = [load_record(data, name) for name in TARGETS]

    def parts(self) -> dict[str, tuple[int, Callable[[int], Iterator[str]]]]:
        """Name to the number of seeds it has by default, and what makes its tables."""
        return {
            "confidence": (20, self._confidence),
            "votes": (3, self._votes),
            "entities": (1, self._entities),
            "routing": (10, self._routing),
            "cascade": (200, self._cascade),
            "training": (5, self._training),
        }

    def _confidence(self, seeds: int) -> Iterator[str]:
        for record in self.records:
            yield f"### Confidence: {record.name}, {seeds} draws\n\n" + confidence_table(
                record, seeds
            )

    def _votes(self, seeds: int) -> Iterator[str]:
        yield f"### Aggregation, {seeds} draws\n\n" + aggregation_table(self.records, seeds)
        yield "### Aggregation of people\n\n" + people_table(self.data, seeds)
        yield "### Slips or ambiguity\n\n" + disagreement_table(self.data, self.records)

    def _entities(self, _: int) -> Iterator[str]:
        yield "### Named entities\n\n" + entities_table(self.data)

    def _routing(self, seeds: int) -> Iterator[str]:
        for record in self.records:
            texts, targets = vectors(record, self.cache), TARGETS[record.name]
            title = f"### Routing: {record.name}, {len(record.gold)} items, {seeds} draws\n\n"
            yield title + needed(record, texts, targets, seeds)
            title = f"### Routing that stops itself: {record.name}, {CHOSEN.name}\n\n"
            yield title + stopped(record, texts, targets, seeds, CHOSEN)
            title = f"### Strength of the combiner: {record.name}, {targets[-1]:.0%}, {CHOSEN.name}"
            few = min(seeds, 3)
            yield f"{title}, {few} draws\n\n" + strengths(record, texts, targets[-1], few, CHOSEN)

    def _cascade(self, seeds: int) -> Iterator[str]:
        for record in self.records:
            yield f"### Cascades: {record.name}\n\n" + cascade_table(
                record, RISKS[record.name], seeds
            )

    def _training(self, seeds: int) -> Iterator[str]:
        for record in self.records:
            yield self._trained(record, seeds)

    def _trained(self, record: Record, seeds: int) -> str:
        title = f"### Training: {record.name}, learner {self.learner}, {seeds} seeds\n\n"
        texts = vectors(record, self.cache)
        return title + training_table(
            record, texts, seeds, learner=self.learner, budgets=self.budgets
        )


def main() -> None:
    """Run the parts and print each table when it is done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default="", help="parts, with commas (default: all)")
    parser.add_argument("--seeds", type=int, help="draws (default: each part's own number)")
    parser.add_argument("--learner", default="linear", help="of the part `training`")
    parser.add_argument(
        "--budgets",
        default=",".join(map(str, BUDGETS)),
        help="US dollars of the part `training`, with commas",
    )
    parser.add_argument("--cache", type=Path, help="keep vectors here (default: a temporary one)")
    args = parser.parse_args()
    budgets = tuple(float(each) for each in args.budgets.split(","))
    with tempfile.TemporaryDirectory() as folder:
        cache = args.cache or Path(folder)
        cache.mkdir(parents=True, exist_ok=True)
        bench = Bench(args.data, cache, args.learner, budgets)
        wanted = [each for each in args.only.split(",") if each] or list(bench.parts())
        for name, (seeds, part) in bench.parts().items():
            if name in wanted:
                for text in part(args.seeds or seeds):
                    print(text, flush=True)


if __name__ == "__main__":
    main()
