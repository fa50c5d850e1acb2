"""What `run` takes, and the checks that need nothing but the options themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..agent.understand import Request, labels_in_goal, limits_in_goal, parse_labels
from ..models.learners.tagging import TAGGERS
from ..store.errors import UserError
from ..store.spec import (
    AnnotatorName,
    Autonomy,
    Budgets,
    GenerateName,
    Kind,
    LabelSpec,
    LearnerName,
    RecipeName,
)
from ..tools.budget import label_plan, labels_for
from ..tools.strategies import strategy
from ..tools.strategies.one_label import check_sets
from .data import gold_names

DEFAULT_HUMAN_LABELS = 200
TUNED_ITEMS = 20_000
"""Pools up to this size are labelled with a fine-tuned encoder unless another learner is asked
for: scoring them takes minutes, not hours."""
TUNED_LABELS = 1
"""Training labels for each class below which logistic regression is taken, which starts from the
labels' names. Measured: on Banking77, 77 classes and 91 training labels, SetFit is still better,
.766 against .753."""


@dataclass(frozen=True, slots=True)
class Options:
    """Everything `run` takes; the command line has the same names."""

    goal: str
    data: str
    text_columns: tuple[str, ...] = ()
    second_columns: tuple[str, ...] = ()
    id_column: str | None = None
    gold_column: str | None = None
    encoding: str = "utf-8"
    labels: str | None = None
    labels_from_gold: bool = False
    multi_label: bool = False
    """Whether an item may have several of the labels, or none."""
    entities: bool = False
    """Whether parts of the texts are to be marked; the labels are then their types."""
    guidelines: str = ""
    project: Path | None = None
    llm: str = "none"
    strong_llm: str = "none"
    committee: tuple[str, ...] = ()
    """Further chat models that vote with `llm`; `options_of` takes them from a list of `llm`."""
    annotator: AnnotatorName = "auto"
    policy: Literal["playbook", "llm"] = "playbook"
    learner: LearnerName | None = None
    encoder: str = "all-MiniLM-L6-v2"
    human_labels: int | None = DEFAULT_HUMAN_LABELS
    label_price: float = 0.0
    price_in: float = 0.0
    price_out: float = 0.0
    strong_price_in: float = 0.0
    strong_price_out: float = 0.0
    committee_prices_in: tuple[float, ...] = ()
    committee_prices_out: tuple[float, ...] = ()
    wrong_label_usd: float | None = None
    llm_cache: str = ""
    llm_concurrency: int = 0
    llm_rate: float = 0.0
    usd: float | None = None
    minutes: float | None = None
    target_accuracy: float | None = None
    confidence_level: float = 0.95
    autonomy: Autonomy = "ask-labels"
    reviewer: Literal["terminal", "simulated", "none"] = "terminal"
    reviewer_error_rate: float = 0.0
    generate: GenerateName = "no"
    recipe: RecipeName = "standard"
    strategy: str = ""
    seed: int = 0


def options_of(**given: Any) -> Options:
    """`Options` where `llm`, `price_in` and `price_out` may each be one value or several.

    Several chat models are a committee; their prices are given in the same order, or not at all.

    Raises:
        UserError: another number of prices than of models.
    """
    models = _several(given.pop("llm", ()))
    found: dict[str, Any] = {"llm": models[0], "committee": models[1:]} if models else {}
    for name in ("price_in", "price_out"):
        prices = _several(given.pop(name, ()))
        if prices and len(prices) != max(1, len(models)):
            raise UserError(
                f"{_option(name)} is given {len(prices)!r} times for {len(models)!r} chat models: "
                "give one for each --llm, in their order (0: as listed), or none"
            )
        if prices:
            side = name.removeprefix("price_")
            found |= {name: prices[0], f"committee_prices_{side}": prices[1:]}
    return Options(**{**given, **{name: each for name, each in found.items() if each != ()}})


def _several(given: Any) -> tuple[Any, ...]:
    return tuple(given) if isinstance(given, list | tuple) else (given,)


def checked_labels(options: Options) -> list[LabelSpec]:
    """Check the options against one another, and settle which labels the person named.

    Returns:
        The labels; empty when a chat model is to draft them.

    Raises:
        UserError: an option is out of range or does not go with another, or no label is named.
    """
    _check(options)
    return _labels(options)


def learner_for(options: Options, items: int, classes: int) -> LearnerName:
    """The learner asked for; else the one that measured best on such items.

    SetFit where it is affordable and has enough to learn from, logistic regression where not; for
    pairs the support vector machine, whose features compare words and fields; for marked parts the
    tagger on frozen word vectors.

    Args:
        options: what the person asked for.
        items: size of the pool: scoring it must take minutes, not hours.
        classes: how many labels there are; 0 when a chat model is to draft them.
    """
    if options.learner is not None:
        return options.learner
    if options.second_columns:
        return "svm"
    if options.entities:
        return "linear"
    budget = Budgets(human_labels=options.human_labels)
    enough = label_plan(budget, items, "setfit").train >= TUNED_LABELS * classes
    return "setfit" if items <= TUNED_ITEMS and enough else "linear"


def request_of(options: Options, labels: list[LabelSpec], text_columns: Sequence[str]) -> Request:
    """What the person asked for; options go before what the goal says in words."""
    stated = limits_in_goal(options.goal)
    return Request(
        goal=options.goal,
        kind=kind_of(options),
        labels=labels,
        guidelines=options.guidelines,
        text_columns=list(text_columns),
        target_accuracy=options.target_accuracy or stated.get("target_accuracy"),
        confidence_level=options.confidence_level,
        budgets=Budgets(
            human_labels=_affordable(options),
            usd=options.usd,
            minutes=options.minutes or stated.get("minutes"),
        ),
        autonomy=options.autonomy,
    )


def kind_of(options: Options) -> Kind:
    """What kind of answer an item is to get."""
    if options.entities:
        return "entities"
    return "multi_label" if options.multi_label else "single_label"


def _affordable(options: Options) -> int | None:
    """The human labels that may be asked for: no more than the money pays for."""
    if options.usd is None or not options.label_price:
        return options.human_labels
    paid = labels_for(options.usd, options.label_price)
    if not paid:
        raise UserError(
            f"--usd {options.usd!r} does not pay for one label at --label-price "
            f"{options.label_price!r}: give more, or lower the price"
        )
    return paid if options.human_labels is None else min(paid, options.human_labels)


def _check(options: Options) -> None:
    if not options.goal.strip():
        raise UserError("the goal is empty: say in plain words what is to be labelled")
    if options.human_labels is not None and options.human_labels < 1:
        raise UserError(
            f"--human-labels {options.human_labels!r}: without any human label nothing can be "
            "learned or certified; give at least 10"
        )
    _check_ranges(options)
    if options.entities:
        _check_entities(options)
    if options.strategy:
        chosen = strategy(options.strategy)
        if options.multi_label or options.entities:
            check_sets(chosen)
    if options.policy == "llm" and options.llm == "none":
        raise UserError("--policy llm needs a chat model: give one with --llm")
    _check_models(options)
    if options.usd is not None and not (options.label_price or options.llm != "none"):
        raise UserError("--usd limits nothing while nothing has a price: give --label-price")
    if options.reviewer == "simulated" and options.gold_column is None:
        raise UserError("--reviewer simulated answers from gold labels: give --gold-column")
    if options.labels_from_gold and options.gold_column is None:
        raise UserError("--labels-from-gold reads the names from a column: give --gold-column")


def _check_entities(options: Options) -> None:
    """What cannot be had where parts of texts are marked."""
    if options.multi_label:
        raise UserError(
            "--entities marks parts of texts and --multi-label names whole ones: give one of them"
        )
    if options.second_columns:
        raise UserError("--entities marks parts of single texts, not of pairs")
    if options.learner not in (None, *TAGGERS):
        raise UserError(
            f"--learner {options.learner} names whole texts and marks nothing in them: with "
            f"--entities use one of {', '.join(TAGGERS)}"
        )
    if options.generate != "no":
        raise UserError(f"--generate {options.generate} is for one label an item, not for entities")


def _check_models(options: Options) -> None:
    if options.annotator == "llm" and options.llm == "none":
        raise UserError("--annotator llm needs a chat model: give one with --llm")
    if options.strong_llm != "none" and options.llm == "none":
        raise UserError("--strong-llm is the second chat model: give the first with --llm")
    _check_committee(options)
    if options.wrong_label_usd is not None:
        _check_routing(options)
    if options.generate == "model" and options.llm == "none":
        raise UserError(
            "--generate model needs a chat model that writes: give one with --llm, or use augment"
        )
    if options.generate != "no" and options.multi_label:
        raise UserError(f"--generate {options.generate} is for one label an item, not for several")
    if options.generate != "no" and options.second_columns:
        raise UserError(f"--generate {options.generate} is for single texts, not for pairs")
    if options.generate != "no" and options.multi_label:
        raise UserError(f"--generate {options.generate} is for one label an item, not for several")
    if options.strategy and options.llm == "none":
        _check_asks_nobody(options.strategy)


def _check_committee(options: Options) -> None:
    members = (options.llm, *options.committee)
    if options.committee and "none" in members:
        raise UserError("--llm none among several chat models: leave it out")
    for price in (*options.committee_prices_in, *options.committee_prices_out):
        if not 0 <= price < math.inf:
            raise UserError(f"a chat model's price is {price!r}: give 0 or more US dollars")
    others = () if options.strong_llm == "none" else (options.strong_llm,)
    for name in options.committee:
        if (*members, *others).count(name) > 1:
            raise UserError(
                f"the chat model {name!r} is given twice: a model that is asked twice has one "
                "opinion, so name others"
            )


def _check_routing(options: Options) -> None:
    """What a wrong label costs is weighed against what a person and a model cost."""
    if options.llm == "none":
        raise UserError(
            "--wrong-label-usd decides what may be left to a chat model: give one with --llm"
        )
    if not options.label_price:
        raise UserError(
            "--wrong-label-usd is weighed against what a person's label costs: give --label-price"
        )


def _check_asks_nobody(name: str) -> None:
    if "adviser" in strategy(name).needs:
        raise UserError(f"--strategy {name} asks a chat model: give one with --llm")


def _check_ranges(options: Options) -> None:
    """Numbers in their ranges; what is not a number is in none of them."""
    for name in ("usd", "minutes", "wrong_label_usd"):
        amount = getattr(options, name)
        if amount is not None and not 0 < amount < math.inf:
            raise UserError(
                f"{_option(name)} {amount!r} is no amount: give more than 0, or leave it out"
            )
    for name in ("label_price", "price_in", "price_out", "strong_price_in", "strong_price_out"):
        price = getattr(options, name)
        if not 0 <= price < math.inf:
            raise UserError(f"{_option(name)} {price!r} is no price: give 0 or more US dollars")
    for name in ("llm_concurrency", "llm_rate"):
        limit = getattr(options, name)
        if not 0 <= limit < math.inf:
            raise UserError(f"{_option(name)} {limit!r} is no limit: give 0 (none) or more")
    target = options.target_accuracy
    if target is not None and not 0 < target < 1:
        raise UserError(
            f"--target-accuracy {target!r}: give a share between 0 and 1, for example 0.95"
        )
    if not 0.5 <= options.confidence_level < 1:
        raise UserError(
            f"--confidence-level {options.confidence_level!r}: give at least 0.5 and less than 1, "
            "for example 0.95"
        )
    if not 0 <= options.reviewer_error_rate <= 1:
        raise UserError(
            f"--reviewer-error-rate {options.reviewer_error_rate!r}: give a share from 0 to 1"
        )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _labels(options: Options) -> list[LabelSpec]:
    if options.labels and options.labels_from_gold:
        raise UserError("--labels and --labels-from-gold exclude each other: give one")
    # One type is a task: a part of a text is of that type or is not marked.
    least = 1 if options.entities else 2
    if options.labels:
        return parse_labels(options.labels, least=least)
    if options.labels_from_gold and options.gold_column:
        names = gold_names(
            options.data,
            options.gold_column,
            encoding=options.encoding,
            several=options.multi_label,
            marked=options.entities,
        )
        return parse_labels(",".join(names), least=least)
    try:
        return labels_in_goal(options.goal)
    except UserError:
        if options.llm == "none":
            raise
        return []
