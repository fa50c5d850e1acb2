"""The trace as a timeline: one readable line for each event, with what belongs to it.

Pure data: the terminal and the HTML page show the same lines. Texts of unknown origin in them
are as they are in the store; whoever shows a line makes them inert.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError

from ..store.database import Store
from ..store.errors import UserError
from ..store.events import (
    AnswerEvent,
    ApprovalEvent,
    CallsEvent,
    DecisionEvent,
    ErrorEvent,
    FinishEvent,
    GoalEvent,
    MetricEvent,
    ReviewEvent,
    RunEvent,
    SpecEvent,
    ToolEvent,
)
from ..store.pool import Pool
from ..store.schema import events as event_rows
from ..store.spec import TaskSpec
from ..store.trace import StoredEvent
from ..tools.label_form import form_of
from ..tools.summary import duration, level_words, percent

Details = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One event of the timeline, or all answers that a reviewer gave in one sitting.

    Attributes:
        seq: number of the event; of the first one for several answers.
        last: number of the last event it stands for.
        key: the event's key in the trace.
        time: when, ISO 8601 in UTC.
        step: number of the decision it belongs to.
        node: node of the graph that wrote it.
        kind: the event's type.
        title: what happened, in one line.
        details: names and values that say more, in order.
        cost: what it cost in labels, money and seconds; empty where it cost nothing.
        hash: hash of the (last) event.
    """

    seq: int
    last: int
    key: str
    time: str
    step: int
    node: str
    kind: str
    title: str
    details: Details
    cost: str
    hash: str


def timeline(store: Store, pool: Pool) -> list[Line]:
    """All events in order; answers in a row to the same review are one line.

    Raises:
        UserError: an event cannot be read, so the trace was changed.
    """
    money = _money_by_review(store)
    lines = []
    for _, group in groupby(_read(store), key=_sitting):
        events = list(group)
        first = events[0].event
        if isinstance(first, AnswerEvent):
            lines.append(_line(events, *_answers(events, store, pool)))
        else:
            spent = money.get(first.review, 0.0) if isinstance(first, ReviewEvent) else 0.0
            lines.append(_line(events, *_describe(first), usd=spent))
    return lines


def events_json(store: Store) -> Iterator[str]:
    """The events as JSON lines, one object each, in order.

    Raises:
        UserError: an event cannot be read, so the trace was changed.
    """
    for each in _read(store):
        yield json.dumps(each.as_record(), ensure_ascii=False, sort_keys=True)


def verify_report(store: Store, head: str | None = None) -> tuple[bool, list[str]]:
    """Check the trace, and every table against it, and say what was checked or found.

    Args:
        store: the project's store.
        head: the hash that was shown when the run ended, if there is a note of it.

    Returns:
        Whether all is as it was written, and the lines to show; each problem names its event.
    """
    problems = store.verify(head=head)
    if problems:
        keys = _keys(store)
        lines = [
            f"{_named(each.seq, each.key or keys.get(each.seq, ''))}: {each.message}"
            for each in problems
        ]
        found = f"{len(problems)} problem{'s' * (len(problems) > 1)} found in {len(keys)} events:"
        return False, [found, *lines]
    events = store.events()
    rows: dict[str, int] = {}
    for each in events:
        for table, claim in each.event.wrote.items():
            rows[table] = rows.get(table, 0) + int(claim["n"])
    counted = ", ".join(f"{n:,} {table}" for table, n in sorted(rows.items())) or "none"
    lines = [
        f"{len(events):,} events, {len(events):,} hashes: every event follows the one before it "
        "and is as it was written",
        f"{sum(rows.values()):,} rows in {len(rows)} tables are as the events vouch for: {counted}",
    ]
    if head is not None:
        lines.append("the hash that was given belongs to this trace")
    else:
        lines.append(
            "a trace that was written anew as a whole would pass too: compare the head with the "
            "one shown at the end of the run (--head)"
        )
    return True, lines


