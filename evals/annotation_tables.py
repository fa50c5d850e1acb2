"""Numbers over several draws, and Markdown tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike


def spread(values: ArrayLike, digits: int = 3) -> str:
    """The mean over draws and, in brackets, where 95% of the draws lie."""
    found = np.asarray(values, dtype=np.float64)
    found = found[~np.isnan(found)]
    if not len(found):
        return "–"
    low, high = np.quantile(found, [0.025, 0.975])
    return f"{_short(found.mean(), digits)} ({_short(low, digits)}–{_short(high, digits)})"


def mean(values: ArrayLike, digits: int = 3) -> str:
    """The mean over draws."""
    found = np.asarray(values, dtype=np.float64)
    return "–" if np.isnan(found).all() else _short(float(np.nanmean(found)), digits)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def _short(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("0.") else text
