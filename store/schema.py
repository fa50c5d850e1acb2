"""The tables, and the numbered migrations that bring an older project up to date.

Every row of the append-only tables carries `event`, the sequence number of the trace event it
was written with: that is what lets the trace vouch for the tables and a fork cut them off.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from .errors import UserError

METADATA = sa.MetaData()

meta = sa.Table(
    "meta",
    METADATA,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

events = sa.Table(
    "events",
    METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String, nullable=False, unique=True),
    sa.Column("time", sa.String, nullable=False),
    sa.Column("run", sa.String, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("node", sa.String, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("checkpoint", sa.String, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("prev", sa.String, nullable=False),
    sa.Column("hash", sa.String, nullable=False),
)

annotation_rows = sa.Table(
    "annotations",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("event", sa.Integer, nullable=False, index=True),
    sa.Column("row", sa.Integer, nullable=False, index=True),
    sa.Column("item", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("annotator", sa.String, nullable=False),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("purpose", sa.String, nullable=False),
    sa.Column("label", sa.String),
    sa.Column("confidence", sa.Float),
    sa.Column("distribution", sa.JSON(none_as_null=True)),
    sa.Column("rationale", sa.Text, nullable=False),
    sa.Column("usd", sa.Float, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("review", sa.String, nullable=False),
)

ledger = sa.Table(
    "ledger",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("event", sa.Integer, nullable=False, index=True),
    sa.Column("what", sa.String, nullable=False),
    sa.Column("amount", sa.Float, nullable=False),
    sa.Column("by", sa.String, nullable=False),
    sa.Column("note", sa.String, nullable=False),
)

artefacts = sa.Table(
    "artefacts",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("event", sa.Integer, nullable=False, index=True),
    sa.Column("key", sa.String, nullable=False, index=True),
    sa.Column("value", sa.JSON, nullable=False),
)

effects = sa.Table(
    "effects",
    METADATA,
    sa.Column("call", sa.String, primary_key=True),
    sa.Column("event", sa.Integer, nullable=False, index=True),
    sa.Column("result", sa.JSON, nullable=False),
)

reviews = sa.Table(
    "reviews",
    METADATA,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("event", sa.Integer, nullable=False, index=True),
    sa.Column("purpose", sa.String, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("questions", sa.JSON, nullable=False),
)

answers = sa.Table(
    "answers",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("event", sa.Integer, nullable=False, index=True),
    sa.Column("review", sa.String, nullable=False, index=True),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("label", sa.String),
    sa.Column("reviewer", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
)

calls = sa.Table(
    "calls",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("event", sa.Integer, nullable=False, index=True),
    sa.Column("key", sa.String, nullable=False, index=True),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("why", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("cached", sa.Integer, nullable=False),
    sa.Column("tokens_in", sa.Integer, nullable=False),
    sa.Column("tokens_out", sa.Integer, nullable=False),
    sa.Column("usd", sa.Float, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
)

LOGGED: dict[str, sa.Table] = {
    table.name: table
    for table in (annotation_rows, ledger, artefacts, effects, reviews, answers, calls)
}
"""The append-only tables that trace events vouch for, by name."""


Migration = Callable[[sa.Connection], None]


def _add_calls(connection: sa.Connection) -> None:
    calls.create(connection)


MIGRATIONS: tuple[Migration, ...] = (_add_calls,)
"""Number n brings a project of version n to version n + 1; version 1 is that of the first release.

A new project is made with the tables above and needs none of them. Add to the end, never change
one that was released.
"""


def migrate(connection: sa.Connection, migrations: tuple[Migration, ...] = MIGRATIONS) -> int:
    """Make the tables of a new project, or bring an older one to the newest schema.

    Returns:
        The schema version afterwards.

    Raises:
        UserError: the project was written by a newer Labelwright.
    """
    newest = len(migrations) + 1
    connection.execute(
        sa.text("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    )
    version = connection.execute(sa.text("SELECT max(version) FROM schema_version")).scalar()
    if version is None:
        METADATA.create_all(connection)
        _stamp(connection, newest)
        return newest
    if version > newest:
        raise UserError(
            f"this project has schema version {version!r}, newer than the {newest} that "
            "this Labelwright knows: upgrade with `pip install -U labelwright`"
        )
    for number, migration in enumerate(migrations[version - 1 :], start=version + 1):
        migration(connection)
        _stamp(connection, number)
    return newest


def _stamp(connection: sa.Connection, version: int) -> None:
    connection.execute(sa.text("INSERT INTO schema_version VALUES (:v)"), {"v": version})
