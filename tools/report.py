"""`report.html`: what was delivered, how right it is, what it cost, and why each step was taken.

One self-contained page: no script, no address outside of it, readable on a phone and on paper.
Every number carries how many items it rests on and where those came from; where something was
not measured, the page says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..store.database import Store
from ..store.events import ApprovalEvent, DecisionEvent, ToolEvent
from ..store.files import replacing
from ..store.pool import Pool
from ..store.spec import Settings, TaskSpec
from ..store.trace import StoredEvent
from . import figures
from .rendering import page
from .set_quality import LabelAgreement
from .summary import (
    Compared,
    ComparedSets,
    Summary,
    confusions,
    duration,
    inert,
    level_words,
    percent,
    summarise,
)

WORST = 8
"""Pairs of labels listed under the confusion matrix."""


def write_report(store: Store, pool: Pool, spec: TaskSpec, settings: Settings, path: Path) -> None:
    """Write the report of a project as it stands; an older one is replaced whole.

    Raises:
        OperatorError: the disk is full or the folder is read-only.
    """
    text = render_report(store, pool, spec, settings)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def render_report(store: Store, pool: Pool, spec: TaskSpec, settings: Settings) -> str:
    """The page as text; the same store gives the same text."""
    summary = summarise(store, pool, spec)
    events = store.events()
    return page("report.html").render(
        spec=spec,
        settings=settings,
        summary=summary,
        certificate=certificate_words(summary, spec),
        tiles=_tiles(summary, spec),
        curve=_curve(summary, spec),
        rounds=figures.labels_by_round(summary.asked) if summary.asked else "",
        matrix=_matrix(summary.compared, spec.label_names),
        confusions=_confusions(summary.compared, spec.label_names),
        agreement=_agreement(summary.compared),
        balance=_bars(
            [(inert(name), n) for name, n in summary.balance],
            total=summary.labelled if spec.several or spec.marked else 0,
        ),
        unit=unit(spec),
        inside=inside_words(summary),
        seconds=_bars(_seconds(events)),
        calibration=calibration_words(summary),
        decisions=_decisions(events),
        events=len(events),
        began=events[0].time if events else "",
        percent=percent,
        level_words=level_words,
        duration=duration,
        inert=inert,
    )


def certificate_words(summary: Summary, spec: TaskSpec) -> list[str]:
    """What is certified about the delivered labels, in plain sentences; also when nothing is."""
    found = summary.certificate
    if found is None:
        return _no_certificate(summary)
    level = level_words(found["level"])
    words = [
        f"At least {percent(found['delivered_low'])} of the {summary.items:,} delivered "
        f"{unit(spec)}s are right, with {level} confidence; the best estimate is "
        f"{percent(found['delivered_estimate'])}, and the interval reaches up to "
        f"{percent(found['delivered_high'])}.",
        f"How we know: the machine labels were frozen first. Then {found['n_audited']} of those "
        f"items were drawn, each with a known probability, and shown to {summary.human} without "
        f"the machine's label. {_wrong(found['n_errors'])} wrong or left open. Before the audit "
        f"{percent(found['human_share'])} of the items had "
        "been labelled by hand and count as right.",
        "The interval holds at every look (a confidence sequence), so stopping as soon as it was "
        f"good enough did not spoil it. Method: {found['method']}.",
    ]
    words += _within_words(found, spec, level)
    if found["corrected"]:
        words.append(
            f"Before the mistakes that the audit found were put right, the accuracy was "
            f"{percent(found['estimate'])} ({percent(found['low'])} to {percent(found['high'])})."
        )
    if spec.target_accuracy is not None:
        reached = found["delivered_low"] >= spec.target_accuracy
        words.append(
            f"The target of {percent(spec.target_accuracy)} is {'' if reached else 'not '}"
            "reached by the lower end of the interval."
        )
    if summary.simulated:
        words.append(
            "The reviewer was simulated: answers came from the gold labels of the data file, "
            "so the certificate says how well the labels agree with those, and no person judged."
        )
    return words


def _within_words(found: Mapping[str, Any], spec: TaskSpec, level: str) -> list[str]:
    """When an answer of several parts is right, and what is certified of the parts."""
    if spec.several:
        return [
            "A label set is right when it holds every label that the item has and no other. "
            + decision_words(found["decisions"], level)
        ]
    if not spec.marked:
        return []
    whole = (
        "An answer is right when it marks every part of the text that should be marked, with its "
        "exact words and type, and nothing else. "
    )
    return [whole + text_f1_words(found["text_f1"], level), *span_words(found, level)]


def unit(spec: TaskSpec) -> str:
    """What an item's answer is called."""
    if spec.marked:
        return "answer"
    return "label set" if spec.several else "label"


