"""What a project came to, in numbers: the facts that the report and the cards are written from.

Everything here is read from the store; nothing is computed that a tool did not record, except
counts. Each number says what it was counted over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..store.bill import BillLine, model_bill
from ..store.database import Store
from ..store.pool import Pool
from ..store.records import HUMAN_KINDS, Annotation
from ..store.spec import TaskSpec
from .audit_sample import frozen_labels
from .entity_form import parts_by_type
from .label_form import Answers, form_of
from .labels import names_of, open_audit_prefix
from .scores import scores_at
from .set_quality import LabelAgreement, by_label

PURPOSES = ("train", "gold", "audit")
NO_LABEL, NOTHING_MARKED = "(no label)", "(nothing marked)"
"""Stand for the empty set, and the text without marked parts, among the counts of labels."""
LEAST_COMPARED = 10
"""Below this many audit items a confusion matrix is drawn from the gold items instead."""

SOURCE_WORDS = {
    "human": "given by a person",
    "simulated": "given by the simulated reviewer (gold labels stand in for a person)",
    "learner": "by the trained classifier",
    "embedded": "by the embedded annotator, accepted without asking",
    "llm": "by a language model",
    "generated": "of generated text",
    "replayed": "from recorded answers",
}

# Control characters but tab and line feed, marks that turn the direction of text around, invisible
# ones, and lone surrogates, which no file can hold.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


@dataclass(frozen=True, slots=True)
class SourceCount:
    """How many delivered labels come from one source: items, and different texts among them."""

    source: str
    words: str
    items: int
    texts: int


@dataclass(frozen=True, slots=True)
class Compared:
    """Labels of a machine against those of a person, on the same items.

    `counts[i, j]` items that the person gave label i have the machine label j.
    """

    counts: NDArray[np.int64]
    n: int
    skipped: int
    origin: str
    """Which items these are and how they were drawn."""


@dataclass(frozen=True, slots=True)
class ComparedSets:
    """Sets by a machine against those of a person, on the same items, label by label.

    Of labels each item counts once; of marked parts each part does, under its type.
    """

    labels: tuple[LabelAgreement, ...]
    right: int
    """Items whose whole answer is the same."""
    n: int
    skipped: int
    origin: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The facts of one project as they stand."""

    items: int
    unique: int
    labelled: int
    """Items that have a label, copies counted."""
    balance: tuple[tuple[str, int], ...]
    """Label and number of delivered items that have it, in the task spec's order.

    Where items may have several labels the numbers add up to more; the last one is then
    `NO_LABEL` or `NOTHING_MARKED`, with the items that have none.
    """
    sources: tuple[SourceCount, ...]
    human: str
    """Who answered: `a person`, `a simulated reviewer`, both, or `nobody`."""
    simulated: bool
    human_labels: int
    skipped: int
    asked: dict[int, dict[str, int]]
    """Round → purpose → human labels, every round from the first to the last."""
    accepted: int
    """Labels of an annotator that no person was asked about and that a model could train on."""
    usd: float
    tokens: int
    seconds: float
    models: tuple[BillLine, ...]
    """What the chat models were asked, and what they cost."""
    certificate: dict[str, Any] | None
    """The certificate of the labels as they are frozen now; none of labels given up since."""
    model: dict[str, Any] | None
    quality: tuple[dict[str, Any], ...]
    compared: Compared | ComparedSets | None
    head: str

    @property
    def copies(self) -> int:
        """Items that repeat the text of another."""
        return self.items - self.unique

    @property
    def asked_by_purpose(self) -> dict[str, int]:
        """Human labels for each purpose, all rounds together."""
        return {
            purpose: sum(counts.get(purpose, 0) for counts in self.asked.values())
            for purpose in PURPOSES
        }

    @property
    def last_quality(self) -> dict[str, Any] | None:
        """The newest measurement on gold items."""
        return self.quality[-1] if self.quality else None


