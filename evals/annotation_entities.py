"""Named entities in African languages: repeats of one model, and several models, as confidence.

An answer is a list of tokens with tags. Often the tokens are not the sentence's: each entity is
searched in the sentence by its words, after the one before it. One that is not there is a cost and
no entity. A span is right if gold has the same words at the same place under the same type.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..tools.calibration import expected_calibration_error, fit_isotonic
from ..tools.quality.reliability import accuracy_coverage_area
from .annotation_data import read_lines
from .annotation_tables import table

TYPES = ("PER", "LOC", "ORG", "DATE")
VARIANTS = ("batch_size",)
"""Settings of a model that is there with another setting already."""

Span = tuple[int, int, str]


@dataclass(slots=True)
class Answers:
    """What one model said about its sentences.

    Attributes:
        spans: sentence to one set of spans for each usable answer.
        asked: answers, usable or not; a sentence without any counts as one.
        unusable: those that are no list of tokens and tags, or missing.
        named: entities in all usable answers.
        lost: those of them that are not in the sentence.
    """

    spans: dict[str, list[set[Span]]] = field(default_factory=dict)
    asked: int = 0
    unusable: int = 0
    named: int = 0
    lost: int = 0


def read_entities(data: Path) -> tuple[dict[str, Answers], dict[str, set[Span]]]:
    """The answers of each model, and the gold spans of each sentence."""
    models: dict[str, Answers] = defaultdict(Answers)
    gold: dict[str, set[Span]] = {}
    for row in read_lines(data / "recorded" / "african_ner.jsonl"):
        if any(part in row["model"] for part in VARIANTS):
            continue
        key = f"{row['lang']}/{row['id']}"
        gold[key] = spans_of(row["tokens"], row["tags"])
        found = models[row["model"]]
        found.asked += max(1, len(row["answers"]))
        found.unusable += not row["answers"]
        read = [_read(answer, row["tokens"], found) for answer in row["answers"]]
        found.spans[key] = [each for each in read if each is not None]
    return dict(models), gold


def spans_of(tokens: Sequence[str], tags: Sequence[str]) -> set[Span]:
    """Spans (start, end, type) of IOB2 tags, end exclusive; other types than `TYPES` are none."""
    found: set[Span] = set()
    start, kind = 0, ""
    for place, tag in enumerate([*tags[: len(tokens)], "O"]):
        head, _, name = str(tag).partition("-")
        goes_on = head == "I" and name == kind
        if kind and not goes_on:
            found.add((start, place, kind))
        if not goes_on:
            start, kind = place, name if head in ("B", "I") and name in TYPES else ""
    return found


def _read(answer: object, tokens: Sequence[str], into: Answers) -> set[Span] | None:
    """The spans of an answer, located in the sentence; `None` where it cannot be read."""
    pairs = answer if isinstance(answer, list) else []
    good = [each for each in pairs if isinstance(each, list) and len(each) == 2]
    if not good or len(good) < len(pairs):
        into.unusable += 1
        return None
    words, tags = [str(word) for word, _ in good], [str(tag) for _, tag in good]
    found: set[Span] = set()
    after = 0
    for start, end, kind in sorted(spans_of(words, tags)):
        into.named += 1
        place = _locate(words[start:end], tokens, after)
        if place is None:
            into.lost += 1
            continue
        after = place + end - start
        found.add((place, after, kind))
    return found


def _locate(words: list[str], tokens: Sequence[str], after: int) -> int | None:
    starts = range(after, len(tokens) - len(words) + 1)
    return next((s for s in starts if list(tokens[s : s + len(words)]) == words), None)


def f1(said: Mapping[str, set[Span]], gold: Mapping[str, set[Span]]) -> float:
    """Micro F1 over the sentences of `said`."""
    hits = sum(len(spans & gold[key]) for key, spans in said.items())
    total = sum(len(spans) + len(gold[key]) for key, spans in said.items())
    return 2 * hits / max(total, 1)


def entities_table(data: Path) -> str:
    """Each model alone and by its repeats, then all models together."""
    models, gold = read_entities(data)
    rows = [_row(name, found, gold) for name, found in sorted(models.items())]
    everyone: dict[str, list[set[Span]]] = defaultdict(list)
    for found in models.values():
        for key, answers in found.spans.items():
            everyone[key].extend(answers[:1])
    for size in (3, 5, 7):
        some = {key: answers for key, answers in everyone.items() if len(answers) >= size}
        if some:
            committee = Answers({key: answers[:size] for key, answers in some.items()})
            rows.append(_row(f"committee of {size}", committee, gold))
    head = ("answers by", "sentences", "unusable", "entities not in the text", "F1, first answer")
    return table(
        (*head, "F1, in most answers", "area under precision–coverage", "ECE", "ECE, isotonic"),
        rows,
    )


def _row(name: str, found: Answers, gold: Mapping[str, set[Span]]) -> list[str]:
    sentences = len(found.spans)
    first = {key: answers[0] if answers else set() for key, answers in found.spans.items()}
    shares = {key: _shares(answers) for key, answers in found.spans.items()}
    most = {key: {s for s, share in each.items() if share > 0.5} for key, each in shares.items()}
    cells = [name, str(sentences)]
    cells.append(f"{found.unusable} of {found.asked}" if found.asked else "–")
    cells.append(f"{found.lost / found.named:.1%}" if found.named else "–")
    cells.append(f"{f1(first, gold):.3f}")
    repeated = sum(len(answers) > 1 for answers in found.spans.values()) > sentences / 2
    if not repeated:
        return cells + ["–"] * 4
    share, right, fold = _flat(shares, gold)
    isotonic = np.empty(len(share))
    for part in (0, 1):
        curve = fit_isotonic(share[fold != part], right[fold != part])
        isotonic[fold == part] = np.interp(share[fold == part], curve.knots, curve.values)
    return [
        *cells,
        f"{f1(most, gold):.3f}",
        f"{accuracy_coverage_area(share, right):.3f} (all: {right.mean():.3f})",
        f"{expected_calibration_error(share, right):.3f}",
        f"{expected_calibration_error(isotonic, right):.3f}",
    ]


def _shares(answers: Sequence[set[Span]]) -> dict[Span, float]:
    counts = Counter(span for answer in answers for span in answer)
    return {span: count / len(answers) for span, count in counts.items()}


def _flat(
    shares: Mapping[str, Mapping[Span, float]], gold: Mapping[str, Iterable[Span]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Share of each span that any answer names, whether it is right, and its sentence's half."""
    rows = [
        (share, span in set(gold[key]), place % 2)
        for place, (key, each) in enumerate(sorted(shares.items()))
        for span, share in sorted(each.items())
    ]
    share, right, fold = zip(*rows, strict=True)
    return np.array(share), np.array(right), np.array(fold)
