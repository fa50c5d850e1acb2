"""The pilot: what a model is good for, said on gold items in words the agent can act on."""

from __future__ import annotations

import numpy as np
import pytest
from annotating import GOAL, SINGLE, SPECS, always, by_text, items
from labelwright.store.errors import UserError
from labelwright.tools.annotators import (
    Entities,
    LLMAnnotator,
    MultiLabel,
    Span,
    cohen_kappa,
    judge_pilot,
    pilot,
)

LABELS = ("billing", "bug", "praise")


def drawn(n: int, right: float, *, seed: int = 0) -> tuple[list[str | None], list[str]]:
    """Answers that are right with a probability, and gold labels."""
    rng = np.random.default_rng(seed)
    gold = rng.choice(LABELS, n).tolist()
    other = rng.choice(LABELS, n).tolist()
    keep = rng.random(n) < right
    return [a if good else b for a, b, good in zip(gold, other, keep, strict=True)], gold


def test_a_good_model_is_usable() -> None:
    given, gold = drawn(60, 0.95)
    found = judge_pilot(given, gold, SINGLE)
    assert found.verdict == "usable"
    assert found.agreement is not None
    assert found.agreement.low > 0.4
    assert f"kappa {found.agreement.estimate:.2f}" in found.reason
    assert found.n == found.accuracy.n == 60


def test_a_mediocre_model_is_weak() -> None:
    assert judge_pilot(*drawn(80, 0.5), SINGLE).verdict == "weak"


def test_a_model_that_guesses_is_unusable() -> None:
    found = judge_pilot(*drawn(80, 0.0), SINGLE)
    assert found.verdict == "unusable"
    assert "ask people" in found.reason


def test_few_gold_items_do_not_make_a_model_usable() -> None:
    gold = ["billing", "bug", "praise"]
    assert judge_pilot(gold, gold, SINGLE).verdict != "usable"


def test_a_model_that_always_says_the_same_is_constant_however_often_it_is_right() -> None:
    gold = ["bug"] * 40 + ["praise"] * 8 + ["billing"] * 2
    found = judge_pilot(["bug"] * 50, gold, SINGLE)
    assert found.verdict == "constant"
    assert found.accuracy.estimate == 0.8
    assert found.agreement is not None
    assert found.agreement.estimate == pytest.approx(0.0)
    assert '100% of its answers are "bug", which is right for 80%' in found.reason


def test_a_model_that_says_what_all_gold_items_are_is_not_called_constant() -> None:
    found = judge_pilot(["bug"] * 20, ["bug"] * 20, SINGLE)
    assert found.verdict == "weak"
    assert found.agreement is None
    assert "all have one value" in found.reason


def test_a_model_with_hardly_any_valid_answer_is_unusable() -> None:
    given, gold = drawn(40, 1.0)
    found = judge_pilot([None] * 30 + given[30:], gold, SINGLE)
    assert found.verdict == "unusable"
    assert found.invalid == 0.75
    assert "only 10 of 40 answers were valid" in found.reason
    assert judge_pilot([None] * 40, gold, SINGLE).commonest == ""


def test_an_invalid_answer_counts_as_wrong() -> None:
    given, gold = drawn(50, 1.0)
    found = judge_pilot([None] * 5 + given[5:], gold, SINGLE)
    assert found.accuracy.estimate == pytest.approx(0.9)


def test_kappa_is_cohens() -> None:
    # The table [[20, 5], [10, 15]]: p_o = 0.7, p_e = 0.5.
    said = ["a"] * 20 + ["a"] * 5 + ["b"] * 10 + ["b"] * 15
    true = ["a"] * 20 + ["b"] * 5 + ["a"] * 10 + ["b"] * 15
    found = cohen_kappa(said, true)
    assert found is not None
    assert found.estimate == pytest.approx(0.4)
    assert found.low < 0.4 < found.high


def test_kappa_of_perfect_agreement_keeps_an_interval() -> None:
    found = cohen_kappa(["a", "b"] * 10, ["a", "b"] * 10)
    assert found is not None
    assert found.estimate == found.high == 1.0
    assert 0.5 < found.low < 1.0


def test_the_interval_of_kappa_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    chances, right = np.array([0.6, 0.3, 0.1]), 0.7
    # With probability `right` the gold label, else one drawn by the same chances: kappa is `right`.
    covered = 0
    for _ in range(400):
        gold = rng.choice(3, 60, p=chances)
        said = np.where(rng.random(60) < right, gold, rng.choice(3, 60, p=chances))
        found = cohen_kappa([str(x) for x in said], [str(x) for x in gold])
        assert found is not None
        covered += found.low <= right <= found.high
    assert covered / 400 > 0.93


def test_spans_and_sets_of_labels_are_judged_by_overlap() -> None:
    entities, several = Entities(SPECS), MultiLabel(SPECS)
    spans = [(Span(n, n + 1, "bug", "a"),) for n in range(30)]
    assert judge_pilot(spans, spans, entities).measure == "overlap"
    assert judge_pilot(spans, spans, entities).verdict == "usable"
    nothing = judge_pilot([()] * 30, spans[:20] + [()] * 10, entities)
    assert nothing.verdict == "constant"
    orders = judge_pilot([(Span(0, 6, "bug", "OBEY ME"),)] * 30, spans, entities)
    assert orders.verdict == "constant"
    assert "OBEY" not in orders.reason + orders.commonest
    sets = [("bug",), ("bug", "praise"), ()] * 10
    half = [("bug",), ("bug",), ()] * 10
    found = judge_pilot(half, sets, several)
    assert found.agreement is not None
    assert found.agreement.estimate == pytest.approx((1 + 0.5 + 1) / 3)
    assert found.accuracy.estimate == pytest.approx(2 / 3)


def test_the_same_seed_gives_the_same_interval() -> None:
    sets = [("bug",), ("bug", "praise"), ()] * 10
    half = [("bug",), ("bug",), ()] * 10
    one, two = (judge_pilot(half, sets, MultiLabel(SPECS), seed=3) for _ in range(2))
    assert one == two


def test_a_pilot_asks_about_the_gold_items_and_gives_the_annotations_too() -> None:
    gold = ["bug", "praise", "billing"] * 10
    texts = [f"{label} {place}" for place, label in enumerate(gold)]
    annotator = LLMAnnotator(by_text(lambda text: {"label": text.split()[0]}), SINGLE, GOAL)
    found, annotations = pilot(annotator, items(*texts), gold)
    assert found.verdict == "usable"
    assert [each.label for each in annotations] == gold
    constant, _ = pilot(LLMAnnotator(always({"label": "bug"}), SINGLE, GOAL), items(*texts), gold)
    assert constant.verdict == "constant"


def test_gold_and_answers_must_be_aligned() -> None:
    with pytest.raises(UserError, match="1 answers for 2 gold items"):
        judge_pilot(["bug"], ["bug", "bug"], SINGLE)
    with pytest.raises(UserError, match="0 answers for 0 gold items"):
        judge_pilot([], [], SINGLE)
