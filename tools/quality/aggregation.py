"""What several annotators together say about each item.

Votes are an (n, m) table of label indices, one column an annotator, -1 where it gave no usable
answer. An item that nobody answered has no label and no confidence: its row is NaN, never even.
The methods differ in whom they believe: `majority` all alike, `weighted` those who were right on
gold, `dawid_skene` and `mace` those who agree with the others.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...store.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

Votes: TypeAlias = NDArray[np.int64]
HOW_TO_INSTALL = "install it: pip install 'labelwright[crowd]'"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What came of the votes on n items by m annotators.

    Attributes:
        method: `majority`, `weighted`, `dawid-skene` or `mace`.
        distribution: (n, C), rows sum to 1; all NaN where nobody answered.
        answered: (n,) how many answered.
        reliability: (m,) in [0, 1], how far each annotator is believed (see the method); NaN
            where nothing says.
    """

    method: str
    distribution: NDArray[np.float64]
    answered: NDArray[np.int64]
    reliability: NDArray[np.float64]

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) the most probable label, -1 where nobody answered; a tie goes to the lower one."""
        known = self.answered > 0
        found = np.full(len(known), -1, dtype=np.int64)
        found[known] = self.distribution[known].argmax(axis=1)
        return found

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(n,) probability of that label, not calibrated; NaN where nobody answered."""
        return np.asarray(self.distribution.max(axis=1), dtype=np.float64)

    @property
    def tied(self) -> NDArray[np.bool_]:
        """(n,) whether two labels share the highest probability."""
        top = np.sort(self.distribution, axis=1)[:, -2:]
        return np.asarray((self.answered > 0) & (top[:, 1] - top[:, 0] < 1e-9))


def majority(votes: Votes, classes: int) -> Aggregate:
    """The share of the votes for each label; reliability is the share of agreement with the most.

    Args:
        votes: (n, m), label indices or -1.
        classes: C, at least 2.

    Raises:
        UserError: a vote that is no label index, or no annotator.
    """
    checked = checked_votes(votes, classes)
    counts = vote_counts(checked, classes)
    return _aggregate("majority", checked, _rows(counts), None)


