"""What the `setfit` learner makes smaller in training: contrast of items, or error on pairs.

Imports torch, so it is itself imported only when a learner needs it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .logistic import Logistic

# Below this a share of pairs is none.
_LEAST = 1e-6


class Contrast(nn.Module):
    """The `cosine_loss` of the vectors of some items.

    Args:
        targets: (n, C) in [0, 1] of all items.
        multi_label: whether an item may have several labels; else rows sum to 1.
    """

    def __init__(self, targets: Tensor, *, multi_label: bool) -> None:
        super().__init__()
        self.targets = targets
        self.multi_label = multi_label

    def forward(self, vectors: Tensor, rows: Tensor) -> Tensor:
        """The loss of items `rows` with unit vectors (len(rows), d)."""
        likeness, counts = alike(self.targets[rows], multi_label=self.multi_label)
        return cosine_loss(vectors, likeness, counts)


class Classification(nn.Module):
    """The cross entropy of labels by a linear layer on the vectors of some items.

    The classification objective of Reimers and Gurevych 2019 (Sentence-BERT, section 3), but the
    layer starts as a logistic regression on the untrained vectors, so that training changes no
    more of the encoder than the labels ask for. Contrast of whole pairs is not used: on records
    of publications it learned 100 training pairs by heart and told no others apart.

    Args:
        targets: (n, C) in [0, 1] of all items.
        start: the logistic regression.
    """

    def __init__(self, targets: Tensor, start: Logistic) -> None:
        super().__init__()
        self.targets = targets
        self.multi_label = start.multi_label
        self.linear = nn.Linear(start.coefficients.shape[1], len(start.coefficients))
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(start.coefficients))
            self.linear.bias.copy_(torch.from_numpy(start.intercept))

    def forward(self, vectors: Tensor, rows: Tensor) -> Tensor:
        """The loss of items `rows` with vectors (len(rows), d)."""
        logits, targets = self.linear(vectors), self.targets[rows]
        if self.multi_label:
            return nn.functional.binary_cross_entropy_with_logits(logits, targets)
        if logits.shape[1] == 1:
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        return nn.functional.cross_entropy(logits, targets)


def alike(targets: Tensor, *, multi_label: bool) -> tuple[Tensor, Tensor]:
    """How alike the labels of any two of n items are, and how much each two count: (n, n) twice.

    For one label an item, the chance that both have the same; for several, the labels they share
    among those that either has (Jaccard's index, by minimum and maximum for soft labels). Two
    items without any label are neither alike nor different and do not count, as no item counts
    against itself.
    """
    counts = 1.0 - torch.eye(len(targets), device=targets.device)
    if not multi_label:
        return targets @ targets.T, counts
    sizes = targets.sum(dim=1)
    shared = torch.minimum(targets[:, None], targets[None]).sum(dim=2)
    either = sizes[:, None] + sizes[None] - shared
    without = 1.0 - targets.amax(dim=1)
    return shared / either.clamp(min=1.0), counts * (1.0 - without[:, None] * without[None])


def cosine_loss(vectors: Tensor, likeness: Tensor, counts: Tensor) -> Tensor:
    """The squared error of cosines against `likeness`, pairs alike and different in balance.

    The cosine-similarity loss of Reimers and Gurevych 2019 (Sentence-BERT, section 3), over all
    pairs of a batch: half of the weight is on those that are alike, half on the others.

    Args:
        vectors: (n, d) of norm 1.
        likeness: (n, n) the cosine that each pair should have, 0 to 1.
        counts: (n, n) the weight of each pair, at least 0.
    """
    errors = (vectors @ vectors.T - likeness) ** 2
    loss = vectors.new_zeros(())
    for share in (likeness * counts, (1.0 - likeness) * counts):
        loss = loss + (errors * share).sum() / share.sum().clamp(min=_LEAST)
    return loss / 2


def pair_vectors(first: Tensor, second: Tensor) -> Tensor:
    """The first features of `PairEncoder` (n, 2d) of unit vectors (n, d), for training."""
    both = torch.cat([(first - second).abs(), first * second * first.shape[1] ** 0.5], dim=1)
    return nn.functional.normalize(both, dim=1)
