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
from ..layers import cut_of, frozen_names, only_top
from .bert_model import WindowStates, word_states
from .chain import Steps
from .chain_training import Chain, Columns, Examples, fit_chain
from .pieces import Windows, windows_of

# From the probe's start 60 steps mark no worse than 150 (docs/results/entities.md).
SMALLEST_STEPS = 60
SMALLEST_EPOCHS = 5
LEARNING_RATE = 2e-4
# Scores of steps are few numbers of the size of logits: at the rate of weights they would stay.
STEP_RATE = 1e-2
PROBE_PENALTY = 0.1
WEIGHT_DECAY = 0.01
WARM_UP = 0.1
LARGEST_GRADIENT = 1.0
_IMPOSSIBLE = -1e4


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
    with torch.no_grad():
        model.classifier.weight.copy_(torch.from_numpy(chain.coefficients.T))
        model.classifier.bias.copy_(torch.from_numpy(chain.intercept))
    windows = windows_of(classifier.tokenizer, tagged.texts, tagged.words)
    rows = _Rows.of(windows, tagged)
    states = all_of(WindowStates(classifier.frozen, windows.ids), classifier.device)
    between = nn.Parameter(torch.from_numpy(chain.steps.between).float())
    first = nn.Parameter(torch.from_numpy(chain.steps.first).float())
    steps = max(SMALLEST_STEPS, SMALLEST_EPOCHS * math.ceil(len(states) / BATCH_ROWS))
    lengths = np.array([len(each) for each in states])
    losses = list[float]()
    with progress.task("Training", steps) as task, seeded(seed), single_threaded(), only_top(model):
        trained = [each for each in model.parameters() if each.requires_grad]
        optimiser, schedule = _optimiser(trained, [between, first], steps)
        model.train()
        for chosen in batches(lengths, steps, seed):
            logits = _logits(classifier, [states[row] for row in chosen])
            loss = rows.loss(chosen, logits, between, first)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(trained, LARGEST_GRADIENT)
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
            task.advance()
    model.eval()
    learned = (each.detach().numpy().astype(np.float64) for each in (between, first))
    note = f"{cut_of(model)} bottom layers frozen, the head started as a chain of word vectors"
    return Steps(*learned), steps, float(np.mean(losses[-max(1, steps // 10) :])), (note,)


def _logits(classifier: Classifier, states: list[NDArray[np.uint16]]) -> Tensor:
    """(b, longest, K) scores of each token's tags, on the processor: a chain has many small steps.

    What is computed of words is little beside the transformer, and quicker there than on a GPU.
    """
    kind, dtype = classifier.device.type, compute_dtype(classifier.device)
    batch = as_dtype(padded(states, classifier.device), torch.float32)
    with torch.autocast(kind, dtype=dtype, enabled=dtype != torch.float32):
        found: Tensor = classifier.model(**batch).logits
    return found.float().cpu()


@dataclass(frozen=True, slots=True)
class _Rows:
    """Words of windows, padded: their tokens, tags, whether they are there; windows: weights."""

    place: Tensor
    end: Tensor
    tags: Tensor
    used: Tensor
    weights: Tensor
    begins: Tensor

    @classmethod
    def of(cls, windows: Windows, tagged: Tagged) -> _Rows:
        count = len(windows.ids)
        sizes = np.bincount(windows.window, minlength=count)
        longest = max(1, int(sizes.max()))
        used = np.arange(longest) < sizes[:, None]
        place, end, tags = (np.zeros(used.shape, np.int64) for _ in range(3))
        place[used], end[used], tags[used] = windows.place, windows.end, tagged.tags
        begins = np.ones(count, dtype=bool)
        begins[1:] = windows.text[1:] != windows.text[:-1]
        return cls(
            torch.from_numpy(place),
            torch.from_numpy(end),
            torch.from_numpy(tags),
            torch.from_numpy(used),
            torch.from_numpy(tagged.weights[windows.text]),
            torch.from_numpy(begins),
        )

    def loss(
        self, chosen: NDArray[np.int64], logits: Tensor, between: Tensor, first: Tensor
    ) -> Tensor:
        """Minus the log-probability of the tags of some windows, a word on average."""
        index = torch.from_numpy(chosen)
        used = self.used[index]
        used = used[:, : int(used.sum(dim=1).max().clamp_min(1))]
        size = used.shape[1]
        place, end = self.place[index, :size], self.end[index, :size]
        sums = nn.functional.pad(logits.cumsum(dim=1), (0, 0, 1, 0))
        scores = (_at(sums, end) - _at(sums, place)) / (end - place).clamp_min(1)[:, :, None]
        # A window within a text may begin inside of an entity.
        start = torch.where(self.begins[index][:, None], first, 0.0)
        # Minus infinity has no gradient that adds up.
        losses = _chain_loss(
            scores,
            self.tags[index, :size],
            used,
            between.clamp_min(_IMPOSSIBLE),
            start.clamp_min(_IMPOSSIBLE),
        )
        weights = self.weights[index]
        return (losses * weights).sum() / (weights * used.sum(dim=1)).sum().clamp_min(1e-9)


def _at(values: Tensor, place: Tensor) -> Tensor:
    """(b, w, K) of values (b, longest, K) at places (b, w)."""
    return values.gather(1, place[:, :, None].expand(-1, -1, values.shape[2]))


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
    examples = Examples(
        Columns(states / scale), tagged.tags, tagged.offsets, tagged.weights.astype(float)
    )
    chain, _, _ = fit_chain(examples, types, np.full(width, PROBE_PENALTY))
    return Chain(chain.coefficients / scale, chain.intercept, chain.steps)


def _optimiser(
    trained: list[nn.Parameter], chain: list[nn.Parameter], steps: int
) -> tuple[Any, Any]:
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        {"params": chain, "weight_decay": 0.0, "lr": STEP_RATE},
    ]
    optimiser = torch.optim.AdamW(groups, lr=LEARNING_RATE)
    warm = max(1, round(WARM_UP * steps))

    def rate(step: int) -> float:
        return (step + 1) / warm if step < warm else max(0.0, (steps - step) / max(1, steps - warm))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
