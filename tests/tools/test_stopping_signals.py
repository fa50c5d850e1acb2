"""Stopping without labels: uncertainty, changed predictions, expected error."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from labelwright.store.errors import UserError
from labelwright.tools.stopping import (
    ClassificationChange,
    Criterion,
    ExpectedError,
    History,
    RoundRecord,
    UncertaintyNoLongerFalls,
)
from stoppers import StopperContract


def unsure(
    *means: float | None, maxima: Sequence[float | None] = (), measures: Sequence[str] = ()
) -> History:
    tops = maxima or [None if mean is None else 1.0 for mean in means]
    names = measures or ["margin"] * len(means)
    return History(
        tuple(
            RoundRecord(
                n, 20 * n, mean_uncertainty=mean, max_uncertainty=top, uncertainty_measure=name
            )
            for n, (mean, top, name) in enumerate(zip(means, tops, names, strict=True), start=1)
        )
    )


def changed(*shares: float | None) -> History:
    return History(
        tuple(RoundRecord(n, 20 * n, changed_share=s) for n, s in enumerate(shares, start=1))
    )


def expecting(*errors: float | None, calibrated: bool = False) -> History:
    return History(
        tuple(
            RoundRecord(n, 20 * n, expected_error=error, calibrated=calibrated)
            for n, error in enumerate(errors, start=1)
        )
    )


class TestUncertainty(StopperContract):
    def criterion(self) -> Criterion:
        return UncertaintyNoLongerFalls()

    def stops_at(self) -> History:
        return unsure(0.5, 0.4, 0.4, 0.398, 0.4)

    def goes_on_at(self) -> History:
        return unsure(0.5, 0.4, 0.4, 0.39, 0.4)


class TestChange(StopperContract):
    def criterion(self) -> Criterion:
        return ClassificationChange()

    def stops_at(self) -> History:
        return changed(None, 0.2, 0.0)

    def goes_on_at(self) -> History:
        return changed(None, 0.2, 1e-6)


class TestExpectedError(StopperContract):
    def criterion(self) -> Criterion:
        return ExpectedError(0.05)

    def stops_at(self) -> History:
        return expecting(0.3, 0.05)

    def goes_on_at(self) -> History:
        return expecting(0.04, 0.06)


@pytest.mark.parametrize(
    ("means", "stop"),
    [
        ((0.5, 0.5, 0.5), False),
        ((0.5, 0.5, 0.5, 0.5), True),
        # The lowest, not the last: a bad round does not reset what was reached.
        ((0.5, 0.3, 0.4, 0.4), False),
        ((0.3, 0.4, 0.4, 0.4), True),
        ((0.5, None, 0.5, 0.5), False),
        ((0.5, None, 0.5, 0.5, 0.5), True),
    ],
)
def test_the_lowest_uncertainty_counts(means: Sequence[float | None], stop: bool) -> None:
    assert UncertaintyNoLongerFalls().judge(unsure(*means)).stop is stop


def test_both_waits_for_mean_and_maximum() -> None:
    falling = unsure(0.5, 0.5, maxima=(0.9, 0.8))
    verdicts = {
        of: UncertaintyNoLongerFalls(window=1, of=of).judge(falling)
        for of in ("mean", "max", "both")
    }
    assert [verdicts[of].stop for of in ("mean", "max", "both")] == [True, False, False]
    assert verdicts["both"].signal == pytest.approx(0.1)
    assert "mean uncertainty by +0.0000 and max uncertainty by +0.1000" in verdicts["both"].reason


def test_a_round_without_a_maximum_counts_for_the_mean_only() -> None:
    history = unsure(0.5, 0.5, 0.5, 0.5, maxima=(None, 1.0, 1.0, 1.0))
    assert UncertaintyNoLongerFalls(of="mean").judge(history).stop
    both = UncertaintyNoLongerFalls().judge(history)
    assert not both.stop
    assert "3 of 4 rounds" in both.reason


def test_only_rounds_of_the_newest_measure_are_compared() -> None:
    mixed = unsure(0.2, 0.5, 0.5, measures=("entropy", "margin", "margin"))
    assert UncertaintyNoLongerFalls(window=1).judge(mixed).stop
    verdict = UncertaintyNoLongerFalls(window=2).judge(mixed)
    assert not verdict.stop
    assert "2 of 3 rounds" in verdict.reason


@pytest.mark.parametrize(
    ("shares", "window", "share", "stop"),
    [
        ((None, 0.0), 1, 0.0, True),
        ((None, 0.0), 2, 0.0, False),
        ((0.0, 0.01), 2, 0.01, True),
        ((0.02, 0.01), 2, 0.01, False),
        ((0.0, None, 0.0), 2, 0.0, False),
    ],
)
def test_changes_of_every_round_in_the_window_count(
    shares: Sequence[float | None], window: int, share: float, stop: bool
) -> None:
    assert ClassificationChange(window, share).judge(changed(*shares)).stop is stop


def test_expected_error_is_that_of_the_newest_round_only() -> None:
    assert not ExpectedError().judge(expecting(0.001, None)).stop


@pytest.mark.parametrize(("calibrated", "word"), [(True, " calibrated"), (False, "uncalibrated")])
def test_expected_error_says_whose_opinion_it_is(calibrated: bool, word: str) -> None:
    assert word in ExpectedError().judge(expecting(0.001, calibrated=calibrated)).reason


@pytest.mark.parametrize(
    "make",
    [
        lambda: UncertaintyNoLongerFalls(window=0),
        lambda: UncertaintyNoLongerFalls(epsilon=-0.1),
        lambda: UncertaintyNoLongerFalls(epsilon=float("nan")),
        lambda: UncertaintyNoLongerFalls(of="median"),  # type: ignore[arg-type]
        lambda: ClassificationChange(window=0),
        lambda: ClassificationChange(share=1.0),
        lambda: ExpectedError(0.0),
        lambda: ExpectedError(1.0),
    ],
)
def test_refuses_parameters_out_of_range(make: Callable[[], Criterion]) -> None:
    with pytest.raises(UserError, match="is "):
        make()
