"""For all tests: no network but this machine's own, and the shared helpers on the path."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from pathlib import Path

import pytest
import pytest_socket
from hypothesis import settings

# Tests are imported by file and are no packages: `from support import …` needs the folder.
sys.path.append(str(Path(__file__).parent))

# On a developer's machine every run tries other examples; CI must say the same twice.
settings.register_profile("search", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "search")


def pytest_configure() -> None:
    """Let Ctrl-C reach the programs under test.

    A shell starts what runs in its background with the signal ignored, and a child inherits that:
    tests that interrupt a run would wait for an end that cannot come.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Let sockets reach this machine only: asyncio and torch need those, nothing needs others."""
    # As a hook and not a fixture, so that fixtures of any scope are held to it; the plugin's own
    # teardown lifts it.
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of chat models are kept for one test, not in the home of who runs it."""
    monkeypatch.setenv("LABELWRIGHT_CACHE", str(tmp_path_factory.getbasetemp() / uuid.uuid4().hex))
