"""How right marked entities are: whole answers, and span by span.

A span is right when a person marked the same characters with the same type. The share of texts
whose whole answer is right is an ordinary accuracy; precision, recall and F1 look inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..store.errors import UserError
from ..store.spans import Span
from .certificate import Interval

RESAMPLES = 1000
_BLOCK = 4_000_000

# The columns of the counts.
_RIGHT, _GIVEN, _TRUE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class SpanScores:
    """Spans by a person and by the machine on the same texts; weighted where weights were given.

    Attributes:
        precision: share of the machine's spans that are right; `None` where it marked nothing.
        recall: share of the person's spans that the machine has; `None` where there are none.
        f1: 2 right / (given + true); `None` where neither has any.
        right: spans that both have, counted without weights.
        given: spans of the machine.
        true: spans of the person.
    """

    precision: Interval | None
    recall: Interval | None
    f1: Interval | None
    right: int
    given: int
    true: int


@dataclass(frozen=True, slots=True)
class EntityScores:
    """What `entity_scores` found.

    Attributes:
        exact: share of the texts whose whole answer is right.
        spans: over all types.
        per_type: for each type that somebody marked, by its name, sorted.
        n_texts: texts compared.
        n_spans: spans of the person.
    """

    exact: Interval
    spans: SpanScores
    per_type: dict[str, SpanScores]
    n_texts: int
    n_spans: int

    @property
    def precision(self) -> Interval | None:
        """Share of the machine's spans that are right; `None` where it marked nothing."""
        return self.spans.precision

    @property
    def recall(self) -> Interval | None:
        """Share of the person's spans that the machine has; `None` where there are none."""
        return self.spans.recall

    @property
    def f1(self) -> Interval | None:
        """2 right / (given + true); `None` where neither has any."""
        return self.spans.f1


def entity_scores(
    truth: Sequence[Sequence[Span]],
    given: Sequence[Sequence[Span]],
    weights: ArrayLike | None = None,
    *,
    level: float = 0.95,
    seed: int,
) -> EntityScores:
    """Compare marked entities with a person's, each measure with a bootstrap interval.

    With w_i the weight of text i, and r_i, g_i, t_i its right, given and true spans:
    precision = sum w r / sum w g, recall = sum w r / sum w t, F1 = 2 sum w r / sum w (g + t).
    With w the inverse of the chance that a text was drawn these estimate the measure over all texts
    (ratio of Horvitz & Thompson 1952 totals).

    Percentile intervals over the texts (Efron 1979), each text with its weight, widened to hold
    the estimate. The bootstrap has no spread where all are right or none; there the interval is
    the exact one for n independent texts (Clopper & Pearson 1934), n being the effective number
    (sum v)^2 / sum v^2 of v_i = w_i times the spans of text i (Kish 1965). They are for one look
    at a sample of fixed size; resamples without a single span are left out.

    Args:
        truth: n answers of a person, n at least 1.
        given: n answers of the machine for the same texts.
        weights: (n,) above 0; `None` counts all texts alike.
        level: of the intervals, in (0, 1).
        seed: of the resampling.

    Raises:
        UserError: no texts, lengths that differ, a weight that is not above 0, or `level` out of
            range.
    """
    n = len(truth)
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if n == 0 or len(given) != n or w.shape != (n,):
        raise UserError(
            f"{n!r} true answers, {len(given)!r} given ones and weights of shape {w.shape!r}: "
            "give the same texts, 1 or more"
        )
    if not (np.isfinite(w) & (w > 0)).all() or not 0 < level < 1:
        raise UserError(
            f"weights from {float(w.min())!r} to {float(w.max())!r}, level {level!r}: give "
            "weights above 0 and a level between 0 and 1"
        )
    types = sorted({span.type for side in (truth, given) for each in side for span in each})
    counts = _counts(truth, given, types)
    exact = np.array([set(a) == set(b) for a, b in zip(truth, given, strict=True)], dtype=float)
    drawn, drawn_exact = _resampled(counts, exact, w, seed)
    scores = [
        _span_scores(counts[:, place], drawn[:, place], w, level) for place in range(len(types))
    ]
    whole = np.stack([exact, np.ones(n)], axis=1)
    right = _interval(whole, drawn_exact, w, level, scale=1.0)
    assert right is not None
    return EntityScores(
        exact=right,
        spans=_span_scores(counts.sum(axis=1), drawn.sum(axis=1), w, level),
        per_type=dict(zip(types, scores, strict=True)),
        n_texts=n,
        n_spans=int(counts[:, :, _TRUE].sum()),
    )