def decision_words(found: Mapping[str, Any], level: str) -> str:
    """The certificate of single decisions about labels, in a sentence."""
    return (
        "Of the single decisions, whether an item has a label or not, "
        f"{percent(found['delivered_estimate'])} are right, between "
        f"{percent(found['delivered_low'])} and {percent(found['delivered_high'])}; this interval "
        f"holds at {level} by itself, not together with the one above."
    )


def text_f1_words(found: Mapping[str, Any], level: str) -> str:
    """The certificate of the mean F1 of a text, in a sentence."""
    return (
        f"The F1 of a text's marked parts is {found['delivered_estimate']:.3f} on average, between "
        f"{found['delivered_low']:.3f} and {found['delivered_high']:.3f}; this interval holds at "
        f"{level} by itself, not together with the one above."
    )


def span_words(found: Mapping[str, Any], level: str) -> list[str]:
    """Precision, recall and F1 of the frozen spans in a sentence; nothing without answers."""
    spans = found.get("spans")
    if spans is None:
        return []
    return [
        f"Part by part, before the mistakes that the audit found were put right: "
        f"{_ratios(spans, ('precision', 'recall', 'f1'))}, from {spans['texts']} audited texts in "
        f"which a person marked {spans['true']} parts and the machine {spans['given']}, "
        f"{spans['right']} of them the same. Each is weighted by the chance of its draw; the "
        f"intervals are bootstrap intervals at {level}, for one look, and not part of the "
        "certificate."
    ]


def _ratios(found: Mapping[str, Any], names: Sequence[str]) -> str:
    parts = []
    for name in names:
        words = name.removeprefix("span_").replace("_f1", " F1").replace("f1", "F1")
        given = found.get(name)
        if given is None:
            parts.append(f"{words} not known")
            continue
        middle, low, high = given
        parts.append(f"{words} {middle:.3f} ({low:.3f} to {high:.3f})")
    return ", ".join(parts)


INSIDE = (
    ("micro_f1", "Labels within the sets", ("micro_f1", "macro_f1")),
    ("span_f1", "Marked parts", ("span_precision", "span_recall", "span_f1")),
)
"""What is measured within answers on gold: the figure that tells, what it is of, and all."""


def inside_words(summary: Summary) -> list[str]:
    """What was last measured on gold within sets or marked texts; nothing for one label an item."""
    found = summary.last_quality or {}
    names = next(((words, names) for key, words, names in INSIDE if key in found), None)
    if names is None:
        return []
    words, figures_of = names
    return [
        f"{words}, by the model of round {found['round']} on {found['n']} gold items: "
        f"{_ratios(found, figures_of)}, bootstrap intervals at {level_words(found['level'])}."
    ]


def calibration_words(summary: Summary) -> list[str]:
    """How far the confidences can be believed, in plain sentences."""
    model, measured = summary.model, summary.last_quality
    if model is None:
        return ["No model was trained, so there are no confidences."]
    if model["temperature"] is None:
        words = [
            f"The confidences of the delivered model are {model['calibrated_on']}: "
            "read them as an order, not as probabilities."
        ]
    elif "power" in model:
        words = [
            "The probability of each label was calibrated with a temperature and a threshold of "
            "its own; the confidence of an item is the chance that its whole set is right, the "
            f"product over the labels to the power {model['power']:.2f} (1 if they erred "
            f"independently), fitted on {model['calibrated_on']}."
        ]
    elif "shift" in model:
        words = [
            "The confidence of an item is the chance that its answer is right as a whole: the "
            "tagger's own probability of the answer, with a temperature of "
            f"{model['temperature']:.2f} and a shift of {model['shift']:+.2f} on the logit, fitted "
            f"on {model['calibrated_on']}."
        ]
    else:
        words = [
            f"Probabilities were calibrated with temperature {model['temperature']:.2f} "
            "(1 leaves them as they are, above 1 makes them less sure, below 1 surer), fitted on "
            f"{model['calibrated_on']}."
        ]
    if measured is not None and measured.get("calibration_error") is not None:
        words.append(
            f"Expected calibration error {measured['calibration_error']:.3f} on {measured['n']} "
            f"gold items, by the model of round {measured['round']}: the mean distance between "
            "confidence and accuracy in ten bins. It was measured on the items that its "
            "temperature was fitted on and is an optimistic figure; few items make it coarse."
        )
    else:
        words.append("The calibration error was not measured: there were no gold items.")
    return words


def _no_certificate(summary: Summary) -> list[str]:
    words = [
        "There is no certificate: the delivered labels were not audited, so their accuracy is "
        "not known."
    ]
    measured = summary.last_quality
    if measured is not None:
        words.append(
            f"What is known: the model of round {measured['round']} was right on "
            f"{percent(measured['estimate'])} of {measured['n']} gold items "
            f"({percent(measured['low'])} to {percent(measured['high'])} at "
            f"{level_words(measured['level'])}). The delivered labels come from a later model."
        )
    words.append("To get one, leave human labels in the budget for an audit.")
    return words


