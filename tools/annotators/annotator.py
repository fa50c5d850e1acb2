"""Annotation with chat models: every item comes back, in order, with a value or with the reason.

A *member* is one way to get an answer: a model, a variant of the prompt, a sample. With one member
its answer counts; with several their votes do. What was asked is recorded by the digest of the
prompt and the keys of the answers; the ledger of what it cost and the progress bar are the
gateway's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Generic

from ...models.llm.base import Answer, Asker, Request
from ...store.errors import UserError
from .calls import Call, Caller, Options, Slot, Vectors, shortened
from .committee import decide
from .demonstrations import Demonstrations
from .items import Item, LLMAnnotation, V
from .prior import content_free_items, without_prior
from .prompting import Instructions, Variant
from .reading import (
    Confidence,
    Said,
    mean_distribution,
    merged_orders,
    read_one,
    read_several,
    without_value,
)
from .tasks import Task
from .truth import Truth

WHY = "annotate"
SAMPLING_TEMPERATURE = 0.7
"""For several samples (Wang et al. 2023, "Self-consistency improves chain of thought reasoning in
language models", section 3.1: 0.5 to 0.7)."""
LONGEST = 20_000
"""Characters of a text that are shown."""


class LLMAnnotator(Generic[V]):
    """Asks chat models for the values of items."""

    def __init__(
        self,
        askers: Asker | Sequence[Asker],
        task: Task[V],
        instructions: Instructions,
        *,
        variants: Sequence[Variant] = (Variant(),),
        demonstrations: Demonstrations[V] | None = None,
        confidence: Confidence = "none",
        samples: int = 1,
        temperature: float | None = None,
        items_per_call: int = 1,
        max_tokens: int | None = None,
        longest: int = LONGEST,
        seed: int = 0,
    ) -> None:
        """Say how to ask; nothing is asked yet.

        Args:
            askers: a gateway, or several for a committee of models.
            task: what is asked.
            instructions: goal and guidelines.
            variants: ways of asking; several are a committee of prompts.
            demonstrations: items with people's answers to show; `None` shows none.
            confidence: where the score comes from. `logprobs`: the probability of the label by the
                answer's tokens (of several members: their mean). `content_free`: the same with
                what the model says of texts without content taken out, which can also change the
                label (see `prior`); three calls more for each member. `votes`: agreement of the
                members. `stated`: what the model says, which is coarse and too high. `p_true`:
                the probability of yes when asked whether the answer is right, by a second call
                to the first model. `none`: no score.
            samples: answers asked of each model and variant.
            temperature: 0 by default for one sample, else 0.7.
            items_per_call: items in one message. What comes back without one valid answer for
                each is asked again alone, once.
            max_tokens: of the answer about one item; by default what task and style need. Give
                more to a model that thinks before it answers.
            longest: characters of a text that are shown; a longer one is cut, and that is said.
            seed: of the sampling.

        Raises:
            UserError: options that do not fit each other; the message says which.
        """
        self.askers = list(askers) if isinstance(askers, Sequence) else [askers]
        self.task = task
        usual = SAMPLING_TEMPERATURE if samples > 1 else 0.0
        self.options = Options(
            variants=tuple(variants),
            demonstrations=demonstrations,
            confidence=confidence,
            samples=samples,
            temperature=usual if temperature is None else temperature,
            items_per_call=items_per_call,
            max_tokens=max_tokens,
            longest=longest,
            seed=seed,
        )
        _check(self.options, task, len(self.askers))
        self._caller = Caller(task, instructions, self.options, len(self.askers))
        self._truth = Truth(task, instructions, seed) if confidence == "p_true" else None

    @property
    def name(self) -> str:
        """The models' strings, as records name the annotator."""
        return " + ".join(asker.name for asker in self.askers)

    @property
    def prompt(self) -> str:
        """16 hex digits that change with anything that is said to every item."""
        own = self._caller.digest
        return own if self._truth is None else f"{own[:8]}{self._truth.digest[:8]}"

    def annotate(
        self, items: Sequence[Item], vectors: Vectors | None = None
    ) -> list[LLMAnnotation[V]]:
        """Annotate items: one annotation for each, in their order, whatever the models do.

        Args:
            items: n items.
            vectors: their unit vectors, (n, d), where demonstrations are chosen by similarity.

        Raises:
            OperatorError: a server cannot be reached; what was answered is in the gateway's cache.
            UserError: an item does not fit the task, or vectors are missing.
        """
        shown = [shortened(item, self.options.longest) for item in items]
        calls = self._caller.calls(shown, vectors)
        said, wasted = self._ask(calls, shown)
        if wasted:
            more, _ = self._ask(self._caller.alone(wasted, shown, vectors), shown)
            # What the first call cost is part of what the item cost.
            said |= {slot: _after(wasted[slot], each) for slot, each in more.items()}
        if self.options.confidence == "content_free":
            said = self._without_prior(said)
        found = [self._decided(item, said, place) for place, item in enumerate(shown)]
        if self._truth is not None:
            found = self._truth.add(self.askers[0], shown, found)
        return [self._noted(*each) for each in zip(found, items, shown, strict=True)]

    def requests(self, items: Sequence[Item], vectors: Vectors | None = None) -> list[Request]:
        """What `annotate` asks first, for all members: for estimates of what it will cost.

        Not among them are what is asked again, and the second calls of `p_true`.
        """
        shown = [shortened(item, self.options.longest) for item in items]
        return [call.request for call in self._caller.calls(shown, vectors)]

    def _ask(
        self, calls: Sequence[Call], items: Sequence[Item]
    ) -> tuple[dict[Slot, Said[V]], dict[Slot, Said[V]]]:
        """What is said in each slot, and the costs of slots that must be asked alone."""
        said, alone = dict[Slot, Said[V]](), dict[Slot, Said[V]]()
        for call, answer in self._answered(calls):
            asked = [items[place] for place in call.places]
            kind = self.options.confidence
            read: list[Said[V] | None] = (
                [read_one(answer, self.task, asked[0], kind, call.order)]
                if len(asked) == 1
                else read_several(answer, self.task, asked, kind, call.order)
            )
            for slot, each in zip(call.slots, read, strict=True):
                if each is None:
                    alone[slot] = without_value(answer, len(asked))
                else:
                    said[slot] = each
        return said, alone

    def _answered(self, calls: Sequence[Call]) -> list[tuple[Call, Answer]]:
        """Each call with its answer; those of a model go to it together."""
        found = list[tuple[Call, Answer]]()
        for number, asker in enumerate(self.askers):
            own = [call for call in calls if self._caller.members[call.member].asker == number]
            # One bad answer of several is mended by asking it alone, not by asking all again.
            for repairs, part in (
                (0, [call for call in own if len(call.places) > 1]),
                (1, [call for call in own if len(call.places) == 1]),
            ):
                if part:
                    requests = [call.request for call in part]
                    answers = asker.ask(requests, why=WHY, repairs=repairs)
                    found.extend(zip(part, answers, strict=True))
        return found

    def _without_prior(self, said: dict[Slot, Said[V]]) -> dict[Slot, Said[V]]:
        empty = content_free_items()
        free, _ = self._ask(self._caller.calls(empty, None), empty)
        priors = [
            mean_distribution([free[member, 0, place] for place in range(len(empty))])
            for member in range(len(self._caller.members))
        ]
        return {
            slot: each if each.value is None else without_prior(each, priors[slot[0]], self.task)
            for slot, each in said.items()
        }

    def _decided(self, item: Item, said: dict[Slot, Said[V]], place: int) -> LLMAnnotation[V]:
        members = [
            merged_orders(
                [said[member, order, place] for order in range(self.task.orders)], self.task
            )
            for member in range(len(self._caller.members))
        ]
        return decide(item, members, self.task, self.options.confidence, self.prompt)

    def _noted(self, found: LLMAnnotation[V], item: Item, shown: Item) -> LLMAnnotation[V]:
        if item is shown:
            return found
        note = f"only the first {self.options.longest} characters were shown"
        return replace(found, issues=(*found.issues, note))


def _after(wasted: Said[V], said: Said[V]) -> Said[V]:
    return replace(
        said,
        answers=(*wasted.answers, *said.answers),
        usd=wasted.usd + said.usd,
        tokens_in=wasted.tokens_in + said.tokens_in,
        tokens_out=wasted.tokens_out + said.tokens_out,
    )


def _check(options: Options[V], task: Task[V], askers: int) -> None:
    """See `LLMAnnotator` for the errors."""
    members = askers * len(options.variants) * options.samples
    if members < 1 or options.items_per_call < 1:
        raise UserError(
            f"{askers} models, {len(options.variants)} variants, samples={options.samples!r}, "
            f"items_per_call={options.items_per_call!r}: each must be at least 1"
        )
    if options.samples > 1 and options.temperature <= 0:
        raise UserError(
            f"{options.samples} samples at temperature {options.temperature!r} are one answer "
            "several times: raise the temperature, or ask once"
        )
    if options.confidence == "votes" and members < 2:
        raise UserError("confidence 'votes' needs members: give samples, variants or models")
    if options.confidence == "stated" and members > 1:
        raise UserError("confidence 'stated' is one member's: ask only one, or use 'votes'")
    if options.confidence == "logprobs" and task.kind in ("multi", "entities"):
        raise UserError(
            f"confidence 'logprobs' is that of one label, and an answer of a {task.kind!r} task "
            "has several: use 'votes' or 'p_true'"
        )
    if options.confidence == "content_free":
        _check_content_free(options, task)
    odd = [each for each in options.variants if each.wording == "question"]
    if odd and task.prompt != "annotate_label":
        raise UserError(f"{odd[0]!r}: wording 'question' is there for single labels only")


def _check_content_free(options: Options[V], task: Task[V]) -> None:
    reasons = [
        (task.kind != "single", "is for one label an item"),
        (options.items_per_call > 1, "asks about one item in a call"),
        (
            any(each.style != "label" for each in options.variants),
            "can change a label, and a reason would then argue for another: use style 'label'",
        ),
        (
            options.demonstrations is not None and options.demonstrations.kind != "fixed",
            "needs the same prompt around every text: show no demonstrations, or 'fixed' ones",
        ),
    ]
    for wrong, why in reasons:
        if wrong:
            raise UserError(f"confidence 'content_free' {why}")
