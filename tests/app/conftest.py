"""The command line inside the test's process."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import harness
import pytest
from labelwright.app.cli import main
from labelwright.app.runs import drive
from support import HashEncoder


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., harness.Said]:
    """`labelwright ARGS…` with the fast encoder: how it ended and what it said."""
    monkeypatch.setattr(sys.modules[drive.__module__], "load_encoder", lambda _name: HashEncoder())

    def call(*args: str, stdin: str = "") -> harness.Said:
        monkeypatch.setattr(sys, "argv", ["labelwright", *args])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return harness.Said(code, said.out, said.err)

    return call


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., str]:
    """Write bytes or text under a name and give back the path."""

    def write(content: str | bytes, name: str = "messages.csv") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write
