"""From signals of doubt to the chance that a label is wrong, learned on a burn-in of gold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError
from ..calibration import fit_isotonic

Kind = Literal["isotonic", "tree"]
Predict = Callable[[NDArray[np.float64]], NDArray[np.float64]]
SMALLEST_LEAF = 10
DEPTH = 3
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class ErrorMap:
    """P(wrong) from signals.

    Attributes:
        kind: `isotonic`, a rising curve over the first signal, or `tree` over all of them.
        n: gold items it was fitted on.
        log_loss: of predictions out of fold, by kind; what the choice was made by.
    """

    kind: Kind
    n: int
    log_loss: dict[Kind, float]
    _predict: Predict = field(repr=False)

    def error(self, signals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Chance that each label is wrong: (n, d) to (n,), in (0, 1).

        Raises:
            UserError: signals that do not fit.
        """
        return self._predict(_checked(signals))


def fit_error_map(
    signals: NDArray[np.float64],
    wrong: NDArray[np.bool_],
    *,
    seed: int,
    kind: Kind | None = None,
) -> ErrorMap:
    """Fit a curve or a tree, whichever foretells held-out gold better.

    The tree has depth 3 and leaves of at least 10 items or a tenth of them; a leaf or block with w
    wrong of n says (w + 1) / (n + 2), so none claims certainty. With one signal it is the curve.

    Args:
        signals: (n, d) in [0, 1], more being more doubtful; the first is the best known one,
            e.g. one minus the share of the votes.
        wrong: (n,) whether the label was wrong, on gold drawn at random.
        seed: of the folds.
        kind: to have one without comparison.

    Raises:
        UserError: fewer than 10 items, or shapes or values that do not fit.
    """
    x = _checked(signals)
    if wrong.shape != x.shape[:1] or len(x) < SMALLEST_LEAF:
        raise UserError(
            f"{len(wrong)!r} gold answers for {len(x)!r} items: give at least {SMALLEST_LEAF!r}, "
            "one for each"
        )
    y = wrong.astype(np.float64)
    wanted: tuple[Kind, ...] = ("isotonic", "tree") if x.shape[1] > 1 else ("isotonic",)
    wanted = wanted if kind is None else (kind,)
    losses = {each: _held_out(x, y, each, seed) for each in wanted}
    best = min(losses, key=lambda each: losses[each])
    return ErrorMap(best, len(x), losses, _fit(x, y, best))


def _fit(x: NDArray[np.float64], y: NDArray[np.float64], kind: Kind) -> Predict:
    return _curve(x, y) if kind == "isotonic" else _tree(x, y)


def _curve(x: NDArray[np.float64], y: NDArray[np.float64]) -> Predict:
    curve = fit_isotonic(1 - x[:, 0], y < 0.5)

    def predict(signals: NDArray[np.float64]) -> NDArray[np.float64]:
        right = np.interp(1 - signals[:, 0], curve.knots, curve.values)
        return np.asarray(1 - right, dtype=np.float64)

    return predict


def _tree(x: NDArray[np.float64], y: NDArray[np.float64]) -> Predict:
    from sklearn.tree import DecisionTreeRegressor

    leaf = max(SMALLEST_LEAF, len(y) // 10)
    tree = DecisionTreeRegressor(max_depth=DEPTH, min_samples_leaf=leaf, random_state=0).fit(x, y)
    leaves = tree.apply(x)
    size = np.bincount(leaves)
    level = (np.bincount(leaves, y) + 1) / (size + 2)

    def predict(signals: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(level[tree.apply(signals)], dtype=np.float64)

    return predict


def _held_out(x: NDArray[np.float64], y: NDArray[np.float64], kind: Kind, seed: int) -> float:
    fold = np.random.default_rng(seed).permutation(len(y)) % _FOLDS
    found = np.empty(len(y))
    for each in range(_FOLDS):
        held = fold == each
        found[held] = _fit(x[~held], y[~held], kind)(x[held])
    return float(-(y * np.log(found) + (1 - y) * np.log1p(-found)).mean())


def _checked(signals: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.asarray(signals, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] < 1 or not ((x >= 0) & (x <= 1)).all():
        raise UserError(
            f"signals have shape {x.shape!r}, or a value outside [0, 1] or missing: give (items, "
            "signals), and leave out items without them: they go to a person"
        )
    return x
