"""The helpers of these tests on the path, and one tiny model for all of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.extend([str(HERE), str(HERE.parents[2] / "vllm_server")])


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chat model with random weights."""
    from tiny_model import make_model

    return make_model(tmp_path_factory.mktemp("tiny"), length=512)
