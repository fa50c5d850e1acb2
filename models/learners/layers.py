"""The anatomy of a transformer classifier: which layers are frozen, which are trained.

Imports torch, so it is itself imported only when a learner needs it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...store.errors import UserError

FROZEN_SHARE = 2 / 3
# A classifier gains from more trained layers: at 150 labels, one third frozen was 1 to 8 points
# better than two thirds on four data sets, in twice the time (docs/results/bert.md).
CLASSIFIER_SHARE = 1 / 3
# How much the mean of all tokens outweighs the first token in the pooling layer.
POOLING_GAIN = 20.0


def freeze(model: Any, frozen_layers: int | None) -> None:
    """Say how many layers, counted from the embeddings, are frozen; saved with the model.

    Args:
        model: a transformer classifier.
        frozen_layers: from 0 (the embeddings alone) to all; `None` for a third of them.

    Raises:
        UserError: the model has fewer layers.
    """
    layers = len(_layers(model)) - _pooling_layers(model)
    if frozen_layers is not None and not 0 <= frozen_layers <= layers:
        raise UserError(
            f"frozen_layers is {frozen_layers!r} for an encoder of {layers!r} layers: "
            f"give 0 to {layers!r}"
        )
    if frozen_layers is None:
        frozen_layers = round(layers * CLASSIFIER_SHARE)
    model.config.frozen_layers = frozen_layers


def cut_of(model: Any) -> int:
    """How many layers, counted from the embeddings, are frozen: what `freeze` said."""
    said: int | None = getattr(model.config, "frozen_layers", None)
    if said is not None:
        return said
    layers = len(_layers(model)) - _pooling_layers(model)
    return min(layers - 1, round(layers * FROZEN_SHARE))


def frozen_names(model: Any) -> set[str]:
    """Names of the parameters that training leaves alone."""
    layers = _layers(model)
    frozen = [*bottom_modules(model), *layers[len(layers) - _pooling_layers(model) :]]
    kept = {id(p) for module in frozen for p in module.parameters()}
    return {name for name, parameter in model.named_parameters() if id(parameter) in kept}


def bottom_modules(model: Any) -> list[nn.Module]:
    """The embeddings and the frozen layers."""
    return [cast(nn.Module, check_parts(model)[0].embeddings), *_layers(model)[: cut_of(model)]]


def check_parts(model: Any) -> tuple[nn.Module, nn.Module]:
    """The base model and the module whose `layer` is the list of layers.

    Raises:
        UserError: the model is not laid out like this.
    """
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


def copy_of_bottom(model: Any, dtype: torch.dtype) -> Any:
    """The base model up to the last frozen layer, copied."""
    base, stack = check_parts(model)
    with _replaced(base, base.embeddings, stack, list(stack.layer)[: cut_of(model)]):  # type: ignore[arg-type]
        return copy.deepcopy(base).to(dtype).eval()


@contextmanager
def only_top(model: Any, *, pooling: bool = True) -> Iterator[None]:
    """Within, the model consists of the layers above the frozen ones and takes their input.

    The pooling layer is replaced by its formula for the first token, which is all that the head
    reads: it would cost as much as a layer that learns. Without `pooling` it is left out, and
    the base model gives the states of every token.
    """
    base, stack = check_parts(model)
    layers = list(stack.layer)[cut_of(model) :]  # type: ignore[arg-type]
    if _pooling_layers(model):
        layers[-1:] = [_MeanOfTokens(layers[-1])] if pooling else []
    with _replaced(base, _Given(), stack, layers):
        yield


def add_mean_pooling(model: Any) -> None:
    """Set the weights of the last layer so that each token comes out as the mean of all tokens.

    Queries of zero attend to all tokens alike; values pass unchanged; the gain drowns what the
    token itself was; the feed-forward part adds nothing. The layer norms bring the mean to
    variance 1. So the first token, which the standard head reads, is what the encoder was
    trained to give as the vector of the text.
    """
    layer: Any = _layers(model)[-1]
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


class _Given(nn.Module):
    """In place of the embeddings: hands on the hidden states given to the model."""

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        for value in (*args, *kwargs.values()):
            if isinstance(value, Tensor) and value.is_floating_point() and value.ndim == 3:
                return value
        raise AssertionError("no hidden states given")


class _MeanOfTokens(nn.Module):
    """What the layer that `add_mean_pooling` set up gives for the first token."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.inner, self.outer = layer.attention.output.LayerNorm, layer.output.LayerNorm

    def forward(
        self, states: Tensor, attention_mask: Tensor | None = None, *_args: Any, **_kwargs: Any
    ) -> Tensor:
        mean = _mean(states, attention_mask).to(states.dtype)
        found: Tensor = self.outer(self.inner(POOLING_GAIN * mean + states[:, 0]))
        return found[:, None]


def _mean(states: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return states.float().mean(dim=1)
    row = mask[:, 0, 0, :]
    used = (row if row.dtype == torch.bool else row == 0).float()
    return torch.bmm(used[:, None], states.float())[:, 0] / used.sum(dim=1, keepdim=True)


def _pooling_layers(model: Any) -> int:
    # The layer that `open_classifier` adds; only BERT gets one, not a bare base model and not one
    # whose head reads every token and so has no pooler.
    whole = model.config.model_type == "bert" and model.base_model is not model
    return int(whole and model.base_model.pooler is not None)


def _layers(model: Any) -> list[nn.Module]:
    return list(check_parts(model)[1].layer)  # type: ignore[arg-type]


@contextmanager
def _replaced(base: Any, embeddings: Any, stack: Any, layers: list[nn.Module]) -> Iterator[None]:
    before = base.embeddings, stack.layer
    base.embeddings, stack.layer = embeddings, nn.ModuleList(layers)
    try:
        yield
    finally:
        base.embeddings, stack.layer = before
