"""A real vLLM server for these tests, from a virtual environment of its own.

`make vllm-test` builds the environment and names its Python in LABELWRIGHT_VLLM; without that
these tests are skipped.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

HERE = Path(__file__).parent
sys.path.extend([str(HERE), str(HERE.parent / "models" / "llm" / "backends")])
VARIABLE = "LABELWRIGHT_VLLM"
if TYPE_CHECKING:
    from running import RunningServer


@pytest.fixture(scope="session")
def vllm_python() -> Path:
    """The Python that vLLM is installed for."""
    named = os.environ.get(VARIABLE)
    if not named:
        pytest.skip("needs vLLM: run `make vllm-test`")
    return Path(named).absolute()


@pytest.fixture(scope="session")
def model(vllm_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from running import LENGTH
    from tiny_model import make_model

    return make_model(tmp_path_factory.mktemp("tiny"), length=LENGTH)


@pytest.fixture(scope="session")
def server(
    vllm_python: Path, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    from running import start_server

    running = start_server(vllm_python, model, tmp_path_factory.mktemp("server") / "log")
    yield running
    running.kill()
