"""Stop when the next batch of labels costs more than the errors it would save are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..store.errors import UserError
from .stopping_base import History, RoundRecord, Verdict, too_few

# A floor is a third number to fit; with three rounds the fit would always be perfect.
_ROUNDS_FOR_FLOOR = 4
_FLOORS = 20


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """error(n) = scale * n^-rate + floor, never rising: scale, rate and floor are at least 0."""

    scale: float
    rate: float
    floor: float

    def at(self, labels: float) -> float:
        """The error expected from a number of labels of at least 1."""
        return float(self.scale * labels**-self.rate + self.floor)


def fit_power_law(
    labels: Sequence[float], errors: Sequence[float], items: Sequence[float] | None = None
) -> PowerLaw:
    """Fit a learning curve, error against labels, by weighted least squares.

    log(error - floor) is linear in log(labels), so for each of 20 floors from 0 to 95% of the
    lowest error a line is fitted, and the floor is kept whose curve is nearest to the errors in
    units of their binomial deviation. With fewer than four rounds the floor is 0. Power laws of
    learning: Cortes et al. (1994); Frey & Fisher (1999).

    Args:
        labels: number of labels, each at least 1, at least two different ones; shape (m,).
        errors: error rates, above 0 and below 1, shape (m,).
        items: how many items each error was measured on; equal weights when absent.

    Returns:
        The curve; its rate is 0 (no gain from labels) where the errors do not fall.

    Raises:
        UserError: rows that do not fit each other or numbers out of range.
    """
    n, e = np.asarray(labels, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    size = np.ones(len(n)) if items is None else np.asarray(items, dtype=np.float64)
    if not n.shape == e.shape == size.shape or n.ndim != 1 or len(np.unique(n)) < 2:
        raise UserError(
            f"labels of shape {n.shape!r} and errors of shape {e.shape!r}: give two rows of one "
            "length with at least two different numbers of labels"
        )
    if not ((n >= 1).all() and ((e > 0) & (e < 1)).all() and (size > 0).all()):
        raise UserError(
            f"labels {labels!r} must be at least 1, errors {errors!r} between 0 and 1, and each "
            "measured on at least one item"
        )
    floors = np.linspace(0.0, 0.95, _FLOORS if len(n) >= _ROUNDS_FOR_FLOOR else 1)
    curves = [_line(n, e, size, float(share * e.min())) for share in floors]
    precision = size / (e * (1 - e))
    distances = [
        float((precision * (e - [curve.at(each) for each in n]) ** 2).sum()) for curve in curves
    ]
    return curves[int(np.argmin(distances))]


@dataclass(frozen=True, slots=True)
class CostOptimum:
    """Stop when the next batch costs more than it is worth.

    The whole cost of n labels is C(n) = error(n) * items * error_price + n * label_price. It has
    its minimum where the gain in value of a batch falls below its price:
    (error(n) - error(n + batch)) * items * error_price < batch * label_price. The error is that of
    a power law fitted to the measured rounds (`fit_power_law`); on few gold items it is rough.
    The signal is the gain less the price, in the unit of the prices.

    `items` is how many items will be labelled by the model, `error_price` what one wrong label
    among them costs, `label_price` what one more human label costs (or a mix of a model's and a
    person's price), `batch` the size of the next batch, `rounds` how many measured rounds with
    different numbers of labels are needed, at least 3.
    """

    items: int
    error_price: float
    label_price: float
    batch: int
    rounds: int = 3

    def __post_init__(self) -> None:
        """Check the parameters; raises `UserError`."""
        for name, value in (("error_price", self.error_price), ("label_price", self.label_price)):
            if not 0.0 < value < np.inf:
                raise UserError(
                    f"{name} is {value!r}: a cost optimum needs a price above 0 for a wrong label "
                    "and for a human label"
                )
        for name, count, least in (
            ("items", self.items, 0),
            ("batch", self.batch, 1),
            ("rounds", self.rounds, 3),
        ):
            if count < least:
                raise UserError(f"{name} is {count!r}: give at least {least}")

    def judge(self, history: History) -> Verdict:
        """Whether the gain of the next batch is below its price."""
        known = [one for one in history.rounds if one.accuracy is not None and one.human_labels]
        distinct = len({one.human_labels for one in known})
        if distinct < self.rounds:
            return too_few(distinct, self.rounds, "a measured accuracy and more labels")
        curve = fit_power_law(
            [one.human_labels for one in known],
            [_error(one) for one in known],
            [max(one.accuracy_n, 1) for one in known],
        )
        labels = known[-1].human_labels
        saved = (curve.at(labels) - curve.at(labels + self.batch)) * self.items
        gain, price = saved * self.error_price, self.batch * self.label_price
        stop = gain < price
        return Verdict(
            stop,
            gain - price,
            f"The next {self.batch} labels cost {price:.2f} and are expected to save {saved:.1f} "
            f"wrong labels worth {gain:.2f} (error {curve.scale:.3g} n^-{curve.rate:.3g} + "
            f"{curve.floor:.3g}, fitted to {len(known)} rounds): "
            f"{'less' if stop else 'no less'} than the price.",
        )


def _error(one: RoundRecord) -> float:
    """The error rate, half an error added: none seen in few items is not none at all."""
    n = max(one.accuracy_n, 1)
    return (n * (1.0 - (one.accuracy or 0.0)) + 0.5) / (n + 1)


def _line(
    n: NDArray[np.float64], e: NDArray[np.float64], size: NDArray[np.float64], floor: float
) -> PowerLaw:
    above = e - floor
    # The logarithm's variance, to first order, from the binomial one of the error.
    weight = size * above**2 / (e * (1 - e))
    x, y = np.log(n), np.log(above)
    x_mean, y_mean = np.average(x, weights=weight), np.average(y, weights=weight)
    slope = np.average((x - x_mean) * (y - y_mean), weights=weight) / np.average(
        (x - x_mean) ** 2, weights=weight
    )
    rate = max(float(-slope), 0.0)
    return PowerLaw(float(np.exp(y_mean + rate * x_mean)), rate, floor)
