"""P(true): the model is shown an answer and asked whether it is right.

The score is the probability of yes against no by the tokens of the second answer (Kadavath et al.
2022, "Language models (mostly) know what they know"). Without log-probabilities there is
none: a bare yes is no probability.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, Literal

from ...models.llm.base import Answer, Asker, Request
from .confidence import choice_probabilities, label_probabilities
from .items import Item, LLMAnnotation, V
from .prompting import Instructions, check_messages, checking
from .tasks import Task, schema_of

ANSWERS = ("yes", "no")
TOKENS = 32
WHY = "check"


class Truth(Generic[V]):
    """Asks of each annotation whether it is right, and makes that its score."""

    def __init__(self, task: Task[V], instructions: Instructions, seed: int) -> None:
        """Write the system message."""
        self._task, self._seed = task, seed
        self._system, self._prompt = checking(task, instructions)
        self._schema = schema_of("Verdict", {"label": (Literal["yes", "no"], ...)})

    @property
    def digest(self) -> str:
        """16 hex digits over what is said."""
        said = f"{self._prompt.digest}\n{self._system}"
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def add(
        self, asker: Asker, items: Sequence[Item], annotations: Sequence[LLMAnnotation[V]]
    ) -> list[LLMAnnotation[V]]:
        """The annotations with their scores; one without a label is not asked about.

        Args:
            asker: whom to ask.
            items: as they were shown, in the order of the annotations.
            annotations: what was said of them.
        """
        places = [place for place, each in enumerate(annotations) if each.label is not None]
        requests = [self._request(items[place], annotations[place]) for place in places]
        found = list(annotations)
        for place, answer in zip(places, asker.ask(requests, why=WHY), strict=True):
            found[place] = _scored(found[place], answer)
        return found

    def _request(self, item: Item, annotation: LLMAnnotation[V]) -> Request:
        assert annotation.label is not None
        messages = check_messages(self._system, self._prompt, self._task, item, annotation.label)
        return Request(
            messages,
            schema=self._schema,
            choices=ANSWERS,
            max_tokens=TOKENS,
            seed=self._seed,
            logprobs=True,
            item=item.shown,
        )


def _scored(annotation: LLMAnnotation[V], answer: Answer) -> LLMAnnotation[V]:
    score = _yes(answer) if answer.ok else None
    issues = () if answer.ok else (f"no P(true): {answer.status}: {answer.error}",)
    return replace(
        annotation,
        score=score,
        answers=(*annotation.answers, answer.key),
        issues=(*annotation.issues, *issues),
        usd=annotation.usd + answer.usd,
        tokens_in=annotation.tokens_in + answer.tokens_in,
        tokens_out=annotation.tokens_out + answer.tokens_out,
    )


def _yes(answer: Answer) -> float | None:
    if answer.choice_logprobs is not None:
        return float(choice_probabilities(answer.choice_logprobs, ANSWERS)[0])
    found = label_probabilities(answer.tokens, ANSWERS)
    return None if found is None or found.distribution is None else found.distribution[0]
