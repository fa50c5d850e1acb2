"""From a goal in plain words to a task spec.

With a chat model its structured output drafts labels, definitions and guidelines; without one
the labels come from `--labels` or from the goal itself ("as a, b or c", "into a, b and c",
"a vs b"). Either way a person sees the spec before anything is spent.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict

from ..models.llm.base import Asker, Message
from ..models.llm.base import Request as ModelRequest
from ..prompts.loader import load_prompt
from ..store.errors import ModelError, UserError
from ..store.spec import Autonomy, Budgets, Kind, LabelSpec, TaskSpec

HOW = (
    'name the labels in the goal ("sort messages into billing, bug and praise"), or give '
    '--labels "billing,bug,praise", or --labels "billing: about money; bug: something broke"'
)
ANSWERS: dict[Kind, str] = {
    "single_label": "exactly one of the labels",
    "multi_label": "any number of the labels, or none",
    "entities": "marked parts, such as names, each with one of the labels as its type; none if "
    "there is nothing to mark",
}
"""What a text is to get, as a chat model is told when it drafts labels."""
DRAFT_TOKENS = 4000
"""Of a draft: about a hundred labels with a definition each."""
MAX_WORDS = 6
"""A piece of the goal longer than this is a clause and not a label."""
_PLACES = (
    # "into" goes first: "as" also stands in "as fast as you can".
    r"\binto\b\s+(.+)",
    r"\bas\b\s+(.+)",
    r"(.+?\b(?:vs\.?|versus)\b.+)",
    r":\s*(.+)",
)
"""Where a goal names its labels, the surest place first."""
_BETWEEN = r"\s*,\s*(?:or|and)\s+|\s*,\s*|\s+(?:or|and|vs\.?|versus)\s+|\s*/\s*"
_ARTICLES = r"^(?:(?:either|an?|the)\s+)+"


class DraftLabel(BaseModel):
    """One label as a chat model drafts it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    definition: str


class Draft(BaseModel):
    """What a chat model is asked to fill in for a goal."""

    model_config = ConfigDict(extra="forbid")

    labels: list[DraftLabel]
    guidelines: str


