"""The life of one label: everything that happened to one item, in the order it happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..models.pairs import readable
from ..store.database import Store
from ..store.pool import Pool
from ..store.records import HUMAN_KINDS, Annotation, ReviewRequest
from ..store.spec import TaskSpec
from ..tools.label_form import form_of
from ..tools.labels import open_audit_prefix
from ..tools.scores import scores_at
from ..tools.summary import SOURCE_WORDS, percent
from .audit_lines import Details, words_of

PURPOSE_WORDS = {
    "train": "to train on",
    "gold": "as a gold item, to measure and calibrate with (no suggestion shown)",
    "audit": "as an audit item, for the certificate (no suggestion shown)",
}
SPEC_KEY = "spec"
Words = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing that happened to an item."""

    round: int
    title: str
    details: Details = ()


@dataclass(frozen=True, slots=True)
class ItemLife:
    """An item from its text to its delivered label.

    Attributes:
        item: its id.
        row: its place in the pool.
        text: the whole text.
        copy_of: id of the first item with the same text, whose label it has; empty if it is first.
        copies: how many other items repeat its text.
        stages: what happened, in order.
        label: the label as it stands; `None` before there is one.
        source: kind of annotator the label comes from; empty before there is one.
        confidence: calibrated probability, or `None` where it is not known.
        why: one sentence that says why this is the label.
    """

    item: str
    row: int
    text: str
    copy_of: str
    copies: int
    stages: tuple[Stage, ...]
    label: str | None
    source: str
    confidence: float | None
    why: str


def item_life(store: Store, pool: Pool, item_id: str) -> ItemLife:
    """Collect the life of one item from the store.

    Raises:
        UserError: no item of the pool has this id.
    """
    row, words = pool.row_of(item_id), words_of(store)
    first, copies = row, 0
    if store.artefact("pool") is not None:
        groups = np.asarray(pool.groups)
        first = int(groups[row])
        copies = int((groups == first).sum()) - 1
    notes = store.annotations(row=first)
    stages = [
        *_chosen(store, first, pool),
        *(_suggested(each, words) for each in notes if each.purpose == "suggest"),
        *(_accepted(each, words) for each in notes if each.purpose == "accept"),
        *_asked(store, first, notes, ("train", "gold"), words),
        *_predicted(store, first),
        *_frozen(store, first),
        *_asked(store, first, notes, ("audit",), words),
    ]
    label, source, confidence, why = _standing(notes)
    return ItemLife(
        item=item_id,
        row=row,
        text=readable(pool.text(row)),
        copy_of=pool.id(first) if first != row else "",
        copies=copies,
        stages=tuple(sorted(stages, key=lambda stage: stage.round)),
        label=None if label is None else words(label),
        source=source,
        confidence=confidence,
        why=why,
    )


def _chosen(store: Store, row: int, pool: Pool) -> list[Stage]:
    """Rounds whose strategy picked the item, and why a filter dropped it again."""
    stages: list[Stage] = []
    for batch in store.artefact_history("batch"):
        # The same batch is kept again once it is filtered and reviewed: its first record counts.
        if row not in batch["rows"] or any(stage.round == batch["round"] for stage in stages):
            continue
        place = batch["rows"].index(row)
        details = (
            ("utility", f"{batch['utilities'][place]:.4g}"),
            ("rule", str(batch["reason"])),
        )
        title = f"chosen by {batch['strategy']} for round {batch['round']}"
        stages.append(Stage(int(batch["round"]), title, details))
    for dropped in store.artefact_history("rejected"):
        for each in dropped["items"]:
            if each["row"] == row:
                like = pool.id(each["like"])
                why = (("why", str(each["why"])), ("like item", like))
                stages.append(Stage(int(dropped["round"]), "dropped by the filter", why))
    return stages


def _suggested(note: Annotation, words: Words) -> Stage:
    details = (
        ("confidence", _confidence(note.confidence)),
        ("rationale", note.rationale),
        ("by", f"{note.annotator} {note.version}"),
    )
    return Stage(note.round, f"suggestion: {words(str(note.label))}", details)


def _accepted(note: Annotation, words: Words) -> Stage:
    details = (("confidence", _confidence(note.confidence)),)
    return Stage(note.round, f"accepted without asking: {words(str(note.label))}", details)


