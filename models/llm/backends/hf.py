"""Any causal language model of transformers, in this process; choices are scored exactly.

Transformers has no schema to hold an answer to, so there are two ways:

- Where the request has `choices` and nothing but a label is wanted (no schema, or one whose only
  required field is `label`), the answer is not written but chosen: each choice's whole answer,
  `{"label": "CHOICE"}` or the bare choice and the end of the turn, gets the sum of the
  log-probabilities of its tokens after the prompt (`choice_logprobs`), and the likeliest is the
  answer; at a temperature it is drawn in proportion.
- Else the schema, or the tools, are described in the prompt and the answer is written freely.

What the prompts of one call all begin with, the instructions mostly, is read once for all of them.
A file of llama.cpp (GGUF) is a model too: its weights are unpacked when it is loaded.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ....store.errors import OperatorError
from ...compute import best_device, compute_dtype, length_batches, quiet_libraries
from ..base import Failure, Message, Reply, Request
from .forms import call_in, draw_seed, schema_in_words, tools_in_words, with_instruction
from .gguf_file import Source, quiet_reading, source_of
from .vllm_engine import chat_tokens

if TYPE_CHECKING:
    import torch

    from .hf_model import Shared

BATCH = 32
"""Requests at once: on a processor they take some seconds, in which nobody sees a bar move."""
_TOKENS = {"cpu": 4_096, "cuda": 65_536}
"""Tokens of a batch, padding included, by where it runs."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready."""

    model: Any
    tokenizer: Any
    device: torch.device
    length: int
    """Tokens it takes, prompt and answer together."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request's place in its batch, and its tokens."""

    place: int
    request: Request
    tokens: list[int]


