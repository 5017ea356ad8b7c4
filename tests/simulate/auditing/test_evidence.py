"""The sequential test: exact expectations under the law, power where it is promised, corner cases."""

from itertools import product
from math import inf, prod

import numpy as np
import pytest

from veridraft.simulate.auditing.evidence import MISS, Evidence, _log_bets, smallest_excess, views

LAW = np.array([0.35, 0.15, 0.1, 0.4])


def evidence(law=LAW, size=2, level=1e-6, optimum=None):
    law = np.asarray(law, dtype=float)
    return Evidence(law.reshape((size,) * round(np.log(len(law)) / np.log(size))), level, optimum)


@pytest.mark.parametrize(("law", "size"), [(LAW, 2), ([0.2, 0.3, 0.5], 3), (np.full(8, 1 / 8), 2)])
@pytest.mark.parametrize("trials", [1, 3])
def test_expectation_of_the_evidence_is_one_under_the_law(law, size, trials):
    law = np.asarray(law, dtype=float)
    total = 0.0
    for strings in product(range(len(law)), repeat=trials):
        one = evidence(law, size)
        one.count(np.array(strings))
        total += prod(law[list(strings)]) * np.exp(one._log_average())
    assert total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("mean", [0.4, 0.7])
def test_bets_on_length_are_worth_at_most_one_up_to_the_optimum(mean):
    optimum, trials = 0.7, 3
    lengths = np.array([1 - mean, mean, 0.0])
    expected = 0.0
    for depths in product(range(2), repeat=trials):
        one = evidence(np.full(8, 1 / 8), 2, optimum=optimum)
        one.depths = np.bincount(depths, minlength=3)
        expected += prod(lengths[list(depths)]) * np.exp(_log_bets(one.depths, optimum)).mean()
    assert expected == pytest.approx(1.0, abs=1e-12) if mean == optimum else expected < 1.0


def test_views_are_the_prefixes_and_the_places_with_their_probabilities():
    law = np.arange(1.0, 28.0).reshape(3, 3, 3)
    law /= law.sum()
    found = {view.axes: view.probabilities for view in views(law)}
    assert set(found) == {(0, 1, 2), (0, 1), (0,), (1,), (2,)}
    np.testing.assert_allclose(found[(0, 1)], law.sum(axis=2))
    np.testing.assert_allclose(found[(1,)], law.sum(axis=(0, 2)))
    np.testing.assert_allclose(found[(2,)], law.sum(axis=(0, 1)))


def test_pattern_of_a_cell_names_the_places_looked_at():
    law = np.full((2, 2, 2), 1 / 8)
    by_axes = {view.axes: view for view in views(law)}
    assert by_axes[(0, 1)].pattern(2) == (1, 0)
    assert by_axes[(2,)].pattern(1) == (None, None, 1)


def test_a_string_of_probability_zero_is_proof():
    one = evidence([0.5, 0.5, 0.0, 0.0])
    one.count(np.array([0, 1, 2]))
    one.look()
    assert one.log_e == inf and one.error == 0.0 and one.rejects
    assert one.most_telling().pattern == (1,)
    assert one.most_telling().expected == 0.0


def test_a_rejection_stays_when_later_strings_are_as_they_should_be():
    one = evidence()
    one.count(np.zeros(200, dtype=int))
    one.look()
    assert one.rejects
    one.count(np.random.default_rng(0).choice(4, size=100_000, p=LAW))
    one.look()
    assert one.rejects


def test_looking_at_nothing_says_nothing():
    one = evidence()
    one.look()
    assert one.trials == 0 and one.log_e == 0.0 and not one.rejects


def runs_that_reject(law, other, trials, runs, level=1e-6):
    rng = np.random.default_rng(5)
    rejected = 0
    for _ in range(runs):
        one = evidence(law, 2, level)
        one.count(rng.choice(len(law), size=trials, p=other))
        one.look()
        rejected += one.rejects
    return rejected


def test_a_deviation_of_the_promised_total_variation_is_found():
    trials, runs = 20_000, 60
    one = evidence()
    one.count(np.random.default_rng(1).choice(4, size=trials, p=LAW))
    one.look()
    size = one.smallest_total_variation
    assert 0.01 < size < 0.1
    other = LAW + size / 2 * np.array([1, -1, -1, 1])
    # each run misses with probability at most MISS: more than 3 misses of 60 have probability below 1e-6
    assert runs_that_reject(LAW, other, trials, runs) >= runs - 3
    assert 60 * 59 * 58 * 57 / 24 * MISS**4 < 1e-6


def test_a_first_token_of_the_promised_excess_is_found():
    trials, runs = 20_000, 60
    one = evidence()
    one.count(np.random.default_rng(1).choice(4, size=trials, p=LAW))
    excess = smallest_excess(LAW.reshape(2, 2).sum(axis=1), trials, one.needed)
    assert 0.01 < excess < 0.1
    other = LAW + np.repeat([excess, -excess], 2) * LAW / np.repeat(LAW.reshape(2, 2).sum(axis=1), 2)
    assert runs_that_reject(LAW, other, trials, runs) >= runs - 3


def test_the_promises_shrink_with_the_number_of_trials():
    excesses = [smallest_excess(np.array([0.1, 0.9]), trials, 20.0) for trials in (100, 10_000, 1_000_000)]
    assert excesses == sorted(excesses, reverse=True)
    assert smallest_excess(np.array([1.0]), 100, 20.0) == 0.0
    assert smallest_excess(np.array([0.5, 0.5]), 3, 50.0) == 0.5


def test_false_alarms_at_a_high_level_stay_below_it():
    level, runs = 0.2, 150
    rng = np.random.default_rng(9)
    alarms = 0
    for _ in range(runs):
        one = evidence(level=level)
        for size in (20, 20, 40, 80, 160, 320):
            one.count(rng.choice(4, size=size, p=LAW))
            one.look()
        alarms += one.rejects
    # at a rate of 0.2, more than 60 of 150 have probability below 1e-6
    assert alarms <= 60


def test_lengths_above_the_optimum_reject_although_the_strings_are_right():
    rng = np.random.default_rng(3)
    one = evidence(np.full(8, 1 / 8), 2, optimum=1.0)
    one.count(rng.integers(8, size=4000), rng.choice(3, size=4000, p=[0.1, 0.5, 0.4]))
    one.look()
    assert one.rejects and one.length_exceeds()
