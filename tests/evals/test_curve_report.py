"""What curves come to: scores, areas, labels to a target, the report and the picture."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.evals.curve_cells import WHOLE_POOL, Cell, Plan, Point, macro_f1
from labelwright.evals.curve_plots import plot_curves
from labelwright.evals.curve_report import area, labels_to, ratio_to_random, report
from labelwright.evals.curve_table import Curves


@given(
    pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40),
)
def test_macro_f1_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    from sklearn.metrics import f1_score

    gold, answered = np.array(pairs, dtype=np.int64).T
    wanted = f1_score(gold, answered, average="macro", zero_division=0.0)
    assert macro_f1(gold, answered) == pytest.approx(wanted)


def points(*accuracies: float, step: int = 10) -> list[Point]:
    return [
        Point(step * (place + 1), each, each, 0.1, 0.1, 0.1)
        for place, each in enumerate(accuracies)
    ]


def test_the_area_is_the_mean_height() -> None:
    assert area(points(0.5, 0.5, 0.5)) == pytest.approx(0.5)
    assert area(points(0.0, 1.0)) == pytest.approx(0.5)
    assert area(points(0.0, 1.0, 1.0)) == pytest.approx(0.75)
    assert area(points(0.4)) == pytest.approx(0.4)


def test_labels_to_a_target_are_read_off_the_line() -> None:
    curve = points(0.5, 0.7, 0.6)
    assert labels_to(curve, 0.4) == 10
    assert labels_to(curve, 0.6) == pytest.approx(15)
    assert labels_to(curve, 0.8) is None


def made(**strategies: list[list[Point]]) -> Curves:
    found: Curves = {}
    for name, by_seed in strategies.items():
        for seed, curve in enumerate(by_seed):
            found[Cell("trec", "linear", name, seed)] = curve
    for seed in range(2):
        found[Cell("trec", "linear", WHOLE_POOL, seed)] = [Point(99, 1.0, 1.0, 0.1, 0.1, 0.1)]
    return found


SLOW = [points(0.5, 0.8, 0.96)] * 2
FAST = [points(0.96, 0.97, 0.98)] * 2
NEVER = [points(0.5, 0.6, 0.7)] * 2


@pytest.mark.parametrize(
    ("mine", "base", "sign", "ratio"),
    [
        (FAST, SLOW, "=", 10 / labels_to(SLOW[0], 0.95)),  # type: ignore[operator]
        (FAST, NEVER, "≤", 10 / 30),
        (NEVER, FAST, "≥", 3.0),
        (NEVER, NEVER, "–", None),
    ],
)
def test_a_ratio_to_random_says_what_is_known(
    mine: list[list[Point]], base: list[list[Point]], sign: str, ratio: float | None
) -> None:
    found = ratio_to_random(made(random=base, margin=mine), "trec", "linear", "margin", 0.95, 30)
    assert found[0] == sign
    assert ratio is None or found[1] == pytest.approx(ratio)


def test_the_report_compares_with_random() -> None:
    text = report(made(random=SLOW, margin=FAST, entropy=NEVER), Plan(30, 10, 100, 100))
    summary = {line.split(" | ")[0]: line for line in text.splitlines() if line.startswith("| ")}
    summed = {line.split(" | ")[0]: line for line in text.split("###")[0].splitlines()}
    assert summed["| margin"].endswith("| 1 of 1 | 0 of 1 | 1 of 1 | 1 of 1 | 1 of 1 | 1 of 1 |")
    assert summed["| entropy"].endswith("| 0 of 1 | 1 of 1 | 0 of 1 | 0 of 1 | 0 of 1 | 0 of 1 |")
    assert "> 30 in 2 of 2" in summary["| entropy"]
    assert "10 ± 0" in summary["| margin"]


def test_a_plot_is_one_picture_with_a_line_for_each_strategy() -> None:
    picture = plot_curves(made(random=SLOW, margin=FAST), "trec", "linear")
    root = ElementTree.fromstring(picture)
    lines = [each for each in root.iter() if each.tag.endswith("polyline")]
    assert len(lines) == 2
    assert {"random", "margin"} <= {each.text for each in root.iter()}
