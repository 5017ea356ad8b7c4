"""Block efficiency: exact against sampled, its fields, its limits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from strategies import NINE, ExactPair, exact_pairs, one_step_pair, policies

from veridraft.theory import Chain, Iid, MarkovPair, Static, TopK, Topology, block_efficiency, dirichlet_pair
from veridraft.theory.pairs import iid_pair

LEVEL = 1e-6
"""The chance that the comparison below fails though all is well, split over its cases."""


@pytest.mark.parametrize("verifier", NINE, ids=lambda verifier: verifier.name)
def test_the_sampled_value_covers_the_exact_one(verifier) -> None:
    pair = dirichlet_pair(4, seed=9, closeness=0.4)
    policy = Iid(2, 2) if verifier.supports(Iid(2, 2)) else Chain(3)
    exact = block_efficiency(verifier, policy, pair)
    sampled = block_efficiency(verifier, policy, pair, method="sample", trees=1000, seed=17)
    low, high = sampled.confidence_interval(1 - LEVEL / len(NINE))
    assert low <= exact.value <= high
    assert high - low < 1, "an interval this wide says nothing"


def test_the_interval_misses_a_value_that_is_off() -> None:
    pair = dirichlet_pair(4, seed=9, closeness=0.4)
    sampled = block_efficiency("specinfer", Iid(2, 2), pair, method="sample", trees=1000, seed=17)
    low, high = sampled.confidence_interval(1 - LEVEL / len(NINE))
    assert not low <= block_efficiency("nss", Iid(2, 2), pair).value <= high


def test_a_sampled_result_keeps_what_it_came_from() -> None:
    result = block_efficiency("spectr", Iid(2, 3), ExactPair(3, "full", 4), method="sample", trees=50, seed=1)
    assert (result.trees, result.method) == (50, "sample")
    assert result.by_depth.shape == (4,) and result.by_depth.sum() == pytest.approx(1)
    assert result.value == pytest.approx(1 + result.acceptance_length)
    assert result.value == pytest.approx((result.by_depth * np.arange(1, 5)).sum())
    assert result.standard_error == pytest.approx(result.standard_deviation / 50**0.5)
    again = block_efficiency("spectr", Iid(2, 3), ExactPair(3, "full", 4).as_float(), method="sample", trees=50, seed=1)
    assert again.value == result.value and (again.by_depth == result.by_depth).all()


def test_wider_levels_give_wider_intervals_about_the_value() -> None:
    result = block_efficiency("spectr", Iid(2, 2), ExactPair(3, "full", 4), method="sample", trees=50)
    inner, outer = result.confidence_interval(0.5), result.confidence_interval(0.999)
    assert outer[0] < inner[0] < result.value < inner[1] < outer[1]


@given(pair=exact_pairs(sizes=(2, 3)), policy=policies(most_trees=100, vocabulary_size=3))
def test_the_exact_value_is_the_mean_of_the_given_tree_values(pair, policy) -> None:
    trees = list(policy.enumerate(pair))
    for verifier in NINE:
        if verifier.supports(policy):
            mean = sum(weight * verifier.law(tree).block_efficiency for weight, tree in trees)
            result = block_efficiency(verifier, policy, pair)
            assert result.value == mean
            assert isinstance(result.value, Fraction)
            assert block_efficiency(verifier, policy, pair.as_float()).value == pytest.approx(float(mean), abs=1e-5)


def test_an_exact_result_keeps_its_profile_and_count() -> None:
    result = block_efficiency("specinfer", Iid(2, 1), one_step_pair())
    assert result.by_depth.tolist() == [Fraction(23, 100), Fraction(77, 100)]
    assert (result.trees, result.method, result.acceptance_length) == (9, "enumerate", Fraction(77, 100))


def test_more_trees_than_allowed_are_refused_before_any_work() -> None:
    refusal = r"Iid\(3, 2\) on a vocabulary of 3 has up to 10\^2.9 trees, more than most_trees = 700"
    with pytest.raises(ValueError, match=refusal):
        block_efficiency("spectr", Iid(3, 2), one_step_pair(), "enumerate", most_trees=700)
    assert block_efficiency("spectr", Iid(3, 2), one_step_pair(), most_trees=729).trees == 729
    with pytest.raises(ValueError, match=r"10\^2402\.1 trees"):
        block_efficiency("spectr", Iid(64, 8), dirichlet_pair(49_152), "enumerate")
    with pytest.raises(ValueError, match="1000 sampled trees of up to 513 nodes are more than"):
        block_efficiency("spectr", Iid(64, 8), dirichlet_pair(49_152))


MARKOV = dirichlet_pair(6, 1)
LARGE = MarkovPair(np.stack([MARKOV.target_row((c,)) for c in range(6)]), np.eye(6) * 0.5 + 1 / 12)
"""Six tokens: 6^9 trees of Iid(3, 3) are more than method "auto" lists where a programme is known."""


@pytest.mark.parametrize(
    ("name", "policy", "pair", "way"),
    [
        ("spectr", Iid(2, 2), LARGE, "enumerate"),
        ("spectr", Iid(3, 3), LARGE, "dp"),
        ("spectr", Iid(3, 3), MARKOV, "sample"),
        ("traversal", Iid(2, 3), MARKOV, "enumerate"),
        ("rrsw", Static(Topology.k_ary(3, 3), replacement=False), MARKOV, "sample"),
        ("nss", TopK(2, 3, 4), MARKOV, "enumerate"),
    ],
)
def test_auto_takes_the_cheapest_exact_way_and_says_which(name, policy, pair, way) -> None:
    options = {"trees": 40, "seed": 3}
    found = block_efficiency(name, policy, pair, **options)
    assert found.method == way
    assert found.value == block_efficiency(name, policy, pair, way, **options).value


def test_samples_are_drawn_from_a_seed_or_from_a_generator() -> None:
    given = [
        block_efficiency("nss", Iid(2, 2), MARKOV, "sample", trees=9, seed=seed).value
        for seed in (5, np.random.default_rng(5))
    ]
    assert given[0] == given[1]
    rng = np.random.default_rng(5)
    first, second = (block_efficiency("nss", Iid(2, 2), MARKOV, "sample", trees=9, seed=rng).value for _ in range(2))
    assert first == given[0] != second


def test_the_interval_of_trees_that_all_agree_is_honest() -> None:
    """A peaked pair, 60 samples of 50 trees: at 95 % fewer than 43 are covered with probability below 1e-6."""
    pair = iid_pair([0.999, 0.001, 0.0], [0.9985, 0.0005, 0.001])
    exact = block_efficiency("naive", Chain(3), pair).value
    covered, widths = 0, []
    for seed in range(60):
        found = block_efficiency("naive", Chain(3), pair, "sample", trees=50, seed=seed)
        low, high = found.confidence_interval()
        covered, widths = covered + (low <= exact <= high), [*widths, high - low]
    assert covered >= 43
    assert min(widths) > 0.1


def test_an_interval_with_much_to_see_is_students() -> None:
    found = block_efficiency("specinfer", Iid(2, 2), MARKOV, "sample", trees=400)
    low, high = found.confidence_interval(0.9)
    assert high - low == pytest.approx(2 * 1.6487 * found.standard_error, rel=1e-3)
    assert found.unseen(0.95) == pytest.approx(3 / 400, rel=0.01)
