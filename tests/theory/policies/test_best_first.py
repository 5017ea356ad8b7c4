"""Policies that draw nothing: EAGLE-2's re-ranking, OPT-Tree, CaDDTree's budget by throughput."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import combinations, islice, product
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import KINDS, ExactPair, P, Q, exact_pairs, one_step_pair

from veridraft.theory import (
    VERIFIERS,
    Context,
    DraftLaw,
    Pair,
    Policy,
    block_efficiency,
    certify,
    dirichlet_pair,
    parse_policy,
)
from veridraft.theory.policies.best_first import CaDDTree, OptTree, TopK, convex_costs
from veridraft.theory.policies.most_probable import by_product

COSTS = {0: 10.0, 2: 10.5, 4: 11.5, 8: 20.0}
RULES: list[Policy] = [
    TopK(1, 2, 2),
    TopK(2, 3, 5),
    TopK(3, 2, 99),
    OptTree(4, 0, 3),
    OptTree(5, Fraction(1, 5), 3),
    CaDDTree(1, COSTS, 3),
    TopK(2, 0, 1),
]


def draft_probability(pair: Pair, below: Context) -> Any:
    """The product of the draft's probabilities along a path."""
    return prod(pair.draft_row(below[:end])[token] for end, token in enumerate(below))


def contexts(size: int, depth: int) -> Iterable[Context]:
    """Every context of 1 to ``depth`` tokens."""
    return (tokens for length in range(1, depth + 1) for tokens in product(range(size), repeat=length))


# Certificates


@pytest.mark.parametrize("policy", RULES, ids=str)
def test_nss_is_lossless_and_nothing_else_claims_a_tree_without_draws(policy: Policy) -> None:
    assert policy.draft_laws == {DraftLaw.DETERMINISTIC}
    for kind in KINDS:
        assert certify("nss", policy, ExactPair(3, kind, 31)).total_variation == 0
    for name in ("naive", "block", "rrsw", "traversal", "specinfer", "greedy", "spechub", "gbv"):
        assert not VERIFIERS[name].supports(policy)


@pytest.mark.parametrize("name", ["naive", "rrsw", "traversal", "specinfer", "spectr", "greedy"])
def test_what_is_refused_really_is_lossy(name: str) -> None:
    policy = TopK(2, 1, 2)
    with pytest.raises(ValueError, match="not known to be lossless"):
        certify(name, policy, one_step_pair())
    assert certify(name, policy, one_step_pair(Q, P), any_policy=True).total_variation > Fraction(1, 100)


