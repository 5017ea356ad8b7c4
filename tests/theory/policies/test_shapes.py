"""Topologies and the trees of fixed shape: constructors, reductions, Sequoia's dynamic programme."""

from __future__ import annotations

from fractions import Fraction
from math import perm

import numpy as np
import pytest
from strategies import ExactPair, P, Q, one_step_pair

from veridraft.theory import (
    VERIFIERS,
    Chain,
    Delayed,
    DraftLaw,
    Iid,
    block_efficiency,
    certify,
    dirichlet_pair,
    parse_policy,
)
from veridraft.theory.policies.static import Static
from veridraft.theory.policies.topologies import EAGLE_TOPOLOGY, Topology
from veridraft.theory.rows.lists import draw_without_replacement, ordered_iid_lists, without_replacement_lists
from veridraft.theory.verifiers import emitted_law

LEAF = Topology()
UNEVEN = Topology((Topology.k_ary(2, 1), LEAF, Topology.k_ary(1, 1)))
"""Three children: the first with two children, the last with one."""


def paths(count: int, length: int) -> Topology:
    """Independent paths from the root."""
    return Topology((Topology.k_ary(1, length - 1),) * count)


# Topologies


def test_constructors_agree_on_the_shapes_they_share() -> None:
    assert Topology.from_expansion((2, 2)) == Topology.k_ary(2, 2) == Topology.from_parents((-1, 0, 0, 1, 1, 2, 2))
    assert Topology.k_ary(1, 3) == Topology.from_expansion((1, 1, 1)) == Topology.from_ranks([[0], [0, 0], [0, 0, 0]])
    assert Topology.from_expansion(()) == Topology.k_ary(3, 0) == Topology.from_parents((-1,)) == LEAF


def test_equal_shapes_hash_alike_and_the_order_of_children_counts() -> None:
    swapped = Topology((LEAF, Topology.k_ary(2, 1), Topology.k_ary(1, 1)))
    assert len({UNEVEN, Topology(UNEVEN.children), swapped}) == 2


@pytest.mark.parametrize("shape", [LEAF, UNEVEN, EAGLE_TOPOLOGY, Topology.k_ary(3, 2)])
def test_the_parents_and_the_text_give_the_shape_back(shape: Topology) -> None:
    assert Topology.from_parents(shape.parents) == shape
    assert eval(repr(shape)) == shape
    assert len(shape.parents) == shape.size


def test_size_depth_width() -> None:
    assert (UNEVEN.size, UNEVEN.depth, UNEVEN.width, UNEVEN.is_path) == (7, 2, 3, False)
    assert (LEAF.size, LEAF.depth, LEAF.width, LEAF.is_path) == (1, 0, 0, True)
    assert Topology.k_ary(2, 40).size == 2**41 - 1


def test_eagle_s_default_shape_is_the_published_list_of_ranks() -> None:
    published = "0 1 2 3 00 01 02 10 11 20 21 30 000 001 002 010 011 020 021 100 0000 0001 0002 00000 00001"
    ranks = [tuple(map(int, path)) for path in published.split()]
    assert Topology.from_ranks(ranks) == EAGLE_TOPOLOGY
    assert (EAGLE_TOPOLOGY.size, EAGLE_TOPOLOGY.depth, EAGLE_TOPOLOGY.width) == (26, 5, 4)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Topology.from_expansion((2, 0)), r"widths\[1\] must be at least 1, but is 0"),
        (lambda: Topology.k_ary(2, -1), "depth must be at least 0"),
        (lambda: Topology.from_parents((0, 0)), "parents must start with -1"),
        (lambda: Topology.from_parents(()), "parents must start with -1"),
        (lambda: Topology.from_parents((-1, 0, 2)), r"parents\[2\] is 2; it must lie in \[0, 2\)"),
        (lambda: Topology.from_ranks([(0,), (1, 0)]), r"\(1, 0\), but not \(1,\)"),
        (lambda: Topology.from_ranks([(1,)]), r"\(1,\), but not \(0,\)"),
    ],
)
def test_a_shape_that_is_none_raises(build, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build()


def test_wrong_types_raise() -> None:
    with pytest.raises(TypeError, match="children must be a tuple of topologies"):
        Topology((1,))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="topology must be a Topology"):
        Static((2, 2), replacement=True)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="replacement must be True or False, but is 1"):
        Static(LEAF, replacement=1)  # type: ignore[arg-type]


# Static: laws of lists, reductions, counts


def test_successive_draws_follow_the_renormalised_rest() -> None:
    law = {tokens: probability for probability, tokens in without_replacement_lists(Q, 2)}
    assert law[2, 0] == Fraction(11, 20) * Fraction(1, 5) / Fraction(9, 20)
    assert len(law) == 6
    assert sum(law.values()) == 1


