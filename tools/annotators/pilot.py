"""A small trial on gold items, before a model labels many: is it of use, and for what?

A model that always says the same label can be right more often than not where one label is common,
so accuracy alone does not show it: agreement beyond chance does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError
from ..certificate import Interval, fixed_interval
from .annotator import LLMAnnotator
from .calls import Vectors
from .items import Item, LLMAnnotation, V
from .tasks import Task

Verdict = Literal["usable", "weak", "constant", "unusable"]
USABLE = 0.6
"""Agreement from which a model is usable: "substantial" in Landis & Koch (1977)."""
USABLE_LOW = 0.4
"""Where the interval of a usable model must begin: agreement that chance may have made is none."""
CONSTANT = 0.95
"""Share of its commonest answer from which a model counts as constant."""
OTHERS = 3
"""Gold items of other values that must be there before a model is called constant."""
RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a trial on gold items came to.

    Attributes:
        verdict: `usable`: its labels may be taken under the usual thresholds. `weak`: as
            suggestions for a person. `constant`: it says the same whatever it reads. `unusable`:
            no better than chance, or hardly ever a valid answer. With the last two, ask people.
        reason: the verdict in words with its numbers.
        n: gold items.
        accuracy: share of items with exactly the right value, with its exact interval
            (Clopper-Pearson); an item without a value counts as wrong.
        measure: what `agreement` is: `kappa` for labels, `overlap` for sets of labels and spans
            (mean agreement of the task: Jaccard, F1).
        agreement: with its interval, at most 1; `None` where the gold items all have one value,
            for which kappa is not defined.
        commonest: the answer given most often, as its task writes it; empty if there is none, and
            for entities, whose answers quote the pool.
        commonest_share: its share of the answers given.
        commonest_gold: its share of the gold values.
        invalid: share of items without a value.
    """

    verdict: Verdict
    reason: str
    n: int
    accuracy: Interval
    measure: Literal["kappa", "overlap"]
    agreement: Interval | None
    commonest: str
    commonest_share: float
    commonest_gold: float
    invalid: float


def pilot(
    annotator: LLMAnnotator[V],
    items: Sequence[Item],
    gold: Sequence[V],
    vectors: Vectors | None = None,
    *,
    usable: float = USABLE,
    seed: int = 0,
) -> tuple[Pilot, list[LLMAnnotation[V]]]:
    """Annotate gold items and judge what comes back.

    The annotations can be used to calibrate: their scores belong to gold items.

    Args:
        annotator: as it would be used.
        items: gold items, drawn evenly from the pool.
        gold: their values as a person gave them.
        vectors: unit vectors of the items, where demonstrations need them.
        usable: agreement from which the verdict is `usable`. For work without review 0.8 is
            usual in annotation projects.
        seed: of the bootstrap, for sets of labels and spans.

    Raises:
        UserError: no items, or another number of gold values.
        OperatorError: a server cannot be reached.
    """
    found = annotator.annotate(items, vectors)
    given = [each.label for each in found]
    return judge_pilot(given, gold, annotator.task, usable=usable, seed=seed), found


def judge_pilot(
    given: Sequence[V | None],
    gold: Sequence[V],
    task: Task[V],
    *,
    usable: float = USABLE,
    seed: int = 0,
) -> Pilot:
    """Judge given values against gold ones; see `pilot` for arguments and errors."""
    if not gold or len(given) != len(gold):
        raise UserError(f"{len(given)} answers for {len(gold)} gold items: give one for each")
    said = [None if value is None else task.written(value) for value in given]
    true = [task.written(value) for value in gold]
    right = sum(a == b for a, b in zip(said, true, strict=True))
    answers = Counter(key for key in said if key is not None)
    commonest, count = answers.most_common(1)[0] if answers else ("", 0)
    labels = task.kind in ("single", "preference")
    agreement = cohen_kappa(said, true) if labels else _overlap(given, gold, task, seed)
    n, answered = len(gold), answers.total()
    facts = _Facts(
        agreement=agreement,
        measure="kappa" if labels else "overlap",
        answered=answered,
        # The deciding agent reads this: no text of the pool may come to it through quotes.
        commonest="" if task.kind == "entities" else commonest,
        share=count / answered if answered else 0.0,
        gold_share=true.count(commonest) / n,
        n=n,
    )
    verdict, reason = _judged(facts, usable)
    return Pilot(
        verdict,
        reason,
        n,
        fixed_interval(right, n),
        facts.measure,
        agreement,
        facts.commonest,
        facts.share,
        facts.gold_share,
        1 - answered / n,
    )