@pytest.mark.parametrize("policy", RULES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_there_is_one_tree_and_none_of_it_is_sampled(policy: Policy, kind: str) -> None:
    pair = ExactPair(3, kind, 32)
    ((chance, tree),) = policy.enumerate(pair)
    drawn = policy.sample(pair, np.random.default_rng(0))
    assert (chance, policy.tree_count(9)) == (1, 1)
    assert (tree.child_lists, tuple(tree.tokens)) == (drawn.child_lists, tuple(drawn.tokens))
    assert not tree.sampled[1:].any()
    assert tree.depths.max() <= policy.depth
    assert all(draft_probability(pair, tree.context(node)) > 0 for node in range(1, tree.size))


@pytest.mark.parametrize("policy", RULES, ids=str)
def test_nss_accepts_what_the_target_s_probabilities_of_the_nodes_sum_to(policy: Policy) -> None:
    pair = ExactPair(3, "full", 33)
    ((_, tree),) = policy.enumerate(pair)
    nodes = [tree.context(node) for node in range(tree.size)]
    reached = sum(prod(pair.target_row(below[:end])[token] for end, token in enumerate(below)) for below in nodes)
    assert block_efficiency("nss", policy, pair).value == reached


@pytest.mark.parametrize("policy", [TopK(2, 2, 4), OptTree(4, 0.01, 3), CaDDTree(1, COSTS, 3)], ids=str)
@pytest.mark.parametrize("kind", ["full", "zeros", "point masses"])
def test_float_rows_give_the_tree_of_the_fractions(policy: Any, kind: str) -> None:
    pair = ExactPair(3, kind, 34)
    assert policy.nodes(pair) == policy.nodes(pair.as_float())


# The order of nodes


@given(pair=exact_pairs(sizes=(2, 3)), depth=st.integers(0, 3))
def test_by_product_lists_every_possible_context_once_in_order(pair: ExactPair, depth: int) -> None:
    found = list(by_product(pair, (), depth))
    values = {below: draft_probability(pair, below) for below in contexts(pair.vocabulary_size, depth)}
    assert {below: value for value, below in found} == {key: value for key, value in values.items() if value}
    assert len({below for _, below in found}) == len(found)
    assert [value for value, _ in found] == sorted((value for value, _ in found), reverse=True)
    places = {below: place for place, (_, below) in enumerate(found)}
    assert all(len(below) == 1 or places[below[:-1]] < place for below, place in places.items())


def test_nodes_below_a_context_follow_its_rows() -> None:
    pair = ExactPair(3, "full", 35)
    value, below = next(by_product(pair, (2, 1), 2))
    assert value == max(pair.draft_row((2, 1))) == pair.draft_row((2, 1))[below[0]]


# EAGLE-2


@given(pair=exact_pairs(sizes=(2, 3)), depth=st.integers(1, 3), budget=st.integers(1, 9))
def test_with_every_child_offered_the_kept_nodes_are_the_most_probable(
    pair: ExactPair, depth: int, budget: int
) -> None:
    kept = TopK(27, depth, budget).nodes(pair)
    best = [value for value, _ in islice(by_product(pair, (), depth), budget)]
    assert [draft_probability(pair, below) for below in kept] == best
    assert all(below[:-1] in {(), *kept} for below in kept)


def test_top_one_is_the_greedy_chain() -> None:
    assert TopK(1, 3, 9).nodes(one_step_pair()) == [(2,), (2, 2), (2, 2, 2)]


def test_a_node_that_is_not_expanded_has_no_children() -> None:
    """Of the four nodes at depth 2, (2, 2) is best, with 121/400, then (2, 1), with 55/400, drafted before (1, 2)."""
    kept = TopK(2, 3, 99).nodes(one_step_pair())
    assert {below for below in kept if len(below) == 2} == {(2, 2), (2, 1), (1, 2), (1, 1)}
    assert {below[:2] for below in kept if len(below) == 3} == {(2, 2), (2, 1)}


def test_re_ranking_keeps_the_best_of_all_layers() -> None:
    kept = TopK(2, 3, 4).nodes(one_step_pair())
    assert kept == [(2,), (2, 2), (1,), (2, 2, 2)]
    assert TopK(2, 3, 4).tree(one_step_pair()).size == 5


def test_equal_values_keep_the_ancestor() -> None:
    point = np.array([Fraction(0), Fraction(1)])
    assert TopK(2, 3, 2).nodes(one_step_pair(point, point)) == [(1,), (1, 1)]


# OPT-Tree


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("budget", [1, 2, 4])
def test_opt_tree_has_the_largest_sum_of_draft_probabilities(kind: str, budget: int) -> None:
    pair = ExactPair(2, kind, 36)
    value = sum(draft_probability(pair, below) for below in OptTree(budget, 0, 3).nodes(pair))
    closed = [
        nodes
        for nodes in combinations(list(contexts(2, 3)), budget)
        if all(below[:-1] in {(), *nodes} for below in nodes)
    ]
    assert value == max(sum(draft_probability(pair, below) for below in nodes) for nodes in closed)


def test_opt_tree_adds_layers_while_the_sum_grows_by_more_than_the_threshold() -> None:
    """With two nodes the sums are 4/5, then 341/400, then still 341/400: the growth is 21/400, then 0."""
    pair = one_step_pair()
    one, two = [(2,), (1,)], [(2,), (2, 2)]
    assert OptTree(2, 0, 1).nodes(pair) == one
    assert OptTree(2, 0, 9).nodes(pair) == OptTree(2, Fraction(21, 400), 9).nodes(pair) == two
    assert OptTree(2, Fraction(4, 5), 9).nodes(pair) == one


# CaDDTree


def test_convex_costs_keep_costs_that_are_convex() -> None:
    fitted = convex_costs({0: 1.0, 2: 1.0, 4: 2.0, 5: 4.0})
    assert fitted == pytest.approx((1.0, 1.0, 1.0, 1.5, 2.0, 4.0), abs=1e-12)


def test_convex_costs_of_falling_ones_are_their_mean() -> None:
    assert convex_costs({0: 3.0, 1: 2.0, 5: 1.0}) == pytest.approx((2.0,) * 6, abs=1e-12)


def test_convex_costs_of_concave_ones_are_the_least_squares_line() -> None:
    sizes, costs = np.array([0, 1, 4, 9]), np.array([1.0, 2.0, 3.0, 4.0])
    slope, start = np.polyfit(sizes, costs, 1)
    assert convex_costs(dict(zip(sizes.tolist(), costs, strict=True))) == pytest.approx(
        start + slope * np.arange(10), abs=1e-12
    )


@given(
    costs=st.lists(st.floats(0.01, 10), min_size=2, max_size=8),
    steps=st.lists(st.integers(1, 4), min_size=7, max_size=7),
)
def test_convex_costs_are_monotone_convex_and_no_neighbour_fits_better(costs: list[float], steps: list[int]) -> None:
    sizes = np.cumsum([0, *steps])[: len(costs)]
    fitted = np.array(convex_costs(dict(zip(sizes.tolist(), costs, strict=True))))
    assert (fitted >= -1e-9).all()
    assert (np.diff(fitted) >= -1e-9).all()
    assert (np.diff(fitted, 2) >= -1e-9).all()
    residual = fitted[sizes] - costs
    for direction in (np.ones(len(sizes)), *(np.maximum(sizes - knot, 0) for knot in sizes[:-1])):
        assert residual @ direction >= -1e-7, "adding to the fit in a feasible direction must not help"
    assert residual @ fitted[sizes] == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("draft_cost", [0, 1, 5, 50])
@pytest.mark.parametrize("kind", KINDS)
def test_caddtree_has_the_best_number_of_nodes(draft_cost: float, kind: str) -> None:
    pair, policy = ExactPair(3, kind, 37), CaDDTree(draft_cost, COSTS, 3)
    best = [value for value, _ in islice(by_product(pair, (), 3), 8)]
    totals = [Fraction(draft_cost) + Fraction(cost) for cost in policy.costs]
    theta = [(1 + sum(best[:nodes])) / totals[nodes] for nodes in range(len(best) + 1)]
    chosen = len(policy.nodes(pair))
    assert theta[chosen] == max(theta)
    assert chosen == theta.index(max(theta))


def test_caddtree_draws_nothing_where_a_node_costs_as_much_as_a_token() -> None:
    policy = CaDDTree(0, {0: 1.0, 1: 2.0}, 4)
    assert policy.nodes(one_step_pair()) == []
    assert block_efficiency("nss", policy, one_step_pair()).value == 1


def test_caddtree_grows_as_drafting_gets_dearer() -> None:
    pair = dirichlet_pair(50, seed=2, concentration=0.1)
    costs = {0: 30.0, 8: 31.0, 16: 33.0, 32: 40.0, 64: 60.0}
    sizes = [len(CaDDTree(draft, costs, 6).nodes(pair)) for draft in (0, 10, 100)]
    assert sizes == sorted(sizes)
    assert 0 < sizes[0] < sizes[-1] < 64


# Names, arguments, size


@pytest.mark.parametrize("policy", RULES, ids=str)
def test_the_name_is_the_call(policy: Policy) -> None:
    assert eval(policy.name.replace("1/5", "Fraction(1, 5)")) == policy
    assert len({policy, policy}) == 1


def test_text_is_read() -> None:
    assert parse_policy("topk(2, 3, 5)") == TopK(2, 3, 5)


def test_trees_at_a_real_size() -> None:
    pair = dirichlet_pair(20_000, seed=3, concentration=0.001)
    rng = np.random.default_rng(0)
    assert TopK(10, 4, 59).sample(pair, rng).size == 60
    assert OptTree(30, 0.01, 4).sample(pair, rng).size == 31


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: TopK(0, 1, 1), "k must be at least 1"),
        (lambda: TopK(1, -1, 1), "depth must be at least 0"),
        (lambda: TopK(1, 1, 0), "budget must be at least 1"),
        (lambda: OptTree(0, 0, 1), "budget must be at least 1"),
        (lambda: OptTree(1, -0.1, 1), "threshold must be finite and at least 0, but is -0.1"),
        (lambda: OptTree(1, float("inf"), 1), "threshold must be finite"),
        (lambda: CaDDTree(-1, COSTS, 1), "draft_cost must be finite and at least 0"),
        (lambda: CaDDTree(1, {1: 1.0}, 1), "verification_costs must map sizes, 0 among them"),
        (lambda: CaDDTree(1, {0: 1.0, -2: 1.0}, 1), "a size in verification_costs must be at least 0"),
        (lambda: CaDDTree(1, {0: 1.0, 2: -1.0}, 1), r"verification_costs\[2\] must be finite and at least 0"),
        (lambda: CaDDTree(0, {0: 0.0, 2: 0.0}, 1), "draft_cost is 0 and the fitted cost of no nodes 0.0"),
        (lambda: CaDDTree(1, COSTS, -1), "depth must be at least 0"),
    ],
)
def test_a_bad_argument_is_named(build, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize("build", [lambda: OptTree(1, "0", 1), lambda: TopK(1.5, 1, 1), lambda: CaDDTree(None, {}, 1)])
def test_a_bad_type_is_named(build) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeError, match=r"threshold must be|k must be|draft_cost must be"):
        build()
