"""The audit of the frozen labels: what is drawn, what was answered, what it certifies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..store.database import Store
from ..store.errors import UserError
from ..store.pool import Pool
from ..store.spec import TaskSpec
from .certificate import AuditDraw, Certificate, certify, draw_audit, labels_digest
from .label_form import Answers, LabelForm, form_of
from .labels import open_audit_prefix

FIRST_ATTEMPT_SHARE = 0.8
"""Of the permitted error probability, what the first set of frozen labels may use up."""


def frozen_audit(store: Store, pool: Pool, k: int) -> AuditDraw:
    """The first `k` audit items of the currently frozen labels, always the same ones.

    Raises:
        UserError: no labels are frozen.
    """
    frozen = store.artefact("frozen")
    if frozen is None:
        raise UserError(
            "no labels are frozen yet: call train_model with final=true, then measure_uncertainty"
        )
    data = np.load(store.folder / frozen["folder"] / "frozen.npz")
    # Doubts of a model that was never calibrated could point anywhere: even chances then.
    doubt = data["doubt"] if frozen["calibrated"] else None
    weights = pool.weights[data["rows"]]
    seed = int(frozen["digest"][:8], 16)
    return draw_audit(data["rows"], weights, data["labels"], k, seed=seed, doubt=doubt)


def audited(store: Store) -> int:
    """How many items of the current audit have been put before the reviewer."""
    prefix = open_audit_prefix(store)
    if not prefix:
        return 0
    return sum(len(review.questions) for review in store.reviews() if review.id.startswith(prefix))


def certificate(store: Store, pool: Pool, spec: TaskSpec, *, share: bool = False) -> Certificate:
    """What the answers to the current audit say about the frozen labels.

    An answer is right as a whole or wrong; a set of labels is right when every label is. With
    `share`, where items may have several, the certificate is of the share of right decisions
    about single labels instead (1 minus the Hamming loss).

    An item that the reviewer skipped counts as wrong, so that skipping the hard ones cannot make
    the certificate better than the labels.

    Raises:
        UserError: no labels are frozen, or an audit item was used in training.
    """
    draw = frozen_audit(store, pool, audited(store))
    frozen: dict[str, Any] = store.artefact("frozen") or {}
    data = np.load(store.folder / frozen["folder"] / "frozen.npz")
    machine, form = frozen_answers(data["rows"], data["labels"], draw.rows), form_of(spec)
    truth = store.human_labels(("audit",))
    answered = np.array([int(row) in truth for row in draw.rows], dtype=bool)
    errors = np.ones(len(draw.rows), dtype=np.float64)
    given = form.read([truth[int(row)] for row in draw.rows[answered]])
    errors[answered] = _wrong(form, machine[answered], given, share=share)
    alpha = (1 - spec.confidence_level) * _share(int(frozen["attempt"]))
    return certify(
        errors,
        draw,
        labels=labels_digest(data["rows"], data["labels"]),
        used_in_training=np.array(frozen["trained_on"], dtype=np.int64),
        level=1 - alpha,
        corrected=answered,
    )


def frozen_answers(rows: NDArray[np.int64], answers: Answers, wanted: NDArray[np.int64]) -> Answers:
    """The frozen answers of some of the frozen rows, in the order of those."""
    order = np.argsort(rows, kind="stable")
    return answers[order[np.searchsorted(rows, wanted, sorter=order)]]


def _wrong(form: LabelForm, machine: Answers, truth: Answers, *, share: bool) -> Any:
    """(n,) whether each answer is wrong, or with `share` which part of its labels is."""
    if share:
        return (machine != truth).mean(axis=1)
    return ~form.same(machine, truth)


def _share(attempt: int) -> float:
    """The part of the error probability for the n-th frozen set; the parts add up to at most 1."""
    if attempt == 1:
        return FIRST_ATTEMPT_SHARE
    return (1 - FIRST_ATTEMPT_SHARE) * 0.5 ** (attempt - 1)
