"""What `labelwright audit` does with its options."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..store.errors import UserError
from .audit import (
    events_json,
    item_life,
    print_item,
    print_timeline,
    print_verification,
    timeline,
    verify_report,
    write_audit_html,
)
from .project import Project

if TYPE_CHECKING:
    from rich.console import Console


def audit_project(
    folder: Path,
    console: Console,
    *,
    item: str | None,
    verify: bool,
    head: str | None,
    as_json: bool,
    html: Path | None,
) -> int:
    """Show, check or write the trace of a project.

    Returns:
        The exit code: 0, or 1 when `verify` found something.

    Raises:
        UserError: no such project or item.
    """
    with closing(Project(folder)) as project:
        return _audit(project, console, item, verify, head, as_json, html)


def _audit(
    project: Project,
    console: Console,
    item: str | None,
    verify: bool,
    head: str | None,
    as_json: bool,
    html: Path | None,
) -> int:
    store, pool, spec = project.store, project.pool, project.spec
    if verify:
        ok, lines = verify_report(store, head)
        print_verification(console, ok, lines)
        return 0 if ok else 1
    if html is not None:
        if spec is None:
            raise UserError(f"project {str(project.folder)!r} has no task spec yet: run it first")
        write_audit_html(store, pool, spec, html)
        console.print(f"Wrote {html}", markup=False, highlight=False)
    elif item is not None:
        print_item(console, item_life(store, pool, item))
    elif as_json:
        for line in events_json(store):
            click.echo(line)
    else:
        print_timeline(console, timeline(store, pool))
    return 0
