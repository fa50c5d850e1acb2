"""Hidden states: what the layers that training leaves alone make of each text.

Those layers give the same numbers in every round. A learner that has such layers asks its inputs
for the numbers (`Inputs.hidden`), and whoever gave the inputs keeps them under the layers' key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


class FrozenLayers(Protocol):
    """The bottom of a transformer: the same for all models of one encoder."""

    @property
    def key(self) -> str:
        """16 hex digits over what the states depend on: weights, tokeniser, depth, precision."""

    @property
    def dim(self) -> int:
        """Numbers for each token."""

    @property
    def device(self) -> torch.device:
        """Where the layers run."""

    def tokenise(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Token ids of each text, at least 1 and at most 256.

        A pair (`pairs.join_pair`) is one row, its longer text cut first where both are too long;
        an id of its second text is kept as `~id`, below 0.
        """

    def states(self, tokens: Sequence[NDArray[np.int32]]) -> list[NDArray[np.uint16]]:
        """The bits of the bfloat16 states (tokens, dim) of each row, computed as one batch.

        The same rows in the same order give the same bits; in another batch the last bit of a
        number may differ. Safe to call from threads.
        """


class States(Protocol):
    """Hidden states of n rows."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) tokens of each row."""

    def get(self, rows: NDArray[np.int64]) -> list[NDArray[np.uint16]]:
        """The bits of the bfloat16 states (tokens, dim) of some rows; safe to call from threads."""


class HiddenStates(Protocol):
    """Keeps hidden states of the rows of some inputs from one model to the next."""

    def open(self, frozen: FrozenLayers) -> States | None:
        """The states of all rows, computed by `frozen` where they are not there yet.

        `None` where they would take more space than they may: compute them where they are needed.
        """
