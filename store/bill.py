"""What the chat models of a project were asked and what they cost, by model and purpose."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from .database import Store
from .schema import calls


@dataclass(frozen=True, slots=True)
class BillLine:
    """The calls of one model for one purpose.

    Attributes:
        model: its string.
        why: what for: `decide`, `annotate`, `judge`.
        made: calls that were made, those that failed included.
        cached: answers that came from the cache and cost nothing.
        unusable: answers, of both, that failed, were refused, or had the wrong form.
        tokens_in: tokens read.
        tokens_out: tokens written.
        usd: US dollars.
        seconds: from call to answer, calls that ran side by side added up.
    """

    model: str
    why: str
    made: int
    cached: int
    unusable: int
    tokens_in: int
    tokens_out: int
    usd: float
    seconds: float


def model_bill(store: Store) -> list[BillLine]:
    """One line for each model and purpose, in the order in which they were first asked."""
    cached = sa.func.sum(calls.c.cached)
    query = (
        sa.select(
            calls.c.model,
            calls.c.why,
            (sa.func.count() - cached).label("made"),
            cached.label("cached"),
            sa.func.sum(sa.case((calls.c.status != "ok", 1), else_=0)).label("unusable"),
            sa.func.sum(calls.c.tokens_in).label("tokens_in"),
            sa.func.sum(calls.c.tokens_out).label("tokens_out"),
            sa.func.sum(calls.c.usd).label("usd"),
            sa.func.sum(calls.c.seconds).label("seconds"),
        )
        .group_by(calls.c.model, calls.c.why)
        .order_by(sa.func.min(calls.c.id))
    )
    return [BillLine(**row) for row in store.rows(query)]
