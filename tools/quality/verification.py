"""Second opinions on labels: a judge model, a learner, and the agreement of several answers.

Each check gives one `Flag` an item: doubted or not, and why. A check that could not be made
(the model gave no usable verdict, nobody else answered) is `None`, which is neither, so that what
was not checked is never taken for checked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, create_model

from ...models.llm.base import Answer, Asker, Message, Request
from ...prompts.loader import load_prompt
from ...store.errors import UserError
from ...store.spec import TaskSpec
from ..fencing import fenced_records, shown
from .aggregation import Votes, checked_votes

Check = Literal["judge", "learner", "agreement"]
MAX_TOKENS = 256
_REASON_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class Flag:
    """What one check says about one label.

    Attributes:
        check: `judge`, `learner` or `agreement`.
        doubted: whether the label should be looked at; `None` where the check could not be made.
        reason: why, in words.
        better: index of the label that the check would give instead, where it names one.
        usd: what the check cost.
    """

    check: Check
    doubted: bool | None
    reason: str
    better: int | None = None
    usd: float = 0.0


class Verdict(BaseModel):
    """What a judge must answer; `better` is narrowed to the labels of the task."""

    model_config = ConfigDict(extra="forbid")

    verdict: Literal["right", "wrong", "unsure"]
    better: str | None = None
    reason: Annotated[str, Field(max_length=_REASON_CHARACTERS)]


def judge_labels(
    asker: Asker,
    spec: TaskSpec,
    texts: Sequence[str],
    labels: NDArray[np.int64],
    rationales: Sequence[str] | None = None,
) -> list[Flag]:
    """Ask a chat model whether each label, and the rationale for it, fit the text.

    Use another model, or at least this other prompt: a model that wrote a label tends to find it
    right. "Unsure" is doubt. An answer outside the label set is asked again by the asker and then
    gives `None`, with its cost.

    Args:
        asker: the judging model.
        spec: goal, labels with definitions, guidelines.
        texts: (n,) the items.
        labels: (n,) the labels to check, indices into those of the spec; one label only each.
        rationales: (n,) what was said for each label; empty where nothing was.

    Returns:
        n flags, in order.

    Raises:
        UserError: labels or rationales that do not fit.
        OperatorError: the model cannot be reached; see `Asker.ask`.
    """
    names = spec.label_names
    said = [""] * len(texts) if rationales is None else list(rationales)
    if labels.shape != (len(texts),) or len(said) != len(texts):
        raise UserError(
            f"{len(texts)!r} texts, labels of shape {labels.shape!r} and {len(said)!r} rationales: "
            "give one of each an item"
        )
    if not ((labels >= 0) & (labels < len(names))).all():
        raise UserError(f"a label to check is not within 0 to {len(names) - 1!r}")
    schema = _schema(names)
    system = Message("system", _prompt(spec))
    requests = [
        Request(
            (system, Message("user", _shown(text, names[label], why))),
            schema=schema,
            max_tokens=MAX_TOKENS,
            item=text,
        )
        for text, label, why in zip(texts, labels, said, strict=True)
    ]
    answers = asker.ask(requests, why="judge")
    return [
        _flag(asker.name, answer, int(label), names)
        for answer, label in zip(answers, labels, strict=True)
    ]


def learner_disagreement(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], names: Sequence[str]
) -> list[Flag]:
    """Doubt a label where a learner that never saw it surely says another one.

    Sure is a probability of at least the learner's mean for that label where it was given, as in
    confident learning (`noise_issues.label_issues`).

    Args:
        probabilities: (n, C) out-of-fold (`noise.out_of_fold`).
        labels: (n,) the labels to check.
        names: of the C labels.

    Raises:
        UserError: shapes or values that do not fit.
    """
    from ..noise_issues import label_issues

    if probabilities.ndim != 2 or probabilities.shape[1] != len(names):
        raise UserError(
            f"probabilities have shape {probabilities.shape!r} for {len(names)!r} labels: give one "
            "column for each"
        )
    found = label_issues(probabilities, labels)
    flags = []
    for row, (given, better) in enumerate(zip(labels, found.suggestion, strict=True)):
        own, other = probabilities[row, given], probabilities[row, better]
        if found.suspected[row]:
            reason = (
                f"a learner that did not see the label says {names[better]!r} ({other:.2f}), not "
                f"{names[given]!r} ({own:.2f})"
            )
            flags.append(Flag("learner", True, reason, int(better)))
        else:
            flags.append(
                Flag("learner", False, f"a learner gives {names[given]!r} {own:.2f}, none surely")
            )
    return flags


def answer_agreement(
    votes: Votes, labels: NDArray[np.int64], names: Sequence[str], *, least: float = 0.5
) -> list[Flag]:
    """Doubt a label that no more than a share `least` of the other answers gives.

    Args:
        votes: (n, m) answers of others, or other answers of the same model; -1 for none.
        labels: (n,) the labels to check; the answer that gave them is not among the votes.
        names: of the labels.
        least: share of the answers that must be exceeded, in [0, 1).

    Raises:
        UserError: shapes or values that do not fit.
    """
    checked = checked_votes(votes, len(names))
    if labels.shape != checked.shape[:1] or not ((labels >= 0) & (labels < len(names))).all():
        raise UserError(
            f"labels have shape {labels.shape!r} for {len(checked)!r} items, or are no label "
            "indices: give one for each"
        )
    if not 0 <= least < 1:
        raise UserError(f"least is {least!r}: give a number from 0 to below 1")
    return [
        _agreement(row[row >= 0].tolist(), int(label), names, least)
        for row, label in zip(checked, labels, strict=True)
    ]


def _agreement(said: list[int], label: int, names: Sequence[str], least: float) -> Flag:
    if not said:
        return Flag("agreement", None, "nobody else gave a usable answer")
    most, _ = Counter(said).most_common(1)[0]
    same = said.count(label)
    doubted = same <= least * len(said)
    reason = f"{same} of {len(said)} other answers say {names[label]!r}"
    if not doubted or most == label:
        return Flag("agreement", doubted, reason)
    return Flag("agreement", True, f"{reason}, {said.count(most)} say {names[most]!r}", most)


def _prompt(spec: TaskSpec) -> str:
    lines = [
        f"- {each.name}: {each.definition}" if each.definition else f"- {each.name}"
        for each in spec.labels
    ]
    return load_prompt("verify").fill(
        goal=spec.goal, labels="\n".join(lines), guidelines=spec.guidelines or "none"
    )


def _shown(text: str, label: str, rationale: str) -> str:
    record = {"text": shown(text), "label": label}
    return fenced_records([{**record, "rationale": shown(rationale)} if rationale else record])


def _schema(names: Sequence[str]) -> type[BaseModel]:
    """The verdict with `better` restricted to the labels: another string does not fit."""
    fields: dict[str, Any] = {"better": (Literal[tuple(names)] | None, None)}
    return create_model("LabelVerdict", __base__=Verdict, **fields)


def _flag(judge: str, answer: Answer, label: int, names: Sequence[str]) -> Flag:
    if not answer.ok or not isinstance(answer.parsed, Verdict):
        reason = f"not checked: {judge} gave no usable verdict ({answer.status}: {answer.error})"
        return Flag("judge", None, reason, usd=answer.usd)
    said = answer.parsed
    better = None if said.better is None else list(names).index(said.better)
    # A verdict that contradicts itself says nothing that could be relied on.
    if (said.verdict == "right" and better not in (None, label)) or (
        said.verdict == "wrong" and better == label
    ):
        reason = f"not checked: {judge} says {said.verdict!r} and names {said.better!r}"
        return Flag("judge", None, reason, usd=answer.usd)
    reason = f"{judge}: {said.verdict}: {said.reason}"
    return Flag("judge", said.verdict != "right", reason, better, answer.usd)