def _asked(
    store: Store, row: int, notes: list[Annotation], purposes: tuple[str, ...], words: Words
) -> list[Stage]:
    """Reviews that showed the item, what the reviewer did, and what was written of it."""
    stages = []
    for review in store.reviews():
        question = next((each for each in review.questions if each.row == row), None)
        if question is None or review.purpose not in purposes:
            continue
        shown = (("review", review.id), ("suggestion shown", _shown(question.suggestion, words)))
        title = f"put before the reviewer {PURPOSE_WORDS[review.purpose]}"
        stages.append(Stage(review.round, title, shown))
        for answer in store.answer_log(review.id):
            if answer.row == row:
                said = {"skip": "skipped", "undo": "answer taken back"}.get(answer.action)
                title = f"{answer.reviewer}: {said or words(str(answer.label))}"
                stages.append(Stage(review.round, title, (("who", answer.kind),)))
        for each in notes:
            if each.review == review.id:
                became = "no label (skipped)" if each.label is None else words(each.label)
                title = f"the answer became an annotation: {became}"
                cost = f"${each.usd:.2f}" if each.usd else ""
                stages.append(Stage(review.round, title, (("cost", cost),)))
    return stages


def _shown(label: str | None, words: Words) -> str:
    return "none" if label is None else words(label)


def _holds(review: ReviewRequest, row: int) -> bool:
    return any(question.row == row for question in review.questions)


def _predicted(store: Store, row: int) -> list[Stage]:
    """What each model whose scores are kept made of the item."""
    text = store.get_meta(SPEC_KEY)
    spec = TaskSpec.model_validate_json(text) if text else None
    if spec is None:
        return []
    stages, names, form = [], spec.label_names, form_of(spec)
    for artefact in store.artefact_history("scores"):
        scores, wanted = scores_at(store, artefact), np.array([row])
        probabilities = np.asarray(scores.of(wanted))[0]
        best = np.argsort(-probabilities, kind="stable")[:3]
        shown = ", ".join(f"{names[place]} {probabilities[place]:.3f}" for place in best)
        (label,) = form.written(scores.labels()[np.searchsorted(scores.rows, wanted)])
        title = f"predicted by {artefact['model']}: {form.shown(label)}"
        what = "occurs" if spec.marked else "probabilities"
        stages.append(Stage(int(artefact["round"]), title, ((what, shown),)))
    return stages


def _frozen(store: Store, row: int) -> list[Stage]:
    frozen = store.artefact("frozen")
    if frozen is None:
        return []
    with np.load(store.folder / frozen["folder"] / "frozen.npz") as data:
        place = np.flatnonzero(data["rows"] == row)
        if not len(place):
            return []
        doubt = float(data["doubt"][place[0]])
    drawn = [r for r in store.reviews() if r.id.startswith(open_audit_prefix(store))]
    audited = any(_holds(review, row) for review in drawn)
    details = (
        (
            "doubt",
            f"{doubt:.3f}" if frozen["calibrated"] else "not known, the model is uncalibrated",
        ),
        ("audited", "yes" if audited else "no"),
    )
    last = max((int(each["round"]) for each in store.artefact_history("scores")), default=0)
    return [Stage(last, f"label frozen for the certificate (model {frozen['model']})", details)]


def _standing(notes: list[Annotation]) -> tuple[str | None, str, float | None, str]:
    human = [each for each in notes if each.kind in HUMAN_KINDS and each.label is not None]
    final = [each for each in notes if each.purpose == "final" and each.label is not None]
    if human:
        last = human[-1]
        why = f"{last.annotator} said so; a person's answer stands above every model's"
        if last.kind == "simulated":
            why = f"{last.annotator} said so, from the gold labels; it stands above every model's"
        return last.label, last.kind, None, why
    if final:
        last = final[-1]
        words = SOURCE_WORDS.get(last.kind, last.kind)
        why = f"{words} ({last.annotator} {last.version}). {last.rationale}"
        return last.label, last.kind, last.confidence, why.strip()
    return None, "", None, "no label was delivered for it yet"


def _confidence(value: Any) -> str:
    return "not known" if value is None else percent(float(value))
