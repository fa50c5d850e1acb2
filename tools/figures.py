"""The figures of the report, as inline SVG that takes its colours from the page.

Written by hand and not by a plotting library: the same numbers give the same bytes, colours
follow the reader's light or dark setting through CSS variables, text stays text, and a label
name is only ever escaped text (it can be no formula and no markup). Each function returns one
`<svg>` with a title and a description for readers who do not see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from .summary import PURPOSES, inert, percent

WIDTH, HEIGHT = 460, 270
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 14, 40
MOST_NAMED = 12
"""With more labels or rounds than this, cells and bars carry no names and no numbers."""


def learning_curve(quality: Sequence[Mapping[str, Any]], target: float | None = None) -> str:
    """Accuracy on gold items with its interval against the human labels used.

    Args:
        quality: measurements with `human_labels`, `estimate`, `low`, `high`, `n`, at least one.
        target: a target accuracy to draw as a line.
    """
    x = [float(each["human_labels"]) for each in quality]
    lows = [float(each["low"]) for each in quality]
    floor = min([*lows, *([target] if target is not None else [])])
    bottom = max(0.0, np.floor(floor * 10) / 10)
    across = _Scale(min(x), max(x), LEFT + 12, WIDTH - RIGHT - 12)
    up = _Scale(bottom, 1.0, HEIGHT - BOTTOM, TOP)
    parts = [*_y_grid(up), *_x_ticks(across, sorted({int(each) for each in x}))]
    if target is not None:
        y = up(target)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" class="target"/>'
            f'<text x="{WIDTH - RIGHT}" y="{y + 13}" text-anchor="end" class="small">'
            f"target {percent(target)}</text>"
        )
    places = [across(each) for each in x]
    high = [up(float(each["high"])) for each in quality]
    low = [up(each) for each in lows]
    band = [*zip(places, high, strict=True), *reversed(list(zip(places, low, strict=True)))]
    line = [up(float(each["estimate"])) for each in quality]
    parts.append(f'<polygon class="band" points="{_points(band)}"/>')
    parts.append(
        f'<polyline class="line" points="{_points(list(zip(places, line, strict=True)))}"/>'
    )
    for place, y, upper, lower, each in zip(places, line, high, low, quality, strict=True):
        parts.append(
            f'<line class="whisker" x1="{place}" x2="{place}" y1="{upper}" y2="{lower}"/>'
            f'<circle class="dot" cx="{place}" cy="{y}" r="4">'
            f"<title>{_measured(each)}</title></circle>"
        )
    parts.append(_x_title("human labels used"))
    described = "; ".join(_measured(each) for each in quality)
    return _svg("Accuracy on gold items against human labels", described, parts)


def labels_by_round(asked: Mapping[int, Mapping[str, int]]) -> str:
    """Human labels in each round, stacked by what they were for.

    Args:
        asked: round → purpose → human labels, at least one round.
    """
    rounds = list(asked)
    most = max(sum(counts.values()) for counts in asked.values())
    up = _Scale(0.0, float(max(most, 1)), HEIGHT - BOTTOM, TOP + 14)
    slot = (WIDTH - LEFT - RIGHT) / len(rounds)
    wide = round(min(56.0, slot * 0.66), 1)
    parts = [*_y_grid(up, whole=True)]
    for place, number in enumerate(rounds):
        middle = round(LEFT + slot * (place + 0.5), 1)
        parts += _stack(asked[number], up, middle, wide, f"round {number}")
        total = sum(asked[number].values())
        if total and len(rounds) <= MOST_NAMED:
            parts.append(
                f'<text x="{middle}" y="{up(total) - 4}" text-anchor="middle" class="small">'
                f"{total}</text>"
            )
        if len(rounds) <= 20 or place % 5 == 0:
            parts.append(_x_tick(middle, number))
    parts += _legend()
    parts.append(_x_title("round"))
    described = "; ".join(
        f"round {number}: " + ", ".join(f"{n} {name}" for name, n in counts.items())
        for number, counts in asked.items()
    )
    return _svg("Human labels by round and purpose", described, parts)


def confusion_matrix(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    """Labels by a person (rows) against labels by the machine (columns).

    Args:
        counts: (C, C) items that the person gave label i and the machine label j.
        names: the C label names.
    """
    size = len(names)
    named = size <= MOST_NAMED
    left, top, right = (118, 100, 44) if named else (26, 26, 8)
    cell = (WIDTH - left - right) / size
    high = top + cell * size + 8
    most = max(1, int(counts.max()))
    parts = []
    for i, j in np.argwhere(counts if not named else np.ones_like(counts)):
        parts += _cell(int(counts[i, j]), most, (left + j * cell, top + i * cell), cell, i == j)
        if named and counts[i, j]:
            parts.append(
                f'<text x="{left + (j + 0.5) * cell:.1f}" y="{top + (i + 0.5) * cell + 4:.1f}" '
                f'text-anchor="middle" class="count">{counts[i, j]}</text>'
            )
    parts.append(
        f'<rect x="{left}" y="{top}" width="{cell * size:.1f}" height="{cell * size:.1f}" '
        'class="frame"/>'
    )
    for place, name in enumerate(names if named else []):
        centre = top + (place + 0.5) * cell + 4
        x = left + (place + 0.5) * cell + 4
        short = escape(inert(name, 14))
        parts.append(f'<text x="{left - 6}" y="{centre:.1f}" text-anchor="end">{short}</text>')
        parts.append(
            f'<text x="{x:.1f}" y="{top - 6}" transform="rotate(-55 {x:.1f} {top - 6})">'
            f"{short}</text>"
        )
    parts.append('<text x="8" y="14" class="small">across: machine</text>')
    parts.append(
        '<text x="8" y="28" class="small">down: person</text>'
        if named
        else f'<text x="16" y="{high / 2:.0f}" class="small" text-anchor="middle" '
        f'transform="rotate(-90 16 {high / 2:.0f})">down: person</text>'
    )
    described = f"{int(np.trace(counts))} of {int(counts.sum())} items have the same label by both"
    return _svg("Labels by a person against labels by the machine", described, parts, high)


def diagonal_chart(
    title: str,
    across: str,
    spots: Sequence[tuple[float, float, float, float]],
    told: Sequence[str],
) -> str:
    """Points with intervals on two axes from 0 to 1, with the diagonal on which they should lie.

    Args:
        title: of the figure.
        across: name of the axis across.
        spots: (x, y, low, high) of each point, all in [0, 1].
        told: what each point says in words.
    """
    right = _Scale(0.0, 1.0, LEFT + 12, WIDTH - RIGHT - 12)
    up = _Scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    parts = [*_y_grid(up)]
    parts += [
        f'<text x="{right(tenth / 10)}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
        f"{10 * tenth}%</text>"
        for tenth in range(0, 11, 2)
    ]
    parts.append(
        f'<line x1="{right(0)}" y1="{up(0)}" x2="{right(1)}" y2="{up(1)}" class="target"/>'
    )
    for (x, y, low, high), words in zip(spots, told, strict=True):
        parts.append(
            f'<line class="whisker" x1="{right(x)}" x2="{right(x)}" y1="{up(high)}" '
            f'y2="{up(low)}"/><circle class="dot" cx="{right(x)}" cy="{up(y)}" r="4">'
            f"<title>{escape(words)}</title></circle>"
        )
    parts.append(_x_title(escape(across)))
    return _svg(title, "; ".join(told), parts)


class _Scale:
    """Maps numbers onto the drawing."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = low, high
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        if self.high == self.low:
            return round((self._start + self._end) / 2, 1)
        share = (value - self.low) / (self.high - self.low)
        return round(self._start + share * (self._end - self._start), 1)


