"""The certificate covers the truth at every look, and refuses what it must not certify."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelwright.store.errors import UserError
from labelwright.tools.certificate import (
    AuditDraw,
    Certificate,
    certify,
    draw_audit,
    fixed_interval,
    labels_digest,
    log_capital,
)
from numpy.typing import NDArray

ALPHA = 0.05


@dataclasses.dataclass(frozen=True)
class Population:
    """Machine rows with their shares, labels, doubts and hidden errors."""

    rows: NDArray[np.int64]
    weights: NDArray[np.float64]
    labels: NDArray[np.int64]
    doubt: NDArray[np.float64] | None
    wrong: NDArray[np.bool_]

    @property
    def error_mass(self) -> float:
        return float(self.weights[self.wrong].sum())

    @property
    def digest(self) -> str:
        return labels_digest(self.rows, self.labels)

    def draw(self, k: int, seed: int, **options: object) -> AuditDraw:
        return draw_audit(
            self.rows,
            self.weights,
            self.labels,
            k,
            seed=seed,
            doubt=self.doubt,
            **options,  # type: ignore[arg-type]
        )

    def errors(self, draw: AuditDraw) -> NDArray[np.bool_]:
        return self.wrong[np.searchsorted(self.rows, draw.rows)]

    def certify(self, draw: AuditDraw, answers: int | None = None) -> Certificate:
        errors = self.errors(draw)[:answers]
        return certify(errors, draw, labels=self.digest, used_in_training=[], level=1 - ALPHA)


def population(
    n: int, error_rate: float, seed: int, *, doubts: bool = False, human_share: float = 0.2
) -> Population:
    rng = np.random.default_rng(seed)
    copies = rng.integers(1, 4, size=n).astype(np.float64) if doubts else np.ones(n)
    doubt = rng.beta(0.5, 0.5 * (1 - error_rate) / error_rate, size=n) if doubts else None
    chance = np.full(n, error_rate) if doubt is None else doubt
    return Population(
        rows=np.sort(rng.choice(10 * n, size=n, replace=False)),
        weights=(1 - human_share) * copies / copies.sum(),
        labels=rng.integers(0, 3, size=n),
        doubt=doubt,
        wrong=rng.random(n) < chance,
    )


def ever_misses(pool: Population, seed: int, k: int) -> bool:
    draw = pool.draw(k, seed)
    capital = log_capital(pool.errors(draw), draw, np.array([pool.error_mass]))
    return bool(capital.max() >= np.log(1 / ALPHA))


@pytest.mark.parametrize(
    ("error_rate", "doubts"), [(0.05, False), (0.2, False), (0.1, True), (0.5, True)]
)
def test_the_truth_is_missed_at_any_of_150_looks_no_more_often_than_promised(
    error_rate: float, doubts: bool
) -> None:
    runs = 200
    misses = sum(
        ever_misses(population(400, error_rate, seed, doubts=doubts), seed, 150)
        for seed in range(runs)
    )
    # Three standard deviations above 5%.
    assert misses / runs <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / runs)


def test_a_usual_interval_misses_far_more_often_when_looked_at_again_and_again() -> None:
    runs, misses = 200, 0
    for seed in range(runs):
        pool = population(400, 0.2, seed)
        errors = pool.errors(pool.draw(150, seed))
        n = np.arange(1, len(errors) + 1)
        share = np.cumsum(errors) / n
        half = 1.96 * np.sqrt(share * (1 - share) / n)
        misses += bool((np.abs(share - pool.wrong.mean()) > half)[20:].any())
    assert misses / runs > 3 * ALPHA


def steps(pool: Population) -> list[tuple[float, AuditDraw]]:
    """Every possible pair of first two draws with its probability, from the definition of q."""
    tilt = np.ones(len(pool.rows))
    if pool.doubt is not None and pool.doubt.any():
        root = np.sqrt(pool.doubt)
        tilt = 0.7 + 0.3 * root / root.mean()
    share = pool.weights * tilt
    found = []
    for i, j in itertools.permutations(range(len(pool.rows)), 2):
        first, second = share[i] / share.sum(), share[j] / (share.sum() - share[i])
        left = np.array([share.sum(), share.sum() - share[i]])
        mass = pool.weights.sum()
        draw = dataclasses.replace(
            pool.draw(2, 0),
            rows=pool.rows[[i, j]],
            probabilities=np.array([first, second]),
            weights=pool.weights[[i, j]],
            bounds=left / tilt.min(),
            remaining=np.array([mass, mass - pool.weights[i]]),
        )
        found.append((first * second, draw))
    return found


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(3, 6), seed=st.integers(0, 10_000), wrong=st.integers(0, 63), doubts=st.booleans()
)
def test_the_bets_are_fair_when_the_mass_is_right(
    n: int, seed: int, wrong: int, doubts: bool
) -> None:
    pool = population(n, 0.3, seed, doubts=doubts)
    pool = dataclasses.replace(pool, wrong=np.array([bool(wrong >> i & 1) for i in range(n)]))
    truth = np.array([pool.error_mass])
    chances, draws = zip(*steps(pool), strict=True)
    paths = [np.exp(log_capital(pool.errors(draw), draw, truth)[1:, 0]) for draw in draws]
    after_one, after_two = np.array(chances) @ np.array(paths)
    assert after_one <= 1 + 1e-9
    assert after_two <= 1 + 1e-9
    if 0 < pool.wrong.sum() < n:
        assert after_one == pytest.approx(1)


def test_recorded_chances_and_bounds_are_those_of_the_definition() -> None:
    pool = population(5, 0.3, 3, doubts=True)
    draw = pool.draw(2, seed=11)
    (same,) = [other for _, other in steps(pool) if other.rows.tolist() == draw.rows.tolist()]
    np.testing.assert_allclose(draw.probabilities, same.probabilities)
    np.testing.assert_allclose(draw.bounds, same.bounds)
    np.testing.assert_allclose(draw.remaining, same.remaining)


def test_rows_are_drawn_as_often_as_recorded() -> None:
    pool = population(5, 0.3, 3, doubts=True)
    runs = 4000
    draws = [pool.draw(2, seed) for seed in range(runs)]
    chances = {tuple(draw.rows.tolist()): chance for chance, draw in steps(pool)}
    assert len(chances) == 20
    for pair, chance in chances.items():
        share = np.mean([tuple(draw.rows.tolist()) == pair for draw in draws])
        assert share == pytest.approx(chance, abs=4.5 * np.sqrt(chance * (1 - chance) / runs))


def test_the_estimate_has_no_bias() -> None:
    pool = population(60, 0.3, 5, doubts=True)
    terms = []
    for seed in range(1500):
        draw = pool.draw(12, seed)
        masses = draw.weights * pool.errors(draw)
        terms.append(np.mean(np.cumsum(masses) - masses + masses / draw.probabilities))
    error = np.std(terms) / np.sqrt(len(terms))
    assert np.mean(terms) == pytest.approx(pool.error_mass, abs=4 * error)
    certificate = pool.certify(pool.draw(12, 1499))
    assert 1 - certificate.estimate == pytest.approx(terms[-1])


def test_the_interval_is_what_a_fine_grid_keeps() -> None:
    pool = population(500, 0.15, 7, doubts=True)
    draw = pool.draw(40, seed=2)
    masses = np.linspace(0, 0.8, 4001)
    capital = log_capital(pool.errors(draw), draw, masses).max(axis=0)
    kept = masses[capital < np.log(1 / ALPHA)]
    certificate = pool.certify(draw)
    assert 1 - certificate.high == pytest.approx(kept[0], abs=3e-4)
    assert 1 - certificate.low == pytest.approx(kept[-1], abs=3e-4)
    assert 1 - certificate.high <= kept[0]
    assert 1 - certificate.low >= kept[-1]


def test_capital_is_log_convex_in_the_mass_so_one_interval_is_kept() -> None:
    pool = population(500, 0.15, 7, doubts=True)
    draw = pool.draw(40, seed=2)
    capital = log_capital(pool.errors(draw), draw, np.linspace(0.1, 0.6, 400))[-1]
    assert np.diff(capital, 2).min() > -1e-8


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 25), seed=st.integers(0, 1000), rate=st.sampled_from([0.02, 0.3, 0.98]))
def test_looks_only_narrow_the_interval_and_the_last_one_is_the_truth(
    n: int, seed: int, rate: float
) -> None:
    pool = population(n, rate, seed, doubts=seed % 2 == 0)
    draw = pool.draw(n, seed)
    looks = [pool.certify(draw, answers) for answers in range(n + 1)]
    for before, after in itertools.pairwise(looks):
        assert before.low - 1e-3 <= after.low <= after.estimate <= after.high <= before.high + 1e-3
    assert looks[-1].low == looks[-1].high == pytest.approx(1 - pool.error_mass)
    assert looks[-1].delivered_estimate == pytest.approx(1)


@pytest.mark.parametrize("wrong", [False, True])
def test_a_population_without_variety_is_never_refuted(wrong: bool) -> None:
    pool = dataclasses.replace(population(60, 0.2, 0), wrong=np.full(60, wrong))
    draw = pool.draw(60, seed=3)
    assert log_capital(pool.errors(draw), draw, np.array([pool.error_mass])).max() < 1


def test_all_correct_gives_a_lower_end_below_one() -> None:
    pool = dataclasses.replace(
        population(1000, 0.2, 0, human_share=0.0), wrong=np.zeros(1000, bool)
    )
    certificate = pool.certify(pool.draw(60, seed=0))
    assert certificate.estimate == certificate.high == pytest.approx(1)
    # The exact one-look bound is 0.9404: this one must be lower, and not by much.
    assert 0.90 < certificate.low < 0.9404
    assert certificate.n_errors == 0


def test_nothing_left_to_the_machine_is_certainly_right() -> None:
    certificate = certify(
        [], draw_audit([], [], [], 5, seed=0), labels=labels_digest([], []), used_in_training=[]
    )
    assert (certificate.low, certificate.estimate, certificate.high) == (1, 1, 1)
    assert certificate.human_share == 1


def test_without_answers_only_the_human_share_is_certain() -> None:
    pool = population(50, 0.2, 0, human_share=0.3)
    certificate = pool.certify(pool.draw(0, seed=0))
    assert certificate.low == pytest.approx(0.3)
    assert certificate.high == pytest.approx(1)


def test_duplicates_count_as_often_as_they_occur() -> None:
    weights = np.array([0.9, 0.05, 0.05])
    draw = draw_audit([0, 1, 2], weights, [0, 0, 0], 3, seed=0)
    wrong = draw.rows == 0
    certificate = certify(
        wrong, draw, labels=labels_digest([0, 1, 2], [0, 0, 0]), used_in_training=[]
    )
    assert certificate.estimate == pytest.approx(0.1)


def test_corrections_raise_the_delivered_accuracy_by_what_was_found() -> None:
    pool = population(200, 0.2, 1)
    draw = pool.draw(50, seed=0)
    certificate = pool.certify(draw)
    assert certificate.n_errors > 0
    assert certificate.corrected == pytest.approx(certificate.n_errors * 0.8 / 200)
    assert certificate.delivered_low == pytest.approx(certificate.low + certificate.corrected)
    assert certificate.delivered_high <= 1


def test_wrong_labels_that_stay_wrong_do_not_raise_the_delivered_accuracy() -> None:
    pool = population(200, 0.2, 1)
    draw = pool.draw(50, seed=0)
    errors = pool.errors(draw)
    kept = errors.copy()
    kept[np.flatnonzero(errors)[0]] = False
    some = certify(errors, draw, labels=pool.digest, used_in_training=[], corrected=kept)
    assert some.low == pool.certify(draw).low
    assert some.corrected == pytest.approx((errors.sum() - 1) * 0.8 / 200)
    with pytest.raises(UserError, match="corrected has the shape"):
        certify(errors, draw, labels=pool.digest, used_in_training=[], corrected=kept[:3])


def hoeffding_width(n: int) -> float:
    """Predictably mixed Hoeffding confidence sequence (Waudby-Smith & Ramdas 2024), one look."""
    t = np.arange(1, n + 1)
    bets = np.minimum(np.sqrt(8 * np.log(2 / ALPHA) / (t * np.log(t + 1))), 1)
    return float(2 * (np.log(2 / ALPHA) + (bets**2 / 8).sum()) / bets.sum())


@pytest.mark.parametrize("n", [30, 60])
def test_widths_are_near_the_exact_one_look_interval_and_far_below_hoeffding(n: int) -> None:
    widths, exact = [], []
    for seed in range(12):
        pool = population(3000, 0.1, seed, human_share=0.0)
        certificate = pool.certify(pool.draw(n, seed))
        once = fixed_interval(n - certificate.n_errors, n)
        widths.append(certificate.high - certificate.low)
        exact.append(once.high - once.low)
    assert np.mean(exact) < np.mean(widths) < 1.35 * np.mean(exact)
    assert np.mean(widths) < 0.6 * hoeffding_width(n)


def test_good_doubts_narrow_the_interval() -> None:
    informed, even = [], []
    for seed in range(12):
        pool = population(3000, 0.1, seed, doubts=True, human_share=0.0)
        for widths, each in ((informed, pool), (even, dataclasses.replace(pool, doubt=None))):
            certificate = each.certify(each.draw(120, seed))
            widths.append(certificate.high - certificate.low)
    assert np.mean(informed) < 0.95 * np.mean(even)


class TestRefusals:
    pool = population(50, 0.2, 0)

    def certify(self, draw: AuditDraw, **changes: object) -> Certificate:
        options: dict[str, object] = {"labels": self.pool.digest, "used_in_training": []}
        return certify(self.pool.errors(draw), draw, **{**options, **changes})  # type: ignore[arg-type]

    def test_audit_items_that_a_model_learned_from(self) -> None:
        draw = self.pool.draw(10, seed=0)
        with pytest.raises(UserError, match="used in training"):
            self.certify(draw, used_in_training=[int(draw.rows[4])])

    def test_training_items_outside_the_audit_do_no_harm(self) -> None:
        draw = self.pool.draw(10, seed=0)
        other = np.setdiff1d(self.pool.rows, draw.rows)
        assert self.certify(draw, used_in_training=other).n_audited == 10

    def test_labels_that_changed_after_the_draw(self) -> None:
        changed = self.pool.labels.copy()
        changed[3] += 1
        with pytest.raises(UserError, match="frozen"):
            self.certify(self.pool.draw(10, seed=0), labels=labels_digest(self.pool.rows, changed))

    @pytest.mark.parametrize("chance", [0.0, np.nan, 1.5])
    def test_items_without_a_known_probability(self, chance: float) -> None:
        draw = self.pool.draw(10, seed=0)
        chances = draw.probabilities.copy()
        chances[7] = chance
        with pytest.raises(UserError, match="draw 7 has no known probability"):
            self.certify(dataclasses.replace(draw, probabilities=chances))

    def test_more_answers_than_draws(self) -> None:
        with pytest.raises(UserError, match="11 answers for 10 draws"):
            certify(
                np.zeros(11),
                self.pool.draw(10, seed=0),
                labels=self.pool.digest,
                used_in_training=[],
            )

    @pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
    def test_a_level_that_is_none(self, level: float) -> None:
        with pytest.raises(UserError, match="level"):
            self.certify(self.pool.draw(10, seed=0), level=level)


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (7, 10), (10, 10), (1, 1), (55, 60)])
def test_the_fixed_interval_is_the_exact_one(successes: int, n: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(successes, n).proportion_ci(0.9, method="exact")
    interval = fixed_interval(successes, n, 0.9)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert interval.estimate == successes / n
    assert interval.n == n


@pytest.mark.parametrize(
    ("successes", "n", "level"), [(1, 0, 0.9), (3, 2, 0.9), (-1, 2, 0.9), (1, 2, 1)]
)
def test_the_fixed_interval_refuses_nonsense(successes: int, n: int, level: float) -> None:
    with pytest.raises(UserError):
        fixed_interval(successes, n, level)
