"""vLLM in process: `engine_checks.py`, run in vLLM's own environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from running import QUIET

pytestmark = pytest.mark.vllm
HERE = Path(__file__).parent


def test_vllm_in_process_does_what_every_back_end_does(vllm_python: Path, model: Path) -> None:
    roots = [HERE.parent / "_typeroot", HERE.parent / "models" / "llm" / "backends"]
    found = subprocess.run(
        [
            *(str(vllm_python), "-m", "pytest", "-q", "-x", "-c", os.devnull, "--noconftest"),
            *("--rootdir", str(HERE), "-p", "no:cacheprovider", str(HERE / "engine_checks.py")),
        ],
        env={
            **os.environ,
            **QUIET,
            "MODEL": str(model),
            "PYTHONPATH": os.pathsep.join(map(str, roots)),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-6_000:] + found.stderr[-3_000:]
    assert " passed" in found.stdout
    assert "skipped" not in found.stdout
