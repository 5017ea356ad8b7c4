"""Ratios of rates at the same roots: intervals that cover, what is told apart, how units depend."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from scipy import stats
from wins_samples import rows

from veridraft.reports.studies.wins.leads import LogRatio, Standing, Yardstick, dependence, each, mean_of, over, paired
from veridraft.reports.studies.wins.rows import RootRow, RootSetting


@pytest.mark.parametrize("quantity", Yardstick)
@pytest.mark.parametrize("level", [0.5, 0.99])
def test_paired_intervals_cover_the_truth_as_often_as_they_say(quantity, level):
    """Missed as often as a binomial count at the level can be; a jackknife may be a fifth too careful."""
    runs, missed = 400, 0
    for seed in range(runs):
        first, second = rows(np.random.default_rng(seed), (2.2, 2.0))
        found = paired(first, second, quantity).lead(level).ratio
        missed += not found.low <= 1.1 <= found.high
    error = 1e-5
    assert stats.binom.ppf(error, runs, 0.8 * (1 - level)) <= missed <= stats.binom.isf(error, runs, 1 - level)


@pytest.mark.parametrize("quantity", Yardstick)
def test_the_mean_over_settings_covers_the_truth_as_often_as_it_says(quantity):
    runs, missed = 300, 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        pairs = [rows(rng, (2.0 * ratio, 2.0), noise=noise) for ratio, noise in ((1.1, 0.01), (1.3, 0.05))]
        found = mean_of([paired(*pair, quantity) for pair in pairs]).lead(0.9).ratio
        missed += not found.low <= (1.1 * 1.3) ** 0.5 <= found.high
    error = 1e-5
    assert stats.binom.ppf(error, runs, 0.08) <= missed <= stats.binom.isf(error, runs, 0.1)


def test_rows_that_are_all_equal_are_seldom_told_apart_from_the_one_that_came_out_best():
    runs, false = 120, 0
    for seed in range(runs):
        at = RootSetting((1.0, 1.0), rows(np.random.default_rng(seed), (2.0,) * 6))
        first, *others = at.ranked(Yardstick.SPEED)
        false += any(over(at, first, row).standing is not Standing.LEVEL for row in others)
    assert false <= stats.binom.isf(1e-5, runs, 0.05)


def test_what_two_rows_share_does_not_widen_their_interval():
    """The common factor is ten times the own noise; without pairing the interval would be several times as wide."""
    first, second = rows(np.random.default_rng(0), (2.2, 2.0), units=24)
    found, alone = paired(first, second, Yardstick.SPEED), np.log(first.tokens / first.seconds.sum(axis=0))
    assert found.error < 0.25 * 2**0.5 * alone.std(ddof=1) / 24**0.5
    assert found.freedom == 23


def test_equal_laws_that_differ_by_rounding_are_not_told_apart():
    first, _ = rows(np.random.default_rng(0), (2.0, 2.0))
    second = RootRow("other", first.policy, first.tokens * (1 + 1e-8), first.roots, first.seconds, first.texts)
    assert paired(second, first, Yardstick.EFFICIENCY).lead(0.95).standing is Standing.LEVEL
    assert paired(first, first, Yardstick.EFFICIENCY).error == 0
    assert mean_of([LogRatio(0.0, 0.0, 7.0)] * 2).lead(0.95).standing is Standing.LEVEL


def test_a_rate_is_a_ratio_of_sums_and_a_level_is_split():
    row = RootRow(
        "a",
        "Chain(3)",
        np.array([4.0, 6.0]),
        np.array([2.0, 3.0]),
        np.array([[1, 2], [2, 3], [1, 1]]),
        np.array([0, 0]),
    )
    assert row.rate(Yardstick.SPEED) == 1
    assert row.rate(Yardstick.EFFICIENCY) == 2
    assert row.without(Yardstick.SPEED).tolist() == [log(6 / 6), log(4 / 4)]
    assert row.share == 0.2
    assert row.step == (600, 1000, 400)
    assert each(5) == pytest.approx(0.99)
    assert exp(paired(row, row, Yardstick.SPEED).value) == 1


def test_units_that_depend_on_each_other_within_a_text_are_seen():
    """Four units a text: of equal ratios the error by text is twice that by unit, of independent ones the same."""
    rng, texts = np.random.default_rng(0), np.repeat(np.arange(60), 4)
    ones, equal = np.ones(240), np.repeat(rng.uniform(0.9, 1.1, 60), 4)
    alone, fixed = rng.uniform(0.9, 1.1, 240), np.outer([1, 2, 1], ones)
    first, alike, free = (RootRow(name, "Chain(3)", tokens, ones, fixed, texts)
                          for name, tokens in (("a", 2 * ones), ("b", equal), ("c", alone)))  # fmt: skip
    found = {row.verifier: dependence(RootSetting((1.0, 1.0), (first, row)))[0] for row in (alike, free)}
    assert found["b"] == pytest.approx(2, rel=0.02)
    spread = stats.norm.isf(1e-5) / (2 * 59) ** 0.5
    assert abs(found["c"] - 1) < spread
    assert dependence(RootSetting((1.0, 1.0), rows(rng, (2.0, 2.0), units=2))) == ()
