"""What a chat model would be asked in a run, and what that may cost: an upper estimate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..models.llm.base import Request
from ..store.spec import LabelSpec
from ..tools.budget import LabelPlan
from .gateways import names_by_role, price_of
from .options import Options

SAMPLED = 50
"""Texts whose prompts are really made and counted."""
ANSWER_TOKENS = 80
"""An assumption, said where it is used: a label with a reason of a sentence or two."""


def model_estimate(
    options: Options,
    labels: Sequence[LabelSpec],
    texts: Sequence[str],
    plan: LabelPlan,
    unique: int,
) -> list[dict[str, Any]]:
    """Calls, tokens and money of a run for each chat model that is asked about each item.

    The rounds are counted as they are planned, all gold items there may be once a round since the
    examples shown change, and then the whole pool, which is asked about where the models are better
    than the classifier. Prompts are counted by the back end, which counts rather too many tokens.
    """
    from ..models.chat import load_backend

    if options.annotator == "embedded" or not labels:
        return []
    rounds = plan.rounds * (round(1.2 * plan.batch) + plan.gold + plan.reserve)
    calls = rounds + unique
    found: list[dict[str, Any]] = []
    for role, name in names_by_role(options).items():
        backend = None if role == "strong" else load_backend(name)
        if backend is None:
            continue
        tokens = _prompt_tokens(options, labels, texts, backend.count)
        price = price_of(options, role, backend)
        usd = None if price is None else round(calls * price.usd(tokens, ANSWER_TOKENS), 4)
        found.append(
            {
                "model": backend.name,
                "calls_in_rounds": rounds,
                "calls_at_most": calls,
                "tokens_a_call": tokens,
                "usd_at_most": usd,
            }
        )
    return found


def _prompt_tokens(
    options: Options,
    labels: Sequence[LabelSpec],
    texts: Sequence[str],
    count: Callable[[Request], int],
) -> int:
    """Mean tokens of a prompt without examples, and of the eight examples that are shown."""
    from ..tools.annotators.annotator import LLMAnnotator
    from ..tools.annotators.entities import Entities
    from ..tools.annotators.items import Item
    from ..tools.annotators.labelling import SingleLabel
    from ..tools.annotators.prompting import Instructions

    step = max(1, len(texts) // SAMPLED)
    items = [Item(str(n), text) for n, text in enumerate(texts[::step][:SAMPLED])]
    kind = Entities if options.entities else SingleLabel
    annotator: LLMAnnotator[Any] = LLMAnnotator(
        [_Nobody()], kind(tuple(labels)), Instructions(options.goal, options.guidelines)
    )
    prompt = [count(request) for request in annotator.requests(items)]
    example = sum(len(item.text) for item in items) / len(items) / 4 + ANSWER_TOKENS / 4
    return round(sum(prompt) / len(prompt) + 8 * example)


class _Nobody:
    """Stands where a model is named and none is asked."""

    name = "plan"

    def ask(self, requests: Any, *, why: str = "", repairs: int = 1) -> Any:
        """Never called: a plan asks nobody."""
        raise RuntimeError("a plan asked a chat model")