def _counts(
    truth: Sequence[Sequence[Span]], given: Sequence[Sequence[Span]], types: Sequence[str]
) -> NDArray[np.float64]:
    """(n, C, 3) spans of each text and type: right, given, true."""
    place = {name: index for index, name in enumerate(types)}
    counts = np.zeros((len(truth), len(types), 3))
    for row, (wanted, found) in enumerate(zip(truth, given, strict=True)):
        for column, spans in ((_GIVEN, set(found)), (_TRUE, set(wanted))):
            for span in spans:
                counts[row, place[span.type], column] += 1
        for span in set(found) & set(wanted):
            counts[row, place[span.type], _RIGHT] += 1
    return counts


def _resampled(
    counts: NDArray[np.float64], exact: NDArray[np.float64], w: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted sums of resamples: counts (R, C, 3), and exact answers with all texts (R, 2)."""
    n = len(w)
    columns = np.concatenate([counts.reshape(n, -1), exact[:, None], np.ones((n, 1))], axis=1)
    columns *= w[:, None]
    rng, even = np.random.default_rng(seed), np.full(n, 1 / n)
    sums, rows = np.empty((RESAMPLES, columns.shape[1])), max(1, _BLOCK // n)
    for start in range(0, RESAMPLES, rows):
        part = sums[start : start + rows]
        part[:] = rng.multinomial(n, even, size=len(part)).astype(np.float64) @ columns
    return sums[:, :-2].reshape(RESAMPLES, *counts.shape[1:]), sums[:, -2:]


def _span_scores(
    counts: NDArray[np.float64], drawn: NDArray[np.float64], w: NDArray[np.float64], level: float
) -> SpanScores:
    """Of counts (n, 3) and their resampled sums (R, 3)."""

    def share(columns: list[int], scale: float) -> Interval | None:
        cells = np.stack([counts[:, _RIGHT], counts[:, columns].sum(axis=1)], axis=1)
        sums = np.stack([drawn[:, _RIGHT], drawn[:, columns].sum(axis=1)], axis=1)
        return _interval(cells, sums, w, level, scale=scale)

    right, given, true = (int(each) for each in counts.sum(axis=0))
    return SpanScores(
        precision=share([_GIVEN], 1.0),
        recall=share([_TRUE], 1.0),
        f1=share([_GIVEN, _TRUE], 2.0),
        right=right,
        given=given,
        true=true,
    )


def _interval(
    cells: NDArray[np.float64],
    drawn: NDArray[np.float64],
    w: NDArray[np.float64],
    level: float,
    *,
    scale: float,
) -> Interval | None:
    """The share scale * first / second of (n, 2), with resampled sums (R, 2); n counts texts."""
    sizes = w * cells[:, 1]
    if not sizes.any():
        return None
    estimate = min(1.0, float(scale * (w @ cells[:, 0]) / sizes.sum()))
    n = int((sizes > 0).sum())
    tail = (1 - level) / 2
    # (1 - x) ** n = tail: as far as n right ones, or n wrong ones, let the share be from there.
    most = 1 - tail ** (float((sizes**2).sum()) / float(sizes.sum() ** 2))
    if cells[:, 0].sum() == 0:
        return Interval(0.0, 0.0, most, level, n)
    if (scale * cells[:, 0] == cells[:, 1]).all():
        return Interval(1.0, 1 - most, 1.0, level, n)
    some = drawn[drawn[:, 1] > 0]
    low, high = np.quantile(scale * some[:, 0] / some[:, 1], [tail, 1 - tail]).tolist()
    return Interval(estimate, min(low, estimate), min(1.0, max(high, estimate)), level, n)
