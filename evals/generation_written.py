"""What a live chat model's texts are worth: through the filters and the gate, and in training.

Part of `bench_generation`: for each method one job as `generate_samples` does it, from the first
labels of a project. The writer also confirms its labels, which is the least that a project has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..models.encoders import Encoder
from ..models.llm.base import Asker
from ..tools.filtering import Cosine, Exact, Leakage, Rouge, Sifted, Written, form_like, sift
from ..tools.filtering_asked import Confirmed
from ..tools.filtering_report import Variety, variety
from ..tools.generation.material import STYLES, Example, Material
from ..tools.generation.orders import Method
from ..tools.generation.records import Draft
from ..tools.generation.targets import targets
from ..tools.generation.writing import write
from .curve_data import Texts
from .live_tasks import DEFINITIONS, GOALS

METHODS: tuple[Method, ...] = ("definitions", "contrast", "paraphrase")
HEAD = (
    "data",
    "method",
    "answers unusable",
    "written",
    "rejected by",
    "kept",
    "right label",
    "bigrams a text",
    "self-similarity (pool)",
    "distance to the pool (of its halves)",
)


@dataclass(frozen=True, slots=True)
class Job:
    """One data set and the first labels of a project on it.

    Args:
        found: the data set; its first `found.pool` texts are the pool.
        vectors: (n, d) of all its texts.
        train: places of the labelled items.
        gold: places of the gold items.
        encoder: what made the vectors.
    """

    found: Texts
    vectors: NDArray[np.float32]
    train: NDArray[np.int64]
    gold: NDArray[np.int64]
    encoder: Encoder


@dataclass(frozen=True, slots=True)
class Made:
    """What came of one job.

    Args:
        drafts: all that was written.
        sifted: what the filters did to it.
        vectors: of the drafts.
        variety: of what was kept.
        unusable: answers that could not be used, and calls made.
    """

    drafts: Sequence[Draft]
    sifted: Sifted
    vectors: NDArray[np.float32]
    variety: Variety
    unusable: tuple[int, int]

    def kept(
        self, names: Sequence[str]
    ) -> tuple[list[str], NDArray[np.float32], NDArray[np.int64]]:
        """Texts, vectors and label indices of what passed."""
        places = list(self.sifted.kept)
        drafts = [self.drafts[place] for place in places]
        labels = np.array([names.index(draft.label) for draft in drafts], dtype=np.int64)
        return [draft.text for draft in drafts], self.vectors[places], labels


def make(job: Job, asker: Asker, method: Method, count: int, seed: int) -> Made:
    """Write `count` texts from the labelled items and filter them."""
    material = _material(job, seed)
    written = write(asker, material, method, targets(material, method, count), seed=seed)
    drafts, names = written.drafts, job.found.names
    texts = [draft.text for draft in drafts]
    vectors = job.encoder.encode(texts) if texts else np.empty((0, job.encoder.dim), np.float32)
    through = Written(
        texts, [draft.label for draft in drafts], [draft.parent_texts for draft in drafts], vectors
    )
    pool = list(job.found.texts[: job.found.pool])
    pool_vectors = job.vectors[: job.found.pool]
    labels = {name: f"{name}: {words}" for name, words in DEFINITIONS[job.found.name].items()}
    sifted = sift(
        through,
        [
            form_like(pool),
            Leakage([pool[place] for place in job.gold], job.vectors[job.gold]),
            Exact(pool),
            Rouge(pool),
            Cosine(pool, pool_vectors),
            Confirmed(asker, labels, GOALS[job.found.name], seed=seed),
        ],
    )
    kept = through.at(sifted.kept)
    assert kept.vectors is not None
    told = variety(
        kept.texts,
        kept.labels,
        kept.vectors,
        written=len(drafts),
        label_names=names,
        pool_vectors=pool_vectors,
        seed=seed,
    )
    return Made(drafts, sifted, vectors, told, (written.unusable, written.calls))


def line(job: Job, method: Method, made: Made, right: str) -> list[str]:
    """A line of the table.

    Args:
        job: what it was made for.
        method: how.
        made: what came of it.
        right: how many of the kept texts have the label that they were written for, in words.
    """
    told = made.variety
    rejected = ", ".join(f"{name} {n}" for name, n in made.sifted.counts().items())
    return [
        job.found.name,
        method,
        f"{made.unusable[0]} of {made.unusable[1]}",
        str(told.written),
        rejected or "–",
        f"{told.kept} ({told.acceptance:.0%})" if told.written else "0",
        right,
        _number(told.bigrams_per_text, 1),
        f"{_number(told.self_similarity)} ({_number(told.pool_self_similarity)})",
        f"{_number(told.mmd)} ({_number(told.mmd_of_pool)})",
    ]


def _material(job: Job, seed: int) -> Material:
    found = job.found
    examples = [
        Example(str(place), found.texts[place], found.names[found.labels[place]])
        for place in job.train
    ]
    taken = set(job.train.tolist()) | set(job.gold.tolist())
    left = np.array([place for place in range(found.pool) if place not in taken])
    drawn = np.random.default_rng(seed).permutation(left)[:STYLES]
    return Material(
        goal=GOALS[found.name],
        labels=DEFINITIONS[found.name],
        examples=examples,
        styles=[found.texts[place] for place in drawn],
    )


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
