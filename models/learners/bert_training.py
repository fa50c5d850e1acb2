"""The work behind the BERT learner: open, train and run a transformer classifier.

Imports torch, so it is itself imported only when a learner needs it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...store.errors import UserError
from ..compute import (
    MAX_CHARS,
    MAX_TOKENS,
    best_device,
    compute_dtype,
    encodable,
    length_batches,
    quiet_libraries,
    run_batches,
    single_threaded,
)
from ..progress import NoProgress, Progress
from .linear import inverse_regularisation

FROZEN_SHARE = 2 / 3
BATCH_ROWS = 16
# From the probe's start, 120 steps at a high rate reach what 350 reach, with confidence that
# means more: measured on 150 questions of six types, log loss 0.64 against 1.38 on unseen ones.
SMALLEST_STEPS = 150
RANDOM_HEAD_STEPS = 350
SMALLEST_EPOCHS = 5
LEARNING_RATE = 4e-4
WEIGHT_DECAY = 0.01
WARM_UP = 0.1
LARGEST_GRADIENT = 1.0
LABEL_SMOOTHING = 0.1
# The head's features have variance 1; scaled by this they stay where tanh is nearly straight.
PROBE_SCALE = 0.2
# How much the mean of all tokens outweighs the first token in the pooling layer.
POOLING_GAIN = 20.0
_BATCH_TOKENS = 2_048


@dataclass(frozen=True, slots=True)
class Rows:
    """Training rows: texts, label indices, weights; aligned."""

    texts: list[str]
    labels: NDArray[np.int64]
    weights: NDArray[np.float32]


class Classifier:
    """A transformer classifier with its tokeniser."""

    def __init__(self, model: Any, tokenizer: Any, device: torch.device) -> None:
        self.model = model.to(device).eval()
        self.tokenizer = tokenizer
        self.device = device

    def tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, at most 256."""
        if not texts:
            return []
        limit = min(MAX_TOKENS, int(self.tokenizer.model_max_length))
        cut = [encodable(text[:MAX_CHARS]) for text in texts]
        with quiet_libraries():
            found = self.tokenizer(cut, truncation=True, max_length=limit)["input_ids"]
        return [list(ids) for ids in found]

    def batch(self, rows: Sequence[list[int]]) -> dict[str, Tensor]:
        """Rows of token ids as padded tensors on the device."""
        ids = torch.full((len(rows), max(map(len, rows))), self.tokenizer.pad_token_id)
        mask = torch.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = torch.tensor(row)
            mask[place, : len(row)] = 1
        return {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device)}

    def probabilities(self, texts: Sequence[str], progress: Progress) -> NDArray[np.float32]:
        """Class probabilities (n, C), longest texts first."""
        tokens = self.tokenise(texts)
        result = np.empty((len(tokens), self.model.config.num_labels), dtype=np.float32)
        model = _for_inference(self.model, compute_dtype(self.device))

        def work(rows: NDArray[np.int64]) -> NDArray[np.float32]:
            with torch.inference_mode():
                logits = model(**self.batch([tokens[row] for row in rows])).logits
                found: NDArray[np.float32] = logits.float().softmax(dim=1).cpu().numpy()
            return found

        batches = token_batches(tokens)
        with progress.task("Predicting", len(tokens)) as task:
            run_batches(work, batches, result, device=self.device, task=task)
        return result

    def trained_arrays(self) -> list[NDArray[Any]]:
        """The weights that training changes, in the order of their names."""
        state = self.model.state_dict()
        frozen = _frozen_names(self.model)
        return [state[name].cpu().numpy() for name in sorted(state) if name not in frozen]

    def save(self, folder: Path) -> None:
        """Write model and tokeniser the way `transformers` does."""
        with quiet_libraries():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)


def open_classifier(location: str, label_names: list[str], seed: int) -> Classifier:
    """The transformer at `location` with a new head for these labels.

    Raises:
        UserError: no transformer there, or one whose layers this module does not know.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    with quiet_libraries(), seeded(seed):
        try:
            config = AutoConfig.from_pretrained(location)
            pooled = config.model_type == "bert"
            config.num_hidden_layers += int(pooled)
            config.id2label = dict(enumerate(label_names))
            config.label2id = {name: index for index, name in enumerate(label_names)}
            model = AutoModelForSequenceClassification.from_pretrained(
                location,
                config=config,
                dtype=torch.float32,
            )
            tokenizer = AutoTokenizer.from_pretrained(location)
        except (OSError, ValueError) as error:
            raise UserError(
                f"no transformer to fine-tune at {location!r} ({' '.join(str(error).split())}): "
                "choose another encoder"
            ) from error
    _parts(model)
    if pooled:
        _make_mean_pooling(model.bert.encoder.layer[-1])
    return Classifier(model, tokenizer, best_device())


def reopen_classifier(folder: Path) -> Classifier:
    """The classifier that `Classifier.save` wrote."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    with quiet_libraries():
        try:
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise UserError(
                f"the model in {str(folder)!r} cannot be read "
                f"({' '.join(str(error).split())}): train and save it again"
            ) from error
    return Classifier(model, tokenizer, best_device())


