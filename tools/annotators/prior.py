"""What a model would say of any text, taken out of its answers: contextual calibration.

A weak model leans towards some labels whatever it reads, by their words or by their place in the
prompt. What it says of texts without content shows how far. The probabilities of a text are divided
by those and made to sum to 1 again, and the likeliest label is then the answer (Zhao et al. 2021,
"Calibrate before use: improving few-shot performance of language models", equation 1 with
W = diag(p_cf)^-1 and b = 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .items import Item, V
from .reading import Said
from .tasks import Task, names_of

CONTENT_FREE = ("N/A", "[MASK]", "")
"""The texts of the paper."""
_LEAST = 1e-6
"""A label that the model never gives to texts without content is no label that it gives always."""


def content_free_items() -> list[Item]:
    """The texts without content as items."""
    return [Item(f"content-free-{place}", text) for place, text in enumerate(CONTENT_FREE)]


def without_prior(said: Said[V], prior: tuple[float, ...] | None, task: Task[V]) -> Said[V]:
    """What was said of a text, with the label that is likeliest once the prior is taken out.

    Without a prior, or without a distribution of its own, it keeps its label and has no score.

    Args:
        said: of one text, with a distribution in the order of the task's labels.
        prior: in the same order.
        task: single labels.
    """
    if prior is None or said.distribution is None:
        return replace(said, score=None, distribution=None)
    shares = divided(said.distribution, prior)
    best = max(range(len(shares)), key=shares.__getitem__)
    value: V = names_of(task)[best]  # type: ignore[assignment]
    return replace(said, value=value, score=shares[best], distribution=shares)


def divided(distribution: Sequence[float], prior: Sequence[float]) -> tuple[float, ...]:
    """Each share by that of the prior, made to sum to 1."""
    shares = [p / max(q, _LEAST) for p, q in zip(distribution, prior, strict=True)]
    whole = sum(shares)
    return tuple(each / whole for each in shares)