class Request(BaseModel):
    """What the person asked for, before it is a task spec; kept so that drafting can be redone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    goal: str
    kind: Kind = "single_label"
    labels: list[LabelSpec]
    """Labels the person named; empty when a chat model is to find them."""
    guidelines: str = ""
    text_columns: list[str]
    target_accuracy: float | None = None
    confidence_level: float = 0.95
    budgets: Budgets = Budgets()
    autonomy: Autonomy = "ask-labels"


def spec_from(request: Request, labels: list[LabelSpec], guidelines: str) -> TaskSpec:
    """The task spec of a request with the labels and guidelines that were settled on.

    Raises:
        UserError: a value is out of range; the message names it.
    """
    fields = request.model_dump(mode="json")
    drafted = {"labels": [each.model_dump() for each in labels], "guidelines": guidelines}
    return TaskSpec.checked({**fields, **drafted}, place="the options")


def parse_labels(option: str, *, least: int = 2) -> list[LabelSpec]:
    """Labels as given on the command line: `a,b` or `a: what it means; b: …`.

    Args:
        option: as given.
        least: how many there must be.

    Raises:
        UserError: fewer labels, or two that are the same.
    """
    definitions = ":" in option or ";" in option
    parts = [part.strip() for part in option.split(";" if definitions else ",") if part.strip()]
    pairs = [part.partition(":") if definitions else (part, "", "") for part in parts]
    return _checked(
        [(name.strip(), text.strip()) for name, _, text in pairs], f"--labels {option!r}", least
    )


def labels_in_goal(goal: str) -> list[LabelSpec]:
    """The labels that a goal names.

    Raises:
        UserError: it names none, or fewer than two; the message shows how to give them.
    """
    for pattern in _PLACES:
        match = re.search(pattern, goal, flags=re.IGNORECASE | re.DOTALL)
        names = _names(match.group(1)) if match else []
        if len(names) >= 2:
            return _checked([(name, "") for name in names], "the goal")
    raise UserError(f"the goal {goal!r} names no labels: {HOW}")


def limits_in_goal(goal: str) -> dict[str, float]:
    """Target accuracy and time that a goal states ("95% right", "I have an hour")."""
    found: dict[str, float] = {}
    percent = re.search(r"(\d+(?:\.\d+)?)\s*%\s*(?:right|correct|accura)", goal, re.IGNORECASE)
    if percent and 0 < float(percent.group(1)) < 100:
        found["target_accuracy"] = float(percent.group(1)) / 100
    time = re.search(
        r"(?<!last )(?<!past )(?<!next )(?<!first )(?<!every )(?<!per )"
        r"\b(an?|half an|\d+(?:\.\d+)?)\s*(hours?|minutes?)\b(?! (?:ago|old|long|late))",
        goal,
        re.IGNORECASE,
    )
    if time:
        word = time.group(1).lower()
        amount = {"a": 1.0, "an": 1.0, "half an": 0.5}.get(word) or float(word)
        found["minutes"] = amount * (60 if time.group(2).lower().startswith("hour") else 1)
    return found


def draft_with_model(
    asker: Asker, goal: str, fixed: list[LabelSpec], kind: Kind = "single_label"
) -> tuple[list[LabelSpec], str, dict[str, Any]]:
    """Let a chat model draft labels, definitions and guidelines.

    Args:
        asker: the chat model.
        goal: the person's words.
        fixed: labels the person has already named; the draft must keep exactly these.
        kind: what an answer is.

    Returns:
        Labels, guidelines, and the raw answer for the trace.

    Raises:
        ModelError: the model failed, or its answer is not a valid draft.
    """
    names = [label.name for label in fixed]
    least = 1 if kind == "entities" else 2
    prompt = load_prompt("understand").fill(
        goal=goal,
        labels=", ".join(names) or "none",
        answer=ANSWERS[kind],
        least="one label" if least == 1 else "two labels",
    )
    request = ModelRequest((Message("user", prompt),), schema=Draft, max_tokens=DRAFT_TOKENS)
    (answer,) = asker.ask([request], why="understand")
    draft = answer.parsed
    if not isinstance(draft, Draft):
        raise ModelError(f"the chat model gave no task spec: {answer.error}")
    drafted = {label.name.strip(): label.definition.strip() for label in draft.labels}
    if names and set(drafted) != set(names):
        raise ModelError(f"the chat model changed the labels {names} to {sorted(drafted)}")
    order = names or list(drafted)
    given = {label.name: label.definition for label in fixed}
    try:
        pairs = [(name, given.get(name) or drafted[name]) for name in order]
        labels = _checked(pairs, "the draft", least)
    except UserError as error:
        raise ModelError(str(error)) from error
    return labels, draft.guidelines.strip(), draft.model_dump()


def _names(text: str) -> list[str]:
    clause = re.split(r"[;!?\n]|(?<!\bvs)\.(?:\s|$)|\s[-–—]\s", text.strip(), maxsplit=1)[0]
    quoted = re.findall(r"[\"'“‘]([^\"'”’]+)[\"'”’]", clause)
    if len(quoted) >= 2:
        return [name.strip() for name in quoted]
    parts = re.split(_BETWEEN, clause, flags=re.IGNORECASE)
    names = [re.sub(_ARTICLES, "", part.strip(" .:"), flags=re.IGNORECASE) for part in parts]
    if re.search(r"\b(?:vs\.?|versus)\b", clause, re.IGNORECASE):
        # "label reviews positive vs negative": what comes before the first label is not part of it.
        names[0] = names[0].split()[-1] if names[0] else ""
    if any(not name or len(name.split()) > MAX_WORDS for name in names):
        return []
    return names


def _checked(pairs: list[tuple[str, str]], place: str, least: int = 2) -> list[LabelSpec]:
    names = [name for name, _ in pairs]
    if len(names) < least:
        raise UserError(
            f"{place} gives {len(names)} label ({names!r}): at least "
            f"{'two are' if least == 2 else 'one is'} needed; {HOW}"
        )
    seen: dict[str, str] = {}
    for name in names:
        if not name:
            raise UserError(f"{place} has an empty label: {HOW}")
        if name.casefold() in seen:
            raise UserError(f"{place} gives the label {name!r} twice: remove one")
        seen[name.casefold()] = name
    return [LabelSpec(name=name, definition=text) for name, text in pairs]
