"""The `bert` learner against a plain fine-tuning loop: accuracy and processor seconds.

    python -m labelwright.evals.bench_bert DATA [--only NAME,NAME] [--labels 75,150,300]
        [--seeds 0,1] [--methods plain,bert] [--held-out 800] [--threads 1]

DATA is a folder with the files named in `FILES`, each a CSV with the columns `text` and `label`.
For each data set and seed, 800 rows are held out; all methods train on the same first rows of
the rest and label the held-out ones.

- `plain`: `AutoModelForSequenceClassification` from the same encoder, all layers trained in
  float32 for 350 steps of 16 rows, learning rate 1e-4 with warm-up and linear decay, each batch
  padded to its longest row, the texts tokenised once.
- `bert`: the learner of this package, twice: `first` computes the frozen layers of the held-out
  rows and of those it trains on, `later` finds them kept, as every round after the first does.
- `frozen=N`, `smoothing=X`: the same with another number of frozen layers, or with another share
  of label smoothing (see `BertOptions`).

Seconds are those of the processor, all threads together, so that other work on the machine does
not count; they cover opening the model, training and labelling the held-out rows. Expect about
ten minutes for a data set of long texts and one seed, most of it the plain loop. A table of the
means over seeds and numbers of labels, against `plain`, comes last.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.compute import quiet_libraries
from ..models.encoders import TransformerEncoder, load_encoder
from ..models.learners import Inputs, Training
from ..models.learners.bert import BertLearner
from ..models.learners.bert_options import BertOptions
from ..models.progress import NoProgress
from ..store.pool import Pool
from ..tools.hidden import PoolHidden

FILES = {
    "ag_news": "ag_news/test.csv",
    "trec": "trec/train.csv",
    "mr": "mr/all.csv",
    "sst2": "sst2/train.csv",
    "banking77": "banking77/train.csv",
}
PLAIN_STEPS, PLAIN_RATE, PLAIN_ROWS, PLAIN_WARM_UP = 350, 1e-4, 16, 0.1


@dataclass(frozen=True, slots=True)
class Task:
    """Texts and gold labels of one draw: those to train on, and those held out."""

    names: list[str]
    train_texts: list[str]
    train_labels: NDArray[np.int64]
    test_texts: list[str]
    test_labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a method came to on one task."""

    method: str
    accuracy: float
    log_loss: float
    seconds: float


def draw_task(path: Path, labels: int, seed: int, held: int) -> Task:
    """The task of a data file: the same rows held out for every number of labels."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["label"] for row in rows})
    index = {name: place for place, name in enumerate(names)}
    order = np.random.default_rng(seed).permutation(len(rows))
    texts = [rows[row]["text"] for row in order]
    gold = np.array([index[rows[row]["label"]] for row in order], dtype=np.int64)
    train = slice(held, held + labels)
    return Task(names, texts[train], gold[train], texts[:held], gold[:held])


def run_plain(task: Task, encoder: TransformerEncoder, seed: int) -> Measured:
    """All layers, float32, one loop."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    started = time.process_time()
    with quiet_libraries(), torch.random.fork_rng():
        torch.manual_seed(seed)
        tokenizer = AutoTokenizer.from_pretrained(encoder.location)
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            encoder.location, num_labels=len(task.names), dtype=torch.float32
        )
        read = tokenizer(task.train_texts, truncation=True, max_length=256)["input_ids"]
        asked = tokenizer(task.test_texts, truncation=True, max_length=256)["input_ids"]

        def logits(rows: list[list[int]]) -> torch.Tensor:
            batch = tokenizer.pad({"input_ids": rows}, return_tensors="pt")
            found: torch.Tensor = model(**batch).logits
            return found

        optimiser = torch.optim.AdamW(model.parameters(), lr=PLAIN_RATE)
        warm = PLAIN_WARM_UP * PLAIN_STEPS
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser,
            lambda step: min((step + 1) / warm, (PLAIN_STEPS - step) / (PLAIN_STEPS - warm)),
        )
        labels = torch.from_numpy(task.train_labels)
        model.train()
        for chosen in _plain_batches(len(labels), seed):
            loss = torch.nn.functional.cross_entropy(
                logits([read[row] for row in chosen]), labels[chosen]
            )
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
        model.eval()
        with torch.inference_mode():
            parts = [logits(asked[start : start + 32]) for start in range(0, len(asked), 32)]
            chances = torch.cat(parts).softmax(dim=1).numpy()
    seconds = time.process_time() - started
    return _measured("plain", chances, task, seconds)


def _measured(method: str, chances: NDArray[np.float32], task: Task, seconds: float) -> Measured:
    right = chances[np.arange(len(chances)), task.test_labels]
    accuracy = float((chances.argmax(axis=1) == task.test_labels).mean())
    return Measured(method, accuracy, float(-np.log(np.maximum(right, 1e-6)).mean()), seconds)


