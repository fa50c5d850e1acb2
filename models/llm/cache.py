"""Answers kept on disk, so that the same question is paid for once.

One SQLite file, shared by all projects of a person. What is kept is the reply as it came: whether
it has the form that was asked for is judged anew each time.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...store.errors import OperatorError
from .base import Call, Reply, Token

FOLDER_VARIABLE = "LABELWRIGHT_CACHE"
FILE = "answers.db"
_AT_ONCE = 500
"""Keys in one query: SQLite takes 999 variables in its oldest form."""


class AnswerCache:
    """Replies by the key of their request."""

    def __init__(self, path: Path) -> None:
        """Open the cache at `path`, made with its folder where it is missing.

        Raises:
            OperatorError: the file cannot be made or is not a cache; the message says what to do.
        """
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=30, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, value BLOB NOT NULL)"
                " WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            raise _broken(path, error) from error

    def get(self, keys: Sequence[str]) -> dict[str, Reply]:
        """The replies that are kept, of those keys."""
        found: dict[str, Reply] = {}
        try:
            with self._lock:
                for start in range(0, len(keys), _AT_ONCE):
                    part = list(keys[start : start + _AT_ONCE])
                    marks = ",".join("?" * len(part))
                    query = f"SELECT key, value FROM replies WHERE key IN ({marks})"
                    found |= {
                        key: _read(value) for key, value in self._connection.execute(query, part)
                    }
        except (sqlite3.Error, zlib.error, ValueError, KeyError, TypeError) as error:
            raise _broken(self.path, error) from error
        return found

    def put(self, replies: Iterable[tuple[str, Reply]]) -> None:
        """Keep replies; those already there stay."""
        rows = [(key, _written(reply)) for key, reply in replies]
        try:
            with self._lock, self._connection:
                self._connection.executemany("INSERT OR IGNORE INTO replies VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise _broken(self.path, error) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def default_path() -> Path:
    """Where answers are kept unless told otherwise: the user's cache folder.

    `LABELWRIGHT_CACHE` names another folder.
    """
    own = os.environ.get(FOLDER_VARIABLE)
    if own:
        return Path(own) / FILE
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "labelwright" / FILE


def _written(reply: Reply) -> bytes:
    return zlib.compress(json.dumps(asdict(reply), ensure_ascii=False).encode(), 1)


def _read(value: bytes) -> Reply:
    data: dict[str, Any] = json.loads(zlib.decompress(value))
    scored = data["choice_logprobs"]
    return Reply(
        text=data["text"],
        calls=tuple(Call(**call) for call in data["calls"]),
        tokens_in=data["tokens_in"],
        tokens_out=data["tokens_out"],
        finish=data["finish"],
        tokens=tuple(
            Token(each["text"], each["logprob"], tuple((t, p) for t, p in each["top"]))
            for each in data["tokens"]
        ),
        choice_logprobs=None if scored is None else tuple(scored),
    )


def _broken(path: Path, error: Exception) -> OperatorError:
    return OperatorError(
        f"the cache of answers {str(path)!r} cannot be used ({error}): delete it, name another "
        "with --llm-cache, or give --llm-cache none"
    )
