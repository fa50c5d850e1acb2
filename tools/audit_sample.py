"""The audit of the frozen labels: what is drawn, what was answered, what it certifies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..store.database import Store
from ..store.errors import UserError
from ..store.pool import Pool
from ..store.spec import TaskSpec
from .audit_draw import weights_of_total
from .certificate import AuditDraw, Certificate, certify, draw_audit, labels_digest
from .entity_form import compare
from .entity_quality import EntityScores
from .label_form import Answers, LabelForm, form_of
from .labels import open_audit_prefix

FIRST_ATTEMPT_SHARE = 0.8
"""Of the permitted error probability, what the first set of frozen labels may use up."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """The labels that were frozen: rows (n,), answers of the task's form, and doubts (n,)."""

    rows: NDArray[np.int64]
    answers: Answers
    doubt: NDArray[np.float64]

    def of(self, rows: NDArray[np.int64]) -> Answers:
        """The answers of some of the frozen rows, in the order of those."""
        order = np.argsort(self.rows, kind="stable")
        return self.answers[order[np.searchsorted(self.rows, rows, sorter=order)]]


def frozen_labels(store: Store, form: LabelForm) -> Frozen | None:
    """The currently frozen labels; `None` while there are none."""
    frozen = store.artefact("frozen")
    if frozen is None:
        return None
    with np.load(store.folder / frozen["folder"] / "frozen.npz") as data:
        return Frozen(data["rows"], form.unpacked(data["labels"]), data["doubt"])


def frozen_audit(store: Store, pool: Pool, spec: TaskSpec, k: int) -> AuditDraw:
    """The first `k` audit items of the currently frozen labels, always the same ones.

    Raises:
        UserError: no labels are frozen.
    """
    form, frozen = form_of(spec), store.artefact("frozen")
    found = frozen_labels(store, form)
    if found is None or frozen is None:
        raise UserError(
            "no labels are frozen yet: call train_model with final=true, then measure_uncertainty"
        )
    # Doubts of a model that was never calibrated could point anywhere: even chances then.
    doubt = found.doubt if frozen["calibrated"] else None
    weights = pool.weights[found.rows]
    seed = int(frozen["digest"][:8], 16)
    return draw_audit(found.rows, weights, form.keys(found.answers), k, seed=seed, doubt=doubt)


def audited(store: Store) -> int:
    """How many items of the current audit have been put before the reviewer."""
    prefix = open_audit_prefix(store)
    if not prefix:
        return 0
    return sum(len(review.questions) for review in store.reviews() if review.id.startswith(prefix))


def certificate(store: Store, pool: Pool, spec: TaskSpec, *, share: bool = False) -> Certificate:
    """What the answers to the current audit say about the frozen labels.

    An answer is right as a whole or wrong; a set of labels is right when every label is, and so
    are marked parts. With `share` the certificate is of 1 minus the form's loss instead: of the
    share of right decisions about single labels, or of the mean F1 of a text's marked parts.

    An item that the reviewer skipped counts as wrong, so that skipping the hard ones cannot make
    the certificate better than the labels.

    Raises:
        UserError: no labels are frozen, or an audit item was used in training.
    """
    draw, form = frozen_audit(store, pool, spec, audited(store)), form_of(spec)
    frozen: dict[str, Any] = store.artefact("frozen") or {}
    compared = _compared(store, form, draw)
    errors = np.ones(len(draw.rows), dtype=np.float64)
    errors[compared.answered] = _wrong(form, compared.machine, compared.truth, share=share)
    alpha = (1 - spec.confidence_level) * _share(int(frozen["attempt"]))
    return certify(
        errors,
        draw,
        labels=labels_digest(compared.frozen.rows, form.keys(compared.frozen.answers)),
        used_in_training=np.array(frozen["trained_on"], dtype=np.int64),
        level=1 - alpha,
        corrected=compared.answered,
    )


def audited_spans(store: Store, pool: Pool, spec: TaskSpec, *, seed: int) -> EntityScores | None:
    """Precision, recall and F1 of the frozen spans, from the answers to the current audit.

    Each is a ratio of two totals, and each total is estimated as the certificate does it
    (`weights_of_total`). The intervals are the bootstrap's, for one look at the sample. Items that
    the reviewer skipped are left out.

    Returns:
        `None` where no audit item was answered.
    """
    draw, form = frozen_audit(store, pool, spec, audited(store)), form_of(spec)
    compared = _compared(store, form, draw)
    if not compared.answered.any():
        return None
    return compare(
        compared.machine,
        compared.truth,
        weights_of_total(draw)[compared.answered],
        level=spec.confidence_level,
        seed=seed,
    )


@dataclass(frozen=True, slots=True)
class _Compared:
    """The audited items: which were answered, and of those the machine's and a person's answers."""

    frozen: Frozen
    answered: NDArray[np.bool_]
    machine: Answers
    truth: Answers


def _compared(store: Store, form: LabelForm, draw: AuditDraw) -> _Compared:
    found = frozen_labels(store, form)
    assert found is not None
    truth = store.human_labels(("audit",))
    answered = np.array([int(row) in truth for row in draw.rows], dtype=bool)
    rows = draw.rows[answered]
    given = form.read([truth[int(row)] for row in rows])
    return _Compared(found, answered, found.of(rows), given)


def _wrong(form: LabelForm, machine: Answers, truth: Answers, *, share: bool) -> Any:
    """(n,) whether each answer is wrong, or with `share` how far it is."""
    loss = form.loss(machine, truth) if share else None
    return ~form.same(machine, truth) if loss is None else loss


def _share(attempt: int) -> float:
    """The part of the error probability for the n-th frozen set; the parts add up to at most 1."""
    if attempt == 1:
        return FIRST_ATTEMPT_SHARE
    return (1 - FIRST_ATTEMPT_SHARE) * 0.5 ** (attempt - 1)
