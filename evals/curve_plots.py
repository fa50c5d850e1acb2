"""Learning curves as an SVG picture that stands by itself.

Written by hand like the figures of a run's report: the same numbers give the same bytes, and text
stays text. The colours are those of Okabe and Ito, told apart by most colour-blind readers, and a
second round of them is dashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from .curve_cells import WHOLE_POOL
from .curve_data import SOURCES
from .curve_report import BASELINE, seeds_of, strategies_in
from .curve_table import Curves

WIDTH, HEIGHT = 760, 430
LEFT, RIGHT, TOP, BOTTOM = 54, 236, 40, 46
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#b8a800")
_GREY = "#555555"


def plot_curves(curves: Curves, data: str, learner: str) -> str:
    """Accuracy against labels, a line for each strategy: the mean over seeds.

    Random has a band of one standard deviation over seeds; lines across are 90% and 95% of the
    accuracy with the whole pool labelled, where they lie within the picture.

    Args:
        curves: all of them.
        data: data set.
        learner: learner; there must be a curve of both.
    """
    names = strategies_in(curves, learner, data)
    x: list[int] = []
    means, spreads = [], []
    for name in names:
        found = list(seeds_of(curves, data, learner, name).values())
        x = [point.labels for point in found[0]]
        y = np.array([[point.accuracy for point in points] for points in found])
        means.append(y.mean(axis=0))
        spreads.append(y.std(axis=0, ddof=1) if len(y) > 1 else np.zeros(y.shape[1]))
    whole = [points[0].accuracy for points in seeds_of(curves, data, learner, WHOLE_POOL).values()]
    low = float(np.floor(20 * min(mean.min() for mean in means)) / 20)
    high = float(np.ceil(20 * max(mean.max() for mean in means)) / 20)
    frame = _Frame(min(x), max(x), low, max(high, low + 0.05))
    parts = [*_grid(frame, x), *_targets(frame, float(np.mean(whole)) if whole else None)]
    if names[0] == BASELINE:
        parts.append(_band(frame, x, means[0], spreads[0]))
    for place, (name, mean) in enumerate(zip(names, means, strict=True)):
        parts += _line(frame, x, mean, name, place)
    title = f"{SOURCES[data].title}, {learner}: accuracy against labels"
    return _page(title, parts)


class _Frame:
    """Maps labels and accuracies onto the picture."""

    def __init__(self, first: int, last: int, low: float, high: float) -> None:
        self.first, self.last, self.low, self.high = first, last, low, high

    def x(self, labels: float) -> float:
        """From the left edge."""
        share = (labels - self.first) / max(self.last - self.first, 1)
        return round(LEFT + share * (WIDTH - RIGHT - LEFT), 1)

    def y(self, accuracy: float) -> float:
        """From the top edge."""
        share = (accuracy - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP), 1)


def _grid(frame: _Frame, x: Sequence[int]) -> list[str]:
    step = 0.05 if frame.high - frame.low <= 0.4 else 0.1
    parts = []
    for place in range(round((frame.high - frame.low) / step + 1e-9) + 1):
        value = frame.low + place * step
        if value > frame.high + 1e-9:
            break
        y = frame.y(value)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="#dddddd"/>'
            f'<text x="{LEFT - 7}" y="{y + 4}" text-anchor="end">{100 * value:.0f}%</text>'
        )
    every = max(1, round(len(x) / 8))
    parts += [
        f'<text x="{frame.x(labels)}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
        f"{labels}</text>"
        for labels in x[every - 1 :: every]
    ]
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        "labels</text>"
    )
    return parts


def _targets(frame: _Frame, whole: float | None) -> list[str]:
    parts = []
    for share in (0.90, 0.95) if whole is not None else ():
        value = share * (whole or 0.0)
        if not frame.low <= value <= frame.high:
            continue
        y = frame.y(value)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="{_GREY}" '
            f'stroke-dasharray="2 4"/><text x="{LEFT + 4}" y="{y - 4}" fill="{_GREY}">'
            f"{100 * share:.0f}% of full</text>"
        )
    return parts


def _band(
    frame: _Frame, x: Sequence[int], mean: NDArray[np.float64], spread: NDArray[np.float64]
) -> str:
    above, below = np.minimum(mean + spread, frame.high), np.maximum(mean - spread, frame.low)
    upper = [(frame.x(a), frame.y(float(b))) for a, b in zip(x, above, strict=True)]
    lower = [(frame.x(a), frame.y(float(b))) for a, b in zip(x, below, strict=True)]
    outline = _points([*upper, *reversed(lower)])
    return f'<polygon points="{outline}" fill="{_GREY}" opacity="0.16"/>'


def _line(
    frame: _Frame, x: Sequence[int], mean: NDArray[np.float64], name: str, place: int
) -> list[str]:
    colour = _GREY if name == BASELINE else COLOURS[(place - 1) % len(COLOURS)]
    dash = ' stroke-dasharray="7 4"' if place > len(COLOURS) else ""
    style = f'fill="none" stroke="{colour}" stroke-width="2"{dash}'
    points = [(frame.x(a), frame.y(float(b))) for a, b in zip(x, mean, strict=True)]
    left, y = WIDTH - RIGHT + 16, TOP + 10 + 21 * place
    return [
        f'<polyline points="{_points(points)}" {style}/>',
        f'<line x1="{left}" x2="{left + 24}" y1="{y}" y2="{y}" {style}/>'
        f'<text x="{left + 31}" y="{y + 4}">{escape(name)}</text>',
    ]


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in places)


def _page(title: str, parts: Sequence[str]) -> str:
    said = escape(title)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="#222222"><title>{said}</title>\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n'
        f'<text x="{LEFT}" y="22" font-size="15">{said}</text>\n{body}\n</svg>\n'
    )
