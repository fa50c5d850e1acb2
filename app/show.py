"""What a run shows in the terminal: progress bars, one line for each decision, the outcome."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..models.progress import Task

if TYPE_CHECKING:
    from rich.console import Console

    from .project import Status
    from .runs import RunResult

FAILURE = 200
"""Characters that are shown of what a chat model did wrong."""


class _Bar:
    def __init__(self, progress: Any, task: Any) -> None:
        self._progress, self._task = progress, task

    def advance(self, units: int = 1) -> None:
        """Count `units` more as done."""
        self._progress.advance(self._task, units)


class RichProgress:
    """A `Progress` drawn with rich; vanishes when done, silent where there is no terminal."""

    def __init__(self, console: Console) -> None:
        """Draw on `console`."""
        self._console = console
        self._open = False

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Task]:
        """Show a bar for one task (see `Progress.task`); inside another, or in a log, none."""
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        if self._open or not self._console.is_terminal:
            from ..models.progress import NoProgress

            with NoProgress().task(title, total) as silent:
                yield silent
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._open = True
        try:
            with Progress(
                *columns, TimeRemainingColumn(), console=self._console, transient=True
            ) as progress:
                yield _Bar(progress, progress.add_task(title, total=total))
        finally:
            self._open = False


class Narrator:
    """Prints what happens, one line each."""

    def __init__(self, console: Console) -> None:
        """Print on `console`."""
        self._console = console

    def __call__(self, what: str, detail: dict[str, Any]) -> None:
        """Called by the run with each event."""
        line = {"decision": _decision, "result": _result, "reviewed": _reviewed, "spec": _spec}
        said = line[what](detail) if what in line else ""
        if said:
            self._console.print(said, markup=False, highlight=False, soft_wrap=True)


def _spec(detail: dict[str, Any]) -> str:
    """What failed while the chat model drafted the task; nothing where nothing did."""
    failure = " ".join(str(detail.get("failure", "")).split())
    if not failure:
        return ""
    cut = failure if len(failure) <= FAILURE else f"{failure[: FAILURE - 1]}…"
    return f"    ! {cut}\n      going on with the labels as they were named"


def _decision(detail: dict[str, Any]) -> str:
    args = ", ".join(f"{name}={value}" for name, value in detail["args"].items())
    by = f"[{detail['policy']}]" if not detail["fallback"] else "[playbook, the model failed]"
    return f"{detail['step']:>3} {detail['tool']}({args})  {detail['reason']} {by}"


def _result(detail: dict[str, Any]) -> str:
    hidden = ("tool", "predicted", "models")
    shown = {
        name: value
        for name, value in detail.items()
        if name not in hidden and value not in ("", None)
    }
    pairs = ", ".join(f"{name} {_value(value)}" for name, value in shown.items())
    models = [_model(each) for each in detail.get("models", [])]
    return "\n".join([f"    → {pairs}", *models])


def _model(found: dict[str, Any]) -> str:
    """A chat model's part in a round: what it was asked, and what gold says of it."""
    pilot = found["pilot"]
    measured = f"{pilot['verdict']}, {pilot['why']}" if pilot else f"gold: {found['calibrated_on']}"
    bad = sum(count for status, count in found["statuses"].items() if status != "ok")
    unusable = f", {bad} without a usable answer" if bad else ""
    return f"      {found['model']}: {found['asked']} asked{unusable}; {measured}"


def _reviewed(detail: dict[str, Any]) -> str:
    agreed = f", {detail['agreed']} of {detail['suggested']} as suggested"
    return (
        f"    ← {detail['answered']} answered, {detail['skipped']} skipped"
        f"{agreed if detail['suggested'] else ''}"
    )


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        known = {name: each for name, each in value.items() if each is not None}
        return "(" + ", ".join(f"{name} {_value(each)}" for name, each in known.items()) + ")"
    return str(value)


def accuracy_line(result: RunResult) -> str:
    """The accuracy with its interval, and what it is about, in one sentence."""
    found = result.certificate
    if found is not None:
        return (
            f"{found['delivered_estimate']:.1%} of the delivered {_unit(found)} are right, between "
            f"{found['delivered_low']:.1%} and {found['delivered_high']:.1%} "
            f"({found['level']:.0%} certificate, {found['n_audited']} audited items)"
        )
    if result.quality is not None:
        found = result.quality
        return (
            f"not certified; {found['estimate']:.1%}{_whole(found)} right on {found['n']} gold "
            f"items, between {found['low']:.1%} and {found['high']:.1%} "
            f"({found['level']:.0%} interval)"
        )
    return "not measured: there were too few human labels for gold or audit items"


def _unit(certificate: dict[str, Any]) -> str:
    if "text_f1" in certificate:
        return "answers"
    return "label sets" if "decisions" in certificate else "labels"


def _whole(quality: dict[str, Any]) -> str:
    if "span_f1" in quality or "span_recall" in quality or "span_precision" in quality:
        return " of the answers"
    return " of the label sets" if "micro_f1" in quality else ""


def print_result(console: Console, result: RunResult, seconds: float) -> None:
    """Where everything is, how good it is and what it cost."""
    place = result.project
    if result.status == "paused":
        print_waiting(console, result.waiting, str(place))
        return
    totals = result.totals
    money = f", {totals.usd:.2f} USD" if totals.usd else ""
    rows = [
        ("labelled data", f"{place}/exports/labels.csv (also .jsonl, .parquet)"),
        ("classifier", f"{place}/models/final"),
        ("report", f"{place}/report.html"),
        ("trace", f"labelwright audit {place}"),
        ("accuracy", accuracy_line(result)),
        ("human labels", f"{totals.human_labels}{money}"),
        ("time", f"{seconds:.0f} s"),
        ("trace head", result.head),
        *(("warning", text) for text in result.warnings),
    ]
    console.print()
    for name, text in rows:
        console.print(f"{name:>14}  {text}", markup=False, highlight=False, soft_wrap=True)


def print_waiting(console: Console, waiting: dict[str, Any] | None, place: str) -> None:
    """What a paused run waits for, and the command that goes on."""
    asked = waiting or {}
    if asked.get("kind") == "review":
        text = f"waits for {asked['open']} answers ({asked['purpose']})"
    elif asked.get("subject") == "spec":
        text = f"waits for your word on the task spec ({place}/task.yaml)"
    elif asked:
        text = f"waits for your word on {asked['tool']}({asked['args']})"
    else:
        text = "is paused"
    console.print(
        f"{place} {text}.\nAnswer with `labelwright review {place}`, then go on with "
        f"`labelwright resume {place}`.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def print_status(console: Console, status: Status) -> None:
    """How far a project is."""
    state = "finished" if status.finished else "running" if status.running else "paused"
    budget = "" if status.human_labels_budget is None else f" of {status.human_labels_budget}"
    lines = [
        f"{status.folder}: {state}, round {status.round}, step {status.step}, last: {status.last}",
        f"  {status.items} items, {status.human_labels}{budget} human labels, "
        f"{status.usd:.2f} USD, {status.seconds:.0f} s of work",
    ]
    if status.certificate:
        found = status.certificate
        lines.append(
            f"  certified {found['delivered_estimate']:.1%} "
            f"[{found['delivered_low']:.1%}, {found['delivered_high']:.1%}]"
        )
    elif status.quality:
        found = status.quality
        lines.append(
            f"  {found['estimate']:.1%} on {found['n']} gold items "
            f"[{found['low']:.1%}, {found['high']:.1%}]"
        )
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if status.waiting and not status.running:
        print_waiting(console, status.waiting, status.folder)