def train(
    classifier: Classifier, rows: Rows, *, seed: int, progress: Progress
) -> tuple[int, float, tuple[str, ...]]:
    """Train the top layers and the head in place.

    Returns:
        Gradient steps, mean loss of the last tenth of them, notes.
    """
    model = classifier.model
    cut = _cut(model)
    hidden, first = _frozen_outputs(classifier, rows.texts, cut)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in _frozen_names(model))
    probed = _start_as_probe(model, first, rows)
    least = SMALLEST_STEPS if probed else RANDOM_HEAD_STEPS
    steps = max(least, SMALLEST_EPOCHS * math.ceil(len(rows.texts) / BATCH_ROWS))
    bar = progress.task("Training", steps)
    with seeded(seed), single_threaded(), _only_top(model, cut), bar as task:
        losses = []
        optimiser, schedule = _optimiser(model, steps)
        labels = torch.from_numpy(rows.labels).to(classifier.device)
        weights = torch.from_numpy(rows.weights).to(classifier.device)
        model.train()
        for chosen in _shuffled(len(rows.texts), steps, seed):
            index = torch.from_numpy(chosen).to(classifier.device)
            loss = _loss(model, [hidden[row] for row in chosen], labels[index], weights[index])
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
            task.advance()
        optimiser.zero_grad(set_to_none=True)
        model.eval()
    start = "as a logistic regression" if probed else "at random"
    notes = (f"{cut} bottom layers frozen, the head started {start}",)
    return steps, float(np.mean(losses[-max(1, steps // 10) :])), notes


def token_batches(tokens: list[list[int]]) -> list[NDArray[np.int64]]:
    """Rows of token ids in batches of about 2,000 tokens, longest first."""
    return list(length_batches([len(ids) for ids in tokens], _BATCH_TOKENS, cap=MAX_TOKENS))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch draws from `seed` within, and goes on as before after."""
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


class _Given(nn.Module):
    """In place of the embeddings: hands on the hidden states given to the model."""

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        for value in (*args, *kwargs.values()):
            if isinstance(value, Tensor) and value.is_floating_point() and value.ndim == 3:
                return value
        raise AssertionError("no hidden states given")


def _parts(model: Any) -> tuple[nn.Module, nn.Module]:
    """The base model and the module whose `layer` is the list of layers."""
    base = model.base_model
    stack = getattr(base, "encoder", None) or getattr(base, "transformer", None)
    if not hasattr(base, "embeddings") or not isinstance(
        getattr(stack, "layer", None), nn.ModuleList
    ):
        raise UserError(
            f"{type(model).__name__!r} is not laid out like BERT: choose an encoder of the BERT "
            "family, or use --learner linear"
        )
    return base, cast(nn.Module, stack)


def _pooling_layers(model: Any) -> int:
    # The layer that `open_classifier` adds; only BERT gets one.
    return int(model.config.model_type == "bert")


def _cut(model: Any) -> int:
    layers = len(_layers(model)) - _pooling_layers(model)
    return min(layers - 1, round(layers * FROZEN_SHARE))


def _layers(model: Any) -> list[nn.Module]:
    return list(_parts(model)[1].layer)  # type: ignore[arg-type]


def _frozen_names(model: Any) -> set[str]:
    layers = _layers(model)
    frozen = [_parts(model)[0].embeddings, *layers[: _cut(model)]]
    frozen += layers[len(layers) - _pooling_layers(model) :]
    kept = {id(p) for module in frozen for p in module.parameters()}  # type: ignore[union-attr]
    return {name for name, parameter in model.named_parameters() if id(parameter) in kept}


@contextmanager
def _only_top(model: Any, cut: int) -> Iterator[None]:
    """Within, the model consists of the layers from `cut` on and takes their input."""
    base, stack = _parts(model)
    embeddings, layers = base.embeddings, stack.layer
    base.embeddings, stack.layer = _Given(), nn.ModuleList(list(layers)[cut:])  # type: ignore[arg-type]
    try:
        yield
    finally:
        base.embeddings, stack.layer = embeddings, layers


def _frozen_outputs(
    classifier: Classifier, texts: list[str], cut: int
) -> tuple[list[Tensor], NDArray[np.float32]]:
    """Input of layer `cut` for each text (tokens, dim), and the first token's last output."""
    tokens = classifier.tokenise(texts)
    hidden: list[Tensor] = [torch.empty(0)] * len(tokens)
    first = np.empty((len(tokens), classifier.model.config.hidden_size), dtype=np.float32)

    def work(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        with torch.no_grad():
            batch = classifier.batch([tokens[row] for row in rows])
            states = classifier.model.base_model(**batch, output_hidden_states=True).hidden_states
        for place, row in enumerate(rows):
            hidden[row] = states[cut][place, : len(tokens[row])].clone()
        found: NDArray[np.float32] = states[-1][:, 0].float().cpu().numpy()
        return found

    with NoProgress().task("", len(tokens)) as task:
        run_batches(work, token_batches(tokens), first, device=classifier.device, task=task)
    return hidden, first


def _make_mean_pooling(layer: Any) -> None:
    """Set the weights of a BERT layer so that each token comes out as the mean of all tokens.

    Queries of zero attend to all tokens alike; values pass unchanged; the gain drowns what the
    token itself was; the feed-forward part adds nothing. The layer norms bring the mean to
    variance 1. So the first token, which the standard head reads, is what the encoder was
    trained to give as the vector of the text.
    """
    width = layer.output.dense.out_features
    attention = layer.attention
    with torch.no_grad():
        for linear in (attention.self.query, attention.self.key, layer.output.dense):
            linear.weight.zero_()
            linear.bias.zero_()
        attention.self.value.weight.copy_(torch.eye(width))
        attention.output.dense.weight.copy_(POOLING_GAIN * torch.eye(width))
        attention.self.value.bias.zero_()
        attention.output.dense.bias.zero_()
        for norm in (attention.output.LayerNorm, layer.output.LayerNorm):
            norm.weight.fill_(1.0)
            norm.bias.zero_()


def _start_as_probe(model: Any, first: NDArray[np.float32], rows: Rows) -> bool:
    """Set pooler and classifier so that the untouched model is a linear probe."""
    pooler = getattr(getattr(model.base_model, "pooler", None), "dense", None)
    if not isinstance(pooler, nn.Linear) or not isinstance(model.classifier, nn.Linear):
        return False
    from sklearn.linear_model import LogisticRegression

    classes = model.config.num_labels
    strength = inverse_regularisation(classes) / (PROBE_SCALE**2 * first.shape[1])
    probe = LogisticRegression(C=strength, max_iter=500)
    probe.fit(np.tanh(PROBE_SCALE * first), rows.labels, sample_weight=rows.weights)
    coefficients, intercept = probe.coef_, probe.intercept_
    if classes == 2:
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    with torch.no_grad():
        pooler.weight.copy_(PROBE_SCALE * torch.eye(first.shape[1]))
        pooler.bias.zero_()
        model.classifier.weight.copy_(torch.from_numpy(coefficients))
        model.classifier.bias.copy_(torch.from_numpy(intercept))
    return True


def _optimiser(model: Any, steps: int) -> tuple[Any, Any]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=LEARNING_RATE, fused=True)
    warm = max(1, round(WARM_UP * steps))

    def rate(step: int) -> float:
        return (step + 1) / warm if step < warm else max(0.0, (steps - step) / max(1, steps - warm))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


def _shuffled(count: int, steps: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """`steps` batches of row numbers; every row once before any row again."""
    generator = np.random.default_rng(seed)
    queue = generator.permutation(count)
    for _ in range(steps):
        while len(queue) < min(BATCH_ROWS, count):
            queue = np.concatenate([queue, generator.permutation(count)])
        yield queue[:BATCH_ROWS]
        queue = queue[BATCH_ROWS:]


def _loss(model: Any, hidden: list[Tensor], labels: Tensor, weights: Tensor) -> Tensor:
    states = nn.utils.rnn.pad_sequence(hidden, batch_first=True)
    lengths = torch.tensor([len(row) for row in hidden], device=states.device)
    mask = (torch.arange(states.shape[1], device=states.device) < lengths[:, None]).long()
    dtype = compute_dtype(states.device)
    with torch.autocast(states.device.type, dtype=dtype, enabled=dtype != torch.float32):
        logits = model(inputs_embeds=states, attention_mask=mask).logits
    losses = nn.functional.cross_entropy(
        logits.float(), labels, reduction="none", label_smoothing=LABEL_SMOOTHING
    )
    return (losses * weights).sum() / weights.sum()


def _for_inference(model: Any, dtype: torch.dtype) -> Any:
    if dtype == torch.float32:
        return model
    fast = copy.deepcopy(model).to(dtype)
    # The logits decide; in bfloat16 they would have three digits only.
    fast.classifier.float()
    fast.classifier.register_forward_pre_hook(_to_float)
    return fast


def _to_float(_module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(argument.float() for argument in arguments)
