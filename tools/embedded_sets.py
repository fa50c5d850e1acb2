"""The annotator without a language model, where an item may have several labels.

Each label is a question by itself: is the item nearer to the items that have the label, or to
those that do not? From what score on the answer is yes differs from label to label, and is
chosen on the labelled items, each judged by an annotator that does not know it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from .embedded import Neighbour
from .set_calibration import SetCalibration, SetConfidence, fit_labels

_BLOCK = 4096
_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class SetSuggestion:
    """Which labels the annotator would give one item, and what that rests on.

    Attributes:
        labels: indices of the suggested labels, ascending; empty for none.
        distribution: (C,) probability of each label, uncalibrated; the set is those from 0.5 on.
        neighbours: the nearest labelled items, nearest first; `label` is -1, as they have sets.
        n_labelled: labelled items the annotator knew; with 0 only the label descriptions speak.
    """

    labels: tuple[int, ...]
    distribution: tuple[float, ...]
    neighbours: tuple[Neighbour, ...]
    n_labelled: int


class EmbeddedSetAnnotator:
    """Two centres a label and nearest labelled neighbours over sentence vectors.

    u_c = unit(b l_c + sum of x_j that have c) and v_c = unit(b m_c + sum of x_j that do not), from
    the vector l_c of the label's description and the mean m_c of the others'. With w_j as in
    `EmbeddedAnnotator` over the k nearest labelled items,

        s_c = (1 - a) sigmoid((cos(x, u_c) - cos(x, v_c)) / temperature) + a sum of w_j that have c

    with a = most n / (n + C), then shifted and scaled for each label (`set_calibration.fit_labels`)
    on the labelled items' own scores, each without itself. With nothing labelled no threshold can
    be learned: a label then counts as suggested when the softmax of cos(x, l) / temperature gives
    it at least half of what it gives the likeliest label, p_c / (p_c + max p / 2).
    """

    def __init__(
        self,
        label_vectors: NDArray[np.float32],
        labelled_vectors: NDArray[np.float32],
        labelled_sets: NDArray[np.int64],
        labelled_rows: NDArray[np.int64],
        *,
        temperature: float = 0.05,
        neighbour_temperature: float = 0.05,
        k: int = 10,
        label_weight: float = 3.0,
        most_neighbours: float = 0.2,
    ) -> None:
        """Remember the labelled items and choose the thresholds.

        Args:
            label_vectors: (C, d) unit vectors of the label descriptions, C >= 2.
            labelled_vectors: (m, d) unit vectors of the labelled items, m >= 0.
            labelled_sets: (m, C) zeros and ones.
            labelled_rows: (m,) their pool rows.
            temperature: of the label similarities, above 0.
            neighbour_temperature: of the neighbours' weights, above 0.
            k: neighbours looked at.
            label_weight: b, how many labelled items a description counts for, above 0.
            most_neighbours: share of the neighbours when much is labelled, in [0, 1].

        Raises:
            UserError: shapes that do not fit each other.
        """
        classes = len(label_vectors)
        if labelled_sets.shape != (len(labelled_rows), classes) or classes < 2:
            raise UserError(
                f"{len(labelled_rows)!r} labelled rows, sets {labelled_sets.shape!r} and "
                f"{classes!r} labels do not fit: give a row of zeros and ones for each"
            )
        self._labels = np.asarray(label_vectors, dtype=np.float32)
        self._vectors = np.asarray(labelled_vectors, dtype=np.float32)
        self._sets = labelled_sets.astype(np.float32)
        self._rows = labelled_rows
        self._temperature, self._neighbour_temperature = temperature, neighbour_temperature
        self._k, self._weight = k, label_weight
        self._share = most_neighbours * len(labelled_rows) / (len(labelled_rows) + classes)
        others = self._labels.sum(axis=0) - self._labels
        self._with = self._weight * self._labels + self._sets.T @ self._vectors
        self._without = _unit(others) * self._weight + (1 - self._sets).T @ self._vectors
        self._thresholds = self._fitted()

    def distribution(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, d) unit vectors to the (n, C) probability of each label, the set from 0.5 on."""
        result = np.empty((len(vectors), len(self._labels)), dtype=np.float32)
        for start in range(0, len(vectors), _BLOCK):
            result[start : start + _BLOCK] = self._scores(vectors[start : start + _BLOCK])
        return result if self._thresholds is None else self._thresholds.apply(result)

    def suggest(self, vectors: NDArray[np.float32], *, shown: int = 3) -> list[SetSuggestion]:
        """Suggest a set of labels for each of (n, d) unit vectors, with its nearest neighbours."""
        distribution = self.distribution(vectors)
        neighbours = self._nearest(vectors, shown)
        return [
            SetSuggestion(
                tuple(np.flatnonzero(p >= np.float32(0.5)).tolist()),
                tuple(p.tolist()),
                near,
                len(self._rows),
            )
            for p, near in zip(distribution, neighbours, strict=True)
        ]

    def _fitted(self) -> SetCalibration | None:
        """Thresholds from the labelled items, the score of each made without itself."""
        if len(self._rows) < 2:
            return None
        near = _cosines_without(self._vectors, self._with, self._sets)
        far = _cosines_without(self._vectors, self._without, 1 - self._sets)
        similarity = self._vectors @ self._vectors.T
        np.fill_diagonal(similarity, -np.inf)
        scores = self._mixed((near - far) / self._temperature, similarity)
        return SetCalibration(*fit_labels(scores, self._sets), SetConfidence())

    def _scores(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(self._rows) < 2:
            powers = np.exp((block @ self._labels.T - 1) / self._temperature)
            return np.asarray(powers / (powers + powers.max(axis=1, keepdims=True) / 2), np.float32)
        apart = block @ (_unit(self._with) - _unit(self._without)).T
        apart /= np.float32(self._temperature)
        return self._mixed(apart, block @ self._vectors.T)

    def _mixed(
        self, apart: NDArray[np.float32], similarity: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Centres' odds (n, C) and similarity to the labelled items (n, m) to scores (n, C)."""
        by_centre = 1 / (1 + np.exp(-np.clip(apart, -30, 30)))
        k = min(self._k, similarity.shape[1])
        near = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        picked = np.take_along_axis(similarity, near, axis=1) / self._neighbour_temperature
        weights = np.exp(picked - picked.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        votes = np.einsum("nk,nkc->nc", weights, self._sets[near])
        mixed = (1 - self._share) * by_centre + self._share * votes
        return np.asarray(np.clip(mixed, _SMALLEST, 1 - _SMALLEST), dtype=np.float32)

    def _nearest(self, vectors: NDArray[np.float32], shown: int) -> list[tuple[Neighbour, ...]]:
        if len(self._rows) == 0 or shown < 1:
            return [()] * len(vectors)
        similarity = vectors @ self._vectors.T
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :shown]
        return [
            tuple(Neighbour(int(self._rows[j]), -1, float(similarity[i, j])) for j in near)
            for i, near in enumerate(order)
        ]


def set_rationale(
    suggestion: SetSuggestion,
    label_names: Sequence[str],
    item_of: Callable[[int], str],
) -> str:
    """What a suggested set rests on, in a sentence or two for the person who reviews it.

    Args:
        suggestion: what to explain.
        label_names: (C,) names.
        item_of: a labelled pool row in words: its id, a piece of its text and its labels.
    """
    best = sorted(range(len(label_names)), key=lambda c: -suggestion.distribution[c])
    scores = ", ".join(f"{label_names[c]} {suggestion.distribution[c]:.2f}" for c in best[:4])
    if not suggestion.n_labelled:
        return f"Nothing is labelled yet, only the labels' descriptions speak: {scores}."
    near = ", ".join(
        f"{item_of(each.row)} (similarity {each.similarity:.2f})" for each in suggestion.neighbours
    )
    return f"Scores: {scores}. Nearest labelled items: {near}."


def _cosines_without(
    vectors: NDArray[np.float32], sums: NDArray[np.float32], inside: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(m, C) cosine of each unit vector x with each sum s, less x itself where it is inside.

    |s - x|^2 = |s|^2 - 2 s.x + 1, so that no sum is formed for each of them.
    """
    dots = vectors @ sums.T
    squared = np.einsum("cd,cd->c", sums, sums) + inside * (1 - 2 * dots)
    lengths = np.sqrt(np.maximum(squared, 1e-12))
    return np.asarray((dots - inside) / lengths, dtype=np.float32)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
