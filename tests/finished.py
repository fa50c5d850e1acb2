"""A finished run with hostile texts in every place where a text can come in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labelwright.app.project import Project
from labelwright.app.runs import RunResult
from labelwright.store.events import DecisionEvent, ErrorEvent
from labelwright.store.trace import Place
from support import Row, messages, ran

SCRIPT = "<script>alert(1)</script>"
ESCAPE = "\x1b[31mred\x1b[0m [bold]loud[/bold] \u202egnorw"
HOSTILE = f"{SCRIPT} {ESCAPE}"
LABELS_GIVEN = f"billing: about money {SCRIPT}; bug: `|x|` *loud* [a](http://evil.example); praise"


def rows(n: int = 90) -> list[Row]:
    """Messages, the first of them hostile and with a copy at the end."""
    found = messages(n)
    first = Row(found[0].id, f"{HOSTILE} {found[0].text}", found[0].label)
    return [first, *found[1:], Row("copy", first.text.upper(), first.label)]


@contextmanager
def finished(folder: Path, **options: Any) -> Iterator[tuple[Project, RunResult]]:
    """A run over `rows`, then one more decision and an error with hostile reasons."""
    given = {"labels": LABELS_GIVEN, "learner": "linear", **options}
    with ran(folder, rows(), **given) as (project, result):
        decision = DecisionEvent(
            tool="finish", args={}, reason=HOSTILE, policy="llm", legal=["finish"], observation={}
        )
        with project.store.transaction(Place("run-1", 99, "decide")) as writer:
            writer.event("decision:99:0", decision)
            writer.event("error:99", ErrorEvent(where="finish", message=HOSTILE, who="model"))
        yield project, result
