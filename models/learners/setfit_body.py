"""The body of the `setfit` learner: a sentence encoder of which only the top layers are trained.

Imports torch, so it is itself imported only when a learner needs it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...store.errors import UserError
from ..compute import (
    MAX_TOKENS,
    SILENT,
    best_device,
    compute_dtype,
    quiet_libraries,
    run_batches,
    token_batches,
)
from ..progress import Progress
from .base import digest_arrays
from .bert_model import as_dtype
from .frozen import Frozen, all_of, open_states, padded
from .layers import check_parts, cut_of, frozen_names, only_top
from .states import HiddenStates

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class Body:
    """A sentence encoder with its frozen bottom; as an `Encoder`, it makes the vectors of texts.

    Args:
        name: what its vectors are called where they do not fit.
        model: a sentence-transformers model in float32, owned by this object from now on. Its
            prompts are removed: it reads texts as they are, in training and ever after.
        frozen: the frozen layers of the model, if there are such already.

    Raises:
        UserError: its transformer is not laid out like BERT.
    """

    def __init__(self, name: str, model: SentenceTransformer, frozen: Frozen | None = None) -> None:
        self.name = name
        self.model = model.eval()
        self.device = best_device()
        self.transformer: Any = getattr(model[0], "auto_model", None)
        if self.transformer is None:
            raise UserError(
                f"encoder {name!r} does not begin with a transformer: choose another encoder, "
                "or use --learner linear"
            )
        check_parts(self.transformer)
        model.prompts, model.default_prompt_name = {}, None
        model.max_seq_length = min(model.max_seq_length or MAX_TOKENS, MAX_TOKENS)
        self.frozen = frozen or Frozen(self.transformer, model.tokenizer, self.device)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.model.get_embedding_dimension() or 0)

    @property
    def digest(self) -> str:
        """16 hex digits over layers, pooling and the weights that training changes."""
        frozen = {id(parameter) for parameter in self._frozen_parameters()}
        trained = [
            parameter.detach().cpu().numpy()
            for _, parameter in sorted(self.model.named_parameters())
            if id(parameter) not in frozen
        ]
        parts = [(type(each).__name__, getattr(each, "pooling_mode", "")) for each in self.model]
        key = np.frombuffer(f"{self.frozen.key}{parts}".encode(), dtype=np.uint8)
        return digest_arrays(key, *trained)

    @property
    def frozen_layers(self) -> int:
        """How many layers, counted from the embeddings, training leaves alone."""
        return cut_of(self.transformer)

    def trainable(self) -> list[nn.Parameter]:
        """The weights that training changes, set to have gradients; all others have none."""
        self.model.requires_grad_(True)
        for parameter in self._frozen_parameters():
            parameter.requires_grad_(False)
        return [each for each in self.model.parameters() if each.requires_grad]

    def renewed(self) -> Body:
        """A copy that can be trained while this one stays; the frozen layers are shared."""
        shared: list[Any] = [*self._frozen_parameters(), self.model.tokenizer]
        return Body(
            self.name, copy.deepcopy(self.model, {id(each): each for each in shared}), self.frozen
        )

    def encode(self, texts: Sequence[str], *, progress: Progress = SILENT) -> NDArray[np.float32]:
        """See `Encoder.encode`."""
        return self.vectors(texts, None, progress)

    def vectors(
        self, texts: Sequence[str], hidden: HiddenStates | None, progress: Progress
    ) -> NDArray[np.float32]:
        """Unit vectors (n, dim) of texts, longest first; kept states are used where there are."""
        result = np.empty((len(texts), self.dim), dtype=np.float32)
        if not len(texts):
            return result
        states = open_states(self.frozen, texts, hidden)
        with only_top(self.transformer):
            top = copy.deepcopy(self.transformer).to(compute_dtype(self.device)).eval()

        def work(rows: NDArray[np.int64]) -> NDArray[np.float32]:
            with torch.inference_mode():
                found = self.pooled(top, padded(states.get(rows), self.device))
                values: NDArray[np.float32] = nn.functional.normalize(found, dim=1).cpu().numpy()
            return values

        with progress.task("Scoring", len(texts)) as task:
            run_batches(work, token_batches(states.lengths), result, device=self.device, task=task)
        return result

    def pooled(self, top: Any, batch: dict[str, Tensor]) -> Tensor:
        """Vectors (n, dim) float32 of a padded batch of states, by the encoder's own pooling.

        Args:
            top: the transformer without its frozen layers.
            batch: what `padded` makes of rows of states.
        """
        given = as_dtype(batch, top.dtype)
        features: dict[str, Any] = {
            "token_embeddings": top(**given).last_hidden_state.float(),
            "attention_mask": batch["attention_mask"],
        }
        for module in list(self.model)[1:]:
            features = module(features)
        return cast(Tensor, features["sentence_embedding"])

    def states(self, texts: Sequence[str], hidden: HiddenStates | None) -> list[NDArray[np.uint16]]:
        """What the frozen layers make of each text, as `padded` takes it."""
        return all_of(open_states(self.frozen, texts, hidden), self.device) if len(texts) else []

    def _frozen_parameters(self) -> list[nn.Parameter]:
        every = dict(self.transformer.named_parameters())
        return [every[name] for name in frozen_names(self.transformer)]

    def save(self, folder: Path) -> None:
        """Write the body the way sentence-transformers does, without a model card."""
        with quiet_libraries():
            self.model.save_pretrained(str(folder), create_model_card=False)


def open_body(name: str, location: str, *, fix: str = "choose another encoder") -> Body:
    """The sentence encoder at a place, in float32.

    Args:
        name: what it is called in messages.
        location: a folder or hub id; it is not looked for on the network.
        fix: what to do where it cannot be read, for the message.

    Raises:
        UserError: it cannot be read, or it is not laid out like BERT.
    """
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    try:
        with quiet_libraries():
            model = SentenceTransformer(
                location,
                device=best_device().type,
                model_kwargs={"dtype": torch.float32},
                local_files_only=True,
            )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(
            f"there is no sentence encoder at {location!r} ({' '.join(str(error).split())}): {fix}"
        ) from error
    return Body(name, model)
