"""The transformer behind the BERT tagger: opened, read, saved.

Imports torch, so it is itself imported only when a tagger needs it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ....store.spans import Range
from ...compute import (
    compute_dtype,
    run_batches,
    token_batches,
)
from ...progress import Progress
from ..bert_model import Classifier, as_dtype, opened, reopened
from ..frozen import Frozen, padded
from ..layers import only_top
from .chain import Scores
from .pieces import windows_of


class WindowStates:
    """What the frozen layers make of windows, computed each time: see `States`."""

    def __init__(self, frozen: Frozen, ids: list[NDArray[np.int32]]) -> None:
        self._frozen, self._ids = frozen, ids
        self.lengths = np.array([len(each) for each in ids], dtype=np.int64)

    def get(self, rows: NDArray[np.int64]) -> list[NDArray[np.uint16]]:
        """See `States.get`; the rows are one batch."""
        return self._frozen.states([self._ids[row] for row in rows])


def open_model(
    location: str, tags: Sequence[str], seed: int, frozen_layers: int | None = None
) -> Classifier:
    """The transformer at `location` with a new head that gives each token a score for each tag.

    Raises:
        UserError: no transformer there, or one whose layers cannot be frozen.
    """
    from transformers import AutoModelForTokenClassification

    return opened(AutoModelForTokenClassification, location, tags, seed, frozen_layers)


def reopen_model(folder: Path) -> Classifier:
    """The model that `Classifier.save` wrote.

    Raises:
        UserError: it cannot be read.
    """
    from transformers import AutoModelForTokenClassification

    return reopened(AutoModelForTokenClassification, folder)


def word_scores(
    classifier: Classifier,
    texts: Sequence[str],
    words: Sequence[Sequence[Range]],
    progress: Progress,
) -> Scores:
    """(m, K) scores of the tags of all words in order."""
    top = classifier.top()

    def logits(batch: dict[str, Tensor]) -> Tensor:
        found: Tensor = top(**as_dtype(batch, top.dtype)).logits
        return found.float()

    width = int(classifier.model.config.num_labels)
    found = word_states(classifier, texts, words, logits, width, progress, "Tagging")
    return found.astype(np.float64)


def word_states(
    classifier: Classifier,
    texts: Sequence[str],
    words: Sequence[Sequence[Range]],
    work: Callable[[dict[str, Tensor]], Tensor],
    width: int,
    progress: Progress,
    title: str,
) -> NDArray[np.float32]:
    """(m, width) what `work` makes of each word, of a batch of states (b, longest, width)."""
    windows = windows_of(classifier.tokenizer, texts, words)
    states = WindowStates(classifier.frozen, windows.ids)
    found = np.empty((len(windows.place), width), dtype=np.float32)
    nothing = np.empty((len(windows.ids), 0), dtype=np.float32)
    all_words = np.arange(len(windows.place))

    def each(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        with torch.inference_mode():
            made = work(padded(states.get(rows), classifier.device)).cpu().numpy()
        where = np.concatenate([all_words[windows.part(row)] for row in rows.tolist()])
        found[where] = windows.means(rows.tolist(), made)
        return nothing[rows]

    with progress.task(title, len(windows.ids)) as task:
        run_batches(
            each, token_batches(states.lengths), nothing, device=classifier.device, task=task
        )
    return found


def text_vectors(
    classifier: Classifier, texts: Sequence[str], progress: Progress
) -> NDArray[np.float32]:
    """(n, dim) unit vectors: the mean over all tokens of each text in the last layer."""
    with only_top(classifier.model):
        base = copy.deepcopy(classifier.model.base_model).to(compute_dtype(classifier.device))

    def total(batch: dict[str, Tensor]) -> Tensor:
        states = base(**as_dtype(batch, base.dtype)).last_hidden_state.float()
        return torch.bmm(batch["attention_mask"].float()[:, None], states)[:, 0]

    windows = windows_of(classifier.tokenizer, texts, [()] * len(texts))
    states = WindowStates(classifier.frozen, windows.ids)
    with progress.task("Embedding", len(windows.ids)) as task:
        sums = classifier.read(states, classifier.frozen.dim, total, task)
    found = np.zeros((len(texts), classifier.frozen.dim), dtype=np.float32)
    np.add.at(found, windows.text, sums)
    unit: NDArray[np.float32] = nn.functional.normalize(torch.from_numpy(found), dim=1).numpy()
    return unit