def summarise(store: Store, pool: Pool, spec: TaskSpec) -> Summary:
    """Collect the facts of a project that has a pool and a task spec; nothing is written."""
    human = store.annotations(kinds=HUMAN_KINDS)
    kinds = {each.kind for each in human}
    totals = store.totals()
    balance, sources, labelled = _delivered(store, pool, spec, human)
    return Summary(
        items=len(pool),
        unique=_unique(store, pool),
        labelled=labelled,
        balance=balance,
        sources=sources,
        human=_who(kinds),
        simulated="simulated" in kinds,
        human_labels=totals.human_labels,
        skipped=sum(each.label is None for each in human),
        asked=_asked(human),
        accepted=len(store.annotations(purposes=("accept",))),
        usd=totals.usd,
        tokens=totals.tokens,
        seconds=totals.seconds,
        models=tuple(model_bill(store)),
        certificate=live_certificate(store),
        model=store.artefact("model"),
        quality=tuple(store.artefact_history("quality")),
        compared=compare_with_people(store, spec),
        head=store.head(),
    )


def live_certificate(store: Store) -> dict[str, Any] | None:
    """The certificate of the currently frozen labels; `None` if those were never certified."""
    certificate, frozen = store.artefact("certificate"), store.artefact("frozen")
    if certificate is None or frozen is None or certificate["model"] != frozen["model"]:
        return None
    return certificate


def compare_with_people(store: Store, spec: TaskSpec) -> Compared | ComparedSets | None:
    """Frozen labels against the audit's answers; gold items where too few were audited.

    Returns:
        `None` when neither audit nor measured gold items exist.
    """
    found = _compare_audit(store, spec)
    if found is not None and found.n >= LEAST_COMPARED:
        return found
    return _compare_gold(store, spec) or found


def confusions(compared: Compared, names: Sequence[str], limit: int) -> list[tuple[str, str, int]]:
    """The most frequent disagreements: the person's label, the machine's label, how often."""
    counts = compared.counts.copy()
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:limit]
    places = [divmod(int(place), len(names)) for place in order]
    return [(names[i], names[j], int(counts[i, j])) for i, j in places if counts[i, j]]


def percent(share: float) -> str:
    """A share as a percentage with one decimal, and never rounded up to a whole 100%."""
    if 0.9995 <= share < 1:
        return "over 99.9%"
    return f"{100 * share:.1f}%".replace("100.0%", "100%")


def level_words(level: float) -> str:
    """A confidence level as a percentage without needless digits: `95%`, `99.5%`."""
    return f"{100 * level:g}%"