def cohen_kappa(
    said: Sequence[str | None], true: Sequence[str], level: float = 0.95
) -> Interval | None:
    """Cohen's kappa, (p_o - p_e) / (1 - p_e), with an interval (Cohen 1960).

    p_o is the share of items on which both agree, p_e what it would be if both kept their shares of
    each label and answered without looking. An item without an answer agrees with nothing. The
    interval takes the exact one of p_o with p_e as it is: it does not shrink to a point where all
    items agree, as the usual error formula does.

    Args:
        said: one answer for each item, `None` where there is none.
        true: the gold labels.
        level: of the interval.

    Returns:
        `None` where p_e is 1: both say one and the same label throughout.

    Raises:
        UserError: no items.
    """
    n = len(true)
    shares, others = Counter(said), Counter(true)
    chance = sum(shares[key] * others[key] for key in others) / n**2
    if chance >= 1.0 or len(others) < 2:
        return None
    exact = fixed_interval(sum(a == b for a, b in zip(said, true, strict=True)), n, level)
    estimate, low, high = (
        (p - chance) / (1 - chance) for p in (exact.estimate, exact.low, exact.high)
    )
    return Interval(estimate, low, high, level, n)


@dataclass(frozen=True, slots=True)
class _Facts:
    agreement: Interval | None
    measure: Literal["kappa", "overlap"]
    answered: int
    commonest: str
    share: float
    gold_share: float
    n: int


def _judged(facts: _Facts, usable: float) -> tuple[Verdict, str]:
    if 2 * facts.answered < facts.n:
        return "unusable", f"only {facts.answered} of {facts.n} answers were valid: ask people"
    others = facts.n * (1 - facts.gold_share)
    if facts.share >= CONSTANT > facts.gold_share and others >= OTHERS - 0.5:
        said = facts.commonest or "the same"
        return "constant", (
            f"{facts.share:.0%} of its answers are {said}, which is right for "
            f"{facts.gold_share:.0%} of the gold items: it does not tell them apart, ask people"
        )
    found = facts.agreement
    if found is None:
        return "weak", (
            f"the {facts.n} gold items all have one value, so nothing shows whether the model can "
            "tell values apart: label gold items with other values"
        )
    words = (
        f"{facts.measure} {found.estimate:.2f} ({found.low:.2f} to {found.high:.2f}) on {facts.n} "
        "gold items"
    )
    if found.low <= 0.0:
        return "unusable", f"{words}: not shown to be better than chance, ask people"
    if found.estimate >= usable and found.low >= USABLE_LOW:
        return "usable", f"{words}: at least {usable:.2f}, its interval above {USABLE_LOW:.2f}"
    return "weak", (
        f"{words}: usable from {usable:.2f} with an interval above {USABLE_LOW:.2f}; take its "
        "answers as suggestions for a person, or try other prompts or a stronger model"
    )


def _overlap(given: Sequence[V | None], gold: Sequence[V], task: Task[V], seed: int) -> Interval:
    """Mean agreement with a percentile bootstrap interval; an item without a value counts 0."""
    values: NDArray[np.float64] = np.array(
        [
            0.0 if value is None else task.agreement(value, right)
            for value, right in zip(given, gold, strict=True)
        ]
    )
    picks = np.random.default_rng(seed).integers(0, len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high), 0.95, len(values))
