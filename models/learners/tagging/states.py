"""Word vectors from a frozen transformer: what its layers make of each word in its text.

Imports torch, so it is itself imported only when a tagger needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ....store.errors import UserError
from ....store.spans import Range
from ...compute import best_device, compute_dtype, quiet_libraries, run_batches, token_batches
from ...progress import Progress
from ..frozen import mask_of
from .pieces import windows_of


class WordStates:
    """A transformer that gives a vector for each word.

    Args:
        location: a folder or hub id that `transformers` loads.
        layers: which hidden states are put side by side, 0 being the embeddings.

    Raises:
        UserError: no transformer there.
    """

    def __init__(self, location: str, layers: Sequence[int]) -> None:
        from transformers import AutoModel, AutoTokenizer

        self._device = best_device()
        dtype = compute_dtype(self._device)
        with quiet_libraries():
            try:
                self._model: Any = AutoModel.from_pretrained(location, dtype=dtype)
                self._tokenizer: Any = AutoTokenizer.from_pretrained(location)
            except (OSError, ValueError) as error:
                raise UserError(
                    f"no transformer at {location!r} ({' '.join(str(error).split())}): "
                    "choose another encoder"
                ) from error
        self._model.to(self._device).eval()
        depth = int(self._model.config.num_hidden_layers)
        self._layers = sorted({min(layer, depth) for layer in layers})
        self.dim = int(self._model.config.hidden_size) * len(self._layers)

    def vectors(
        self, texts: Sequence[str], words: Sequence[Sequence[Range]], progress: Progress
    ) -> NDArray[np.float32]:
        """(m, dim) vectors of the words of the texts in order; each layer's part has norm 1."""
        windows = windows_of(self._tokenizer, texts, words)
        found = np.empty((len(windows.place), self.dim), dtype=np.float32)
        lengths = np.array([len(ids) for ids in windows.ids], dtype=np.int64)
        nothing = np.empty((len(lengths), 0), dtype=np.float32)
        all_words = np.arange(len(windows.place))

        def work(rows: NDArray[np.int64]) -> NDArray[np.float32]:
            made = windows.means(rows.tolist(), self._states([windows.ids[row] for row in rows]))
            found[np.concatenate([all_words[windows.part(row)] for row in rows.tolist()])] = made
            return nothing[rows]

        with progress.task("Reading words", len(lengths)) as task:
            run_batches(work, token_batches(lengths), nothing, device=self._device, task=task)
        return found

    def _states(self, ids: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
        rows = [torch.from_numpy(row.astype(np.int64)) for row in ids]
        fill = int(self._tokenizer.pad_token_id)
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=fill)
        mask = mask_of([len(row) for row in rows])
        with torch.inference_mode():
            states = self._model(
                input_ids=padded.to(self._device),
                attention_mask=mask.to(self._device),
                output_hidden_states=True,
            ).hidden_states
            unit = [torch.nn.functional.normalize(states[k].float(), dim=2) for k in self._layers]
            found: NDArray[np.float32] = torch.cat(unit, dim=2).cpu().numpy()
        return found
