"""For tests of annotation: a task, a model that follows a script, and what it was shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from labelwright.models.llm.base import Reply, Request, Token
from labelwright.models.llm.gateway import Gateway
from labelwright.store.spec import LabelSpec
from labelwright.tools.annotators import Instructions, Item, SingleLabel
from scripted import Script, ScriptedBackend

GOAL = Instructions("Sort the messages by what the customer wants.", "A refund is billing.")
SPECS = (
    LabelSpec(name="billing", definition="about money"),
    LabelSpec(name="bug", definition="something does not work"),
    LabelSpec(name="praise", definition="the customer is happy"),
)
NAMES = tuple(spec.name for spec in SPECS)
SINGLE = SingleLabel(SPECS)
_FENCED = re.compile(r"^<text-([0-9a-f]+)>\n(.*?)\n</text-\1>$", re.DOTALL | re.MULTILINE)


def gateway(script: Script, **options: Any) -> tuple[Gateway, ScriptedBackend]:
    """A gateway to a model that says what a function says, and that model."""
    backend = ScriptedBackend(script, **options)
    return Gateway(backend), backend


def always(said: Any) -> Gateway:
    """A model that says the same whatever it is asked."""
    return gateway(lambda _: said)[0]


def by_text(said: Callable[[str], Any]) -> Gateway:
    """A model whose answer depends on the last text that it is shown, and on nothing else."""
    return gateway(lambda request: said(texts_in(request)[-1]))[0]


def texts_in(request: Request) -> list[str]:
    """The fenced texts of the first message of the user, in order."""
    return [found[2] for found in _FENCED.finditer(request.messages[1].content)]


def items(*texts: str) -> list[Item]:
    return [Item(f"m{place}", text) for place, text in enumerate(texts)]


def token(text: str, p: float, **others: float) -> Token:
    """A token of probability `p`, and what else could have stood there with which."""
    from math import log

    top = {text: p, **others}
    ranked = sorted(top.items(), key=lambda each: -each[1])
    return Token(text, log(p), tuple((each, log(q)) for each, q in ranked))


def shown_to(backend: ScriptedBackend) -> list[Sequence[str]]:
    """The texts of every request, in the order in which they were made."""
    return [texts_in(request) for request in backend.asked]


WORDS = {"money": "billing", "broken": "bug", "thanks": "praise"}


def label_of(text: str) -> dict[str, str]:
    return {"label": next(label for word, label in WORDS.items() if word in text)}


def replied(label: str, **p: float) -> Reply:
    """An answer whose tokens give the labels these probabilities."""
    top = {name: p[name] for name in p if name != label}
    tokens = (token('{"label": "', 1.0), token(label, p[label], **top), token('"}', 1.0))
    return Reply("".join(each.text for each in tokens), tokens=tokens, tokens_out=3)
