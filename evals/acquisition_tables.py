"""The tables of the acquisition benchmark: what was measured, beside what was wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..store.errors import UserError


@dataclass(frozen=True, slots=True)
class Result:
    """A peer and ours in one case: median seconds, memory that the call added (MB), the picks."""

    case: str
    peer: str
    goal: float | None
    seconds: float
    our_seconds: float
    cpu_ratio: float
    runs: int
    added_mb: float
    our_added_mb: float
    picks: str

    @property
    def ratio(self) -> float:
        """How many times longer the peer takes."""
        return self.seconds / self.our_seconds


@dataclass(frozen=True, slots=True)
class Growth:
    """A strategy of ours at one pool size: seconds, CPU seconds, memory added and peak (MB).

    `goal` is how many seconds it should take at the largest size.
    """

    strategy: str
    items: int
    seconds: float
    cpu: float
    added_mb: float
    peak_mb: float
    goal: float | None = None


def compare_picks(promise: str, theirs: list[int] | None, ours: list[int] | None) -> str:
    """How alike two selections are, in words.

    Args:
        promise: `list` or `set` for what should be the same, `drawn` for random draws, `none`
            where scores were measured.
        theirs: positions that the peer chose.
        ours: positions that we chose.

    Returns:
        `same`, `same set`, `drawn`, `–`, or how many of ours the peer chose too.
    """
    if promise == "none" or theirs is None or ours is None:
        return "–"
    repeats = len(theirs) - len(set(theirs))
    note = f", peer repeats {repeats}" if repeats else ""
    if promise == "drawn":
        return f"drawn{note}"
    if theirs == ours:
        return "same"
    if set(theirs) == set(ours):
        return "same set"
    return f"{len(set(theirs) & set(ours))} of {len(ours)}{note}"


def peer_table(results: Sequence[Result]) -> str:
    """The comparison, one line for each case and peer, in Markdown."""
    lines = [
        "| case | peer | peer (s) | ours (s) | ratio | goal | ratio of CPU time | picks "
        "| peer (MB) | ours (MB) |",
        "|---" * 10 + "|",
    ]
    for each in results:
        runs = "" if each.runs > 1 else " (one run)"
        lines.append(
            f"| {each.case} | {each.peer} | {each.seconds:.3g}{runs} | {each.our_seconds:.3g} | "
            f"{each.ratio:,.3g} | {_verdict(each)} | {each.cpu_ratio:,.3g} | {each.picks} | "
            f"{each.added_mb:,.1f} | {each.our_added_mb:,.1f} |"
        )
    return "\n".join(lines)


def _verdict(result: Result) -> str:
    if result.goal is None:
        return "–"
    return f"{result.goal:,.0f}: {'met' if result.ratio >= result.goal else 'missed'}"


def growth_table(found: Sequence[Growth]) -> str:
    """Seconds by size, the exponent between the two largest, and the peak at the largest."""
    sizes = sorted({each.items for each in found})
    head = " | ".join(f"{size:,} (s)" for size in sizes)
    lines = [
        f"| strategy | {head} | exponent | goal | CPU (s) | added (MB) | peak (GB) |",
        "|---" * (len(sizes) + 6) + "|",
    ]
    for name in dict.fromkeys(each.strategy for each in found):
        own = {each.items: each for each in found if each.strategy == name}
        seconds = [own[size].seconds for size in sizes]
        cells = " | ".join(f"{value:.3g}" for value in seconds)
        last = own[sizes[-1]]
        lines.append(
            f"| {name} | {cells} | {_exponent(sizes, seconds)} | {_in_time(last)} | "
            f"{last.cpu:.3g} | {last.added_mb:,.0f} | {last.peak_mb / 1024:.1f} |"
        )
    return "\n".join(lines)


def put_table(page: str, name: str, table: str) -> str:
    """A Markdown page with a table between the comments `<!-- name -->` and `<!-- end name -->`.

    Raises:
        UserError: the page does not have each of the two comments once, in that order.
    """
    first, last = f"<!-- {name} -->", f"<!-- end {name} -->"
    before, found, rest = page.partition(first)
    _, ended, after = rest.partition(last)
    if not (found and ended) or first in rest or last in before + after:
        raise UserError(f"the page must have {first!r} and then {last!r}, each once: add them")
    return f"{before}{first}\n{table}\n{last}{after}"


def _in_time(last: Growth) -> str:
    if last.goal is None:
        return "–"
    return f"{last.goal:g} s: {'met' if last.seconds < last.goal else 'missed'}"


def _exponent(sizes: Sequence[int], seconds: Sequence[float]) -> str:
    if len(sizes) < 2:
        return "–"
    return f"{math.log(seconds[-1] / seconds[-2]) / math.log(sizes[-1] / sizes[-2]):.2f}"
