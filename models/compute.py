"""How models run on this machine: precision, batches, threads, and libraries kept quiet.

On a processor, work is spread over threads by batches, each batch on one core. Splitting every
operation of a batch over the cores instead makes all of them wait for the slowest at each
operation; where something else wants the cores too, that was measured to be 3 to 10 times
slower. It also keeps results the same whatever the number of cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .progress import NoProgress, Progress, Task

if TYPE_CHECKING:
    import torch

SILENT: Progress = NoProgress()
MAX_TOKENS = 256
MAX_CHARS = 8_000
_BATCH_TOKENS = 2_048


def encodable(text: str) -> str:
    """The text with every lone surrogate replaced, so that a tokeniser can read it."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def length_batches(lengths: Sequence[int], budget: int, *, cap: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers in batches, longest rows first, so that too large a batch fails at once.

    Args:
        lengths: n lengths of at least 0.
        budget: a batch's longest length times its rows stays within this (a single row always
            makes a batch); 256 rows at most.
        cap: no row counts as longer than this, because the model reads no more of it.
    """
    sizes = np.clip(np.asarray(lengths, dtype=np.int64), 1, cap)
    order = np.argsort(-sizes, kind="stable")
    start = 0
    while start < len(order):
        stop = start + max(1, min(256, budget // int(sizes[order[start]])))
        yield order[start:stop]
        start = stop


def token_batches(lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Row numbers in batches of about 2,000 tokens, longest first; see `length_batches`."""
    return list(length_batches(lengths.tolist(), _BATCH_TOKENS, cap=MAX_TOKENS))


def run_batches(
    work: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    batches: Sequence[NDArray[np.int64]],
    into: NDArray[np.float32],
    *,
    device: torch.device,
    task: Task,
) -> None:
    """Fill `into[rows]` with `work(rows)` for each batch, batches in parallel on a processor.

    Args:
        work: gives one result row for each of the row numbers; safe to call from threads.
        batches: row numbers, each row once.
        into: (n, anything) where the results go.
        device: on a GPU the batches run one after the other.
        task: advanced by the rows of each batch.
    """
    import torch

    if device.type != "cpu":
        for rows in batches:
            into[rows] = work(rows)
            task.advance(len(rows))
        return
    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool, single_threaded():
        for rows, result in zip(batches, pool.map(work, batches), strict=True):
            into[rows] = result
            task.advance(len(rows))


@contextmanager
def single_threaded() -> Iterator[None]:
    """Each torch operation uses one core within; as many as before after."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def compute_dtype(device: torch.device) -> torch.dtype:
    """Bfloat16 where the device computes in it natively, else float32."""
    import torch

    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if _cpu_has_bfloat16() else torch.float32


def best_device() -> torch.device:
    """The GPU when there is one, else the processor."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence the bars and log lines of transformers while a model loads or runs."""
    import transformers

    logging: Any = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _cpu_has_bfloat16() -> bool:
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = next((line for line in info.splitlines() if line.startswith("flags")), "")
    return bool({"avx512_bf16", "amx_bf16"} & set(flags.split()))
