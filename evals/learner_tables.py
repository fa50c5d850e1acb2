"""The tables of the learner benchmark: what was measured, beside what was wanted."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Costs: TypeAlias = Mapping[str, float]
"""What one stage took: `seconds`, `cpu` seconds, and `peak_mb` of its process meanwhile."""

AGREEMENT = 0.02


@dataclass(frozen=True, slots=True)
class Scored:
    """Scoring `texts` texts: the stages of each run of a peer and of ours.

    A peer has `tokenise` and `predict`; ours has `fresh` (nothing kept), `keep` (computes and
    keeps what the frozen layers give) and `kept` (finds it kept).
    """

    case: str
    peer: str
    goal: float
    texts: int
    theirs: Sequence[Mapping[str, Costs]]
    own: Sequence[Mapping[str, Costs]]


@dataclass(frozen=True, slots=True)
class Agreed:
    """Largest and mean difference of class probabilities of the same weights, on `texts` texts.

    `fresh` and `kept` are ours as in `Scored`; each is (largest, mean).
    """

    peer: str
    texts: int
    fresh: tuple[float, float]
    kept: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rounds:
    """Rounds of one peer and ours on the same draws: stages and accuracies (0 to 1) of each.

    A peer has `tokenise`, `train` and `select`; ours has `train`, `score` and `select` with
    `first ` and with `later ` before. Accuracies are those on the scored texts, ours of the first
    and of the later round.
    """

    case: str
    peer: str
    goal: float
    labels: int
    texts: int
    theirs: Sequence[Mapping[str, Costs]]
    own: Sequence[Mapping[str, Costs]]
    accuracies: Sequence[float]
    own_accuracies: Sequence[tuple[float, float]]


def total(runs: Sequence[Mapping[str, Costs]], stages: Sequence[str], what: str) -> float:
    """The median over runs of the sum over these stages."""
    return statistics.median(sum(run[name][what] for name in stages) for run in runs)


def peak(runs: Sequence[Mapping[str, Costs]]) -> float:
    """The largest memory of the process in any stage, in MB."""
    return max(costs["peak_mb"] for run in runs for costs in run.values())


def scoring_table(results: Sequence[Scored]) -> str:
    """One line for each case and peer, in Markdown.

    `fresh` is compared with tokenising and predicting, `kept` with predicting tokens at hand.
    """
    lines = [
        "| case | peer | texts | peer s (tokens, scores) | ours s (fresh, keep, kept) "
        "| ratio fresh | ratio kept | CPU ratio fresh, kept | goal | peak MB (peer, ours) |",
        "|" + "---|" * 10,
    ]
    for each in results:
        theirs, own = each.theirs, each.own
        whole = {w: total(theirs, ("tokenise", "predict"), w) for w in ("seconds", "cpu")}
        known = {w: total(theirs, ("predict",), w) for w in ("seconds", "cpu")}
        fresh = {w: whole[w] / total(own, ("fresh",), w) for w in whole}
        kept = {w: known[w] / total(own, ("kept",), w) for w in known}
        spent = [total(own, (name,), "seconds") for name in ("fresh", "keep", "kept")]
        cells = [
            each.case,
            each.peer + _runs(theirs),
            f"{each.texts:,}",
            f"{total(theirs, ('tokenise',), 'seconds'):.3g}, {known['seconds']:.3g}",
            ", ".join(f"{value:.3g}" for value in spent),
            f"{fresh['seconds']:.1f}",
            f"{kept['seconds']:.1f}",
            f"{fresh['cpu']:.1f}, {kept['cpu']:.1f}",
            f"{each.goal:g}: {_met(fresh['seconds'], each.goal)}, "
            f"{_met(kept['seconds'], each.goal)}",
            f"{peak(theirs):,.0f}, {peak(own):,.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def agreement_lines(found: Sequence[Agreed]) -> str:
    """How far probabilities of the same weights lie apart, one sentence for each peer."""
    return "\n".join(
        f"- Same weights, {each.texts:,} texts, {each.peer}: class probabilities differ by at most "
        f"{each.fresh[0]:.4f} (mean {each.fresh[1]:.4f}) from ours, {each.kept[0]:.4f} (mean "
        f"{each.kept[1]:.4f}) where the frozen layers' outputs are kept; wanted at most "
        f"{AGREEMENT}: {'met' if max(each.fresh[0], each.kept[0]) <= AGREEMENT else 'missed'}."
        for each in found
    )


def round_table(results: Sequence[Rounds]) -> str:
    """One line for each case and peer, in Markdown; a later round finds its tokens at hand."""
    lines = [
        "| case | peer | labels, texts, runs | peer s (tokens, train, select) "
        "| ours s first (train, score), later (train, score) | ratio first | ratio later "
        "| CPU ratio first, later | goal | accuracy peer | ours first, later "
        "| peak MB (peer, ours) |",
        "|" + "---|" * 12,
    ]
    lines += ["| " + " | ".join(_round_cells(each)) + " |" for each in results]
    return "\n".join(lines)


def _round_cells(each: Rounds) -> list[str]:
    theirs, own = each.theirs, each.own
    ratio: dict[str, dict[str, float]] = {}
    for when, stages in (("first", ("tokenise", "train", "select")), ("later", _LATER)):
        mine = [f"{when} {name}" for name in ("train", "score", "select")]
        ratio[when] = {
            what: total(theirs, stages, what) / total(own, mine, what)
            for what in ("seconds", "cpu")
        }
    parts = [total(theirs, (name,), "seconds") for name in ("tokenise", "train", "select")]
    spent = [
        f"{total(own, (f'{when} train',), 'seconds'):.3g}, "
        f"{total(own, (f'{when} score', f'{when} select'), 'seconds'):.3g}"
        for when in ratio
    ]
    first, later = ([pair[place] for pair in each.own_accuracies] for place in range(2))
    return [
        each.case,
        each.peer,
        f"{each.labels:,}, {each.texts:,}, {len(theirs)}",
        ", ".join(f"{value:.3g}" for value in parts),
        "; ".join(spent),
        f"{ratio['first']['seconds']:.1f}",
        f"{ratio['later']['seconds']:.1f}",
        f"{ratio['first']['cpu']:.1f}, {ratio['later']['cpu']:.1f}",
        f"{each.goal:g}: {_met(ratio['first']['seconds'], each.goal)}, "
        f"{_met(ratio['later']['seconds'], each.goal)}",
        _accuracies(each.accuracies),
        f"{_accuracies(first)}; {_accuracies(later)}",
        f"{peak(theirs):,.0f}, {peak(own):,.0f}",
    ]


_LATER = ("train", "select")


def _accuracies(values: Sequence[float]) -> str:
    mean = f"{statistics.fmean(values):.3f}"
    if len(values) == 1:
        return mean
    return f"{mean} ({', '.join(f'{value:.3f}' for value in values)})"


def _met(ratio: float, goal: float) -> str:
    return "met" if ratio >= goal else "missed"


def _runs(found: Sequence[object]) -> str:
    return " (one run)" if len(found) == 1 else ""
