"""Bottom-up verifiers by their weights: exact programmes, certified bounds, and why there are none for trees."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layered_pairs import exact_layers, layered_pairs
from strategies import KINDS

from veridraft.theory import Chain, Delayed, Iid, MarkovPair, block_efficiency
from veridraft.theory.efficiency.listed import listed_profile
from veridraft.theory.efficiency.weighted import States, weighted_profile
from veridraft.theory.pairs.layered import LayeredPair, iid_pair, layer_below, widening_pair
from veridraft.theory.verifiers.table import VERIFIERS

LIFTED = ["lifted_rrs", "lifted_k_seq", "lifted_naive", "traversal"]


def markov_pair(size, seed, closeness=0.5):
    rng = np.random.default_rng(seed)
    target, other = rng.dirichlet(np.full(size, 0.5), size=(2, size))
    return MarkovPair(target, closeness * target + (1 - closeness) * other)


def value_at(pair, paths, depth, weight):
    """Mean accepted length times acceptance below a root of some weight, by the weights that can occur."""
    one = weight * 0 + 1
    states = States(np.zeros(1, dtype=int), np.array([paths]), np.array([weight]), np.array([one]))
    total = one * 0
    for level in range(depth):
        layer, deeper = layer_below(pair, (), level), layer_below(pair, (), level + 1)
        states = states.children(layer, deeper.classes, "test")
        total += states.accepted.sum()
    return total


@pytest.mark.parametrize("pair", layered_pairs(10), ids=range(10))
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_block_verification_is_the_sum_of_minima_over_strings(pair, depth):
    """The closed form: E[tau] = sum over l and strings of min over i of q(x_1..x_i) p(x_i+1..x_l)."""
    total = Fraction(0)
    for length in range(1, depth + 1):
        for string in product(range(pair.vocabulary_size), repeat=length):
            p = [pair.target_row(string[:level])[token] for level, token in enumerate(string)]
            q = [pair.draft_row(string[:level])[token] for level, token in enumerate(string)]
            total += min(Fraction(np.prod(q[:i])) * Fraction(np.prod(p[i:])) for i in range(length + 1))
    assert block_efficiency("block", Chain(depth), pair, method="dp").value == 1 + total


@pytest.mark.parametrize("name", LIFTED)
@pytest.mark.parametrize("policy", [Chain(4), Delayed(3, 3, 0), Delayed(1, 2, 2)], ids=repr)
def test_on_one_path_every_lifted_rule_is_block_verification(name, policy):
    pair = exact_layers(3, "full", seed=4, depth=4)
    expected = block_efficiency("block", Chain(policy.depth), pair)
    assert block_efficiency(name, policy, pair, method="dp").value == expected.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", [Iid(3, 2), Delayed(2, 1, 2), Iid(4, 1)], ids=repr)
def test_lifted_rrs_by_weights_equals_its_lists(kind, policy):
    pair, entry = exact_layers(2, kind, seed=8), VERIFIERS["lifted_rrs"]
    by_weights, by_lists = (rule(entry, policy, pair, ()) for rule in (weighted_profile, listed_profile))
    assert (by_weights.by_depth == by_lists.by_depth).all()
    assert (by_weights.variation == by_lists.variation).all()


def test_the_two_halves_of_a_path_meet_where_there_are_too_many_weights():
    pair = markov_pair(50, seed=2)
    exact = block_efficiency("block", Chain(5), pair, method="dp")  # 50 ** 5 strings, 50 ** 3 of them formed
    bounds = block_efficiency("block", Chain(5), pair, method="bounds", points=257)
    assert bounds.lower - 1e-12 <= exact.value <= bounds.upper + 1e-12
    assert bounds.width < 1e-4
    np.testing.assert_allclose(exact.by_depth.sum(), 1, atol=1e-12)
    shorter = block_efficiency("block", Chain(3), pair, method="dp")
    np.testing.assert_allclose(exact.reach[:4], shorter.reach, atol=1e-12)
    np.testing.assert_allclose(exact.total_variation[:3], shorter.total_variation, atol=1e-12)


@given(seed=st.integers(0, 2**32), kind=st.sampled_from(KINDS), classes=st.booleans(), points=st.integers(2, 40))
def test_bounds_hold_whatever_the_grid(seed, kind, classes, points):
    pair = exact_layers(3, kind, seed, classes=classes).as_float()
    exact = block_efficiency("block", Chain(3), pair, method="dp").value
    bounds = block_efficiency("block", Chain(3), pair, method="bounds", points=points)
    assert bounds.lower - 1e-12 <= exact <= bounds.upper + 1e-12


def test_bounds_close_as_the_grid_refines():
    pair = markov_pair(30, seed=5)
    widths = [
        block_efficiency("block", Chain(6), pair, method="bounds", points=points).width for points in (9, 33, 129)
    ]
    assert widths[0] < 0.1
    assert widths[1] < widths[0] / 8  # second order would be 16
    assert widths[2] < widths[1] / 8


def test_bounds_are_inside_the_samples_interval_at_real_size():
    pair = markov_pair(300, seed=6)
    bounds = block_efficiency("block", Chain(6), pair, method="bounds", points=33)
    low, high = block_efficiency("block", Chain(6), pair, method="sample", trees=400).confidence_interval(1 - 1e-6)
    assert low <= bounds.lower <= bounds.upper <= high


@given(seed=st.integers(0, 2**32), kind=st.sampled_from(KINDS))
def test_on_one_path_the_value_is_concave_and_never_falls_in_the_weight(seed, kind):
    pair = exact_layers(3, kind, seed)
    values = [value_at(pair, 1, 2, Fraction(step, 8)) for step in range(1, 9)]
    steps = np.diff([Fraction(0), *values])
    assert (steps >= 0).all()
    assert (np.diff(steps) <= 0).all()


def test_over_several_paths_more_weight_can_mean_less():
    """Lifted RRS, exactly: of weight 31/32 the subtree accepts more tokens in the mean than of weight 1."""
    tenths = [Fraction(tenth, 10) for tenth in range(11)]
    root = [tenths[4], tenths[6]], [tenths[6], tenths[4]]
    after = [[tenths[10], tenths[0]], [tenths[7], tenths[3]]], [[tenths[2], tenths[8]], [tenths[5], tenths[5]]]
    pair = LayeredPair([root, after])
    whole, less = value_at(pair, 4, 2, Fraction(1)), value_at(pair, 4, 2, Fraction(31, 32))
    assert 1 + whole == block_efficiency("lifted_rrs", Iid(4, 2), pair).value
    assert less > whole
    assert float(less - whole) == pytest.approx(0.00562, abs=1e-5)


def test_refusals_say_what_is_possible():
    pair = markov_pair(60, seed=1)
    with pytest.raises(ValueError, match='use method="bounds" for a certified interval'):
        block_efficiency("block", Chain(9), pair, method="dp")
    with pytest.raises(ValueError, match=r"neither monotone nor concave.* use method=\"sample\""):
        block_efficiency("lifted_rrs", Iid(3, 6), pair, method="dp")
    with pytest.raises(ValueError, match=r"bottom-up verifiers over one path, not 'lifted_rrs' with Iid\(3, 2\)"):
        block_efficiency("lifted_rrs", Iid(3, 2), pair, method="bounds")
    with pytest.raises(ValueError, match="not 'naive' with"):
        block_efficiency("naive", Chain(2), pair, method="bounds")
    with pytest.raises(ValueError, match="points must be at least 2"):
        block_efficiency("block", Chain(2), pair, method="bounds", points=1)


def test_lifted_rrs_at_a_size_where_lists_cannot_be_formed():
    pair = widening_pair(200, 2, seed=3)  # 200 ** 4 lists at every node
    exact = block_efficiency("lifted_rrs", Iid(4, 2), pair, method="dp")
    low, high = block_efficiency("lifted_rrs", Iid(4, 2), pair, method="sample", trees=400).confidence_interval(
        1 - 1e-6
    )
    assert low <= exact.value <= high
    assert block_efficiency("lifted_rrs", Iid(1, 2), pair, method="dp").value < exact.value


def test_no_depth_and_point_masses():
    point = iid_pair(np.array([1.0, 0.0]), np.array([0.25, 0.75]))
    assert block_efficiency("block", Chain(0), point, method="dp").value == 1
    assert block_efficiency("block", Chain(0), point, method="bounds").width == 0
    assert block_efficiency("block", Chain(2), point, method="dp").value == pytest.approx(1 + 0.25 + 0.0625)
