"""What a model of transformers computes: log-probabilities of given answers, and new answers.

Prompts of one batch mostly begin with the same instructions. What they share is read once
(`read_shared`), and its keys and values stand before every prompt of the batch.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...compute import quiet_libraries
from ..base import Token
from .protocol import TOP

if TYPE_CHECKING:
    import torch

    from .hf import Loaded

_LOGITS = 1 << 26
"""Numbers of a batch's output that are held at once: 256 MB."""
_WORTH = 16
"""Tokens that prompts must share before they are read apart from the rest."""
_CIRCLE, _TIMES, _CIRCLING, _LOOK = 128, 3, 96, 32
"""An answer goes round in a circle when it ends in three times the same at most 128 tokens, and in
at least 96 tokens of that; that is looked for every 32 tokens."""
_PLAIN = {"DynamicLayer", "DynamicSlidingWindowLayer"}
"""Layers that keep nothing but keys and values: what others keep would also take in the padding
between what is shared and the rest."""


@dataclass(frozen=True, slots=True)
class Written:
    """An answer that a model wrote."""

    text: str
    length: int
    """Tokens of it, the end of the turn included."""
    ended: bool
    """Whether it came to its end before the limit."""
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Shared:
    """Tokens with which prompts begin, and their keys and values, which stay as they are."""

    length: int
    cache: Any

    def copies(self, rows: int) -> Any:
        """Keys and values for so many prompts, of their own; `None` where nothing is shared."""
        if not self.length:
            return None
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(rows)
        return cache


NOTHING = Shared(0, None)


def read_shared(ready: Loaded, prompts: Sequence[list[int]]) -> Shared:
    """Read once what all prompts begin with; nothing where that is not worth it.

    Each prompt keeps at least one token of its own, after which the answer begins.
    """
    import torch

    length = min(shared_length(prompts), min(map(len, prompts)) - 1)
    if len(prompts) < 2 or length < _WORTH:
        return NOTHING
    ids = torch.tensor([prompts[0][:length]], device=ready.device)
    with torch.inference_mode():
        read = ready.model(input_ids=ids, use_cache=True, logits_to_keep=1)
    if {type(layer).__name__ for layer in getattr(read.past_key_values, "layers", [None])} - _PLAIN:
        return NOTHING
    return Shared(length, read.past_key_values)


def shared_length(rows: Sequence[list[int]]) -> int:
    """How many tokens all rows begin with."""
    # What the first and the last of sorted rows share, all between them do.
    first, last = min(rows), max(rows)
    for place, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return place
    return min(len(first), len(last))


def score_answers(
    ready: Loaded,
    prompts: Sequence[list[int]],
    answers: Sequence[list[int]],
    shared: Shared = NOTHING,
) -> list[list[float]]:
    """Log-probability of each answer after each prompt: the sum over the answer's tokens.

    The prompt, and what all answers begin with, is read once; its keys and values serve all
    answers.

    Args:
        ready: the model.
        prompts: token numbers.
        answers: token numbers, at least one an answer, all different.
        shared: what the prompts begin with, where that was read.

    Returns:
        One row a prompt, one number an answer, natural logarithms of at most 0.
    """
    import torch

    begin = min(shared_length(answers), min(map(len, answers)) - 1)
    head, tails = answers[0][:begin], [answer[begin:] for answer in answers]
    with torch.inference_mode():
        ids, mask = _padded(ready, [prompt + head for prompt in prompts], shared)
        places = (mask.cumsum(1) - 1).clamp(min=0)
        read = ready.model(
            input_ids=ids[:, shared.length :],
            attention_mask=mask,
            position_ids=places[:, shared.length :],
            past_key_values=shared.copies(len(prompts)),
            use_cache=True,
            logits_to_keep=begin + 1,
        )
        steps = read.logits.float().log_softmax(-1)
        first, longest = steps[:, -1], max(map(len, tails))
        share = max(1, _LOGITS // (len(prompts) * longest * first.shape[1]))
        parts = [
            _score_some(ready, read.past_key_values, mask, first, tails[start : start + share])
            for start in range(0, len(tails), share)
        ]
        total = torch.cat(parts, dim=1)
        if begin:
            said = torch.tensor(head, device=ready.device).expand(len(prompts), begin)
            total = total + steps[:, :-1].gather(2, said[:, :, None]).squeeze(2).sum(1, True)
        found: list[list[float]] = total.tolist()
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
    seeds: Sequence[int],
    logprobs: bool,
    shared: Shared = NOTHING,
) -> list[Written]:
    """Let the model go on after each prompt until it ends its turn.

    Args:
        ready: the model.
        prompts: token numbers.
        temperature: 0 for the likeliest token each time.
        max_tokens: most tokens of an answer, at least 1; fewer where the model's length ends.
        seeds: of each prompt's draws, which do not depend on the prompts beside it.
        logprobs: whether tokens come with their log-probabilities (before the temperature).
        shared: what the prompts begin with, where that was read.

    Returns:
        One answer a prompt. One that only repeats itself any more is cut off before the limit.
    """
    import torch

    ids, mask = _padded(ready, prompts, shared)
    recorder = _Recorder() if logprobs else None
    steps: list[Any] = [] if recorder is None else [recorder]
    loops = _Loops(ids.shape[1])
    if temperature > 0:
        steps.append(_Drawer(temperature, seeds))
    with torch.inference_mode(), quiet_libraries():
        found = ready.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=min(max_tokens, ready.length - ids.shape[1]),
            pad_token_id=_pad(ready),
            past_key_values=shared.copies(len(prompts)),
            logits_processor=steps,
            stopping_criteria=[loops],
            do_sample=False,
        )[:, ids.shape[1] :]
    scored = [] if recorder is None else recorder.finish(found, ready.tokenizer)
    return [
        _written(ready, row[: loops.cut.get(place)], scored[place] if scored else [])
        for place, row in enumerate(found.tolist())
    ]


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


