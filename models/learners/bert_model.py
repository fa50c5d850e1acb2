"""The transformer classifier behind the BERT learner: opened, read, saved.

Imports torch, so it is itself imported only when a learner needs it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...store.errors import UserError
from ..compute import (
    best_device,
    compute_dtype,
    quiet_libraries,
    run_batches,
    token_batches,
)
from ..progress import Progress, Task
from .base import digest_arrays
from .bert_head import dropped_logits, head_dropout, last_linear, renew_head, without_head
from .frozen import Frozen, open_states, padded
from .layers import add_mean_pooling, check_parts, freeze, frozen_names, only_top
from .states import HiddenStates, States

MULTI_LABEL = "multi_label_classification"
SINGLE_LABEL = "single_label_classification"


class Classifier:
    """A transformer classifier with its tokeniser.

    Args:
        model: in float32; owned by this object from now on.
        tokenizer: the model's.
        device: where it runs.
        frozen: the frozen layers of the model, if there are such already.
    """

    def __init__(
        self, model: Any, tokenizer: Any, device: torch.device, frozen: Frozen | None = None
    ) -> None:
        self.model = model.to(device).eval()
        self.tokenizer = tokenizer
        self.device = device
        self.frozen = frozen or Frozen(self.model, tokenizer, device)

    @property
    def multi_label(self) -> bool:
        """Whether an item may have several labels, or none of them."""
        return bool(self.model.config.problem_type == MULTI_LABEL)

    @property
    def digest(self) -> str:
        """16 hex digits over the weights that training changes, in the order of their names."""
        state = self.model.state_dict()
        frozen = frozen_names(self.model)
        trained = [state[name].cpu().numpy() for name in sorted(state) if name not in frozen]
        return digest_arrays(*trained)

    def probabilities(
        self, texts: Sequence[str], hidden: HiddenStates | None, progress: Progress
    ) -> NDArray[np.float32]:
        """Probabilities (n, C) of the labels."""
        model = self.top()
        return self._through(
            texts,
            hidden,
            progress,
            what="Scoring",
            width=self.model.config.num_labels,
            work=lambda batch: self.chances(model(**as_dtype(batch, model.dtype)).logits.float()),
        )

    def vectors(
        self, texts: Sequence[str], hidden: HiddenStates | None, progress: Progress
    ) -> NDArray[np.float32]:
        """Unit vectors (n, dim): the mean over each row's tokens of the last layer's states."""
        with only_top(self.model, pooling=False):
            base = copy.deepcopy(self.model.base_model).to(compute_dtype(self.device))

        def mean(batch: dict[str, Tensor]) -> Tensor:
            states = base(**as_dtype(batch, base.dtype)).last_hidden_state.float()
            used = batch["attention_mask"].float()
            return nn.functional.normalize(torch.bmm(used[:, None], states)[:, 0], dim=1)

        return self._through(
            texts, hidden, progress, what="Embedding", width=self.frozen.dim, work=mean
        )

    def samples(
        self,
        texts: Sequence[str],
        hidden: HiddenStates | None,
        samples: int,
        seed: int,
        progress: Progress,
    ) -> NDArray[np.float32]:
        """Probabilities (samples, n, C) by heads drawn at random: see `dropped_logits`."""
        linear = last_linear(self.model)
        with without_head(self.model):
            model = self.top()
        features = self._through(
            texts,
            hidden,
            progress,
            what="Scoring",
            width=linear.in_features,
            work=lambda batch: model(**as_dtype(batch, model.dtype)).logits.float(),
        )
        found = np.empty((samples, len(texts), linear.out_features), dtype=np.float32)
        drawn = dropped_logits(features, linear, samples, head_dropout(self.model), seed)
        for place, logits in enumerate(drawn):
            found[place] = self.chances(torch.from_numpy(logits)).numpy()
        return found

    def chances(self, logits: Tensor) -> Tensor:
        """Logits (n, C) as probabilities: rows that sum to 1, or each label by itself."""
        return logits.sigmoid() if self.multi_label else logits.softmax(dim=1)

    def top(self) -> Any:
        """A copy without the frozen layers, in the precision that is fastest here."""
        with only_top(self.model):
            return _for_inference(self.model, compute_dtype(self.device))

    def renewed(self) -> Classifier:
        """A copy that can be trained while this one stays; the frozen layers are shared."""
        names = frozen_names(self.model)
        shared = {id(p): p for name, p in self.model.named_parameters() if name in names}
        return Classifier(
            copy.deepcopy(self.model, dict(shared)), self.tokenizer, self.device, self.frozen
        )

    def save(self, folder: Path) -> None:
        """Write model and tokeniser the way `transformers` does."""
        with quiet_libraries():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)

    def read(
        self,
        states: States,
        width: int,
        work: Callable[[dict[str, Tensor]], Tensor],
        task: Task,
    ) -> NDArray[np.float32]:
        """What `work` makes of each row of states, longest first: (n, width)."""
        result = np.empty((len(states.lengths), width), dtype=np.float32)

        def each(rows: NDArray[np.int64]) -> NDArray[np.float32]:
            with torch.inference_mode():
                batch = padded(states.get(rows), self.device)
                found: NDArray[np.float32] = work(batch).cpu().numpy()
            return found

        run_batches(each, token_batches(states.lengths), result, device=self.device, task=task)
        return result

    def _through(
        self,
        texts: Sequence[str],
        hidden: HiddenStates | None,
        progress: Progress,
        *,
        what: str,
        width: int,
        work: Callable[[dict[str, Tensor]], Tensor],
    ) -> NDArray[np.float32]:
        if not len(texts):
            return np.empty((0, width), dtype=np.float32)
        states = open_states(self.frozen, texts, hidden)
        with progress.task(what, len(texts)) as task:
            return self.read(states, width, work, task)


def open_classifier(
    location: str,
    label_names: list[str],
    seed: int,
    *,
    multi_label: bool = False,
    frozen_layers: int | None = None,
) -> Classifier:
    """The transformer at `location` with a new head for these labels.

    Args:
        location: a folder or hub id that `transformers` loads.
        label_names: C names.
        seed: of the head's weights.
        multi_label: whether an item may have several labels, or none.
        frozen_layers: see `BertOptions`.

    Raises:
        UserError: no transformer there, one whose layers this module does not know, or one with
            fewer layers.
    """
    from transformers import AutoModelForSequenceClassification

    pooled = False

    def adjust(config: Any) -> None:
        nonlocal pooled
        pooled = config.model_type == "bert"
        config.num_hidden_layers += int(pooled)
        config.problem_type = MULTI_LABEL if multi_label else SINGLE_LABEL

    auto = AutoModelForSequenceClassification
    classifier = opened(auto, location, label_names, seed, frozen_layers, adjust)
    if pooled:
        add_mean_pooling(classifier.model)
    return classifier


def opened(
    auto: Any,
    location: str,
    names: Sequence[str],
    seed: int,
    frozen_layers: int | None,
    adjust: Callable[[Any], None] = lambda _: None,
) -> Classifier:
    """The transformer at `location` as a model of the class `auto` with a new head for `names`.

    Raises:
        UserError: see `open_classifier`.
    """
    from transformers import AutoConfig, AutoTokenizer

    with quiet_libraries(), seeded(seed):
        try:
            config = AutoConfig.from_pretrained(location)
            config.id2label = dict(enumerate(names))
            config.label2id = {name: index for index, name in enumerate(names)}
            adjust(config)
            model = auto.from_pretrained(location, config=config, dtype=torch.float32)
            tokenizer = AutoTokenizer.from_pretrained(location)
        except (OSError, ValueError) as error:
            raise UserError(
                f"no transformer to fine-tune at {location!r} ({' '.join(str(error).split())}): "
                "choose another encoder"
            ) from error
        check_parts(model)
        freeze(model, frozen_layers)
        renew_head(model)
    return Classifier(model, tokenizer, best_device())


def reopen_classifier(folder: Path) -> Classifier:
    """The classifier that `Classifier.save` wrote."""
    from transformers import AutoModelForSequenceClassification

    return reopened(AutoModelForSequenceClassification, folder)


def reopened(auto: Any, folder: Path) -> Classifier:
    """What `Classifier.save` wrote, as a model of the class `auto`.

    Raises:
        UserError: it cannot be read.
    """
    from transformers import AutoTokenizer

    with quiet_libraries():
        try:
            model = auto.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise UserError(
                f"the model in {str(folder)!r} cannot be read "
                f"({' '.join(str(error).split())}): train and save it again"
            ) from error
    return Classifier(model, tokenizer, best_device())


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch draws from `seed` within, and goes on as before after."""
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def as_dtype(batch: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The batch with its states in another precision."""
    return {**batch, "inputs_embeds": batch["inputs_embeds"].to(dtype)}


def _for_inference(model: Any, dtype: torch.dtype) -> Any:
    fast = copy.deepcopy(model).to(dtype)
    # The logits decide; in bfloat16 they would have three digits only.
    fast.classifier.float()
    fast.classifier.register_forward_pre_hook(_to_float)
    return fast


def _to_float(_module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(argument.float() for argument in arguments)
