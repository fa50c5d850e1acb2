"""The whole trace as one self-contained page: no script, nothing fetched, all text inert."""

from __future__ import annotations

from pathlib import Path

from ..store.database import Store
from ..store.files import replacing
from ..store.pool import Pool
from ..store.spec import TaskSpec
from ..tools.rendering import page
from ..tools.summary import inert
from .audit_lines import timeline, verify_report

TEMPLATES = Path(__file__).parent / "templates"


def write_audit_html(store: Store, pool: Pool, spec: TaskSpec, path: Path) -> None:
    """Write the timeline with every event's details, its hash and the result of the check.

    Raises:
        UserError: an event cannot be read, so the trace was changed.
        OperatorError: the disk is full or the folder is read-only.
    """
    lines = timeline(store, pool)
    ok, checked = verify_report(store)
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.kind] = counts.get(line.kind, 0) + line.last - line.seq + 1
    text = page("audit.html", TEMPLATES).render(
        spec=spec,
        lines=lines,
        kinds=sorted(counts.items()),
        events=sum(counts.values()),
        ok=ok,
        checked=checked,
        head=store.head(),
        inert=inert,
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
