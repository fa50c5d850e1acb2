"""A vLLM server in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

LENGTH = 16_384
START = 240
"""Seconds that a server may take to start: reading vLLM from a cold disk is most of it."""
QUIET = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}


@dataclass
class RunningServer:
    """A server in a process group of its own."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def name(self) -> str:
        return f"vllm:tiny@{self.url}"

    def kill(self) -> None:
        """At once, as a machine does that runs out of memory."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start_server(python: Path, model: Path, log: Path) -> RunningServer:
    """Serve `model` as `tiny` with the Python that vLLM is installed for."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(str(python), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(model), "--served-model-name", "tiny"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--dtype", "float32", "--enforce-eager", "--max-num-seqs", "64"),
        # A model without sense falls into endless white space, which JSON allows.
        "--structured-outputs-config",
        '{"backend": "xgrammar", "disable_any_whitespace": true}',
        # vLLM 0.32 on a processor breaks down when a prompt is read in parts and a seed is given.
        *("--no-enable-chunked-prefill", "--max-num-batched-tokens", str(LENGTH)),
        *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
    ]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env={**os.environ, **QUIET}, start_new_session=True
        )
    running = RunningServer(process, port, log)
    try:
        _wait(running)
    except BaseException:
        running.kill()
        raise
    return running


def _wait(running: RunningServer) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until:
        if running.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"the server did not start:\n{running.log.read_text(errors='replace')[-4000:]}")
