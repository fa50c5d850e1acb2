"""How long work tells that it goes on: a small protocol, and the one that says nothing.

Code that takes time accepts a `Progress`; who shows it (a terminal, a log) is not its concern.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One bar: call `advance` as units are done."""

    def advance(self, units: int = 1) -> None:
        """Count `units` more as done."""


class Progress(Protocol):
    """Opens a bar with a title and a total number of units."""

    def task(self, title: str, total: int) -> AbstractContextManager[Task]:
        """A context manager that yields the bar and closes it at the end."""


class _SilentTask:
    def advance(self, units: int = 1) -> None:
        """Take note of nothing."""


class NoProgress:
    """A `Progress` that shows nothing: for scripts and tests."""

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Task]:
        """Yield a bar nobody sees."""
        yield _SilentTask()
