"""What a model of transformers computes: log-probabilities of given answers, and new answers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...compute import quiet_libraries
from ..base import Token
from .protocol import TOP

if TYPE_CHECKING:
    import torch

    from .hf import Loaded

_LOGITS = 1 << 26
"""Numbers of a batch's output that are held at once: 256 MB."""


@dataclass(frozen=True, slots=True)
class Written:
    """An answer that a model wrote."""

    text: str
    length: int
    """Tokens of it, the end of the turn included."""
    ended: bool
    """Whether it came to its end before the limit."""
    tokens: tuple[Token, ...]


def score_answers(
    ready: Loaded, prompts: Sequence[list[int]], answers: Sequence[list[int]]
) -> list[list[float]]:
    """Log-probability of each answer after each prompt: the sum over the answer's tokens.

    The prompt is read once; its keys and values serve all answers.

    Returns:
        One row a prompt, one number an answer, natural logarithms of at most 0.
    """
    import torch

    with torch.inference_mode():
        ids, mask = _padded(ready, prompts)
        places = (mask.cumsum(1) - 1).clamp(min=0)
        read = ready.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=places,
            use_cache=True,
            logits_to_keep=1,
        )
        first = read.logits[:, -1].float().log_softmax(-1)
        longest = max(map(len, answers))
        share = max(1, _LOGITS // (len(prompts) * longest * first.shape[1]))
        parts = [
            _score_some(ready, read.past_key_values, mask, first, answers[start : start + share])
            for start in range(0, len(answers), share)
        ]
        found: list[list[float]] = torch.cat(parts, dim=1).tolist()
    return found


def _score_some(
    ready: Loaded,
    read: Any,
    mask: torch.Tensor,
    first: torch.Tensor,
    answers: Sequence[list[int]],
) -> torch.Tensor:
    """(prompts, answers) log-probabilities.

    Args:
        ready: the model.
        read: keys and values of the prompts, which stay as they are.
        mask: (prompts, tokens) 1 where a prompt has a token.
        first: (prompts, words) log-probabilities of the answers' first tokens.
        answers: token numbers, one or more an answer.
    """
    import torch

    rows, count = mask.shape[0], len(answers)
    longest = max(map(len, answers))
    padded = [[*each, *[0] * (longest - len(each))] for each in answers]
    ids = torch.tensor(padded, device=ready.device).repeat(rows, 1)
    real = torch.tensor([[k < len(each) for k in range(longest)] for each in answers])
    real = real.to(ready.device).repeat(rows, 1)
    total = first.repeat_interleave(count, 0).gather(1, ids[:, :1]).squeeze(1)
    if longest > 1:
        cache = copy.deepcopy(read)
        cache.batch_repeat_interleave(count)
        before = mask.repeat_interleave(count, 0)
        places = before.sum(1, keepdim=True) + torch.arange(longest - 1, device=ready.device)
        logits = ready.model(
            input_ids=ids[:, :-1],
            attention_mask=torch.cat([before, real[:, :-1].to(before.dtype)], dim=1),
            position_ids=places,
            past_key_values=cache,
            use_cache=True,
        ).logits
        later = logits.float().log_softmax(-1).gather(2, ids[:, 1:, None]).squeeze(2)
        total = total + later.masked_fill(~real[:, 1:], 0.0).sum(1)
    return total.view(rows, count)


def write_answers(
    ready: Loaded,
    prompts: Sequence[list[int]],
    *,
    temperature: float,
    max_tokens: int,
    seed: int,
    logprobs: bool,
) -> list[Written]:
    """Let the model go on after each prompt until it ends its turn.

    Args:
        ready: the model.
        prompts: token numbers.
        temperature: 0 for the likeliest token each time.
        max_tokens: most tokens of an answer, at least 1; fewer where the model's length ends.
        seed: of the draws.
        logprobs: whether tokens come with their log-probabilities (before the temperature).
    """
    import torch

    ids, mask = _padded(ready, prompts)
    recorder = _Recorder() if logprobs else None
    how: dict[str, Any] = {"do_sample": False}
    if temperature > 0:
        how = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    devices = [ready.device] if ready.device.type == "cuda" else []
    with torch.inference_mode(), torch.random.fork_rng(devices=devices), quiet_libraries():
        torch.manual_seed(seed)
        found = ready.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=min(max_tokens, ready.length - ids.shape[1]),
            pad_token_id=_pad(ready),
            logits_processor=[] if recorder is None else [recorder],
            **how,
        )[:, ids.shape[1] :]
    scored = [] if recorder is None else recorder.finish(found, ready.tokenizer)
    rows = found.tolist()
    return [_written(ready, row, scored[place] if scored else []) for place, row in enumerate(rows)]


class _Recorder:
    """Keeps, at each step, the likeliest tokens and what the chosen one had: a logits processor.

    It comes before those that change the distribution, so it sees the model's own.
    """

    def __init__(self) -> None:
        self._top: list[tuple[Any, Any]] = []
        self._chosen: list[Any] = []
        self._last: Any = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self._choose(input_ids[:, -1:])
        self._last = scores.float().log_softmax(-1)
        self._top.append(self._last.topk(min(TOP, scores.shape[1])))
        return scores

    def _choose(self, chosen: torch.Tensor) -> None:
        if self._last is not None:
            self._chosen.append(self._last.gather(1, chosen).squeeze(1))

    def finish(self, found: torch.Tensor, tokenizer: Any) -> list[list[Token]]:
        """The tokens of each row of `found`, padding included."""
        self._choose(found[:, -1:])
        chosen = [step.tolist() for step in self._chosen]
        likely = [(step[0].tolist(), step[1].tolist()) for step in self._top]
        rows: list[list[Token]] = []
        for row, numbers in enumerate(found.tolist()):
            tokens = []
            for number, own, (values, places) in zip(numbers, chosen, likely, strict=True):
                top = zip(
                    tokenizer.batch_decode([[p] for p in places[row]]), values[row], strict=True
                )
                tokens.append(Token(tokenizer.decode([number]), own[row], tuple(top)))
            rows.append(tokens)
        return rows


def _written(ready: Loaded, row: list[int], scored: list[Token]) -> Written:
    end = ready.model.generation_config.eos_token_id
    ends = set(end if isinstance(end, list) else [end])
    length = next((k + 1 for k, token in enumerate(row) if token in ends), len(row))
    ended = bool(row) and row[length - 1] in ends
    text = ready.tokenizer.decode(row[:length], skip_special_tokens=True)
    return Written(text, length, ended, tuple(scored[:length]))


def _padded(ready: Loaded, prompts: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token numbers and mask, (prompts, longest) each, padded on the left."""
    import torch

    longest = max(map(len, prompts))
    pad = _pad(ready)
    ids = [[pad] * (longest - len(each)) + each for each in prompts]
    mask = [[0] * (longest - len(each)) + [1] * len(each) for each in prompts]
    return torch.tensor(ids, device=ready.device), torch.tensor(mask, device=ready.device)


def _pad(ready: Loaded) -> int:
    found = ready.tokenizer.pad_token_id
    return int(found if found is not None else ready.tokenizer.eos_token_id or 0)