def duration(seconds: float) -> str:
    """Seconds in words: `12.3 s`, `4 min 05 s`, `2 h 03 min`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def inert(text: str, limit: int = 0) -> str:
    """A text of unknown origin without what could act on a terminal or hide what it says.

    Control characters (tab and line feed stay) and marks of direction become U+FFFD.

    Args:
        text: any text.
        limit: characters to keep, then an ellipsis; 0 keeps all.
    """
    cut = text[:limit] + "…" if limit and len(text) > limit else text
    return _HIDDEN.sub("\ufffd", cut)


def _unique(store: Store, pool: Pool) -> int:
    return len(pool.unique_rows) if store.artefact("pool") else len(pool)


def _who(kinds: set[Any]) -> str:
    names = {"human": "a person", "simulated": "a simulated reviewer"}
    return " and ".join(names[kind] for kind in sorted(kinds)) or "nobody"


def _asked(human: list[Annotation]) -> dict[int, dict[str, int]]:
    asked: dict[int, dict[str, int]] = {}
    for each in human:
        if each.label is not None:
            counts = asked.setdefault(each.round, {})
            counts[each.purpose] = counts.get(each.purpose, 0) + 1
    rounds = range(min(asked), max(asked) + 1) if asked else ()
    return {number: asked.get(number, {}) for number in rounds}


def _delivered(
    store: Store, pool: Pool, spec: TaskSpec, human: list[Annotation]
) -> tuple[tuple[tuple[str, int], ...], tuple[SourceCount, ...], int]:
    """Counts of the delivered labels: a person's answer stands above a model's."""
    kinds = list(SOURCE_WORDS)
    kind_place = {kind: place for place, kind in enumerate(kinds)}
    labels = np.full(len(pool), -1, dtype=np.int64)
    sources = np.full(len(pool), -1, dtype=np.int64)
    found = [a for a in [*store.annotations(purposes=("final",)), *human] if a.label is not None]
    whole = not (spec.several or spec.marked)
    known = [a for a in found if not whole or a.label in spec.label_names]
    names = {name: place for place, name in enumerate(_different(spec, known))}
    rows = np.fromiter((a.row for a in known), np.int64, len(known))
    labels[rows] = np.fromiter((names[str(a.label)] for a in known), np.int64, len(known))
    sources[rows] = np.fromiter((kind_place[a.kind] for a in known), np.int64, len(known))
    own = labels >= 0
    if store.artefact("pool"):
        groups = np.asarray(pool.groups)
        first = groups == np.arange(len(pool))
        labels = np.where(first, labels, labels[groups])
        sources = np.where(first, sources, sources[groups])
        own &= first
    items = np.bincount(sources[sources >= 0], minlength=len(kinds))
    texts = np.bincount(sources[own], minlength=len(kinds))
    counts = np.bincount(labels[labels >= 0], minlength=len(names))
    return (
        _balance(spec, {name: int(counts[place]) for name, place in names.items()}),
        tuple(
            SourceCount(kind, SOURCE_WORDS[kind], int(items[place]), int(texts[place]))
            for place, kind in enumerate(kinds)
            if items[place]
        ),
        int((labels >= 0).sum()),
    )


def _different(spec: TaskSpec, known: list[Annotation]) -> list[str]:
    """All labels of the task; the different answers, where items have sets or marked parts."""
    if not (spec.several or spec.marked):
        return spec.label_names
    return sorted({str(each.label) for each in known})


def _balance(spec: TaskSpec, counts: dict[str, int]) -> tuple[tuple[str, int], ...]:
    if not (spec.several or spec.marked):
        return tuple(counts.items())
    sets = [(names_of(text, spec), n) for text, n in counts.items()]
    each = [(name, sum(n for s, n in sets if name in s)) for name in spec.label_names]
    nothing = NOTHING_MARKED if spec.marked else NO_LABEL
    return (*each, (nothing, sum(n for s, n in sets if not s)))


def _compare_audit(store: Store, spec: TaskSpec) -> Compared | ComparedSets | None:
    frozen, prefix = store.artefact("frozen"), open_audit_prefix(store)
    if frozen is None:
        return None
    given = [a for a in store.annotations(purposes=("audit",)) if a.review.startswith(prefix)]
    truth = {a.row: str(a.label) for a in given if a.label is not None}
    if not truth:
        return None
    how = (
        "with preference for doubtful ones, so mistakes are over-represented here"
        if frozen["calibrated"]
        else "by chance"
    )
    origin = f"audit items, drawn from the frozen machine labels {how}"
    labels = frozen_labels(store, form_of(spec))
    assert labels is not None
    machine = labels.of(np.array(list(truth), dtype=np.int64))
    return _compared(spec, list(truth.values()), machine, len(given) - len(truth), origin)


def _compare_gold(store: Store, spec: TaskSpec) -> Compared | ComparedSets | None:
    measured = store.artefact("quality")
    if measured is None:
        return None
    of_model = [s for s in store.artefact_history("scores") if s["model"] == measured["model"]]
    gold = [a for a in store.annotations(purposes=("gold",), kinds=HUMAN_KINDS)]
    labelled = {a.row: str(a.label) for a in gold if a.label is not None}
    if not of_model or not labelled:
        return None
    scores = scores_at(store, of_model[-1])
    rows = np.array(sorted(labelled), dtype=np.int64)
    machine = scores.labels()[np.searchsorted(scores.rows, rows)]
    truth = [labelled[int(row)] for row in rows]
    origin = (
        f"gold items, drawn evenly from the pool, against the model of round {measured['round']} "
        "(the last one that was measured; it did not learn from them)"
    )
    return _compared(spec, truth, machine, len(gold) - len(truth), origin)


def _compared(
    spec: TaskSpec, truth: list[str], machine: Answers, skipped: int, origin: str
) -> Compared | ComparedSets:
    """A person's labels against the machine's answers of the same items."""
    given = form_of(spec).read(truth)
    if spec.marked:
        found = parts_by_type(machine, given, spec.label_names)
        return ComparedSets(found, int((machine == given).sum()), len(truth), skipped, origin)
    if spec.several:
        labels = by_label(machine, given, spec.label_names)
        right = int((machine == given).all(axis=1).sum())
        return ComparedSets(labels, right, len(truth), skipped, origin)
    size = len(spec.label_names)
    counts = np.zeros((size, size), dtype=np.int64)
    np.add.at(counts, (given, machine), 1)
    return Compared(counts, len(truth), skipped, origin)
