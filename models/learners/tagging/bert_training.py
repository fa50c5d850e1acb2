"""Training of the top layers and the head of a transformer that tags words.

Imports torch, so it is itself imported only when a tagger needs it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ....store.spans import Range
from ...compute import compute_dtype, single_threaded
from ...progress import Progress
from ..bert_model import Classifier, as_dtype, seeded
from ..bert_rows import BATCH_ROWS, batches
from ..frozen import all_of, padded
from ..layers import frozen_names, only_top
from .bert_model import WindowStates, word_states
from .chain import Steps
from .chain_training import Chain, Examples, fit_chain
from .pieces import windows_of

SMALLEST_STEPS = 150
SMALLEST_EPOCHS = 5
LEARNING_RATE = 2e-4
CHAIN_RATE = 1e-2
LOSS = "chain"
PROBE = True
PROBE_DECAY = 1.0
WEIGHT_DECAY = 0.01
WARM_UP = 0.1
LARGEST_GRADIENT = 1.0


@dataclass(frozen=True, slots=True)
class Tagged:
    """Texts to learn from, aligned.

    Args:
        texts: n texts.
        words: the words of each.
        tags: (m,) the tag of each word.
        weights: (n,) above 0.
    """

    texts: Sequence[str]
    words: Sequence[Sequence[Range]]
    tags: NDArray[np.intp]
    weights: NDArray[np.float32]

    @property
    def offsets(self) -> NDArray[np.int64]:
        """(n + 1,) where the words of each text begin."""
        sizes = [len(each) for each in self.words]
        return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def train(
    classifier: Classifier, tagged: Tagged, *, seed: int, progress: Progress
) -> tuple[Steps, int, float, tuple[str, ...]]:
    """Train the top layers, the head and the scores of steps; the classifier in place.

    Returns:
        Scores of steps, gradient steps, mean loss of the last tenth of them, notes.
    """
    model = classifier.model
    frozen = frozen_names(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    chain = _probe(classifier, tagged, progress)
    if PROBE:
        with torch.no_grad():
            model.classifier.weight.copy_(torch.from_numpy(chain.coefficients.T))
            model.classifier.bias.copy_(torch.from_numpy(chain.intercept))
    windows = windows_of(classifier.tokenizer, tagged.texts, tagged.words)
    rows = _Rows.of(windows, tagged)
    states = all_of(WindowStates(classifier.frozen, windows.ids), classifier.device)
    between = nn.Parameter(torch.from_numpy(chain.steps.between).float())
    first = nn.Parameter(torch.from_numpy(chain.steps.first).float())
    steps = max(SMALLEST_STEPS, SMALLEST_EPOCHS * math.ceil(len(states) / BATCH_ROWS))
    losses = []
    with progress.task("Training", steps) as task, seeded(seed), single_threaded(), only_top(model):
        optimiser, schedule = _optimiser(model, [between, first], steps)
        model.train()
        dtype = compute_dtype(classifier.device)
        for chosen in batches(np.array([len(each) for each in states]), steps, seed):
            batch = padded([states[row] for row in chosen], classifier.device)
            with torch.autocast(
                classifier.device.type, dtype=dtype, enabled=dtype != torch.float32
            ):
                logits = model(**as_dtype(batch, torch.float32)).logits
            loss = rows.loss(chosen, logits.float(), between, first)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(
                [p for p in model.parameters() if p.requires_grad], LARGEST_GRADIENT
            )
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
            task.advance()
    model.eval()
    learned = Steps(
        between.detach().numpy().astype(np.float64), first.detach().numpy().astype(np.float64)
    )
    return learned, steps, float(np.mean(losses[-max(1, steps // 10) :])), ()


@dataclass(frozen=True, slots=True)
class _Rows:
    """Words of windows, padded: which token each is read at, its tag, whether it is there."""

    place: Tensor
    tags: Tensor
    used: Tensor
    weights: Tensor
    begins: Tensor

    @classmethod
    def of(cls, windows: Any, tagged: Tagged) -> _Rows:
        count = len(windows.ids)
        sizes = np.bincount(windows.window, minlength=count)
        longest = max(1, int(sizes.max()))
        used = np.arange(longest) < sizes[:, None]
        place, tags = np.zeros(used.shape, np.int64), np.zeros(used.shape, np.int64)
        place[used], tags[used] = windows.place, tagged.tags
        begins = np.ones(count, dtype=bool)
        begins[1:] = windows.text[1:] != windows.text[:-1]
        return cls(
            torch.from_numpy(place),
            torch.from_numpy(tags),
            torch.from_numpy(used),
            torch.from_numpy(tagged.weights[windows.text]),
            torch.from_numpy(begins),
        )

    def loss(
        self, chosen: NDArray[np.int64], logits: Tensor, between: Tensor, first: Tensor
    ) -> Tensor:
        index = torch.from_numpy(chosen)
        used = self.used[index]
        used = used[:, : int(used.sum(dim=1).max().clamp_min(1))]
        size = used.shape[1]
        place, tags = self.place[index, :size], self.tags[index, :size]
        scores = torch.gather(logits, 1, place[:, :, None].expand(-1, -1, logits.shape[2]))
        weights = self.weights[index]
        if LOSS == "words":
            each = nn.functional.cross_entropy(scores.transpose(1, 2), tags, reduction="none")
            w = used * weights[:, None]
            return (each * w).sum() / w.sum().clamp_min(1e-9)
        start = torch.where(self.begins[index][:, None], first, 0.0)
        # Minus infinity has no gradient that adds up.
        between, start = between.clamp_min(-1e4), start.clamp_min(-1e4)
        losses = _chain_loss(scores, tags, used, between, start)
        return (losses * weights).sum() / (weights * used.sum(dim=1)).sum().clamp_min(1e-9)


def _chain_loss(
    scores: Tensor, tags: Tensor, used: Tensor, between: Tensor, start: Tensor
) -> Tensor:
    """(b,) minus the log-probability of each chain of tags; 0 for one without words."""
    sums = scores[:, 0] + start
    right = (scores.gather(2, tags[:, :, None])[:, :, 0] * used).sum(dim=1)
    right = right + start.gather(1, tags[:, :1])[:, 0]
    right = right + (between[tags[:, :-1], tags[:, 1:]] * used[:, 1:]).sum(dim=1)
    for t in range(1, scores.shape[1]):
        here = torch.logsumexp(sums[:, :, None] + between, dim=1) + scores[:, t]
        sums = torch.where(used[:, t, None], here, sums)
    return (torch.logsumexp(sums, dim=1) - right) * used[:, 0]


def _probe(classifier: Classifier, tagged: Tagged, progress: Progress) -> Chain:
    """A chain fitted on what the untrained model makes of the words."""
    top = classifier.top()
    width = classifier.frozen.dim
    states = word_states(
        classifier,
        tagged.texts,
        tagged.words,
        lambda batch: top.base_model(**as_dtype(batch, top.dtype)).last_hidden_state.float(),
        width,
        progress,
        "Reading words",
    )
    types = (int(classifier.model.config.num_labels) - 1) // 2
    scale = float(np.sqrt((states**2).sum(axis=1).mean()))
    examples = Examples(states / scale, tagged.tags, tagged.offsets, tagged.weights.astype(float))
    chain, _, _ = fit_chain(examples, types, np.full(width, PROBE_DECAY))
    return Chain(chain.coefficients / scale, chain.intercept, chain.steps)


def _optimiser(model: Any, chain: list[nn.Parameter], steps: int) -> tuple[Any, Any]:
    trained = [each for each in model.parameters() if each.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        {"params": chain, "weight_decay": 0.0, "lr": CHAIN_RATE},
    ]
    optimiser = torch.optim.AdamW(groups, lr=LEARNING_RATE)
    warm = max(1, round(WARM_UP * steps))

    def rate(step: int) -> float:
        return (step + 1) / warm if step < warm else max(0.0, (steps - step) / max(1, steps - warm))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
