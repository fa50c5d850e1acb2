"""A reliability diagram shows the numbers it is given, and the area rewards a good order."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.quality.reliability import (
    accuracy_coverage_area,
    reliability,
    reliability_diagram,
)


def test_bins_hold_what_lies_in_them() -> None:
    found = reliability([0.95, 0.91, 0.95, 0.99, 0.12], [True, True, False, True, False])
    assert [each.n for each in found] == [1, 4]
    assert found[1].accuracy == 0.75
    assert found[1].confidence == pytest.approx(0.95)
    assert found[1].low < 0.75 < found[1].high


def test_the_diagram_is_markup_with_a_point_for_each_bin() -> None:
    bins = reliability([0.95, 0.91, 0.12], [True, True, False])
    drawn = reliability_diagram(bins)
    root = ET.fromstring(drawn)
    assert len(root.findall(".//circle")) == 2
    assert "100% right at 93%, n = 2" in root.attrib["aria-label"]
    assert drawn == reliability_diagram(bins)


def test_a_point_on_the_diagonal_lies_on_the_line() -> None:
    root = ET.fromstring(reliability_diagram(reliability([0.5, 0.5], [True, False])))
    line = next(each for each in root.findall("line") if each.attrib["class"] == "target")
    spot = root.find("circle")
    assert spot is not None
    middle = (float(line.attrib["y1"]) + float(line.attrib["y2"])) / 2
    assert float(spot.attrib["cy"]) == pytest.approx(middle, abs=0.1)


@pytest.mark.parametrize("bins", [0, -1])
def test_no_bins_are_refused(bins: int) -> None:
    with pytest.raises(UserError, match="bins"):
        reliability([0.5], [True], bins=bins)
    with pytest.raises(UserError, match="no bins"):
        reliability_diagram([])


def test_the_area_is_the_mean_accuracy_over_all_coverages() -> None:
    confidence, correct = [0.9, 0.8, 0.7], [True, False, True]
    assert accuracy_coverage_area(confidence, correct) == pytest.approx((1 + 1 / 2 + 2 / 3) / 3)


def test_a_confidence_that_says_nothing_has_the_accuracy_as_area() -> None:
    assert accuracy_coverage_area([0.5] * 4, [True, True, True, False]) == pytest.approx(0.75)


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.booleans()), min_size=1))
def test_the_order_of_items_does_not_change_the_area(items: list[tuple[float, bool]]) -> None:
    there = accuracy_coverage_area(*zip(*items, strict=True))
    back = accuracy_coverage_area(*zip(*items[::-1], strict=True))
    assert there == pytest.approx(back)
    assert 0 <= there <= 1


def test_a_better_order_has_a_larger_area() -> None:
    correct = np.array([True, True, False, False])
    good = accuracy_coverage_area([0.9, 0.8, 0.3, 0.2], correct)
    assert good > accuracy_coverage_area([0.2, 0.3, 0.8, 0.9], correct)
