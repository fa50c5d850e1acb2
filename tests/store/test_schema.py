"""Migrations: each once, in order, and never backwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from labelwright.store.database import Store
from labelwright.store.errors import UserError
from labelwright.store.schema import LOGGED, MIGRATIONS, migrate


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'any.db'}")
    yield engine
    engine.dispose()


def add_table(connection: sa.Connection) -> None:
    connection.execute(sa.text("CREATE TABLE notes (text TEXT)"))


def test_a_fresh_database_gets_every_table(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        assert migrate(connection) == len(MIGRATIONS) + 1
    names = set(sa.inspect(engine).get_table_names())
    assert names >= {*LOGGED, "events", "meta", "schema_version"}


def test_migrating_again_changes_nothing(engine: sa.Engine) -> None:
    for _ in range(2):
        with engine.begin() as connection:
            migrate(connection)
    with engine.begin() as connection:
        versions = connection.execute(sa.text("SELECT version FROM schema_version")).scalars()
        assert list(versions) == [len(MIGRATIONS) + 1]


def test_an_older_database_gets_only_what_it_lacks(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        migrate(connection)
        connection.execute(sa.text("INSERT INTO meta VALUES ('run', 'kept')"))
    with engine.begin() as connection:
        assert migrate(connection, (*MIGRATIONS, add_table)) == len(MIGRATIONS) + 2
    with engine.begin() as connection:
        assert connection.execute(sa.text("SELECT value FROM meta")).scalar() == "kept"
        assert connection.execute(sa.text("SELECT count(*) FROM notes")).scalar() == 0


def test_a_newer_database_is_refused(engine: sa.Engine) -> None:
    for migrations in (MIGRATIONS, (*MIGRATIONS, add_table)):
        with engine.begin() as connection:
            migrate(connection, migrations)
    with (
        engine.begin() as connection,
        pytest.raises(UserError, match=r"schema version 3, newer than .* upgrade with"),
    ):
        migrate(connection)


def test_a_project_of_a_newer_version_is_not_opened(tmp_path: Path) -> None:
    store = Store.create(tmp_path)
    store.close()
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'labelwright.db'}")
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO schema_version VALUES (99)"))
    engine.dispose()
    with pytest.raises(UserError, match="schema version 99"):
        Store.open(tmp_path)


def test_a_migration_that_fails_is_undone(tmp_path: Path) -> None:
    def fails(connection: sa.Connection) -> None:
        add_table(connection)
        raise RuntimeError("half way")

    store = Store.create(tmp_path)
    with (
        pytest.raises(RuntimeError, match="half way"),
        store._writing.begin() as connection,
    ):
        migrate(connection, (*MIGRATIONS, fails))
    with store._engine.begin() as connection:
        assert "notes" not in sa.inspect(connection).get_table_names()
        newest = connection.execute(sa.text("SELECT max(version) FROM schema_version")).scalar()
    assert newest == len(MIGRATIONS) + 1
    store.close()
