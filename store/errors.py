"""The one tree of errors, split by who can act on them.

A `UserError` is fixed by the person who typed the command, a `ModelError` by asking a
model again or asking a person instead, an `OperatorError` by whoever keeps the machine.
Each message says what is wrong, the value with `!r`, and how to fix it.
"""

from __future__ import annotations


class LabelwrightError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code = 1


class UserError(LabelwrightError, ValueError):
    """Bad input: a file, a column, a label, an option. Exit code 2, no traceback."""

    exit_code = 2


class ModelError(LabelwrightError, RuntimeError):
    """A model gave an answer that cannot be used. Recorded and counted as cost."""


class OperatorError(LabelwrightError, RuntimeError):
    """The machine is in the way: no disk, no permission, no server. Nothing is lost."""
