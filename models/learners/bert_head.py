"""The head of a transformer classifier: taken off, started anew, and drawn at random.

Imports torch, so it is itself imported only when a learner needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .logistic import fit_logistic

# The head's features have variance 1; scaled by this they stay where tanh is nearly straight.
PROBE_SCALE = 0.2
# For an encoder that was trained without dropout in its head.
HEAD_DROPOUT = 0.1


def last_linear(model: Any) -> nn.Linear:
    """The layer that makes logits."""
    return _place(model)[2]


@contextmanager
def without_head(model: Any) -> Iterator[nn.Linear]:
    """Within, the model's `logits` are what its last layer reads; gives that layer."""
    owner, name, linear = _place(model)
    setattr(owner, name, nn.Identity())
    try:
        yield linear
    finally:
        setattr(owner, name, linear)


def head_dropout(model: Any) -> float:
    """The rate at which training drops what the last layer reads; `HEAD_DROPOUT` if it is 0."""
    owner = model if hasattr(model, "dropout") else model.classifier
    return float(owner.dropout.p) or HEAD_DROPOUT


def renew_head(model: Any) -> None:
    """Draw all weights outside of the base model anew, as `transformers` does for new ones."""
    inside = {id(module) for module in model.base_model.modules()}
    width = float(model.config.initializer_range)
    for module in model.modules():
        if isinstance(module, nn.Linear) and id(module) not in inside:
            nn.init.normal_(module.weight, std=width)
            nn.init.zeros_(module.bias)


def can_start_as_probe(model: Any) -> bool:
    """Whether `start_as_probe` knows this head: a pooler and one linear layer, as BERT has."""
    return isinstance(_pooler(model), nn.Linear) and isinstance(model.classifier, nn.Linear)


def start_as_probe(
    model: Any,
    first: NDArray[np.float32],
    targets: NDArray[np.float32],
    weights: NDArray[np.float32],
    *,
    multi_label: bool,
) -> None:
    """Set pooler and classifier so that the untouched model is a linear probe.

    Args:
        model: one that `can_start_as_probe`.
        first: (n, dim) what its base gives for the first token of each row.
        targets: (n, C).
        weights: (n,) above 0.
        multi_label: one logistic regression for each label instead of one for all.
    """
    # Of about length 1, as the regression expects its vectors.
    shrink = np.float32(1.0 / (PROBE_SCALE * np.sqrt(first.shape[1])))
    features = shrink * np.tanh(PROBE_SCALE * first)
    each = np.repeat(weights[:, None], targets.shape[1], axis=1) if multi_label else weights
    probe, _ = fit_logistic(features, targets, each, multi_label=multi_label)
    coefficients: NDArray[Any] = shrink * probe.coefficients
    intercept: NDArray[Any] = probe.intercept
    if len(coefficients) == 1:
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    pooler = _pooler(model)
    with torch.no_grad():
        pooler.weight.copy_(PROBE_SCALE * torch.eye(first.shape[1]))
        pooler.bias.zero_()
        model.classifier.weight.copy_(torch.from_numpy(coefficients))
        model.classifier.bias.copy_(torch.from_numpy(intercept))


def dropped_logits(
    features: NDArray[np.float32], linear: nn.Linear, samples: int, rate: float, seed: int
) -> Iterator[NDArray[np.float32]]:
    """Logits (n, C) by each of `samples` heads with features left out at random.

    A head drawn is a mask over the features, one for all rows: so parts of the rows are read by
    the same heads as the whole (Gal & Ghahramani 2016, Dropout as a Bayesian Approximation;
    the same masks for all rows as in Kirsch et al. 2019, BatchBALD).

    Args:
        features: (n, dim) what the last layer reads.
        linear: the last layer.
        samples: how many.
        rate: the chance of a feature to be left out; the others grow by 1 / (1 - rate).
        seed: of the masks.
    """
    generator = np.random.default_rng(seed)
    weight = linear.weight.detach().float().cpu().numpy()
    bias = linear.bias.detach().float().cpu().numpy()
    kept = generator.random((samples, weight.shape[1])) >= rate
    for mask in kept:
        thinned = (weight * (mask / (1.0 - rate))).astype(np.float32)
        yield features @ thinned.T + bias


def _place(model: Any) -> tuple[Any, str, nn.Linear]:
    if isinstance(model.classifier, nn.Linear):
        return model, "classifier", model.classifier
    return model.classifier, "out_proj", model.classifier.out_proj


def _pooler(model: Any) -> Any:
    return getattr(getattr(model.base_model, "pooler", None), "dense", None)
