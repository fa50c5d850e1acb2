"""New texts without a language model: clauses of labelled texts, put together anew.

This is augmentation and says so: no word is new, and a text that no person wrote may read oddly. It
is off unless asked for by name. There is no masked-word augmentation: it would need a masked
language model, and the installed encoder has no such head.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from .material import Example
from .records import Draft

METHOD = "recombine"
# Between sentences, and where a clause begins after a comma, a semicolon or a conjunction.
_CLAUSE = re.compile(r"(?<=[.!?])\s+|[,;:]\s+|\s+(?=(?:and|but|because|so|when|while|since)\b)")
LEAST_WORDS = 2
_TRIES = 8


def recombine(examples: Sequence[Example], labels: Sequence[str], *, seed: int) -> list[Draft]:
    """Texts made of a clause each of two labelled texts of one label.

    Both clauses come from texts that a person gave that label, the first from a beginning and the
    second from an end. Labels with fewer than two texts, or texts of one clause only, give fewer.

    Args:
        examples: training items that people labelled.
        labels: the label of each text wanted.
        seed: draws the clauses.

    Returns:
        At most one draft for each of `labels`, no two with the same text.
    """
    rng = np.random.default_rng(seed)
    drafts: list[Draft] = []
    known = {each.text for each in examples}
    by_label = {name: [e for e in examples if e.label == name] for name in dict.fromkeys(labels)}
    for label in labels:
        for _ in range(_TRIES):
            draft = _one(by_label[label], label, rng)
            if draft is not None and draft.text not in known:
                known.add(draft.text)
                drafts.append(draft)
                break
    return drafts


def clauses(text: str) -> list[str]:
    """The clauses of a text that have at least `LEAST_WORDS` words."""
    parts = (part.strip() for part in _CLAUSE.split(text))
    return [part for part in parts if len(part.split()) >= LEAST_WORDS]


def _one(own: Sequence[Example], label: str, rng: np.random.Generator) -> Draft | None:
    if len(own) < 2:
        return None
    first, second = (own[place] for place in rng.choice(len(own), size=2, replace=False))
    head, tail = clauses(first.text), clauses(second.text)
    if not head or not tail or len(head) + len(tail) < 3:
        # Two whole texts in a row are no new text.
        return None
    text = f"{head[0].rstrip('.!?,;:')}, {tail[-1]}"
    return Draft(text, label, METHOD, (first.id, second.id), (first.text, second.text))
