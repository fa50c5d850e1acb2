"""`estimate_quality`: accuracy with an interval, on gold items or from the audit."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from ..store.errors import UserError
from ..store.events import MetricEvent
from ..store.records import Artefact
from .audit_sample import audited, audited_spans, certificate
from .base import Outcome, Tool, ToolArgs, ToolContext
from .calibration import expected_calibration_error
from .certificate import Certificate, Interval, fixed_interval
from .entity_quality import EntityScores, SpanScores
from .labels import gold_labels
from .scores import read_scores


class QualityArgs(ToolArgs):
    """`estimate_quality` takes no arguments: what can be measured follows from what was done."""


class EstimateQuality(Tool[QualityArgs]):
    """Measures on gold while rounds go on, and certifies the frozen labels once audited."""

    name = "estimate_quality"
    description = (
        "Measure the current model's accuracy on the gold items; once frozen labels were audited, "
        "compute the certificate of their accuracy instead."
    )
    Args = QualityArgs

    def run(self, context: ToolContext, args: QualityArgs) -> Outcome:
        """Measure or certify; see `Tool.run`."""
        if audited(context.store):
            return _certify(context)
        return _measure(context)


def _certify(context: ToolContext) -> Outcome:
    result = certificate(context.store, context.pool, context.spec)
    level = context.spec.confidence_level
    value: dict[str, Any] = {
        **asdict(result),
        "level": level,
        "model": (context.store.artefact("frozen") or {})["model"],
        "delivered_estimate": result.delivered_estimate,
        "delivered_low": result.delivered_low,
        "delivered_high": result.delivered_high,
        **_within(context),
    }
    metric = MetricEvent(
        name="certified_accuracy",
        value=result.estimate,
        low=result.low,
        high=result.high,
        level=level,
        n=result.n_audited,
        items="audit items, drawn by known probabilities from the frozen labels",
    )
    target = context.spec.target_accuracy
    shown = {
        key: value[key] for key in ("estimate", "low", "high", "level", "n_audited", "n_errors")
    }
    shown |= {name: value[name] for name in ("decisions", "text_f1") if name in value}
    shown["target_reached"] = None if target is None else result.delivered_low >= target
    return Outcome(
        result={"certificate": shown},
        artefacts=(Artefact("certificate", value),),
        metrics=(metric,),
    )


def _within(context: ToolContext) -> dict[str, Any]:
    """What the audit says of the inside of answers: single decisions, or marked parts."""
    spec, given = context.spec, (context.store, context.pool, context.spec)
    if not context.form.several:
        return {}
    found: Certificate = certificate(*given, share=True)
    names = ("estimate", "low", "high", "delivered_estimate", "delivered_low", "delivered_high")
    by_share = {name: float(getattr(found, name)) for name in names}
    if not spec.marked:
        return {"decisions": by_share}
    spans = audited_spans(*given, seed=context.seed)
    return {"text_f1": by_share, **({} if spans is None else {"spans": span_figures(spans)})}


def span_figures(found: EntityScores) -> dict[str, Any]:
    """Precision, recall and F1, each with its interval, in all and for each type, as plain data.

    What cannot be had, such as the precision where nothing was marked, is `None`.
    """

    def figures(scores: SpanScores) -> dict[str, Any]:
        ratios = {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1}
        return {
            **{
                name: None if each is None else [each.estimate, each.low, each.high]
                for name, each in ratios.items()
            },
            "right": scores.right,
            "given": scores.given,
            "true": scores.true,
        }

    by_type = {name: figures(each) for name, each in found.per_type.items()}
    return {**figures(found.spans), "texts": found.n_texts, "by_type": by_type}


def _measure(context: ToolContext) -> Outcome:
    gold, scores = gold_labels(context.store), read_scores(context.store)
    model = context.store.artefact("model")
    if scores is None or model is None:
        raise UserError("the pool is not scored yet: call train_model and measure_uncertainty")
    if model["final"]:
        raise UserError(
            "the final model has learned from the gold items, so they cannot measure it: "
            "request a review with purpose audit"
        )
    if not len(gold):
        raise UserError("there are no gold items: request a review with purpose gold")
    truth, form = context.form.read(gold.labels), context.form
    place = np.searchsorted(scores.rows, gold.rows)
    answers, confidence = scores.labels()[place], scores.confidence()[place]
    correct = form.same(answers, truth)
    interval = fixed_interval(int(correct.sum()), len(gold), context.spec.confidence_level)
    error = expected_calibration_error(confidence, correct)
    value = {
        "round": context.round,
        "model": model["name"],
        "human_labels": context.store.totals().human_labels,
        **{name: round(float(each), 6) for name, each in asdict(interval).items() if name != "n"},
        "n": len(gold),
        "calibration_error": round(float(error), 4),
    }
    metrics = [_metric("gold_accuracy", interval)]
    found = form.measures(answers, truth, level=interval.level, seed=context.seed)
    metrics += [_metric(f"gold_{name}", each) for name, each in found.items()]
    value |= {
        name: [round(x, 6) for x in (each.estimate, each.low, each.high)]
        for name, each in found.items()
    }
    return Outcome(result=value, artefacts=(Artefact("quality", value),), metrics=tuple(metrics))


def _metric(name: str, interval: Interval) -> MetricEvent:
    return MetricEvent(
        name=name,
        value=interval.estimate,
        low=interval.low,
        high=interval.high,
        level=interval.level,
        n=interval.n,
        items="gold items, drawn evenly from the pool and kept out of training",
    )
