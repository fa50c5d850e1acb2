"""For all tests: no network but this machine's own, and the shared helpers on the path."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import pytest_socket

# Tests are imported by file and are no packages: `from support import …` needs the folder.
sys.path.append(str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def no_network() -> None:
    """Let sockets reach this machine only: asyncio and torch need those, nothing needs others."""
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
