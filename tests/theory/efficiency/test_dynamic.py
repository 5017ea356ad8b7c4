"""Block efficiency by dynamic programming against enumeration, sampling, and what is known by hand."""

import time
from fractions import Fraction
from functools import lru_cache

import numpy as np
import pytest
from layered_pairs import exact_layers, layered_pairs
from strategies import P, Q, one_step_pair

from veridraft.theory import (
    VERIFIERS,
    Chain,
    Delayed,
    Iid,
    MarkovPair,
    block_efficiency,
    dirichlet_pair,
    total_variation,
)
from veridraft.theory.efficiency.dynamic import dynamic_block_efficiency
from veridraft.theory.efficiency.joint_laws import JOINT_LAWS
from veridraft.theory.pairs.layered import LayeredPair, iid_pair, layer_below, markov_layers, widening_pair

FALSE_ALARM = 1e-6  # of the comparison with samples, split over its verifiers
TOP_DOWN = ["nss", "naive_tree", "specinfer", "spectr"]
POLICIES = [Chain(0), Chain(3), Iid(2, 2), Iid(3, 1), Delayed(2, 1, 1), Delayed(3, 1, 1), Delayed(2, 2, 0)]
PAIRS = layered_pairs(8)
CASES = [
    (name, policy)
    for name, entry in VERIFIERS.items()
    for policy in POLICIES
    if entry.supports(policy) and not ("khisti" in name and policy.K > 2)  # a plan per node: slow
]


def pairs_for(name):
    """All pairs for the programmes with formulas; for those that list, which share one code, fewer."""
    entry = VERIFIERS[name]
    return PAIRS if entry.solver in JOINT_LAWS or name in ("block", "traversal") else PAIRS[2:6]


@pytest.mark.parametrize(("name", "policy"), CASES, ids=str)
def test_fractions_equal_the_enumeration_exactly(name, policy):
    for pair in pairs_for(name):
        listed, found = block_efficiency(name, policy, pair), block_efficiency(name, policy, pair, method="dp")
        assert found.value == listed.value
        assert (found.by_depth == listed.by_depth).all()


