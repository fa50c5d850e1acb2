"""From what the members say of an item to one annotation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .confidence import count_votes
from .items import AnnotationStatus, Item, LLMAnnotation, V, Votes
from .reading import BY_TOKENS, Confidence, Said, mean_distribution, summed
from .tasks import Task, names_of


def decide(
    item: Item, said: Sequence[Said[V]], task: Task[V], confidence: Confidence, prompt: str
) -> LLMAnnotation[V]:
    """One annotation for what all members say of an item.

    With several members the value is what the task makes of theirs (the commonest, or what more
    than half gave). A member without a value has its vote counted as one for nothing: it lowers
    the score. The distribution is over the values given, and absent where fewer than two members,
    or fewer than half of them, gave one.

    Args:
        item: the item.
        said: by each member, at least one.
        task: what was asked.
        confidence: where the score comes from; `p_true` is added later.
        prompt: the digest to record.
    """
    cost = summed(said)
    given = [each for each in said if each.value is not None]
    values = [each.value for each in given if each.value is not None]
    votes = _votes(said, task) if len(said) > 1 else None
    if not values:
        status, why = _failure(said)
        return LLMAnnotation(
            item.id,
            None,
            status,
            why,
            rationale=said[0].rationale,
            prompt=prompt,
            votes=votes,
            **cost,
        )
    label = task.combined(values) if len(said) > 1 else values[0]
    score, distribution = _confidence(said, given, label, task, confidence)
    partial = 2 * sum(each.status == "partial" for each in given) > len(given)
    return LLMAnnotation(
        item.id,
        label,
        "partial" if partial else "ok",
        next((each.why for each in given if each.why), "") if partial else "",
        score=score,
        distribution=distribution,
        rationale=_rationale(given, label, task),
        prompt=prompt,
        votes=votes,
        **cost,
    )


def _votes(said: Sequence[Said[V]], task: Task[V]) -> Votes:
    return count_votes([None if s.value is None else task.written(s.value) for s in said])


def _failure(said: Sequence[Said[V]]) -> tuple[AnnotationStatus, str]:
    """The commonest way in which members gave no value, and one member's words for it."""
    status = Counter(each.status for each in said).most_common(1)[0][0]
    why = next(each.why for each in said if each.status == status)
    return status, why if len(said) == 1 else f"none of {len(said)} members gave a value: {why}"


def _confidence(
    said: Sequence[Said[V]],
    given: Sequence[Said[V]],
    label: V,
    task: Task[V],
    confidence: Confidence,
) -> tuple[float | None, tuple[float, ...] | None]:
    if confidence == "votes":
        agreed = sum(task.agreement(label, s.value) for s in given if s.value is not None)
        return agreed / len(said), _shares(said, given, task)
    if len(said) == 1:
        return said[0].score, said[0].distribution
    if confidence in BY_TOKENS:
        distribution = mean_distribution(given)
        if distribution is not None:
            return distribution[names_of(task).index(str(label))], distribution
    return None, None


def _shares(
    said: Sequence[Said[V]], given: Sequence[Said[V]], task: Task[V]
) -> tuple[float, ...] | None:
    """Share of the values given that name each label."""
    if len(given) < 2 or 2 * len(given) < len(said) or task.kind == "entities":
        return None
    named = Counter(name for each in given for name in _named(each.value))
    return tuple(named[name] / len(given) for name in names_of(task))


def _named(value: V | None) -> Sequence[str]:
    return value if isinstance(value, tuple) else [str(value)]


def _rationale(given: Sequence[Said[V]], label: V, task: Task[V]) -> str:
    """That of the first member that gave the value; else none, as it argues for another."""
    wanted = task.written(label)
    own = (s.rationale for s in given if s.value is not None and task.written(s.value) == wanted)
    return next(own, "")