def _plain_batches(total: int, seed: int) -> Iterator[list[int]]:
    generator = np.random.default_rng(seed)
    queue: list[int] = []
    for _ in range(PLAIN_STEPS):
        while len(queue) < PLAIN_ROWS:
            queue += generator.permutation(total).tolist()
        yield queue[:PLAIN_ROWS]
        queue = queue[PLAIN_ROWS:]


def run_bert(
    task: Task, encoder: TransformerEncoder, seed: int, name: str, options: BertOptions
) -> Iterator[Measured]:
    """The learner, with nothing kept and then with all hidden states kept."""
    labels = len(task.train_labels)
    with tempfile.TemporaryDirectory() as folder:
        kept = kept_states([*task.train_texts, *task.test_texts], Path(folder))
        train, test = np.split(np.arange(labels + len(task.test_texts)), [labels])
        for method in (f"{name}, first", f"{name}, later"):
            started = time.process_time()
            learner = BertLearner(
                label_names=task.names,
                label_texts=task.names,
                encoder=encoder,
                options=options,
            )
            inputs = Inputs(task.train_texts, None, kept.of(train))
            weights = np.ones(labels, dtype=np.float32)
            learner.fit(Training(inputs, task.train_labels, weights), seed=seed)
            found = learner.predict_proba(Inputs(task.test_texts, None, kept.of(test)))
            yield _measured(method, found, task, time.process_time() - started)


def run(method: str, task: Task, encoder: TransformerEncoder, seed: int) -> Iterator[Measured]:
    """What a method of the command line comes to on a task.

    Raises:
        ValueError: no such method.
    """
    name, _, value = method.partition("=")
    if name not in {"plain", "bert", "frozen", "smoothing"}:
        raise ValueError(f"unknown method {method!r}: give plain, bert, frozen=N or smoothing=X")
    options = BertOptions()
    if name == "frozen":
        options = BertOptions(frozen_layers=int(value))
    if name == "smoothing":
        options = BertOptions(smoothing=float(value))
    if name == "plain":
        yield run_plain(task, encoder, seed)
    else:
        yield from run_bert(task, encoder, seed, method, options)


def summary(found: dict[tuple[str, str], list[Measured]]) -> str:
    """A Markdown table of each data set's and method's means, and how they stand to `plain`."""
    lines = [
        "| data | method | accuracy | against plain | log loss | processor seconds | speed-up |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (data, method), each in found.items():
        accuracy, loss, seconds = _means(each)
        plain = found.get((data, "plain"), [])
        better = faster = "–"
        if plain:
            right, _, slow = _means(plain)
            better, faster = f"{100 * (accuracy - right):+.1f}", f"{slow / seconds:.1f}"
        lines.append(
            f"| {data} | {method} | {accuracy:.3f} | {better} | {loss:.3f} | {seconds:.1f} "
            f"| {faster} |"
        )
    return "\n".join(lines)


def _means(measured: list[Measured]) -> NDArray[np.float64]:
    every = [(each.accuracy, each.log_loss, each.seconds) for each in measured]
    means: NDArray[np.float64] = np.array(every).mean(axis=0)
    return means


def kept_states(texts: list[str], folder: Path) -> PoolHidden:
    """A place for what frozen layers make of n texts, row by row, in a folder."""
    import pyarrow as pa

    Pool.write(folder, pa.array([str(row) for row in range(len(texts))]), pa.array(texts), None)
    pool = Pool(folder)
    pool.write_groups(np.arange(len(texts)))
    return PoolHidden(folder, pool, NoProgress())


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The bert learner against a plain loop.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default=",".join(FILES))
    parser.add_argument("--labels", type=_numbers, default=[75, 150, 300])
    parser.add_argument("--seeds", type=_numbers, default=[0, 1])
    parser.add_argument("--methods", default="plain,bert")
    parser.add_argument("--held-out", type=int, default=800)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Print one row for each data set, number of labels, seed and method, then the means."""
    import torch

    options = _options()
    torch.set_num_threads(options.threads)
    encoder = load_encoder()
    if not isinstance(encoder, TransformerEncoder):
        raise TypeError(f"encoder {encoder.name!r} has no transformer")
    print("| data | labels | seed | method | accuracy | log loss | processor seconds |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: |", flush=True)
    every: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    for name in options.only.split(","):
        for labels in options.labels:
            for seed in options.seeds:
                task = draw_task(options.data / FILES[name], labels, seed, options.held_out)
                for method in options.methods.split(","):
                    for found in run(method, task, encoder, seed):
                        every[name, found.method].append(found)
                        print(
                            f"| {name} | {labels} | {seed} | {found.method} "
                            f"| {found.accuracy:.3f} | {found.log_loss:.3f} "
                            f"| {found.seconds:.1f} |",
                            flush=True,
                        )
    print(f"\n{summary(every)}")


if __name__ == "__main__":
    main()
