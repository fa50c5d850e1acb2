"""From answers to what each says of its items; nothing is mended and nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal

from pydantic import BaseModel

from ...models.llm.base import Answer
from .confidence import choice_probabilities, label_probabilities
from .items import AnnotationStatus, Item, V
from .tasks import Task, names_of

Confidence = Literal["none", "logprobs", "content_free", "votes", "stated", "p_true"]
BY_TOKENS: frozenset[Confidence] = frozenset({"logprobs", "content_free"})
"""Those that are read from the log-probabilities of the answer itself."""
LONGEST_RATIONALE = 1000
"""Characters of a rationale that are kept."""


@dataclass(frozen=True, slots=True)
class Said(Generic[V]):
    """What one member says of one item; see `LLMAnnotation` for what the fields mean."""

    value: V | None
    status: AnnotationStatus
    why: str = ""
    score: float | None = None
    distribution: tuple[float, ...] | None = None
    rationale: str = ""
    issues: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    usd: float = 0.0
    tokens_in: float = 0.0
    tokens_out: float = 0.0


def read_one(
    answer: Answer, task: Task[V], item: Item, confidence: Confidence, order: int = 0
) -> Said[V]:
    """What the answer to a message with one item says."""
    if answer.parsed is None:
        return without_value(answer)
    said = _value(answer.parsed, answer, task, item, order)
    if confidence == "stated":
        return replace(said, score=stated(answer.parsed))
    if confidence in BY_TOKENS:
        return _with_probabilities(said, answer, task, order, 0, 1)
    return said


def read_several(
    answer: Answer,
    task: Task[V],
    items: Sequence[Item],
    confidence: Confidence,
    order: int = 0,
) -> list[Said[V] | None]:
    """What the answer to a message with several items says of each; `None`: ask it alone.

    An answer that has an index twice, or one that was not asked, may have shifted all the others:
    nothing of it is used. One that only leaves some out is used for the rest.
    """
    if answer.parsed is None:
        # A bill that ran out or a server that failed is not mended by asking again.
        alone = answer.status in ("invalid", "refused")
        return [None if alone else without_value(answer, len(items)) for _ in items]
    answers: list[Any] = getattr(answer.parsed, "answers")  # noqa: B009
    given = [each.index for each in answers]
    if len(set(given)) < len(given) or not set(given) <= set(range(1, len(items) + 1)):
        return [None] * len(items)
    found = list[Said[V] | None]([None] * len(items))
    for place, each in enumerate(answers):
        item = items[each.index - 1]
        said = _value(each, answer, task, item, order, share=len(items))
        if confidence == "stated":
            said = replace(said, score=stated(each))
        if confidence in BY_TOKENS:
            said = _with_probabilities(said, answer, task, order, place, len(answers))
        found[each.index - 1] = said
    return found


def without_value(answer: Answer, share: int = 1) -> Said[V]:
    """What is known of an item whose answer cannot be used.

    Args:
        answer: the answer.
        share: between how many items its cost is divided.
    """
    status: AnnotationStatus = "invalid" if answer.status == "ok" else answer.status
    return Said(None, status, answer.error or "the answer has no value", **_cost(answer, share))


def stated(answer: BaseModel) -> float | None:
    """How sure the model says that it is, in [0, 1]; `None` for a number outside 0 to 100."""
    number: int = getattr(answer, "confidence")  # noqa: B009
    return number / 100 if 0 <= number <= 100 else None


def merged_orders(said: Sequence[Said[V]], task: Task[V]) -> Said[V]:
    """One for the orders in which an item was asked: a value only where they agree."""
    first = said[0]
    if len(said) == 1:
        return first
    cost = summed(said)
    bad = next((each for each in said if each.value is None), None)
    if bad is not None:
        return replace(bad, score=None, distribution=None, **cost)
    values = [each.value for each in said if each.value is not None]
    if len({task.written(value) for value in values}) > 1:
        shown = ", swapped ".join(task.written(value) for value in values)
        why = f"the answer changed with the order of the texts: {shown}"
        return Said(None, "no_agreement", why, rationale=first.rationale, **cost)
    return replace(first, score=_mean(said), distribution=mean_distribution(said), **cost)


def mean_distribution(said: Sequence[Said[V]]) -> tuple[float, ...] | None:
    """Mean of the distributions; `None` if one is absent."""
    found = [each.distribution for each in said if each.distribution is not None]
    if not found or len(found) < len(said):
        return None
    return tuple(sum(column) / len(found) for column in zip(*found, strict=True))


def summed(said: Sequence[Said[V]]) -> dict[str, Any]:
    """Keys, costs and issues of several, as fields of `Said`."""
    return {
        "answers": tuple(dict.fromkeys(key for each in said for key in each.answers)),
        "issues": tuple(dict.fromkeys(issue for each in said for issue in each.issues)),
        "usd": sum(each.usd for each in said),
        "tokens_in": sum(each.tokens_in for each in said),
        "tokens_out": sum(each.tokens_out for each in said),
    }


def _value(
    parsed: BaseModel, answer: Answer, task: Task[V], item: Item, order: int, share: int = 1
) -> Said[V]:
    reading = task.read(parsed, item, order)
    return Said(
        reading.value,
        "partial" if reading.issues else "ok",
        "; ".join(reading.issues),
        rationale=_shortened(getattr(parsed, "rationale", "")),
        issues=reading.issues + reading.notes,
        **_cost(answer, share),
    )


def _with_probabilities(
    said: Said[V], answer: Answer, task: Task[V], order: int, place: int, of: int
) -> Said[V]:
    names = names_of(task)
    meanings = task.meanings(order)
    if answer.choice_logprobs is not None:
        probabilities: Sequence[float] | None = choice_probabilities(
            answer.choice_logprobs, names
        ).tolist()
        score = None
    else:
        found = label_probabilities(answer.tokens, names, place=place, of=of)
        if found is None:
            return said
        score, probabilities = found.score, found.distribution
    if probabilities is None:
        return replace(said, score=score)
    own = tuple(probabilities[meanings.index(name)] for name in names)
    return replace(said, score=own[names.index(str(said.value))], distribution=own)


def _cost(answer: Answer, share: int) -> dict[str, Any]:
    return {
        "answers": (answer.key,),
        "usd": answer.usd / share,
        "tokens_in": answer.tokens_in / share,
        "tokens_out": answer.tokens_out / share,
    }


def _mean(said: Sequence[Said[V]]) -> float | None:
    scores = [each.score for each in said if each.score is not None]
    return sum(scores) / len(scores) if scores and len(scores) == len(said) else None


def _shortened(rationale: str) -> str:
    bare = " ".join(rationale.split())
    return bare if len(bare) <= LONGEST_RATIONALE else f"{bare[: LONGEST_RATIONALE - 1]}…"