def compact(value: Any, limit: int = 400) -> str:
    """A value as one short line: names and values for objects, JSON for the rest."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{name}={compact(each, limit)}" for name, each in value.items())
        return _cut(text, limit)
    if isinstance(value, str):
        return _cut(" ".join(value.split()), limit)
    if isinstance(value, float):
        return f"{value:.4g}"
    return _cut(json.dumps(value, ensure_ascii=False, default=str), limit)


def _read(store: Store) -> list[StoredEvent]:
    try:
        return store.events()
    except ValidationError:
        raise UserError(
            "the trace holds an event that cannot be read, so it was changed after it was "
            "written: `labelwright audit PROJECT --verify` names it"
        ) from None


def _sitting(each: StoredEvent) -> tuple[str, str]:
    """What answers are grouped by; every other event stands for itself."""
    if isinstance(each.event, AnswerEvent):
        return "answers", each.event.review
    return "event", str(each.seq)


def _line(
    events: list[StoredEvent], title: str, details: Details, cost: str = "", usd: float = 0.0
) -> Line:
    first, last = events[0], events[-1]
    return Line(
        seq=first.seq,
        last=last.seq,
        key=first.key,
        time=first.time,
        step=first.place.step,
        node=first.place.node,
        kind=first.event.type,
        title=title,
        details=tuple((name, value) for name, value in details if value),
        cost=", ".join(part for part in (cost, f"${usd:.2f}" if usd else "") if part),
        hash=last.hash,
    )


def _money_by_review(store: Store) -> dict[str, float]:
    money: dict[str, float] = {}
    for each in store.annotations(purposes=("train", "gold", "audit")):
        money[each.review] = money.get(each.review, 0.0) + each.usd
    return money


def words_of(store: Store) -> Callable[[str], str]:
    """How a stored label is shown: as it is, or the names of a set."""
    text = store.get_meta("spec")
    return form_of(TaskSpec.model_validate_json(text)).shown if text else str


def _answers(events: list[StoredEvent], store: Store, pool: Pool) -> tuple[str, Details]:
    given = [each.event for each in events if isinstance(each.event, AnswerEvent)]
    request = store.review(given[0].review)
    suggestions = {question.row: question.suggestion for question in request.questions}
    counts = {
        action: sum(a.action == action for a in given) for action in ("label", "skip", "undo")
    }
    shown = [a for a in given if a.action == "label" and suggestions.get(a.row) is not None]
    agreed = sum(a.label == suggestions[a.row] for a in shown)
    title = f"{given[0].by} answered {counts['label']} of {len(request.questions)} questions"
    title += f" ({request.purpose})"
    if counts["skip"]:
        title += f", skipped {counts['skip']}"
    if counts["undo"]:
        title += f", took {counts['undo']} back"
    words = words_of(store)
    labels = Counter(words(answer.label) for answer in given if answer.label is not None)
    agreement = f"with {agreed} of {len(shown)} suggestions" if shown else "no suggestion shown"
    ids = [answer.item for answer in given]
    return title, (
        ("agreed", agreement),
        ("labels", compact(labels)),
        ("items", _cut(", ".join(ids), 300)),
    )


def _describe(event: Any) -> tuple[str, Details, str]:
    return _DESCRIBERS[event.type](event)


def _run(event: RunEvent) -> tuple[str, Details, str]:
    title = f"run {event.what}"
    settings = compact(event.settings) if event.settings else ""
    return title, (("why", event.detail), ("version", event.version), ("settings", settings)), ""


def _goal(event: GoalEvent) -> tuple[str, Details, str]:
    details = (
        ("data", f"{event.data}, {event.items:,} items, digest {event.data_digest[:16]}"),
        ("notes", "; ".join(event.notes)),
    )
    return f"goal: {event.goal}", details, ""


def _spec(event: SpecEvent) -> tuple[str, Details, str]:
    labels = event.spec.get("labels", [])
    meanings = "; ".join(
        f"{label['name']}: {label['definition']}" if label.get("definition") else label["name"]
        for label in labels
    )
    asked = {
        name: event.spec[name]
        for name in ("target_accuracy", "confidence_level", "budgets", "autonomy")
        if event.spec.get(name) is not None
    }
    details = (
        ("labels", meanings),
        ("guidelines", str(event.spec.get("guidelines", ""))),
        ("asked for", compact(asked)),
        ("digest", event.digest[:16]),
    )
    return f"task spec with {len(labels)} labels, from {event.origin}", details, ""


def _decision(event: DecisionEvent) -> tuple[str, Details, str]:
    others = [name for name in event.legal if name != event.tool]
    failed = "; ".join(compact(each) for each in event.attempts)
    details = (
        ("why", event.reason),
        ("with", compact(event.args)),
        ("also legal", ", ".join(others) or "nothing else"),
        ("decided by", event.policy),
        ("in place of the model", event.fallback),
        ("invalid calls before", failed),
        ("saw", compact({k: v for k, v in event.observation.items() if k in _SEEN})),
    )
    return f"decided: {event.tool}", details, ""


_SEEN = (
    "round",
    "human_labels",
    "human_labels_left",
    "training_items",
    "gold_items",
    "unlabelled",
    "audited",
)


def _approval(event: ApprovalEvent) -> tuple[str, Details, str]:
    done = {"approve": "approved", "edit": "edited", "reject": "rejected", "respond": "answered"}
    details = (
        ("message", event.message),
        ("changed to", compact(event.edited) if event.edited else ""),
    )
    return f"{done[event.answer]} by {event.by}: {event.subject}", details, ""


def _tool(event: ToolEvent) -> tuple[str, Details, str]:
    failed = event.result.get("error")
    title = f"{event.tool} failed" if failed else f"{event.tool} done"
    results = tuple((str(name), compact(value)) for name, value in event.result.items())
    return title, (*results, ("call", event.call)), duration(event.seconds)


def _review(event: ReviewEvent) -> tuple[str, Details, str]:
    agreed = f"{event.agreed} of {event.suggested} suggestions" if event.suggested else ""
    title = f"review for {event.purpose}: {event.answered} labels became annotations"
    details = (
        ("agreed with", agreed),
        ("skipped", str(event.skipped) if event.skipped else ""),
        ("review", event.review),
    )
    return title, details, f"{event.answered} human labels"


def _answer(event: AnswerEvent) -> tuple[str, Details, str]:
    return f"{event.by}: {event.action}", (("item", event.item),), ""


def _metric(event: MetricEvent) -> tuple[str, Details, str]:
    title = (
        f"{event.name.replace('_', ' ')} {percent(event.value)}, {percent(event.low)} to "
        f"{percent(event.high)} at {level_words(event.level)} (n = {event.n})"
    )
    return title, (("measured on", event.items),), ""


def _calls(event: CallsEvent) -> tuple[str, Details, str]:
    kept = f" and {event.cached} answers from the cache" if event.cached else ""
    unusable = f"{event.unusable} of them" if event.unusable else ""
    details = (
        ("model", event.model),
        ("unusable", unusable),
        ("tokens", f"{event.tokens_in:,} read, {event.tokens_out:,} written"),
        ("seconds", f"{event.seconds:.2f}"),
    )
    cost = f"${event.usd:.6f}" if event.usd else ""
    return f"{event.made} calls to {event.why or 'ask'}{kept}", details, cost


def _error(event: ErrorEvent) -> tuple[str, Details, str]:
    return f"error in {event.where}", (("message", event.message), ("for the", event.who)), ""


def _finish(event: FinishEvent) -> tuple[str, Details, str]:
    files = tuple((name, digest) for name, digest in event.files.items())
    title = f"handed over {len(files)} files" if files else "final labels written"
    certificate = {
        name: event.certificate[name]
        for name in ("estimate", "low", "high", "level", "n_audited", "n_errors")
        if name in event.certificate
    }
    details = (("certificate", compact(certificate) or "none"), ("totals", compact(event.totals)))
    return title, (*details, *files), ""


_DESCRIBERS: dict[str, Callable[[Any], tuple[str, Details, str]]] = {
    "run": _run,
    "goal": _goal,
    "spec": _spec,
    "decision": _decision,
    "approval": _approval,
    "tool": _tool,
    "review": _review,
    "answer": _answer,
    "metric": _metric,
    "calls": _calls,
    "error": _error,
    "finish": _finish,
}


def _keys(store: Store) -> dict[int, str]:
    """Key of each event by its number, also where an event's content cannot be read."""
    rows = store.rows(sa.select(event_rows.c.seq, event_rows.c.key))
    return {int(row["seq"]): str(row["key"]) for row in rows}


def _named(seq: int, key: str) -> str:
    return f"event {seq} ({key})" if key else f"event {seq}"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
