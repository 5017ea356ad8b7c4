"""The comparison: it fails when it should, by the amounts that it states, and not more often than it says."""

import numpy as np
import pytest
from scipy import stats

from veridraft.simulate import PROCEDURES, Agreement, Quantity, compare, simulate
from veridraft.simulate.batches import intervals
from veridraft.simulate.defects import bias_total_variation, biased
from veridraft.theory import Chain, Iid, MarkovPair, block_efficiency, dirichlet_pair

PAIR = dirichlet_pair(3, seed=21, closeness=0.1)
POLICY = Iid(2, 2)
TRIALS = 200_000


@pytest.fixture(scope="module")
def sound():
    return simulate("specinfer", POLICY, PAIR, TRIALS, seed=22)


@pytest.fixture(scope="module")
def agreement(sound):
    return compare(sound, "specinfer", POLICY, PAIR)


def test_a_sound_run_agrees(agreement):
    assert agreement.outcome is Agreement.AGREES
    assert agreement.first_difference is None
    assert agreement.comparisons == 27 + 3 + 2
    assert agreement.trials == TRIALS


def planted(epsilon, seed):
    run = simulate(biased(PROCEDURES["specinfer"], epsilon, 0), POLICY, PAIR, TRIALS, seed=seed)
    return compare(run, "specinfer", POLICY, PAIR)


def test_a_planted_bias_is_found_at_its_known_size():
    size = bias_total_variation(0.05, 0, PAIR.target_row(()))
    found = planted(0.05, seed=23)
    assert found.outcome is Agreement.DIFFERS
    noise = intervals.total_variation_threshold(1e-6, TRIALS, np.full(27, 1 / 27))  # the widest over 27 strings
    assert abs(found.total_variation - size) < noise


def test_a_bias_of_the_stated_smallest_size_is_found(agreement):
    """Whatever is said to be visible is: the run misses it with probability 0.001, and this run is fixed."""
    epsilon = agreement.smallest_total_variation / (1 - PAIR.target_row(())[0])
    found = planted(epsilon, seed=24)
    assert Quantity.TOTAL_VARIATION in {difference.quantity for difference in found.differences}


def test_a_string_of_probability_zero_is_named():
    """The string comparison alone: at tau = 0 nothing but the token is wrong."""
    row = np.array([0.5, 0.5, 0.0])
    pair = MarkovPair(np.tile(row, (3, 1)), np.tile(row[::-1], (3, 1)))
    run = simulate(biased(PROCEDURES["naive"], 1e-3, 2), Chain(0), pair, 50_000, seed=25)
    found = compare(run, "naive", Chain(0), pair)
    assert [difference.quantity for difference in found.differences] == [Quantity.STRING]
    assert found.first_difference.string == (2,)
    assert found.first_difference.expected == 0
    assert found.first_difference.observed == pytest.approx(1e-3, rel=0.9)
    assert found.first_difference.error == 0


def test_a_wrong_mean_is_found_where_every_string_is_right():
    """Token by token 10/9, as a block 11/9: both lossless, so only the acceptance length tells them apart."""
    pair = MarkovPair(np.tile([1 / 3, 2 / 3], (2, 1)), np.tile([2 / 3, 1 / 3], (2, 1)))
    run = simulate("naive", Chain(2), pair, 50_000, seed=26)
    assert compare(run, "naive", Chain(2), pair).outcome is Agreement.AGREES
    found = compare(run, "block", Chain(2), pair)
    quantities = {difference.quantity for difference in found.differences}
    assert quantities == {Quantity.DEPTH, Quantity.ACCEPTANCE_LENGTH}
    wrong = next(d for d in found.differences if d.quantity is Quantity.ACCEPTANCE_LENGTH)
    assert wrong.expected == pytest.approx(11 / 9)
    assert wrong.observed == pytest.approx(10 / 9, abs=0.05)


def test_exact_values_at_hand_need_no_enumeration(sound, agreement):
    exact = block_efficiency("specinfer", POLICY, PAIR)
    assert compare(sound, "specinfer", POLICY, PAIR, exact=exact) == agreement


def test_false_alarms_are_no_more_than_the_level():
    """300 sound runs at level 0.05; a binomial count above this bound has probability 1e-6."""
    exact = block_efficiency("block", Chain(1), PAIR)
    runs = [simulate("block", Chain(1), PAIR, 300, seed=seed) for seed in range(300)]
    outcomes = [compare(run, "block", Chain(1), PAIR, level=0.05, exact=exact).outcome for run in runs]
    assert outcomes.count(Agreement.DIFFERS) <= stats.binom.isf(1e-6, 300, 0.05)


def test_binomial_errors_are_twice_the_smaller_tail():
    counts, probabilities = np.array([0, 3, 9, 10]), np.array([0.3, 0.3, 0.3, 1.0])
    errors = intervals.binomial_errors(counts, 10, probabilities)
    tails = [stats.binomtest(3, 10, 0.3, side).pvalue for side in ("less", "greater")]
    assert errors == pytest.approx([2 * 0.7**10, min(1, 2 * min(tails)), 2 * (10 * 0.3**9 * 0.7 + 0.3**10), 1.0])


def test_binomial_deviation_is_the_last_that_is_not_reported():
    probability = np.array([0.2])
    gap = intervals.binomial_deviations(1e-3, 1000, probability)[0]
    furthest = [200 - round(1000 * gap), 200 + round(1000 * gap)]
    errors = intervals.binomial_errors(np.array([furthest[0] - 1, *furthest, furthest[1] + 1]), 1000, np.full(4, 0.2))
    assert errors[0] < 1e-3
    assert errors[3] < 1e-3
    assert max(errors[1:3]) >= 1e-3


def test_bounds_and_their_inverses_meet():
    deviation = intervals.bernstein_deviation(1e-4, 0.7, 500, 2.0)
    assert intervals.bernstein_error(deviation, 0.7, 500, 2.0) == pytest.approx(1e-4)
    law = np.array([0.2, 0.3, 0.5])
    threshold = intervals.total_variation_threshold(1e-4, 500, law)
    assert intervals.total_variation_error(threshold, 500, law) == pytest.approx(1e-4)


def test_a_constant_acceptance_length_admits_no_deviation():
    assert intervals.bernstein_error(0.0, 0.0, 100, 0.0) == 1
    assert intervals.bernstein_error(1e-3, 0.0, 100, 0.0) == 0
    assert intervals.bernstein_deviation(1e-6, 0.0, 100, 0.0) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pair": dirichlet_pair(4, seed=0)}, "run has a vocabulary of 3, but pair one of 4"),
        ({"policy": Iid(2, 3)}, r"run has depth 2, but policy Iid\(2, 3\) has depth 3"),
        ({"exact": block_efficiency("naive", Chain(1), PAIR)}, r"exact has depth 1, but policy Iid\(2, 2\) has"),
        ({"level": 0}, r"level must lie in \(0, 1\), but is 0"),
        ({"verifier": "medusa"}, "unknown verifier 'medusa'"),
    ],
)
def test_bad_arguments_are_named(sound, change, message):
    arguments = {"verifier": "specinfer", "policy": POLICY, "pair": PAIR} | change
    with pytest.raises(ValueError, match=message):
        compare(sound, **arguments)