def _wrong(errors: int) -> str:
    return {0: "None of them was", 1: "One was"}.get(errors, f"{errors} were")


def _tiles(summary: Summary, spec: TaskSpec) -> list[tuple[str, str, str]]:
    """The headline: name, number, and what the number rests on."""
    limit = spec.budgets.human_labels
    by = summary.asked_by_purpose
    spent = ", ".join(f"{n} to {_verb(name)}" for name, n in by.items() if n) or "none"
    copies = f"{summary.unique:,} different texts and {_copies(summary.copies)}"
    return [
        _accuracy_tile(summary, spec),
        (
            "Human labels" if not summary.simulated else "Labels by the simulated reviewer",
            f"{summary.human_labels}" + (f" of {limit}" if limit is not None else ""),
            spent + (f"; {summary.skipped} skipped" if summary.skipped else ""),
        ),
        ("Items", f"{summary.items:,}", copies),
        ("Money", f"${summary.usd:,.2f}", _money(spec, summary)),
        ("Time", duration(summary.seconds), "computing and reviewing, as the ledger adds it up"),
    ]


def _copies(n: int) -> str:
    return {0: "no copies", 1: "1 copy"}.get(n, f"{n:,} copies")


def _verb(purpose: str) -> str:
    return {"train": "train", "gold": "measure (gold)", "audit": "certify (audit)"}[purpose]


def _accuracy_tile(summary: Summary, spec: TaskSpec) -> tuple[str, str, str]:
    found, measured = summary.certificate, summary.last_quality
    if found is not None:
        return (
            f"Accuracy of the delivered {unit(spec)}s",
            percent(found["delivered_estimate"]),
            f"certified: {percent(found['delivered_low'])} to "
            f"{percent(found['delivered_high'])} at {level_words(found['level'])}, valid at every "
            f"look; {found['n_audited']} audit items",
        )
    if measured is not None:
        return (
            "Accuracy, not certified",
            percent(measured["estimate"]),
            f"{percent(measured['low'])} to {percent(measured['high'])} at "
            f"{level_words(measured['level'])}; the model of round {measured['round']} on "
            f"{measured['n']} gold items",
        )
    return ("Accuracy", "not known", "no audit and no gold items")


def _money(spec: TaskSpec, summary: Summary) -> str:
    limit = "no limit was set" if spec.budgets.usd is None else f"of ${spec.budgets.usd:,.2f}"
    return limit + (f"; {summary.tokens:,} tokens" if summary.tokens else "")


def _curve(summary: Summary, spec: TaskSpec) -> str:
    return figures.learning_curve(summary.quality, spec.target_accuracy) if summary.quality else ""


def _matrix(compared: Compared | ComparedSets | None, names: Sequence[str]) -> str:
    if not isinstance(compared, Compared):
        return ""
    return figures.confusion_matrix(compared.counts, names)


def _confusions(
    compared: Compared | ComparedSets | None, names: Sequence[str]
) -> list[tuple[str, str, int]]:
    return confusions(compared, names, WORST) if isinstance(compared, Compared) else []


def _agreement(compared: Compared | ComparedSets | None) -> list[LabelAgreement]:
    """Each label by itself, the one with most disagreement first; empty for one label an item."""
    if not isinstance(compared, ComparedSets):
        return []
    return sorted(compared.labels, key=lambda each: -(each.person + each.machine))


def _bars(
    values: Sequence[tuple[str, float]], total: float = 0
) -> list[tuple[str, float, float, float]]:
    """Name, value, share of the total (by default the sum), width of the bar in percent."""
    total = total or sum(value for _, value in values) or 1
    most = max((value for _, value in values), default=0) or 1
    return [(name, v, v / total, round(100 * v / most, 1)) for name, v in values]


def _seconds(events: Sequence[StoredEvent]) -> list[tuple[str, float]]:
    sums: dict[str, float] = {}
    for each in events:
        if isinstance(each.event, ToolEvent):
            sums[each.event.tool] = sums.get(each.event.tool, 0.0) + each.event.seconds
    return sorted(sums.items(), key=lambda pair: -pair[1])


def _decisions(events: Sequence[StoredEvent]) -> list[dict[str, Any]]:
    approvals = {
        each.place.step: each.event for each in events if isinstance(each.event, ApprovalEvent)
    }
    rows = []
    for each in events:
        if not isinstance(each.event, DecisionEvent):
            continue
        said = approvals.get(each.place.step)
        rows.append(
            {
                "step": each.place.step,
                "tool": each.event.tool,
                "args": ", ".join(f"{name}={value}" for name, value in each.event.args.items()),
                "reason": inert(each.event.reason),
                "policy": each.event.policy + (" (fallback)" if each.event.fallback else ""),
                "approved": f"{said.answer} by {inert(said.by)}" if said else "not asked",
            }
        )
    return rows
