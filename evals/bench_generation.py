"""Generated texts: what the filters let through, how fast, and what they add to a classifier.

    python -m labelwright.evals.bench_generation DATA [--sets trec,sst2,ag_news] [--seeds 0,1,2,3,4]
        [--llm STRING] [--count 20] [--methods definitions,contrast,paraphrase]

DATA is the folder of data sets that the learning curves use. Three tables:

1. Real texts of the test set, sent through the filters as if a model had written them, against the
   pool: how many each filter rejects. A real text that is rejected is near the pool, so this is
   what the limits cost at most. Then texts of the pool with one word left out: what they catch.
2. CPU seconds to sift 20,000 texts against one another by ROUGE-L.
3. Accuracy of logistic regression on the test set without more texts, with as many more as there
   are labels whatever gold says, and with the gate. The texts are recombined clauses; or real ones
   with their right labels, which is the best that a writer could do. Gold are 60 other items.

With `--llm` two other tables instead: what a live chat model writes from 60 labelled items, through
all filters (its labels are confirmed by itself), and what training on it does. Whether a kept text
has the label that it was written for is judged by the classifier that learned from the whole pool
with its true labels.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..models.chat import load_backend
from ..models.encoders import Encoder, load_encoder
from ..models.learners import Inputs, Learner, Training, make_learner
from ..models.llm.base import Asker
from ..models.llm.gateway import Gateway
from ..tools.filtering import Cosine, Exact, Filter, Leakage, Rouge, Written, form_like, sift
from ..tools.gating import compare
from ..tools.generation.material import Example
from ..tools.generation.orders import Method
from ..tools.generation.recombining import recombine
from .annotation_tables import table
from .curve_data import Texts, load_texts
from .generation_written import HEAD, METHODS, Job, line, make

Source = Literal["recombined", "real"]
Places = NDArray[np.int64]
Added = tuple[list[str], NDArray[np.float32], NDArray[np.int64]]
"""Texts, their vectors and the indices of their labels."""
SOURCES: tuple[Source, ...] = ("recombined", "real")
SETS = ("trec", "sst2", "ag_news")
POOL, TEST, GOLD = 1_500, 600, 60
LABELS = (20, 60, 200)
LABELLED = 60
"""Items that a live chat model is shown."""


@dataclass(frozen=True, slots=True)
class Task:
    """A data set with its vectors: the first `found.pool` texts are the pool, the rest the test."""

    found: Texts
    vectors: NDArray[np.float32]

    @property
    def pool(self) -> NDArray[np.int64]:
        """Places of the pool."""
        return np.arange(self.found.pool)

    @property
    def test(self) -> NDArray[np.int64]:
        """Places of the test set."""
        return np.arange(self.found.pool, len(self.found.texts))

    def texts(self, places: NDArray[np.int64]) -> list[str]:
        """The texts at these places."""
        return [self.found.texts[place] for place in places]


def rejections(task: Task, texts: Sequence[str], vectors: NDArray[np.float32]) -> dict[str, int]:
    """How many of some texts each filter rejects, the first 60 texts of the pool being held out."""
    pool = task.texts(task.pool)
    written = Written(list(texts), [""] * len(texts), [()] * len(texts), vectors)
    filters: list[Filter] = [
        form_like(pool),
        Leakage(pool[:GOLD], task.vectors[:GOLD]),
        Exact(pool),
        Rouge(pool),
        Cosine(pool, task.vectors[: len(pool)]),
    ]
    return sift(written, filters).counts()


def without_a_word(texts: Sequence[str], seed: int) -> list[str]:
    """Each text with one word of its middle left out."""
    rng = np.random.default_rng(seed)
    found = []
    for text in texts:
        words = text.split()
        if len(words) > 2:
            del words[int(rng.integers(1, len(words) - 1))]
        found.append(" ".join(words))
    return found


@dataclass(frozen=True, slots=True)
class Gain:
    """Test accuracy without generated items, with all of them, and as the gate decides."""

    plain: float
    always: float
    gated: float
    items: int
    used: bool


def augmented(task: Task, encoder: Encoder, labels: int, seed: int, source: Source) -> Gain:
    """Train with and without as many more texts as there are labels."""
    order = np.random.default_rng(seed).permutation(task.pool)
    gold, train = order[:GOLD], order[GOLD : GOLD + labels]
    if source == "real":
        places = order[GOLD + labels : GOLD + 2 * labels]
        texts, more, extra = task.texts(places), task.vectors[places], task.found.labels[places]
    else:
        texts, more, extra = _recombined(task, encoder, train, seed)
    return effect(task, encoder, gold, train, (texts, more, extra), seed)


def effect(
    task: Task, encoder: Encoder, gold: Places, train: Places, added: Added, seed: int
) -> Gain:
    """Train on some places of the pool, with and without what is added, and let gold judge."""
    texts, more, extra = added
    plain = _fitted(task, encoder, train, [], more[:0], extra[:0], seed)
    other = _fitted(task, encoder, train, texts, more, extra, seed)
    gate = compare(
        task.found.labels[gold], _said(plain, task, gold), _said(other, task, gold), 0.95
    )
    truth = task.found.labels[task.test]
    first, second = (
        float((_said(model, task, task.test).argmax(axis=1) == truth).mean())
        for model in (plain, other)
    )
    return Gain(first, second, second if gate.helps else first, len(texts), gate.helps)


def _recombined(
    task: Task, encoder: Encoder, train: NDArray[np.int64], seed: int
) -> tuple[list[str], NDArray[np.float32], NDArray[np.int64]]:
    names = task.found.names
    examples = [
        Example(str(place), task.found.texts[place], names[task.found.labels[place]])
        for place in train
    ]
    drafts = recombine(examples, [each.label for each in examples], seed=seed)
    texts = [draft.text for draft in drafts]
    vectors = encoder.encode(texts) if texts else np.empty((0, encoder.dim), dtype=np.float32)
    labels = np.array([names.index(draft.label) for draft in drafts], dtype=np.int64)
    return texts, vectors, labels


def _fitted(
    task: Task,
    encoder: Encoder,
    train: NDArray[np.int64],
    texts: list[str],
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    seed: int,
) -> Learner:
    names = list(task.found.names)
    learner = make_learner("linear", label_names=names, label_texts=names, encoder=encoder)
    inputs = Inputs([*task.texts(train), *texts], np.concatenate([task.vectors[train], vectors]))
    given = np.concatenate([task.found.labels[train], labels])
    learner.fit(Training(inputs, given, np.ones(len(given), dtype=np.float32)), seed=seed)
    return learner


def _said(learner: Learner, task: Task, places: NDArray[np.int64]) -> NDArray[np.float32]:
    return learner.predict_proba(Inputs(task.texts(places), task.vectors[places]))


def print_rejections(tasks: dict[str, Task], encoder: Encoder) -> None:
    """The first table."""
    names = ("form", "held_out", "duplicate", "rouge_l", "cosine")
    print("| data | texts | n | " + " | ".join(names) + " | kept |")
    print("| --- | --- | ---: |" + " ---: |" * (len(names) + 1), flush=True)
    for name, task in tasks.items():
        less = without_a_word(task.texts(task.pool[:TEST]), 0)
        for what, texts, vectors in (
            ("real, not of the pool", task.texts(task.test), task.vectors[task.test]),
            ("of the pool, a word left out", less, encoder.encode(less)),
        ):
            found = rejections(task, texts, vectors)
            shares = " | ".join(f"{found.get(each, 0) / len(texts):.1%}" for each in names)
            kept = 1 - sum(found.values()) / len(texts)
            print(f"| {name} | {what} | {len(texts)} | {shares} | {kept:.1%} |", flush=True)


def print_speed(folder: Path, sets: Sequence[str]) -> None:
    """The second table: whole training sets together."""
    texts: list[str] = []
    for name in sets:
        found = load_texts(name, folder, pool=20_000, test=10)
        texts += found.texts
    rng = np.random.default_rng(0)
    texts = [texts[place] for place in rng.permutation(len(texts))[:20_000]]
    # Of this process alone: what else the machine does is no property of the filter.
    started = time.process_time()
    dropped = sift(Written(texts, [""] * len(texts), [()] * len(texts)), [Rouge([])]).dropped
    seconds = time.process_time() - started
    print("| texts | rejected | CPU seconds |\n| ---: | ---: | ---: |")
    print(f"| {len(texts):,} | {len(dropped):,} | {seconds:.1f} |", flush=True)


def print_gains(tasks: dict[str, Task], encoder: Encoder, seeds: Sequence[int]) -> None:
    """The third table."""
    print("| data | labels | more texts | without | always | with the gate | gate let in |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for name, labels, source in product(tasks, LABELS, SOURCES):
        found = [augmented(tasks[name], encoder, labels, seed, source) for seed in seeds]
        means = [
            float(np.mean([getattr(each, what) for each in found]))
            for what in ("plain", "always", "gated")
        ]
        items = np.mean([each.items for each in found])
        used = sum(each.used for each in found)
        numbers = " | ".join(f"{value:.3f}" for value in means)
        print(
            f"| {name} | {labels} | {items:.0f} {source} | {numbers} | {used} of {len(found)} |",
            flush=True,
        )


def print_written(
    tasks: dict[str, Task],
    encoder: Encoder,
    asker: Asker,
    methods: Sequence[Method],
    count: int,
    seeds: Sequence[int],
) -> None:
    """The tables with a live chat model."""
    print(table(HEAD, []), end="", flush=True)
    gains: list[list[str]] = []
    for name, task in tasks.items():
        every = _fitted(task, encoder, task.pool, [], *_nothing(encoder), 0)
        for method, seed in product(methods, seeds):
            order = np.random.default_rng(seed).permutation(task.pool)
            gold, train = order[:GOLD], order[GOLD : GOLD + LABELLED]
            job = Job(task.found, task.vectors, train, gold, encoder)
            made = make(job, asker, method, count, seed)
            added = made.kept(task.found.names)
            print(
                "| " + " | ".join(line(job, method, made, _right(every, added))) + " |", flush=True
            )
            if len(added[0]):
                gains.append(
                    _gain_line(name, method, effect(task, encoder, gold, train, added, seed))
                )
    head = ("data", "method", "more texts", "without", "always", "with the gate", "gate let it in")
    print("\n" + table(head, gains))


def _gain_line(name: str, method: str, found: Gain) -> list[str]:
    numbers = [f"{each:.3f}" for each in (found.plain, found.always, found.gated)]
    return [name, method, str(found.items), *numbers, "yes" if found.used else "no"]


def _nothing(encoder: Encoder) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    return np.empty((0, encoder.dim), dtype=np.float32), np.empty(0, dtype=np.int64)


def _right(every: Learner, added: Added) -> str:
    texts, vectors, labels = added
    if not len(texts):
        return "–"
    said = every.predict_proba(Inputs(texts, vectors)).argmax(axis=1)
    return f"{int((said == labels).sum())} of {len(labels)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the three tables, or those of a live chat model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--llm", default="none")
    parser.add_argument("--count", type=int, default=20, help="texts that a chat model writes")
    parser.add_argument("--methods", default=",".join(METHODS))
    options = parser.parse_args(arguments)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    backend = load_backend(options.llm)
    encoder = load_encoder()
    tasks = {}
    for name in options.sets.split(","):
        found = load_texts(name, options.data, pool=POOL, test=TEST)
        tasks[name] = Task(found, encoder.encode(list(found.texts)))
    if backend is not None:
        gateway = Gateway(backend)
        methods: list[Any] = options.methods.split(",")
        print_written(tasks, encoder, gateway, methods, options.count, seeds)
        gateway.close()
        return
    print_rejections(tasks, encoder)
    print()
    print_speed(options.data, ("banking77", "ag_news", "trec", "sst2"))
    print()
    print_gains(tasks, encoder, seeds)


if __name__ == "__main__":
    main()
