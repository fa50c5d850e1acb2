"""What training minimises: cross entropy, its symmetric form, and what mixing adds.

All take logits (n, C) and targets (n, C) and give (n,), one loss for each row. A row with one
label is one question with C answers; with several labels it is C questions with two answers
each, and its loss is the mean over them.

Imports torch, so it is itself imported only when a learner needs it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Wang et al. 2019: log 0 is taken as -4. They weigh the two terms anew for each data set; here
# both count alike.
LOG_OF_ZERO = -4.0
FORWARD_SHARE, REVERSE_SHARE = 1.0, 1.0
# Xiao et al. 2023 (FreeAL): how even mixtures are, and how soft predictions are compared.
MIX_SHAPE = 4.0
VIEW_TEMPERATURE = 0.85
# Qiao et al. 2022 (SelfMix): how sharp the label becomes that a model gives a suspected row.
SHARPENING = 0.5


def smoothed(targets: Tensor, smoothing: float, *, multi_label: bool) -> Tensor:
    """Targets with a share of `smoothing` spread evenly over the answers."""
    answers = 2 if multi_label else targets.shape[1]
    return (1.0 - smoothing) * targets + smoothing / answers


def cross_entropy(logits: Tensor, targets: Tensor, *, multi_label: bool) -> Tensor:
    """-sum t log p."""
    logs, wanted = _answers(logits, multi_label), _wanted(targets, multi_label)
    return -(wanted * logs).sum(dim=2).mean(dim=1)


def reverse_cross_entropy(logits: Tensor, targets: Tensor, *, multi_label: bool) -> Tensor:
    """-sum p log t, the logarithm at least -4: Wang et al. 2019."""
    logs, wanted = _answers(logits, multi_label), _wanted(targets, multi_label)
    floor = torch.log(wanted.clamp_min(1e-12)).clamp_min(LOG_OF_ZERO)
    return -(logs.exp() * floor).sum(dim=2).mean(dim=1)


def symmetric_cross_entropy(
    logits: Tensor, targets: Tensor, smoothing: float, *, multi_label: bool
) -> Tensor:
    """The weighted sum of both; only the forward one is smoothed."""
    soft = smoothed(targets, smoothing, multi_label=multi_label)
    forward = cross_entropy(logits, soft, multi_label=multi_label)
    reverse = reverse_cross_entropy(logits, targets, multi_label=multi_label)
    return FORWARD_SHARE * forward + REVERSE_SHARE * reverse


def surprise(logits: Tensor, targets: Tensor, *, multi_label: bool) -> Tensor:
    """Kullback-Leibler divergence of the prediction from the target: 0 where they agree."""
    wanted = _wanted(targets, multi_label)
    entropy = -torch.xlogy(wanted, wanted).sum(dim=2).mean(dim=1)
    return cross_entropy(logits, targets, multi_label=multi_label) - entropy


def disagreement(first: Tensor, second: Tensor, *, multi_label: bool) -> Tensor:
    """Symmetric Kullback-Leibler divergence of two predictions, softened by a temperature."""
    one = _answers(first / VIEW_TEMPERATURE, multi_label)
    two = _answers(second / VIEW_TEMPERATURE, multi_label)
    return 0.5 * ((one.exp() - two.exp()) * (one - two)).sum(dim=2).mean(dim=1)


def sharpened(logits: Tensor, *, multi_label: bool) -> Tensor:
    """Targets (n, C) as the model itself gives them, more decided than it is."""
    sharp = logits / SHARPENING
    return sharp.sigmoid() if multi_label else sharp.softmax(dim=1)


def mixing_share() -> float:
    """How much the first of two mixed rows counts: Beta(4, 4), the larger part of the two."""
    share = float(torch.distributions.Beta(MIX_SHAPE, MIX_SHAPE).sample())
    return max(share, 1.0 - share)


def _answers(logits: Tensor, multi_label: bool) -> Tensor:
    """Log probabilities (n, questions, answers)."""
    if multi_label:
        return nn.functional.logsigmoid(torch.stack([logits, -logits], dim=2))
    return logits.log_softmax(dim=1)[:, None]


def _wanted(targets: Tensor, multi_label: bool) -> Tensor:
    return torch.stack([targets, 1.0 - targets], dim=2) if multi_label else targets[:, None]