def gold_accuracy(votes: Votes, gold: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """How often each annotator was right on gold, shrunk to chance: (right + 1) / (answers + C).

    Args:
        votes: (n, m) on gold items.
        gold: (n,) the right labels.
        classes: C, at least 2.

    Returns:
        (m,) in (0, 1); 1 / C for who answered none.

    Raises:
        UserError: as `majority`, or gold labels that do not fit.
    """
    checked = checked_votes(votes, classes)
    if gold.shape != checked.shape[:1] or not ((gold >= 0) & (gold < classes)).all():
        raise UserError(
            f"gold labels have shape {gold.shape!r} for {len(checked)!r} items, or are no label "
            "indices: give the right label of each"
        )
    right = (checked == gold[:, None]).sum(axis=0)
    return np.asarray((right + 1) / ((checked >= 0).sum(axis=0) + classes), dtype=np.float64)


def weighted(votes: Votes, classes: int, accuracy: NDArray[np.float64]) -> Aggregate:
    """Votes weighted by the log-odds of the annotator: w_j = log((C - 1) a_j / (1 - a_j)).

    p(c) is proportional to exp(sum of w_j over who voted c): the best rule if errors are
    independent and spread evenly over the other labels (Nitzan & Paroush 1982). Language models
    err together, so the probabilities are too sure of themselves: calibrate them.

    Args:
        votes: (n, m), label indices or -1.
        classes: C, at least 2.
        accuracy: (m,) in (0, 1), such as `gold_accuracy` of other items; below 1 / C counts
            against a label. It is the reliability that is reported.

    Raises:
        UserError: as `majority`, or accuracies that do not fit.
    """
    checked = checked_votes(votes, classes)
    if accuracy.shape != checked.shape[1:] or not ((accuracy > 0) & (accuracy < 1)).all():
        raise UserError(
            f"accuracies have shape {accuracy.shape!r} for {checked.shape[1]!r} annotators, or are "
            "not between 0 and 1: give one for each, such as gold_accuracy"
        )
    weights = np.log((classes - 1) * accuracy / (1 - accuracy))
    logits = vote_counts(checked, classes, weights)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    powers[(checked < 0).all(axis=1)] = 0.0
    return _aggregate("weighted", checked, _rows(powers), accuracy)


def dawid_skene(votes: Votes, classes: int, *, iterations: int = 100) -> Aggregate:
    """Labels and a confusion matrix for each annotator, by expectation maximisation.

    Dawid & Skene 1979, by crowd-kit. Reliability is the expected share of right answers,
    sum_c prior_c P(says c | c). Deterministic: it starts from the majority.

    Args:
        votes: (n, m), label indices or -1.
        classes: C, at least 2.
        iterations: at most so many.

    Raises:
        UserError: as `majority`, or crowd-kit is not installed.
    """
    checked = checked_votes(votes, classes)
    if not (checked >= 0).any():
        return _nobody("dawid-skene", checked, classes)
    model = _crowdkit("DawidSkene")(n_iter=iterations)
    with _quiet():
        model.fit(_long(checked))
    probabilities = _wide(model.probas_, len(checked), classes)
    priors = model.priors_.reindex(range(classes)).fillna(0.0).to_numpy()
    errors = model.errors_
    found = np.full(checked.shape[1], np.nan)
    for worker in errors.index.get_level_values(0).unique():
        table = errors.loc[worker].reindex(index=range(classes), columns=range(classes))
        found[worker] = float((np.diag(table.fillna(0.0).to_numpy()) * priors).sum())
    return _aggregate("dawid-skene", checked, probabilities, found)


def mace(
    votes: Votes, classes: int, *, seed: int, restarts: int = 10, iterations: int = 50
) -> Aggregate:
    """Labels, and for each annotator the chance that it answers instead of guessing.

    Hovy, Berg-Kirkpatrick, Vaswani & Hovy 2013 ("Learning whom to trust with MACE", variational
    Bayes), by crowd-kit. Reliability is the chance that it does not guess.

    Args:
        votes: (n, m), label indices or -1.
        classes: C, at least 2.
        seed: of the starts.
        restarts: starts, of which the best is taken.
        iterations: for each start.

    Raises:
        UserError: as `majority`, or crowd-kit is not installed.
    """
    checked = checked_votes(votes, classes)
    if not (checked >= 0).any():
        return _nobody("mace", checked, classes)
    model = _crowdkit("MACE")(n_restarts=restarts, n_iter=iterations, random_state=seed)
    table = _long(checked)
    with _quiet():
        model.fit(table)
    found = np.full(checked.shape[1], np.nan)
    # crowd-kit numbers the annotators in the order in which the table names them.
    found[table["worker"].unique()] = np.asarray(model.spamming_)[:, 1]
    return _aggregate("mace", checked, _wide(model.probas_, len(checked), classes), found)


def smoothed_share(votes: Votes, classes: int) -> NDArray[np.float64]:
    """(counts + 1 / C) / (answers + 1): a start for what learns; even where nobody answered.

    Raises:
        UserError: as `majority`.
    """
    checked = checked_votes(votes, classes)
    counts = vote_counts(checked, classes) + 1 / classes
    return np.asarray(counts / counts.sum(axis=1, keepdims=True), dtype=np.float64)


def checked_votes(votes: Votes, classes: int) -> Votes:
    """The votes as int64.

    Raises:
        UserError: no (n, m) table of label indices and -1, or fewer than 2 labels.
    """
    if classes < 2:
        raise UserError(f"classes is {classes!r}: give at least 2")
    if votes.ndim != 2 or votes.shape[1] < 1 or not np.issubdtype(votes.dtype, np.integer):
        raise UserError(
            f"votes have shape {votes.shape!r} and type {str(votes.dtype)!r}: give a table of "
            "label indices, one row an item and one column an annotator"
        )
    strange = votes[(votes < -1) | (votes >= classes)]
    if len(strange):
        raise UserError(
            f"vote {int(strange[0])!r} is not within 0 to {classes - 1!r}: give -1 for an answer "
            "that is no label"
        )
    return votes.astype(np.int64)


def vote_counts(
    votes: Votes, classes: int, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """(n, C) votes for each label, each counting as its annotator's weight (1 by default)."""
    items, who = np.nonzero(votes >= 0)
    cell = items * classes + votes[items, who]
    counted = None if weights is None else weights[who]
    found = np.bincount(cell, counted, minlength=len(votes) * classes)
    return found.reshape(len(votes), classes).astype(np.float64)


def _rows(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    total = counts.sum(axis=1, keepdims=True)
    found: NDArray[np.float64] = np.full_like(counts, np.nan)
    np.divide(counts, total, out=found, where=total > 0)
    return found


def _aggregate(
    method: str,
    votes: Votes,
    distribution: NDArray[np.float64],
    reliability: NDArray[np.float64] | None,
) -> Aggregate:
    answered = (votes >= 0).sum(axis=1)
    found = Aggregate(method, distribution, answered, np.empty(0))
    if reliability is None:
        cast = (votes >= 0).sum(axis=0)
        agree = ((votes == found.labels[:, None]) & (votes >= 0)).sum(axis=0)
        nothing = np.full(votes.shape[1], np.nan)
        reliability = np.divide(agree, cast, out=nothing, where=cast > 0)
    return Aggregate(method, distribution, answered, reliability)


def _nobody(method: str, votes: Votes, classes: int) -> Aggregate:
    return _aggregate(
        method, votes, np.full((len(votes), classes), np.nan), np.full(votes.shape[1], np.nan)
    )


def _crowdkit(name: str) -> Any:
    try:
        with _quiet():
            from crowdkit import aggregation
    except ImportError as error:
        raise UserError(f"{name} needs the package crowd-kit: {HOW_TO_INSTALL}") from error
    return getattr(aggregation, name)


def _quiet() -> warnings.catch_warnings[None]:
    """Crowd-kit 1.4 uses what newer pandas and numpy warn about; nothing a user could mend."""
    return warnings.catch_warnings(action="ignore")


def _long(votes: Votes) -> pd.DataFrame:
    import pandas as pd

    items, who = np.nonzero(votes >= 0)
    return pd.DataFrame({"task": items, "worker": who, "label": votes[items, who]})


def _wide(probabilities: pd.DataFrame, items: int, classes: int) -> NDArray[np.float64]:
    """(n, C) in the order of items and labels; NaN for items without an answer."""
    known = probabilities.reindex(columns=range(classes)).fillna(0.0)
    table = known.reindex(range(items)).to_numpy(dtype=np.float64)
    filled: NDArray[np.float64] = np.nan_to_num(table)
    return _rows(filled)