def test_lists_are_shorter_where_the_support_is() -> None:
    row = np.array([Fraction(1, 4), Fraction(0), Fraction(3, 4)])
    assert {tokens for _, tokens in without_replacement_lists(row, 3)} == {(0, 2), (2, 0)}
    assert {tokens for _, tokens in ordered_iid_lists(row, 2)} == {(0, 0), (0, 2), (2, 0), (2, 2)}
    assert sorted(draw_without_replacement(row, 3, np.random.default_rng(0))) == [0, 2]


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("length", [1, 2])
def test_paths_with_replacement_are_the_iid_policy(count: int, length: int) -> None:
    static, iid = Static(paths(count, length), replacement=True), Iid(count, length)
    assert (static.draft_laws, static.depth) == (iid.draft_laws, iid.depth)
    assert static.tree_count(7) == iid.tree_count(7)
    pair = ExactPair(3 if count * length < 6 else 2, "full", 5)
    theirs = {tree.tokens.tobytes() + repr(tree.child_lists).encode(): chance for chance, tree in iid.enumerate(pair)}
    ours = {tree.tokens.tobytes() + repr(tree.child_lists).encode(): chance for chance, tree in static.enumerate(pair)}
    assert ours == theirs


@pytest.mark.parametrize("name", ["spectr", "specinfer", "traversal", "lifted_k_seq", "gbv"])
def test_a_trunk_and_paths_give_the_delayed_policy_s_emitted_law(name: str) -> None:
    static = Static(Topology((paths(2, 1),)), replacement=True)
    pair = ExactPair(3, "full", 6)
    ours, theirs = (emitted_law(VERIFIERS[name], policy, pair) for policy in (static, Delayed(2, 1, 1)))
    assert static.draft_laws == Delayed(2, 1, 1).draft_laws
    assert ours.masses.keys() == theirs.masses.keys()
    assert all((ours.masses[key] == theirs.masses[key]).all() for key in ours.masses)


@pytest.mark.parametrize("replacement", [True, False])
def test_a_chain_is_the_chain_policy(replacement: bool) -> None:
    static = Static(Topology.k_ary(1, 2), replacement=replacement)
    assert static.draft_laws == Chain(2).draft_laws
    pair = ExactPair(3, "zeros", 7)
    for name in ("naive", "block"):
        value, chain = (block_efficiency(name, policy, pair).value for policy in (static, Chain(2)))
        assert value == chain


def test_uneven_paths_are_independent_draws_but_not_paths() -> None:
    static = Static(Topology((LEAF, Topology.k_ary(1, 1))), replacement=True)
    assert static.draft_laws == {DraftLaw.IID}
    assert not VERIFIERS["gbv"].supports(static)


def test_merged_draws_concatenate_their_sub_topologies() -> None:
    static = Static(UNEVEN, replacement=True)
    below = static.child_states((UNEVEN,), (4, 9, 4))
    assert below == ((UNEVEN.children[0], UNEVEN.children[2]), (LEAF,))
    lists = {tokens for _, tokens in static.list_law(below[0], P)}
    assert len(lists) == 27
    assert static.is_leaf(below[1])


def test_without_replacement_child_i_has_the_ith_sub_topology() -> None:
    static = Static(UNEVEN, replacement=False)
    assert static.child_states((UNEVEN,), (2, 0)) == ((UNEVEN.children[0],), (LEAF,))


@pytest.mark.parametrize("shape", [UNEVEN, Topology.k_ary(2, 2), Topology.from_expansion((1, 3))])
@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("size", [2, 3])
def test_tree_count_is_the_number_of_trees(shape: Topology, replacement: bool, size: int) -> None:
    static = Static(shape, replacement=replacement)
    chances = [chance for chance, _ in static.enumerate(ExactPair(size, "full", 8))]
    assert len(chances) == static.tree_count(size)
    assert sum(chances) == 1


def test_tree_count_at_real_sizes() -> None:
    assert Static(EAGLE_TOPOLOGY, replacement=True).tree_count(50_000) == 50_000**25
    assert Static(Topology.k_ary(3, 2), replacement=False).tree_count(50_000) == perm(50_000, 3) ** 4


@pytest.mark.parametrize("text", ["Static(2x2)", "StaticIid(2x2)", "StaticIid(3)", "static(1x4x2)"])
def test_an_expansion_s_name_is_read_back(text: str) -> None:
    policy = parse_policy(text)
    assert isinstance(policy, Static)
    assert parse_policy(policy.name) == policy
    assert policy.name.lower() == text.lower()


def test_other_shapes_are_named_by_their_call() -> None:
    static = Static(UNEVEN, replacement=False)
    assert eval(static.name) == static


def test_sampled_static_trees_at_a_real_size() -> None:
    pair, rng = dirichlet_pair(1000, seed=1), np.random.default_rng(1)
    tree = Static(EAGLE_TOPOLOGY, replacement=False).sample(pair, rng)
    assert tree.size == EAGLE_TOPOLOGY.size
    assert tuple(tree.parents) == EAGLE_TOPOLOGY.parents
    merged = Static(EAGLE_TOPOLOGY, replacement=True).sample(pair, rng)
    assert sum(map(len, merged.child_lists)) == EAGLE_TOPOLOGY.size - 1


def test_a_single_node_emits_one_token_of_the_target() -> None:
    static = Static(LEAF, replacement=False)
    assert certify("rrsw", static, one_step_pair()).total_variation == 0
    assert block_efficiency("nss", static, one_step_pair()).value == 1
