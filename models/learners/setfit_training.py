"""Contrastive fine-tuning of a sentence encoder's top layers on a few labelled items.

Items of the same labels are drawn together, others apart (Tunstall et al. 2022, Efficient
Few-Shot Learning Without Prompts, section 3). The paper encodes both items of every pair anew;
here all items within a batch are compared, so one pass over 32 items serves 496 comparisons.
Where each item is itself a pair of texts, what relates the two is classified instead.

Imports torch, so it is itself imported only when a learner needs it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..compute import compute_dtype, single_threaded
from ..pairs import split_pair
from ..progress import Progress, Task
from .bert_model import seeded
from .frozen import padded
from .layers import only_top
from .logistic import fit_logistic
from .setfit_body import Body
from .setfit_losses import Classification, Contrast, pair_vectors
from .states import HiddenStates

BATCH_ITEMS = 32
# Of long texts a batch has fewer, so that a fit of any data takes about as long.
BATCH_TOKENS = 3_000
FEWEST_ITEMS = 8
STEPS = 50
LEARNING_RATE = 3e-4
MANY_LABELS = 8
WEIGHT_DECAY = 0.01
WARM_UP = 0.1
LARGEST_GRADIENT = 1.0
# A batch goes through the model in this many parts of like length: padding it to its longest
# text would double the work.
_LENGTHS = 4


@dataclass(frozen=True, slots=True)
class Items:
    """What is contrasted, aligned.

    Args:
        texts: n texts, or pairs as `join_pair` makes them.
        targets: (n, C) in [0, 1].
        weights: (n,) above 0: how often each is drawn.
        multi_label: whether an item may have several labels; else rows of `targets` sum to 1.
        pairs: whether the texts are pairs, each one item.
        hidden: keeps the states of all texts but the last `unkept`; not used for pairs.
        unkept: how many texts at the end are texts of labels.
    """

    texts: Sequence[str]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    multi_label: bool = False
    pairs: bool = False
    hidden: HiddenStates | None = None
    unkept: int = 0


@dataclass(frozen=True, slots=True)
class _States:
    """States of m different texts; item i is the text `first[i]`, of a pair also `second[i]`."""

    rows: list[NDArray[np.uint16]]
    first: NDArray[np.int64]
    second: NDArray[np.int64] | None


def contrast(body: Body, items: Items, *, seed: int, progress: Progress) -> tuple[int, float]:
    """Train the top layers of `body` in place.

    Returns:
        Gradient steps and the mean loss of the last tenth of them; 0 steps and a loss of 0 if
        all items have the same label: nothing is there to tell apart.
    """
    chances = drawing_chances(items.targets, items.weights, multi_label=items.multi_label)
    labels = int(np.count_nonzero(chances.sum(axis=0)))
    if labels < 2:
        return 0, 0.0
    states = _states(body, items)
    drawn = batches(chances, STEPS, seed, size=_batch_size(states))
    trained = body.trainable()
    with progress.task("Training", STEPS) as task, only_top(body.transformer):
        objective = _objective(body, states, items)
        trained += objective.parameters()
        descent = _optimiser(trained, learning_rate(labels))
        losses = _descend(body, states, objective, drawn, descent, seed, task)
    body.model.eval().requires_grad_(False)
    return STEPS, float(np.mean(losses[-max(1, STEPS // 10) :]))


def learning_rate(labels: int) -> float:
    """The highest learning rate for a number of labels: lower above 8, by the square root.

    Measured on 100 random labels, accuracy and log loss: TREC (6 labels) .886 and .41 at 3e-4,
    .856 and .61 at 1e-4; Banking77 (77 labels, few with two examples) .653 and 1.48 at 3e-4,
    which is below `linear`, .678 and 1.46 at 1e-4.
    """
    return LEARNING_RATE * min(1.0, math.sqrt(MANY_LABELS / labels))


def drawing_chances(
    targets: NDArray[np.float32], weights: NDArray[np.float32], *, multi_label: bool
) -> NDArray[np.float64]:
    """How likely each item is drawn for each label, up to a factor for each label: (n, C).

    With `multi_label` there is a column more, for items without any label.
    """
    shares = targets.astype(np.float64)
    if multi_label:
        shares = np.concatenate([shares, 1.0 - shares.max(axis=1, keepdims=True)], axis=1)
    found: NDArray[np.float64] = shares * weights.astype(np.float64)[:, None]
    return found


def batches(
    chances: NDArray[np.float64], steps: int, seed: int, *, size: int = BATCH_ITEMS
) -> Iterator[NDArray[np.int64]]:
    """`steps` batches of different item numbers, each with several items of several labels.

    Labels are met equally often; of each label in a batch, items are drawn by their chances
    without replacement (Efraimidis and Spirakis 2006, algorithm A).

    Args:
        chances: (n, C) from `drawing_chances`.
        steps: how many batches.
        seed: of the draw.
        size: items of a batch at most, 4 or more.
    """
    generator = np.random.default_rng(seed)
    labels = np.flatnonzero(chances.sum(axis=0) > 0)
    each = max(2, size // len(labels))
    together = min(len(labels), size // each)
    queue = np.empty(0, dtype=np.int64)
    for _ in range(steps):
        while len(queue) < together:
            queue = np.concatenate([queue, generator.permutation(labels)])
        drawn, queue = np.split(queue, [together])
        rows = []
        for label in drawn:
            members = np.flatnonzero(chances[:, label])
            keys = np.log1p(-generator.random(len(members))) / chances[members, label]
            rows.append(members[np.argsort(-keys, kind="stable")[:each]])
        yield np.unique(np.concatenate(rows))


def _states(body: Body, items: Items) -> _States:
    if not items.pairs:
        kept = len(items.texts) - items.unkept
        rows = body.states(items.texts[:kept], items.hidden)
        rows += body.states(items.texts[kept:], None)
        return _States(rows, np.arange(len(rows)), None)
    parts = [split_pair(text) for text in items.texts]
    unique = list(dict.fromkeys(part for pair in parts for part in pair))
    place = {text: number for number, text in enumerate(unique)}
    numbers = np.array([[place[part] for part in pair] for pair in parts], dtype=np.int64)
    return _States(body.states(unique, None), numbers[:, 0], numbers[:, 1])


def _batch_size(states: _States) -> int:
    lengths = np.array([len(row) for row in states.rows])
    tokens = lengths[states.first].mean()
    if states.second is not None:
        tokens += lengths[states.second].mean()
    return int(np.clip(BATCH_TOKENS / tokens, FEWEST_ITEMS, BATCH_ITEMS))


def _objective(body: Body, states: _States, items: Items) -> nn.Module:
    targets = torch.from_numpy(items.targets).to(body.device)
    if states.second is None:
        return Contrast(targets, multi_label=items.multi_label)
    with torch.inference_mode(), single_threaded():
        every = np.arange(len(items.texts))
        parts = np.array_split(every, math.ceil(len(every) / BATCH_ITEMS))
        vectors = torch.cat([_vectors(body, states, rows).cpu() for rows in parts]).numpy()
    start, _ = fit_logistic(vectors, items.targets, items.weights, multi_label=items.multi_label)
    return Classification(targets, start).to(body.device)


def _descend(
    body: Body,
    states: _States,
    objective: nn.Module,
    drawn: Iterator[NDArray[np.int64]],
    descent: tuple[Any, Any],
    seed: int,
    task: Task,
) -> list[float]:
    """Train the top in place and give the loss of each step."""
    losses = []
    optimiser, schedule = descent
    trained = [each for group in optimiser.param_groups for each in group["params"]]
    with seeded(seed), single_threaded():
        body.transformer.train()
        for rows in drawn:
            loss = objective(_vectors(body, states, rows), torch.from_numpy(rows).to(body.device))
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(trained, LARGEST_GRADIENT)
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
            task.advance()
        optimiser.zero_grad(set_to_none=True)
    return losses


def _vectors(body: Body, states: _States, rows: NDArray[np.int64]) -> Tensor:
    """Unit vectors of some items, with their gradients."""
    parts = states.first[rows]
    if states.second is not None:
        parts = np.concatenate([parts, states.second[rows]])
    chosen = [states.rows[part] for part in parts]
    order = np.argsort([len(row) for row in chosen], kind="stable")
    dtype = compute_dtype(body.device)
    with torch.autocast(body.device.type, dtype=dtype, enabled=dtype != torch.float32):
        found = torch.cat(
            [
                body.pooled(body.transformer, padded([chosen[row] for row in some], body.device))
                for some in np.array_split(order, min(_LENGTHS, len(order)))
            ]
        )
    found = nn.functional.normalize(found.float()[torch.from_numpy(np.argsort(order))], dim=1)
    if states.second is None:
        return found
    return pair_vectors(found[: len(rows)], found[len(rows) :])


def _optimiser(trained: list[nn.Parameter], highest: float) -> tuple[Any, Any]:
    groups = [
        {"params": [each for each in trained if each.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [each for each in trained if each.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=highest, fused=True)
    warm = max(1, round(WARM_UP * STEPS))

    def rate(step: int) -> float:
        return (step + 1) / warm if step < warm else max(0.0, (STEPS - step) / (STEPS - warm))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