class TransformersBackend:
    """Asks a model of transformers, which is loaded by the first question.

    In bfloat16 where the machine computes in it. What is written at a temperature depends on the
    request and its seed, not on the requests beside it, but for rounding.
    """

    batch = BATCH
    concurrency = 1
    price_of = None

    def __init__(self, model: str) -> None:
        """Ask the model `model`.

        Args:
            model: a folder or a name on the hub, or a GGUF file in either of them.

        Raises:
            UserError: a GGUF file that is none, or that nothing installed here reads.
        """
        self.identity = self.name = f"hf:{model}"
        self._source = source_of(model)
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None

    async def complete(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Answer each request, in order; see `Backend.complete`."""
        with self._lock:
            return self._answer(requests)

    def count(self, request: Request) -> int:
        """Tokens of the request as the model's chat template writes it."""
        with self._lock:
            return len(_tokens(self._ready(), request))

    async def close(self) -> None:
        """Give the memory back; the next question loads the model again."""
        with self._lock:
            self._loaded = None

    def _ready(self) -> Loaded:
        if self._loaded is None:
            self._loaded = _load(self.name, self._source)
        return self._loaded

    def _answer(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        from .hf_model import read_shared

        ready = self._ready()
        found: list[Reply | Failure] = [Failure("request", "not asked")] * len(requests)
        groups: dict[Hashable, list[Prompt]] = {}
        for place, request in enumerate(requests):
            prompt = Prompt(place, request, _tokens(ready, request))
            needed = len(prompt.tokens) + _least(ready, request)
            if needed > ready.length:
                said = f"{needed} tokens: the model takes {ready.length}"
                found[place] = Failure("context", said)
            else:
                groups.setdefault(_group(request), []).append(prompt)
        for group in groups.values():
            work = score if chooses(group[0].request) else write
            shared = read_shared(ready, [prompt.tokens for prompt in group])
            budget = _TOKENS[ready.device.type] // (1 + len(group[0].request.choices) // 8)
            lengths = [len(prompt.tokens) for prompt in group]
            for rows in length_batches(lengths, budget, cap=ready.length):
                batch = [group[row] for row in rows]
                for prompt, reply in zip(batch, _spared(work, ready, batch, shared), strict=True):
                    found[prompt.place] = reply
        return found


def chooses(request: Request) -> bool:
    """Whether the answer is one of the choices and nothing else."""
    if not request.choices or request.tools:
        return False
    if request.schema is None:
        return True
    required = [name for name, each in request.schema.model_fields.items() if each.is_required()]
    return required == ["label"]


def score(ready: Loaded, batch: Sequence[Prompt], shared: Shared) -> list[Reply]:
    """Choose an answer for each prompt; all have the same choices, and begin with `shared`."""
    from .hf_model import score_answers

    answers = [_answer_text(batch[0].request, choice) for choice in batch[0].request.choices]
    tokens = _answer_tokens(ready, batch[0].request)
    scores = score_answers(ready, [prompt.tokens for prompt in batch], tokens, shared)
    replies = []
    for prompt, row in zip(batch, scores, strict=True):
        chosen = _drawn(prompt.request, row)
        replies.append(
            Reply(
                answers[chosen],
                tokens_in=len(prompt.tokens),
                tokens_out=len(tokens[chosen]),
                choice_logprobs=tuple(row),
            )
        )
    return replies


def write(ready: Loaded, batch: Sequence[Prompt], shared: Shared) -> list[Reply]:
    """Let the model write an answer to each prompt; all want the same temperature and so on."""
    from .hf_model import write_answers

    first = batch[0].request
    written = write_answers(
        ready,
        [prompt.tokens for prompt in batch],
        temperature=first.temperature,
        max_tokens=first.max_tokens,
        seeds=[draw_seed(prompt.request) for prompt in batch],
        logprobs=first.logprobs,
        shared=shared,
    )
    return [
        Reply(
            text=each.text,
            calls=call_in(each.text) if prompt.request.tools else (),
            tokens_in=len(prompt.tokens),
            tokens_out=each.length,
            finish="stop" if each.ended else "length",
            tokens=each.tokens,
        )
        for prompt, each in zip(batch, written, strict=True)
    ]


def _load(name: str, source: Source) -> Loaded:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = best_device()
    try:
        with quiet_libraries(), quiet_reading(source):
            tokenizer = AutoTokenizer.from_pretrained(source.where, **source.options)
            model = AutoModelForCausalLM.from_pretrained(
                source.where, dtype=compute_dtype(device), **source.options
            )
    except Exception as error:
        # A file that is cut short fails wherever its readers find nothing they understand.
        if source.file is None and not isinstance(error, OSError | ValueError | RuntimeError):
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        wanted = "a folder or a model on the hub" if source.file is None else "a whole GGUF file"
        raise OperatorError(f"transformers cannot load {name!r}: {said}; name {wanted}") from error
    length = getattr(model.config, "max_position_embeddings", None) or tokenizer.model_max_length
    placed: Any = model
    return Loaded(placed.to(device).eval(), tokenizer, device, int(length))


def _tokens(ready: Loaded, request: Request) -> list[int]:
    messages: Sequence[Message] = request.messages
    if request.tools:
        messages = with_instruction(messages, tools_in_words(request.tools))
    elif request.schema is not None:
        messages = with_instruction(messages, schema_in_words(request.schema))
    with quiet_libraries():
        return chat_tokens(ready.tokenizer, messages)


def _group(request: Request) -> Hashable:
    """Requests of one group can be in one batch."""
    if chooses(request):
        return request.choices, request.schema is None
    return request.temperature, request.max_tokens, request.logprobs


def _least(ready: Loaded, request: Request) -> int:
    """Tokens that must fit after the prompt."""
    return max(map(len, _answer_tokens(ready, request))) if chooses(request) else 1


def _answer_text(request: Request, choice: str) -> str:
    return choice if request.schema is None else json.dumps({"label": choice}, ensure_ascii=False)


def _answer_tokens(ready: Loaded, request: Request) -> list[list[int]]:
    """Each choice's answer as tokens.

    A bare choice ends with the end of the turn, or one that begins another would always win.
    """
    texts = [_answer_text(request, choice) for choice in request.choices]
    tokens = [ready.tokenizer.encode(text, add_special_tokens=False) for text in texts]
    end = ready.tokenizer.eos_token_id
    if request.schema is None and end is not None:
        return [[*each, end] for each in tokens]
    return tokens


def _drawn(request: Request, scores: Sequence[float]) -> int:
    """The likeliest choice; at a temperature one drawn in proportion."""
    values = np.asarray(scores)
    if request.temperature <= 0:
        return int(values.argmax())
    # The maximum of Gumbel noise added to log-probabilities is a draw from them.
    noise = np.random.default_rng(draw_seed(request)).gumbel(size=len(values))
    return int((values / request.temperature + noise).argmax())


def _spared(
    work: Callable[[Loaded, Sequence[Prompt], Shared], list[Reply]],
    ready: Loaded,
    batch: Sequence[Prompt],
    shared: Shared,
) -> list[Reply | Failure]:
    """The replies of a batch; one that is too much for the memory is halved."""
    import torch

    try:
        return list(work(ready, batch, shared))
    except torch.OutOfMemoryError as error:
        if len(batch) == 1:
            return [Failure("server", f"out of memory: {error}")]
    half = len(batch) // 2
    return [
        *_spared(work, ready, batch[:half], shared),
        *_spared(work, ready, batch[half:], shared),
    ]
