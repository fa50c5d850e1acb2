"""The doors: command line, files in and out, and the same from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .project import Project
    from .runs import RunResult, run

__all__ = ["Project", "RunResult", "run"]


def __getattr__(name: str) -> Any:
    """Import on first use: `labelwright --help` must not wait for the graph."""
    if name == "Project":
        from .project import Project

        return Project
    if name in ("run", "RunResult"):
        from . import runs

        return getattr(runs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
