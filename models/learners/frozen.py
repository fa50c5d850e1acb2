"""The frozen bottom of a transformer classifier, and its states as padded batches.

Imports torch, so it is itself imported only when a learner needs it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..compute import (
    MAX_CHARS,
    MAX_TOKENS,
    SILENT,
    compute_dtype,
    encodable,
    quiet_libraries,
    run_batches,
    token_batches,
)
from ..encoders import stable_tokenizer
from ..pairs import is_pair, split_pair
from .layers import bottom_modules, copy_of_bottom, cut_of
from .states import HiddenStates, States

# What in a configuration changes the numbers and is not in the weights.
_SETTINGS = ("model_type", "hidden_act", "activation", "layer_norm_eps", "num_attention_heads")


class Frozen:
    """Embeddings and bottom layers of a classifier: see `FrozenLayers`.

    Args:
        model: a transformer classifier; its frozen weights must not change any more.
        tokenizer: the model's.
        device: where the layers run.
    """

    def __init__(self, model: Any, tokenizer: Any, device: torch.device) -> None:
        self.device = device
        self.dim = int(model.config.hidden_size)
        self._model = model
        self._tokenizer = tokenizer
        self._limit = min(MAX_TOKENS, int(tokenizer.model_max_length))
        self._dtype = compute_dtype(device)
        self._lock = threading.Lock()
        self._bottom: Any = None

    @cached_property
    def key(self) -> str:
        """See `FrozenLayers.key`."""
        settings = {name: getattr(self._model.config, name, None) for name in _SETTINGS}
        shape = [cut_of(self._model), self._limit, MAX_CHARS, str(self._dtype), self.device.type]
        text = json.dumps([settings, shape], sort_keys=True, default=str)
        found = hashlib.sha256(text.encode())
        found.update(stable_tokenizer(self._tokenizer.backend_tokenizer.to_str()))
        for module in bottom_modules(self._model):
            for name, tensor in sorted(module.state_dict().items()):
                found.update(name.encode())
                found.update(tensor.detach().cpu().contiguous().numpy().data)
        return found.hexdigest()[:16]

    def tokenise(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """See `FrozenLayers.tokenise`."""
        paired = [is_pair(text) for text in texts]
        singles = [_cut(text) for text, pair in zip(texts, paired, strict=True) if not pair]
        parts = [split_pair(text) for text, pair in zip(texts, paired, strict=True) if pair]
        alone = iter(self._ids(singles))
        both = iter(self._ids([_cut(first) for first, _ in parts], [_cut(two) for _, two in parts]))
        return [next(both if pair else alone) for pair in paired]

    def batch(self, tokens: Sequence[NDArray[np.int32]]) -> dict[str, Tensor]:
        """Rows of token ids as padded tensors on the device."""
        rows = [torch.from_numpy(row.astype(np.int64)) for row in tokens]
        fill = int(self._tokenizer.pad_token_id)
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=fill)
        second = ids < 0
        found = {
            "input_ids": torch.where(second, ~ids, ids),
            "attention_mask": mask_of([len(row) for row in tokens]),
        }
        if getattr(self._model.config, "type_vocab_size", 1) > 1:
            found["token_type_ids"] = second.long()
        return {name: tensor.to(self.device) for name, tensor in found.items()}

    def states(self, tokens: Sequence[NDArray[np.int32]]) -> list[NDArray[np.uint16]]:
        """See `FrozenLayers.states`."""
        with self._lock:
            if self._bottom is None:
                self._bottom = copy_of_bottom(self._model, self._dtype)
        with torch.inference_mode():
            found = self._bottom(**self.batch(tokens)).last_hidden_state
            bits = found.to(torch.bfloat16).cpu().view(torch.int16).numpy().view(np.uint16)
        return [row[: len(ids)] for row, ids in zip(bits, tokens, strict=True)]

    def _ids(self, firsts: list[str], seconds: list[str] | None = None) -> list[NDArray[np.int32]]:
        if not firsts:
            return []
        with quiet_libraries():
            found = self._tokenizer(
                firsts,
                seconds,
                truncation="longest_first",
                max_length=self._limit,
                return_token_type_ids=seconds is not None,
            )
        every = [np.array(ids, dtype=np.int32) for ids in found["input_ids"]]
        if seconds is None:
            return every
        types = [np.array(each) for each in found["token_type_ids"]]
        return [np.where(kind == 1, ~ids, ids) for ids, kind in zip(every, types, strict=True)]


class FreshStates:
    """States that are computed each time they are asked for: see `States`."""

    def __init__(self, frozen: Frozen, texts: Sequence[str]) -> None:
        self._frozen = frozen
        self._tokens = frozen.tokenise(texts)
        self.lengths = np.array([len(ids) for ids in self._tokens], dtype=np.int64)

    def get(self, rows: NDArray[np.int64]) -> list[NDArray[np.uint16]]:
        """See `States.get`; the rows are one batch."""
        return self._frozen.states([self._tokens[row] for row in rows])


def open_states(frozen: Frozen, texts: Sequence[str], hidden: HiddenStates | None) -> States:
    """The states of some texts, kept ones where there are."""
    kept = hidden.open(frozen) if hidden is not None else None
    return FreshStates(frozen, texts) if kept is None else kept


def all_of(states: States, device: torch.device) -> list[NDArray[np.uint16]]:
    """The bits of all rows, copied; computed in batches of like length where they are not kept."""
    found: list[NDArray[np.uint16]] = [np.empty((0, 0), np.uint16)] * len(states.lengths)

    def work(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        for row, value in zip(rows, states.get(rows), strict=True):
            found[row] = value.copy()
        return np.empty((len(rows), 0), dtype=np.float32)

    nothing = np.empty((len(found), 0), dtype=np.float32)
    with SILENT.task("", len(found)) as task:
        run_batches(work, token_batches(states.lengths), nothing, device=device, task=task)
    return found


def padded(rows: Sequence[NDArray[np.uint16]], device: torch.device) -> dict[str, Tensor]:
    """Rows of states as the arguments of a model without its bottom: bfloat16, padded."""
    found = torch.zeros((len(rows), max(map(len, rows)), rows[0].shape[1]), dtype=torch.bfloat16)
    bits = found.view(torch.int16).numpy().view(np.uint16)
    for place, row in enumerate(rows):
        bits[place, : len(row)] = row
    mask = mask_of([len(row) for row in rows])
    return {"inputs_embeds": found.to(device), "attention_mask": mask.to(device)}


def mask_of(lengths: Sequence[int]) -> Tensor:
    """(n, longest) ones where a row has tokens."""
    sizes = torch.tensor(lengths)
    return (torch.arange(int(sizes.max())) < sizes[:, None]).long()


def _cut(text: str) -> str:
    return encodable(text[:MAX_CHARS])