class _Loops:
    """Ends answers that go round in a circle: a stopping criterion.

    Small models fall into that, and would fill thousands of tokens before the limit ends them.
    """

    def __init__(self, start: int) -> None:
        self._start = start
        self.cut: dict[int, int] = {}
        """Row to the tokens of its answer, where it was ended here."""

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        import torch

        length = input_ids.shape[1] - self._start
        ended = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        if length % _LOOK == 0:
            for period in range(1, _CIRCLE + 1):
                span = max(_TIMES * period, _CIRCLING)
                if span > length:
                    break
                tail = input_ids[:, -span:]
                ended |= (tail[:, period:] == tail[:, :-period]).all(dim=1)
            for row in ended.nonzero().flatten().tolist():
                self.cut.setdefault(row, length)
        return ended


class _Drawer:
    """Draws each prompt's next token with numbers of its own: a logits processor.

    The drawn token is the only one left, so the likeliest that is then taken is that one. Drawn by
    the library instead, all prompts of a batch would share one sequence of random numbers: only
    those of one seed could be written together, and each would change the others.
    """

    def __init__(self, temperature: float, seeds: Sequence[int]) -> None:
        self._temperature = temperature
        self._numbers = [np.random.default_rng(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        import torch

        # In double precision: a sum of 100,000 small numbers has to be told from its neighbours.
        reached = (scores.double() / self._temperature).softmax(-1).cumsum(-1)
        numbers = [[each.random()] for each in self._numbers]
        wanted = torch.tensor(numbers, dtype=reached.dtype, device=reached.device)
        drawn = torch.searchsorted(reached, wanted * reached[:, -1:], right=True)
        only = torch.full_like(scores, -torch.inf)
        return only.scatter(1, drawn.clamp(max=scores.shape[1] - 1), 0.0)


def _written(ready: Loaded, row: list[int], scored: list[Token]) -> Written:
    end = ready.model.generation_config.eos_token_id
    ends = set(end if isinstance(end, list) else [end])
    length = next((k + 1 for k, token in enumerate(row) if token in ends), len(row))
    ended = bool(row) and row[length - 1] in ends
    text = ready.tokenizer.decode(row[:length], skip_special_tokens=True)
    return Written(text, length, ended, tuple(scored[:length]))


def _padded(
    ready: Loaded, prompts: Sequence[list[int]], shared: Shared
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token numbers and mask, (prompts, longest) each.

    Shorter ones are padded after what is shared and before the rest.
    """
    import torch

    longest = max(map(len, prompts))
    pad = _pad(ready)
    first, gaps = shared.length, [longest - len(each) for each in prompts]
    ids = [
        each[:first] + [pad] * gap + each[first:] for gap, each in zip(gaps, prompts, strict=True)
    ]
    mask = [[1] * first + [0] * gap + [1] * (longest - first - gap) for gap in gaps]
    return torch.tensor(ids, device=ready.device), torch.tensor(mask, device=ready.device)


def _pad(ready: Loaded) -> int:
    found = ready.tokenizer.pad_token_id
    return int(found if found is not None else ready.tokenizer.eos_token_id or 0)