def _y_grid(up: _Scale, *, whole: bool = False) -> list[str]:
    parts = []
    span = up.high - up.low
    step = _step(span, whole=whole)
    for place in range(int(span / step + 1e-9) + 1):
        value = up.low + place * step
        y = up(value)
        name = f"{value:.0f}" if whole else f"{100 * value:.0f}%"
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
            f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{name}</text>'
        )
    return parts


def _step(span: float, *, whole: bool) -> float:
    """A round step that gives at most seven lines."""
    steps = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if whole else (0.05, 0.1, 0.2)
    return next((step for step in steps if span / step <= 7), steps[-1])


def _x_ticks(across: _Scale, values: list[int]) -> list[str]:
    parts, last = [], -100.0
    for value in values:
        x = across(float(value))
        if x - last < 34:
            continue
        last = x
        parts.append(_x_tick(x, value))
    return parts


def _x_tick(x: float, value: int) -> str:
    return f'<text x="{x}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value}</text>'


def _stack(
    counts: Mapping[str, int], up: _Scale, middle: float, wide: float, what: str
) -> list[str]:
    parts, below = [], 0
    for place, purpose in enumerate(PURPOSES):
        n = counts.get(purpose, 0)
        if not n:
            continue
        top, foot = up(below + n), up(below)
        parts.append(
            f'<rect class="fill{place}" x="{middle - wide / 2:.1f}" y="{top}" width="{wide}" '
            f'height="{foot - top:.1f}"><title>{what}: {n} for {purpose}</title></rect>'
        )
        below += n
    return parts


def _legend() -> list[str]:
    return [
        f'<rect class="fill{place}" x="{LEFT + 78 * place}" y="0" width="10" height="10"/>'
        f'<text x="{LEFT + 78 * place + 15}" y="9" class="small">{name}</text>'
        for place, name in enumerate(PURPOSES)
    ]


def _cell(n: int, most: int, corner: tuple[float, float], size: float, agrees: bool) -> list[str]:
    if not n:
        return []
    strength = 0.15 + 0.7 * n / most
    kind = "agree" if agrees else "differ"
    return [
        f'<rect class="{kind}" x="{corner[0]:.1f}" y="{corner[1]:.1f}" width="{size:.1f}" '
        f'height="{size:.1f}" fill-opacity="{strength:.2f}"/>'
    ]


def _x_title(text: str) -> str:
    return (
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle" '
        f'class="small">{text}</text>'
    )


def _measured(each: Mapping[str, Any]) -> str:
    return (
        f"{percent(each['estimate'])} ({percent(each['low'])} to {percent(each['high'])}, "
        f"n = {each['n']}) after {each['human_labels']} human labels"
    )


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in places)


def _svg(title: str, described: str, parts: Sequence[str], height: float = HEIGHT) -> str:
    spoken = escape(f"{title}. {described}", {'"': "&quot;"})
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{spoken}">'
        f"{''.join(parts)}</svg>"
    )
