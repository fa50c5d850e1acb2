"""The filters that generated texts go through in a project, from the cheapest to the dearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...models.learners import Inputs
from ...models.llm.base import Asker
from ...store.errors import UserError
from ..base import ToolContext
from ..filtering import (
    Cosine,
    Exact,
    Filter,
    Leakage,
    LearnerDoubts,
    Rouge,
    Sifted,
    Written,
    form_like,
    sift,
)
from ..filtering_asked import Confirmed, NovelTags
from ..filtering_report import Variety, variety
from ..gold import reserved_rows
from ..train_model import current_learner
from .records import Draft, generated_items

Confirm = Literal["judge", "agreement", "learner", "nobody"]
VOTES, SHARE = 3, 0.6
"""Answers of the judge for `agreement`, and the share of them that must give the label."""
COMPARED = 100_000
"""Texts of the pool, at most, that a generated text is compared with: a seeded sample above."""


@dataclass(frozen=True, slots=True)
class Screened:
    """What the filters left, what it is like, and with how many pool texts it was compared."""

    sifted: Sifted
    variety: Variety
    compared: int


def screen(
    context: ToolContext,
    drafts: Sequence[Draft],
    *,
    confirm: Confirm,
    judge: Asker | None,
    tagger: Asker | None = None,
) -> Screened:
    """Filter drafts against the pool, what is held out, earlier generated items and one another.

    Args:
        context: the project; its items must be embedded.
        drafts: what was written.
        confirm: who must give the label again.
        judge: whom to ask for it, for `judge` and `agreement`.
        tagger: whom to ask for tags; where there is one, a text without a new tag goes.

    Raises:
        UserError: a confirmation that needs a model which there is not.
    """
    rows = _compared_rows(context)
    pool_vectors = context.vectors(rows)
    written = Written(
        texts=[draft.text for draft in drafts],
        labels=[draft.label for draft in drafts],
        parents=[draft.parent_texts for draft in drafts],
        vectors=context.bench.encoder.encode([draft.text for draft in drafts]),
    )
    filters = _comparing(context, context.pool.texts(rows), pool_vectors)
    if tagger is not None:
        filters.append(NovelTags(tagger, seed=context.seed))
    sifted = sift(written, [*filters, *_confirming(context, written, confirm, judge)])
    kept = written.at(sifted.kept)
    assert kept.vectors is not None
    return Screened(
        sifted,
        variety(
            kept.texts,
            kept.labels,
            kept.vectors,
            written=len(drafts),
            label_names=context.spec.label_names,
            pool_vectors=pool_vectors,
            seed=context.seed,
        ),
        len(rows),
    )


def _compared_rows(context: ToolContext) -> NDArray[np.int64]:
    rows = context.pool.unique_rows
    if len(rows) <= COMPARED:
        return rows
    rng = np.random.default_rng(context.seed)
    return np.sort(rng.choice(rows, size=COMPARED, replace=False))


def _comparing(
    context: ToolContext, texts: list[str], vectors: NDArray[np.float32]
) -> list[Filter]:
    """Those that compare with what is held out, the pool and earlier generated items."""
    earlier = generated_items(context.store).texts
    others, held = [*texts, *earlier], _held_rows(context)
    return [
        form_like(texts),
        Leakage(context.pool.texts(held), context.vectors(held) if len(held) else None),
        Exact(others),
        Rouge(others),
        Cosine(others, _with_earlier(context, vectors, earlier)),
    ]


def _confirming(
    context: ToolContext, written: Written, confirm: Confirm, judge: Asker | None
) -> list[Filter]:
    if confirm == "nobody":
        return []
    if confirm == "learner":
        return [_doubts(context, written)]
    if judge is None:
        raise UserError(
            f"confirm {confirm!r} asks a chat model and this run has none: give one with --llm"
        )
    labels = {
        label.name: f"{label.name}: {label.definition}" if label.definition else label.name
        for label in context.spec.labels
    }
    votes, share = (VOTES, SHARE) if confirm == "agreement" else (1, 1.0)
    return [Confirmed(judge, labels, context.spec.goal, votes, share, context.seed)]


def _doubts(context: ToolContext, written: Written) -> LearnerDoubts:
    model = context.store.artefact("model")
    if model is None:
        raise UserError("confirm 'learner' needs a model: call train_model first")
    learner = current_learner(context, model)
    found = learner.predict_proba(Inputs(texts=list(written.texts), vectors=written.vectors))
    said = dict(zip(written.texts, found, strict=True))
    return LearnerDoubts(said, context.spec.label_names)


def _held_rows(context: ToolContext) -> NDArray[np.int64]:
    """Rows drawn to measure on: gold, also what is kept back of it, and every audit."""
    rows = {
        question.row
        for review in context.store.reviews()
        if review.purpose in ("gold", "audit")
        for question in review.questions
    }
    rows.update(reserved_rows(context.store).tolist())
    return np.array(sorted(rows), dtype=np.int64)


def _with_earlier(
    context: ToolContext, vectors: NDArray[np.float32], texts: Sequence[str]
) -> NDArray[np.float32]:
    if not texts:
        return vectors
    return np.concatenate([vectors, context.bench.encoder.encode(list(texts))])
