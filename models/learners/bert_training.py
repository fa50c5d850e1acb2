"""Training of the top layers and the head of a transformer classifier.

Imports torch, so it is itself imported only when a learner needs it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..compute import compute_dtype, single_threaded
from ..mixture import low_heap
from ..progress import NoProgress, Progress, Task
from . import bert_losses
from .bert_head import can_start_as_probe, renew_head, start_as_probe, without_head
from .bert_model import Classifier, as_dtype, seeded
from .bert_options import DEFAULTS, BertOptions
from .bert_rows import BATCH_ROWS, Rows, batches, held_out, rarity
from .frozen import FreshStates, all_of, open_states, padded
from .layers import cut_of, frozen_names, only_top

# From the probe's start, 120 steps at a high rate reach what 350 reach, with confidence that
# means more: measured on 150 questions of six types, log loss 0.64 against 1.38 on unseen ones.
SMALLEST_STEPS = 150
RANDOM_HEAD_STEPS = 350
SMALLEST_EPOCHS = 5
LEARNING_RATE = 4e-4
WEIGHT_DECAY = 0.01
WARM_UP = 0.1
LARGEST_GRADIENT = 1.0
# The log loss of fewer than about 40 rows held out says too little to stop by.
EARLY_ROWS, HELD_SHARE = 200, 5
LOOK_EVERY, PATIENCE = 25, 4
# Two heaps of losses cannot be told apart in fewer rows.
HEAP_ROWS, HEAP_EPOCHS = 50, 2
CLEAN_ABOVE = 0.5
# The part of the steps over which what mixing adds grows to its full weight.
MIX_RAMP = 0.5


def train(
    classifier: Classifier,
    rows: Rows,
    *,
    seed: int,
    progress: Progress,
    options: BertOptions = DEFAULTS,
    further: bool = False,
) -> tuple[int, float, tuple[str, ...]]:
    """Train the top layers and the head in place.

    Args:
        classifier: as opened, or trained before.
        rows: what to learn.
        seed: of the head, the order of rows and the dropout.
        progress: shows a bar.
        options: how.
        further: go on from the classifier's weights, head and all.

    Returns:
        Gradient steps, mean loss of the last tenth of them, notes.
    """
    model = classifier.model
    hidden = _frozen_outputs(classifier, rows)
    frozen = frozen_names(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    probed = can_start_as_probe(model)
    start = "where the last fit ended"
    if not further:
        start = _start_head(classifier, hidden, rows, seed, probed)
    least = SMALLEST_STEPS if probed else RANDOM_HEAD_STEPS
    steps = max(least, SMALLEST_EPOCHS * math.ceil(len(rows.texts) / BATCH_ROWS))
    steps = steps // 2 if further else steps
    run = _Run(classifier, hidden, rows, options, seed)
    with progress.task("Training", steps) as task:
        losses = run.descend(steps, task)
    model.eval()
    notes = (f"{cut_of(model)} bottom layers frozen, the head started {start}", *run.notes)
    return len(losses), float(np.mean(losses[-max(1, len(losses) // 10) :])), notes


class _Run:
    """One training of a classifier on rows whose frozen states are known."""

    def __init__(
        self,
        classifier: Classifier,
        hidden: list[NDArray[np.uint16]],
        rows: Rows,
        options: BertOptions,
        seed: int,
    ) -> None:
        self.classifier, self.model = classifier, classifier.model
        self.options, self.seed, self.multi_label = options, seed, classifier.multi_label
        self.hidden = hidden
        self.items = rows.items
        self.notes: list[str] = []
        rare = rarity(rows.targets, rows.weights)
        weights = rows.weights * (rare if options.balance == "weights" else 1.0)
        self.often = rare if options.balance == "batches" else None
        self.held = self._held_rows(rows)
        self.kept = np.setdiff1d(np.arange(len(rows.texts)), self.held)
        self.targets = self._tensor(rows.targets)
        # The labels that mixed rows are mixed under; with `small_loss` not always the given ones.
        self.mixed = self.targets.clone()
        self.given_weights = self._tensor(weights)
        self.weights = self.given_weights.clone()
        self.head: Any = None
        self.trained: list[nn.Parameter] = []
        self.best: tuple[float, int, list[Tensor]] = (math.inf, 0, [])
        self.left_out: int | None = None

    def descend(self, steps: int, task: Task) -> list[float]:
        """Train the top in place and give the loss of each step."""
        self.trained = [each for each in self.model.parameters() if each.requires_grad]
        losses: list[float] = []
        with (
            seeded(self.seed),
            single_threaded(),
            only_top(self.model),
            without_head(self.model) as head,
        ):
            self.head = head
            optimiser, schedule = _optimiser(self.trained, steps)
            lengths = np.array([len(self.hidden[row]) for row in self.kept])
            often = None if self.often is None else self.often[self.kept]
            self.model.train()
            for chosen in batches(lengths, steps, self.seed, often):
                loss = self._loss(self.kept[chosen], len(losses) / steps)
                optimiser.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                nn.utils.clip_grad_norm_(self.trained, LARGEST_GRADIENT)
                optimiser.step()
                schedule.step()
                losses.append(float(loss.detach()))
                task.advance()
                self._separate(len(losses))
                if self._should_stop(len(losses)):
                    task.advance(steps - len(losses))
                    break
            optimiser.zero_grad(set_to_none=True)
        self._back_to_best(len(losses))
        if self.left_out is not None:
            self.notes.append(f"{self.left_out} items left out at the end for their high loss")
        elif self.options.small_loss:
            self.notes.append(f"no item left out: fewer than {HEAP_ROWS} to train on")
        return losses

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(self.classifier.device)

    def _held_rows(self, rows: Rows) -> NDArray[np.int64]:
        if not self.options.early_stopping:
            return np.empty(0, dtype=np.int64)
        if rows.items < EARLY_ROWS:
            self.notes.append(
                f"no early stopping: {rows.items} labelled items, at least {EARLY_ROWS} are needed"
            )
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero(held_out(rows.targets[: rows.items], HELD_SHARE, self.seed))

    def _features(self, batch: dict[str, Tensor]) -> Tensor:
        """What the head reads of a batch of states."""
        dtype = compute_dtype(self.classifier.device)
        with torch.autocast(
            self.classifier.device.type, dtype=dtype, enabled=dtype != torch.float32
        ):
            found: Tensor = self.model(**as_dtype(batch, torch.float32)).logits
        return found

    def _logits(self, features: Tensor) -> Tensor:
        dtype = compute_dtype(self.classifier.device)
        with torch.autocast(features.device.type, dtype=dtype, enabled=dtype != torch.float32):
            found: Tensor = self.head(features)
        return found.float()

    def _loss(self, chosen: NDArray[np.int64], done: float) -> Tensor:
        index = torch.from_numpy(chosen).to(self.classifier.device)
        batch = padded([self.hidden[row] for row in chosen], self.classifier.device)
        weights = self.weights[index]
        features = self._features(batch)
        logits = self._logits(features)
        loss = _mean(self._supervised(logits, self.targets[index]), weights)
        if not self.options.mixup:
            return loss
        again = self._logits(self._features(batch))
        loss = 0.5 * (loss + _mean(self._supervised(again, self.targets[index]), weights))
        extra = self._mixing(features, index) + _mean(
            bert_losses.disagreement(logits, again, multi_label=self.multi_label),
            self.given_weights[index],
        )
        return loss + min(1.0, done / MIX_RAMP) * extra

    def _supervised(self, logits: Tensor, targets: Tensor) -> Tensor:
        smoothing, several = self.options.smoothing, self.multi_label
        if self.options.loss == "reverse_cross_entropy":
            return bert_losses.symmetric_cross_entropy(
                logits, targets, smoothing, multi_label=several
            )
        soft = bert_losses.smoothed(targets, smoothing, multi_label=several)
        return bert_losses.cross_entropy(logits, soft, multi_label=several)

    def _mixing(self, features: Tensor, index: Tensor) -> Tensor:
        """The loss of each row mixed with another one of the batch."""
        share = bert_losses.mixing_share()
        other = torch.randperm(len(index), device="cpu").to(index.device)
        targets, weights = self.mixed[index], self.given_weights[index]
        logits = self._logits(share * features + (1.0 - share) * features[other])
        wanted = share * targets + (1.0 - share) * targets[other]
        losses = bert_losses.cross_entropy(logits, wanted, multi_label=self.multi_label)
        return _mean(losses, share * weights + (1.0 - share) * weights[other])

    def _read(self, rows: NDArray[np.int64]) -> Tensor:
        """Logits of some rows by the model as it is now."""
        self.model.eval()
        states = _InMemory([self.hidden[row] for row in rows])
        with NoProgress().task("", len(rows)) as task:
            found = self.classifier.read(
                states, self.head.out_features, lambda b: self._logits(self._features(b)), task
            )
        self.model.train()
        return torch.from_numpy(found).to(self.classifier.device)

    def _separate(self, done: int) -> None:
        """With `small_loss`, at the end of an epoch: leave out what is probably wrong."""
        epoch = math.ceil(len(self.kept) / BATCH_ROWS)
        rows = self.kept[self.kept < self.items]
        wanted = self.options.small_loss and len(rows) >= HEAP_ROWS
        if not wanted or done < HEAP_EPOCHS * epoch or done % epoch:
            return
        logits, index = self._read(rows), torch.from_numpy(rows)
        losses = bert_losses.surprise(logits, self.targets[index], multi_label=self.multi_label)
        clean = low_heap(losses.cpu().numpy(), seed=self.seed) > CLEAN_ABOVE
        right = torch.from_numpy(clean).to(logits.device)
        self.weights[index] = torch.where(right, self.given_weights[index], 0.0)
        own = bert_losses.sharpened(logits, multi_label=self.multi_label)
        self.mixed[index] = torch.where(right[:, None], self.targets[index], own)
        self.left_out = int((~clean).sum())

    def _should_stop(self, done: int) -> bool:
        """With `early_stopping`: look at the rows held out, keep the best weights."""
        if not len(self.held) or done % LOOK_EVERY:
            return False
        index = torch.from_numpy(self.held)
        losses = bert_losses.cross_entropy(
            self._read(self.held), self.targets[index], multi_label=self.multi_label
        )
        loss = float(_mean(losses, self.given_weights[index]))
        if loss < self.best[0]:
            self.best = loss, done, [each.detach().clone() for each in self.trained]
        return done - self.best[1] >= PATIENCE * LOOK_EVERY

    def _back_to_best(self, done: int) -> None:
        if not self.best[2]:
            return
        with torch.no_grad():
            for parameter, best in zip(self.trained, self.best[2], strict=True):
                parameter.copy_(best)
        self.notes.append(
            f"stopped after {done} steps, the weights are those of step {self.best[1]}: log loss "
            f"{self.best[0]:.3f} on {len(self.held)} labelled items held out"
        )


class _InMemory:
    """States of rows that are all there: see `States`."""

    def __init__(self, rows: Sequence[NDArray[np.uint16]]) -> None:
        self._rows = rows
        self.lengths = np.array([len(row) for row in rows], dtype=np.int64)

    def get(self, rows: NDArray[np.int64]) -> list[NDArray[np.uint16]]:
        return [self._rows[row] for row in rows]


def _frozen_outputs(classifier: Classifier, rows: Rows) -> list[NDArray[np.uint16]]:
    """The states of each row: kept ones where there are, the others computed now."""
    parts = [
        open_states(classifier.frozen, rows.texts[: rows.items], rows.hidden),
        FreshStates(classifier.frozen, rows.texts[rows.items :]),
    ]
    return [row for part in parts for row in all_of(part, classifier.device)]


def _start_head(
    classifier: Classifier,
    hidden: list[NDArray[np.uint16]],
    rows: Rows,
    seed: int,
    probed: bool,
) -> str:
    model = classifier.model
    with seeded(seed):
        renew_head(model)
    if not probed:
        return "at random"
    top = classifier.top()
    with NoProgress().task("", len(hidden)) as task:
        first = classifier.read(
            _InMemory(hidden),
            classifier.frozen.dim,
            lambda batch: (
                top.base_model(**as_dtype(batch, top.dtype)).last_hidden_state[:, 0].float()
            ),
            task,
        )
    weights = rows.weights * rarity(rows.targets, rows.weights)
    start_as_probe(model, first, rows.targets, weights, multi_label=classifier.multi_label)
    return "as a logistic regression"


def _optimiser(trained: list[nn.Parameter], steps: int) -> tuple[Any, Any]:
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=LEARNING_RATE, fused=True)
    warm = max(1, round(WARM_UP * steps))

    def rate(step: int) -> float:
        return (step + 1) / warm if step < warm else max(0.0, (steps - step) / max(1, steps - warm))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


def _mean(losses: Tensor, weights: Tensor) -> Tensor:
    return (losses * weights).sum() / weights.sum().clamp_min(1e-9)
