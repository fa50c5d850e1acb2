"""The peer libraries of the benchmarks: each in a virtual environment of its own.

A peer is installed once into a folder that the user names, with the packages that it needs, and
run there in a process of its own: what goes in and comes out are files and JSON, so no version of
anything has to suit both a peer and this package.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..store.errors import OperatorError

_LIBRARIES = ("OMP", "OPENBLAS", "MKL")
_LINES_OF_ERROR = 12


@dataclass(frozen=True, slots=True)
class Peer:
    """A library to compare with: its `name`, and what pip installs for it."""

    name: str
    requirements: tuple[str, ...]

    @property
    def folder(self) -> str:
        """The name of its folder in the cache."""
        return re.sub(r"[^a-z0-9.]+", "-", self.name.lower())


_ALL = (
    Peer("small-text 1.4.1", ("small-text==1.4.1", "torch")),
    Peer("small-text 2.0.0.dev4", ("small-text==2.0.0.dev4", "torch", "hnswlib", "networkx")),
    Peer("scikit-activeml 1.0.1", ("scikit-activeml==1.0.1",)),
    Peer("modAL 0.4.2.1", ("modAL-python==0.4.2.1",)),
)
PEERS: Mapping[str, Peer] = MappingProxyType({peer.name: peer for peer in _ALL})


def install(peer: Peer, cache: Path) -> Path:
    """The Python of a peer's environment, made first where it is not there yet.

    Args:
        peer: one of `PEERS`.
        cache: the folder for all environments, about 1.5 GB for those with torch. They get the
            release of torch that is installed here, so that pip takes the same build.

    Returns:
        The path of the interpreter.

    Raises:
        OperatorError: pip or venv failed (the message ends with its last lines), or a link is where
            the environment would be made.
    """
    home = cache / peer.folder
    python = home / "bin" / "python"
    stamp = home / "installed.json"
    wanted = json.dumps(peer.requirements)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    if home.is_symlink():
        # To make it anew would empty a folder elsewhere.
        raise OperatorError(
            f"{str(home)!r} is a link and {peer.name} is not installed there: remove the link"
        )
    cache.mkdir(parents=True, exist_ok=True)
    torch = version("torch").partition("+")[0]
    limits = cache / "constraints.txt"
    limits.write_text(f"torch=={torch}\n", encoding="utf-8")
    what = f"{peer.name} could not be installed into {str(home)!r}"
    _checked([sys.executable, "-m", "venv", "--clear", str(home)], what)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(limits)]
    _checked([*pip, *peer.requirements], what)
    # Last, so that a half-made environment is made again.
    stamp.write_text(wanted, encoding="utf-8")
    return python


class Worker:
    """A process that answers each request with a line of JSON; a context manager that ends it."""

    def __init__(
        self, command: Sequence[str], *, what: str, seconds: float, threads: int = 2
    ) -> None:
        """Start it.

        Args:
            command: program and arguments.
            threads: how many numeric libraries may use in it.
            what: what is being run, for messages.
            seconds: the longest that a request may take, preparation included.
        """
        self._what, self._seconds = what, seconds
        # A pipe that nobody reads would stop a worker that says much.
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **{f"{name}_NUM_THREADS": str(threads) for name in _LIBRARIES}},
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def ask(self) -> dict[str, Any]:
        """Have it do its work once; what it answers.

        Raises:
            OperatorError: it failed or took too long; the message ends with its last lines.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = threading.Timer(self._seconds, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self._process.wait()
        self._errors.seek(0)
        raise OperatorError(
            f"{self._what} ended with exit code {code!r} (after {self._seconds:g} s it is killed): "
            f"see what it said last\n{_tail(self._errors.read())}"
        )


def _checked(command: Sequence[str], what: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise OperatorError(
            f"{what} with exit code {done.returncode!r}:\n{_tail(done.stderr or done.stdout)}"
        )


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-_LINES_OF_ERROR:])
