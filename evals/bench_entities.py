"""Marked entities on real texts: taggers by labelled texts, choosing texts by doubt, confidence.

    python -m labelwright.evals.bench_entities DATA [--parts taggers,choice,confidence]
        [--seeds 0,1] [--pool 600] [--test 300]

DATA holds `wnut17/train.jsonl`, `wnut17/dev.jsonl` and `recorded/african_ner.jsonl`. The texts of a
seed are drawn from one file without overlap: the first `--pool` of them to learn from or choose
from, the next `--test` to measure on; of the African sentences there are 400 in all.

- `taggers`: each tagger on the first 50, 100 and 200 texts of the pool; WNUT-17 dev, and sentences
  of 8 African languages (sentences of recorded answers, by their gold tags).
- `choice`: from 30 random texts on, 30 more a round: random ones, those of the highest doubt for
  their length (MNLP), those with the least probable answer, and those whose types are least
  certain (least confidence of `occurs`). WNUT-17 train.
- `confidence`: of the linear tagger on 100 texts: how far its probability of a whole answer is
  from how often it is right, before and after isotonic regression on half of the test texts.
  WNUT-17 dev.

"Seconds" is processor time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.encoders import Encoder, load_encoder
from ..models.learners.tagging import TaggedTexts, Tagger, make_tagger
from ..store.spans import Span, spans_of, token_ranges
from ..tools.calibration import expected_calibration_error, fit_isotonic
from ..tools.entity_quality import EntityScores, entity_scores
from .annotation_tables import table

SIZES = (50, 100, 200)
START, STEP, ROUNDS = 30, 30, 4


@dataclass(frozen=True, slots=True)
class Marked:
    """Texts and the spans of each."""

    texts: list[str]
    spans: list[tuple[Span, ...]]

    @property
    def types(self) -> list[str]:
        """All types, sorted."""
        return sorted({span.type for each in self.spans for span in each})

    def rows(self, rows: Sequence[int] | NDArray[np.int64]) -> Marked:
        """Some of them."""
        return Marked([self.texts[row] for row in rows], [self.spans[row] for row in rows])

    def __len__(self) -> int:
        """How many texts there are."""
        return len(self.texts)


def marked(rows: Sequence[dict[str, Any]]) -> Marked:
    """Rows of `tokens` and IOB2 `tags`, tokens joined by spaces."""
    texts = [" ".join(row["tokens"]) for row in rows]
    spans = [
        spans_of(row["tags"], token_ranges(text, row["tokens"]), text)
        for text, row in zip(texts, rows, strict=True)
    ]
    return Marked(texts, spans)


def wnut(data: Path, part: str) -> Marked:
    """A part of WNUT-17."""
    return marked(_lines(data / "wnut17" / f"{part}.jsonl"))


def african(data: Path) -> Marked:
    """Every sentence of the recorded African set once, where tags and tokens are as many."""
    once: dict[tuple[str, str], dict[str, Any]] = {}
    for row in _lines(data / "recorded" / "african_ner.jsonl"):
        if len(row["tokens"]) == len(row["tags"]):
            once.setdefault((row["lang"], row["id"]), row)
    return marked(list(once.values()))


def drawn(source: Marked, seed: int, pool: int, test: int) -> tuple[Marked, Marked]:
    """What is learned or chosen from, and what is measured on: disjoint, at most so many."""
    order = np.random.default_rng(seed).permutation(len(source))
    pool = min(pool, len(source) // 2)
    return source.rows(order[:pool]), source.rows(order[pool : pool + test])


def fitted(name: str, encoder: Encoder, types: Sequence[str], known: Marked, seed: int) -> Tagger:
    """A tagger that has learned from these texts."""
    tagger = make_tagger(name, types=types, encoder=encoder)
    ones = np.ones(len(known), dtype=np.float32)
    tagger.fit(known.texts, known.spans, ones, seed=seed)
    return tagger


def measure(found: TaggedTexts, test: Marked, seed: int) -> EntityScores:
    """What answers are worth against gold."""
    return entity_scores(test.spans, found.spans, seed=seed)


def taggers_table(
    sources: dict[str, Marked],
    encoder: Encoder,
    seeds: Sequence[int],
    pool: int,
    test: int,
    names: Sequence[str] = ("linear", "bert"),
) -> str:
    """Each tagger by the number of texts it learned from, means over the seeds."""
    rows = []
    for title, source in sources.items():
        for size in SIZES:
            for name in names:
                cells = []
                for seed in seeds:
                    some, held = drawn(source, seed, pool, test)
                    started = time.process_time()
                    tagger = fitted(name, encoder, source.types, some.rows(range(size)), seed)
                    between = time.process_time()
                    found = tagger.tag(held.texts)
                    scores = measure(found, held, seed)
                    seconds = between - started, time.process_time() - between
                    cells.append([*_shares(scores), *seconds])
                mean = np.mean(cells, axis=0)
                shown = [f"{value:.3f}" for value in mean[:4]]
                rows.append([title, str(size), name, *shown, *(f"{s:.1f}" for s in mean[4:])])
                print(rows[-1], flush=True)
    head = ("data", "texts", "tagger", "exact answers", "precision", "recall", "F1")
    return table((*head, "seconds to fit", "seconds to tag"), rows)


def _random(found: TaggedTexts, rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.random(len(found.confidence))


def _mnlp(found: TaggedTexts, rng: np.random.Generator) -> NDArray[np.float64]:
    return found.doubt.astype(np.float64)


def _least_probable(found: TaggedTexts, rng: np.random.Generator) -> NDArray[np.float64]:
    return 1.0 - found.confidence.astype(np.float64)


def _types(found: TaggedTexts, rng: np.random.Generator) -> NDArray[np.float64]:
    sure = np.maximum(found.occurs, 1 - found.occurs).astype(np.float64)
    return np.asarray(1.0 - sure.prod(axis=1))


Score = Callable[[TaggedTexts, np.random.Generator], NDArray[np.float64]]
CHOICES: dict[str, Score] = {
    "random": _random,
    "MNLP": _mnlp,
    "least probable answer": _least_probable,
    "types least certain": _types,
}


def choice_table(
    source: Marked, encoder: Encoder, seeds: Sequence[int], pool: int, test: int
) -> str:
    """F1 and exact answers on the test texts after each round, and the words a person read."""
    rows = []
    for name, score in CHOICES.items():
        curves = [_curve(source, encoder, score, seed, pool, test) for seed in seeds]
        mean = np.mean(curves, axis=0)
        cells = [f"{f1:.3f} / {exact:.3f}" for f1, exact, _ in mean]
        rows.append([name, *cells, f"{mean[-1, 2]:.0f}"])
        print(rows[-1], flush=True)
    sizes = [START + STEP * place for place in range(ROUNDS + 1)]
    return table(("choice", *(f"{n} texts" for n in sizes), "words read"), rows)


def _curve(
    source: Marked, encoder: Encoder, score: Score, seed: int, pool: int, test: int
) -> list[tuple[float, float, float]]:
    some, held = drawn(source, seed, pool, test)
    rng = np.random.default_rng(seed)
    known = list(range(START))
    curve = []
    for place in range(ROUNDS + 1):
        tagger = fitted("linear", encoder, source.types, some.rows(known), seed)
        scores = measure(tagger.tag(held.texts), held, seed)
        exact, _, _, f1 = _shares(scores)
        words = sum(len(token_ranges(some.texts[row])) for row in known)
        curve.append((f1, exact, float(words)))
        if place < ROUNDS:
            rest = np.setdiff1d(np.arange(len(some)), known)
            doubt = score(tagger.tag(some.rows(rest).texts), rng)
            known += rest[np.argsort(-doubt, kind="stable")[:STEP]].tolist()
    return curve


def confidence_table(
    source: Marked, encoder: Encoder, seeds: Sequence[int], pool: int, test: int
) -> str:
    """Expected calibration error of the probability of whole answers."""
    rows = []
    for seed in seeds:
        some, held = drawn(source, seed, pool, test)
        tagger = fitted("linear", encoder, source.types, some.rows(range(100)), seed)
        found = tagger.tag(held.texts)
        right = np.array([a == b for a, b in zip(found.spans, held.spans, strict=True)])
        half = np.arange(len(held)) % 2 == 0
        curve = fit_isotonic(found.confidence[half], right[half])
        after = np.interp(found.confidence[~half], curve.knots, curve.values)
        rows.append(
            [
                str(seed),
                f"{right.mean():.3f}",
                f"{found.confidence.mean():.3f}",
                f"{expected_calibration_error(found.confidence, right):.3f}",
                f"{expected_calibration_error(after, right[~half]):.3f}",
            ]
        )
        print(rows[-1], flush=True)
    head = ("seed", "exact answers", "mean probability", "calibration error")
    return table((*head, "after isotonic regression, other half"), rows)


def _shares(scores: EntityScores) -> tuple[float, float, float, float]:
    """Exact answers, precision, recall, F1; 0 where there is nothing to measure."""
    three = (scores.precision, scores.recall, scores.f1)
    precision, recall, f1 = (each.estimate if each else 0.0 for each in three)
    return scores.exact.estimate, precision, recall, f1


def _lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--parts", default="taggers,choice,confidence")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--pool", type=int, default=600)
    parser.add_argument("--test", type=int, default=300)
    given = parser.parse_args(arguments)
    seeds = [int(seed) for seed in given.seeds.split(",")]
    encoder = load_encoder()
    parts = given.parts.split(",")
    if "taggers" in parts:
        sources = {"wnut17 dev": wnut(given.data, "dev"), "african": african(given.data)}
        print(taggers_table(sources, encoder, seeds, given.pool, given.test), flush=True)
    if "choice" in parts:
        source = wnut(given.data, "train")
        print(choice_table(source, encoder, seeds, given.pool, given.test), flush=True)
    if "confidence" in parts:
        source = wnut(given.data, "dev")
        print(confidence_table(source, encoder, seeds, given.pool, given.test), flush=True)


if __name__ == "__main__":
    main()