@pytest.mark.parametrize(("name", "policy"), CASES, ids=str)
def test_floats_equal_the_enumeration_to_rounding(name, policy):
    for pair in [pair.as_float() for pair in pairs_for(name)]:
        listed, found = block_efficiency(name, policy, pair), block_efficiency(name, policy, pair, method="dp")
        assert found.value == pytest.approx(listed.value, abs=1e-12)
        np.testing.assert_allclose(found.by_depth, listed.by_depth, atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", TOP_DOWN)
def test_total_variation_by_depth_is_that_of_the_emitted_strings_nodes(name):
    """The walk's nodes, enumerated: the mean of the rows' total variation given that they are reached."""
    pair, policy = exact_layers(3, "full", seed=3, depth=3), Delayed(2, 1, 2)
    found = block_efficiency(name, policy, pair, method="dp")
    reach, total = [Fraction(0)] * 4, [Fraction(0)] * 4
    for probability, tree in policy.enumerate(pair):
        law = VERIFIERS[name].law(tree)
        for node in range(tree.size):
            below = sum((law.stopping[n] for n in range(tree.size) if tree.context(n)[: tree.depths[node]]
                         == tree.context(node)), Fraction(0))  # fmt: skip
            depth = int(tree.depths[node])
            context = tree.context(node)
            reach[depth] += probability * below
            total[depth] += probability * below * total_variation(pair.target_row(context), pair.draft_row(context))
    assert found.total_variation.tolist() == [total[depth] / reach[depth] for depth in range(3)]
    assert found.reach.tolist() == reach
    assert found.acceptance.tolist() == [reach[depth + 1] / reach[depth] for depth in range(3)]


def test_known_values():
    """One draw accepts with the overlap, whatever the depth; block verification's golden case is 11/9 + 1."""
    overlap = np.minimum(P, Q).sum()
    found = block_efficiency("naive", Chain(3), one_step_pair(), method="dp")
    assert found.value == 1 + overlap + overlap**2 + overlap**3
    assert found.acceptance.tolist() == [overlap] * 3
    third = Fraction(1, 3)
    golden = iid_pair(np.array([third, 2 * third]), np.array([2 * third, third]))
    assert block_efficiency("naive", Chain(2), golden, method="dp").value - 1 == Fraction(10, 9)
    assert block_efficiency("block", Chain(2), golden, method="dp").value - 1 == Fraction(11, 9)


def test_equal_and_disjoint_rows():
    for name in ("naive_tree", "specinfer", "spectr"):
        assert block_efficiency(name, Delayed(3, 1, 2), iid_pair(P, P), method="dp").value == 4
        apart = np.array([[1.0, 0.0], [0.0, 1.0]])
        found = block_efficiency(name, Iid(3, 2), iid_pair(*apart), method="dp")
        assert found.value == 1
        assert found.by_depth.tolist() == [1, 0, 0]
        assert found.total_variation.tolist() == found.total_variation[:1].tolist() == [1]
        assert found.acceptance.tolist() == [0]


@pytest.mark.parametrize("name", TOP_DOWN)
def test_depths_do_not_depend_on_what_is_drafted_below_them(name):
    pair = widening_pair(6, 5, seed=2)
    deep = block_efficiency(name, Delayed(3, 1, 4), pair, method="dp").reach
    for branch in range(4):
        shallow = block_efficiency(name, Delayed(3, 1, branch), pair, method="dp").reach
        np.testing.assert_allclose(shallow, deep[: branch + 2], atol=1e-15)


def test_one_class_and_one_class_per_token_are_the_same_programme():
    rng = np.random.default_rng(4)
    target, draft = rng.dirichlet(np.ones(7), size=2)
    tiled = MarkovPair(np.tile(target, (7, 1)), np.tile(draft, (7, 1)), (target, draft))
    for name in TOP_DOWN:
        values = [block_efficiency(name, Delayed(4, 1, 3), pair, method="dp").value
                  for pair in (tiled, iid_pair(target, draft), markov_layers(tiled.as_float()))]  # fmt: skip
        assert max(values) - min(values) < 1e-13


def test_another_root_uses_the_rows_below_it():
    pair = exact_layers(3, "full", seed=9, depth=4)
    for context in [(2,), (0, 1)]:
        listed = block_efficiency("specinfer", Iid(2, 2), pair, context=context)
        assert block_efficiency("specinfer", Iid(2, 2), pair, method="dp", context=context).value == listed.value
    assert layer_below(pair, (0, 1), 2) is pair.layers[4]


@lru_cache(maxsize=1)
def real_size_pair():
    rng = np.random.default_rng(11)
    target, other = rng.dirichlet(np.full(1000, 0.1), size=(2, 1000))
    return MarkovPair(target, 0.6 * target + 0.4 * other)


@pytest.mark.parametrize("name", TOP_DOWN)
def test_a_thousand_tokens_in_seconds_and_inside_the_samples_interval(name):
    policy, started = Delayed(4, 2, 6), time.process_time()
    found = block_efficiency(name, policy, real_size_pair(), method="dp")
    assert time.process_time() - started < 5
    sample = block_efficiency(name, policy, real_size_pair(), method="sample", trees=300, seed=1)
    low, high = sample.confidence_interval(1 - FALSE_ALARM / len(TOP_DOWN))
    assert low <= found.value <= high
    assert high - low < 1.5  # the interval says something: block efficiencies here lie between 1 and 9
    assert found.by_depth.sum() == pytest.approx(1, abs=1e-12)


def test_what_is_refused_and_what_is_said():
    pair = dirichlet_pair(3)
    with pytest.raises(ValueError, match=r"RandomPair; use markov_layers\(pair\) if it is first-order"):
        block_efficiency("specinfer", Iid(2, 2), pair, method="dp")
    with pytest.raises(ValueError, match='"enumerate", "dp", "bounds" or "sample", but is \'fast\''):
        block_efficiency("specinfer", Iid(2, 2), pair, method="fast")
    with pytest.raises(ValueError, match="not known to be lossless"):
        dynamic_block_efficiency("naive", Iid(2, 2), iid_pair(P, Q))
    with pytest.raises(ValueError, match=r'more than 200000 decisions.* use method="sample"'):
        block_efficiency("traversal", Iid(4, 2), widening_pair(40, 2), method="dp")


def test_layered_pairs_check_their_layers():
    with pytest.raises(ValueError, match="must start with a pair of rows"):
        LayeredPair([([[0.5, 0.5], [1, 0]], [[0.5, 0.5], [1, 0]])])
    with pytest.raises(ValueError, match="layer 1 differs from the first one"):
        LayeredPair([([0.5, 0.5], [1.0, 0.0]), ([0.5, 0.25, 0.25], [1.0, 0.0, 0.0])])
    with pytest.raises(ValueError, match="must have shape"):
        LayeredPair([([0.5, 0.5], [1.0, 0.0]), ([[0.5, 0.5]] * 3, [[1.0, 0.0]] * 3)])
    with pytest.raises(ValueError, match="draft row 0 sums to"):
        iid_pair([0.5, 0.5], [0.5, 0.6])


def test_layered_pairs_are_changed_layer_by_layer():
    pair = widening_pair(5, 2, seed=1, growth=0.3)
    cut = pair.transformed(temperature=0.5, top_p=0.9)
    for context in [(), (3,), (3, 1), (3, 1, 4)]:
        one = pair.target_row(context) ** 2
        assert cut.target_row(context).sum() == pytest.approx(1)
        assert (cut.target_row(context) > 0).sum() <= 5
        assert cut.target_row(context).argmax() == one.argmax()
    assert pair.rationalised(100).exact
    assert pair.rationalised(100).rationalised(7).as_float().vocabulary_size == 5


def test_divergence_widens_by_the_stated_share():
    pair = widening_pair(8, 4, seed=6, start=0.1, growth=0.2)
    for depth, share in enumerate([0.1, 0.3, 0.5, 0.7, 0.9]):
        layer = pair.layers[depth]
        if depth >= 2:
            scale = share / (0.1 + 0.2 * (depth - 1))
            np.testing.assert_allclose(
                layer.total_variation, pair.layers[depth - 1].total_variation * scale, atol=1e-12
            )
    flat = widening_pair(8, 3, growth=0.0)
    np.testing.assert_allclose(flat.layers[1].draft, flat.layers[3].draft)
