"""Reductions: special cases in which two verifiers or policies are one, and closed forms."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import NINE, TREE_NAMES, ExactPair, exact_pairs, policies

from veridraft.theory import VERIFIERS, Chain, Delayed, DraftTree, Iid, Pair, block_efficiency, bottom_up, top_down
from veridraft.theory.solvers import naive
from veridraft.theory.verifiers import emitted_law

DEPTHS = st.integers(1, 3)


def masses(verifier: str, policy, pair: Pair):
    return emitted_law(VERIFIERS[verifier], policy, pair).masses


def same(first, second) -> bool:
    return set(first) == set(second) and all((first[key] == row).all() for key, row in second.items())


@pytest.mark.parametrize("name", TREE_NAMES)
@given(pair=exact_pairs(sizes=(2, 3)), depth=DEPTHS)
def test_one_iid_path_is_a_chain(name, pair, depth) -> None:
    assert same(masses(name, Iid(1, depth), pair), masses(name, Chain(depth), pair))


@pytest.mark.parametrize("name", TREE_NAMES)
@given(pair=exact_pairs(sizes=(2, 3)), paths=st.integers(1, 3), depth=st.integers(1, 2))
def test_no_trunk_is_iid_and_no_branches_is_a_chain(name, pair, paths, depth) -> None:
    assert same(masses(name, Delayed(paths, 0, depth), pair), masses(name, Iid(paths, depth), pair))
    assert same(masses(name, Delayed(paths, depth, 0), pair), masses(name, Chain(depth), pair))


@given(pair=exact_pairs(kinds=("equal",)), policy=policies())
def test_a_draft_equal_to_the_target_is_accepted_whole(pair, policy) -> None:
    for name in ("naive", "block", "naive_tree", "spectr", "specinfer", "traversal", "lifted_k_seq", "lifted_rrs"):
        if VERIFIERS[name].supports(policy):
            assert block_efficiency(name, policy, pair).value == policy.depth + 1
            rounded = block_efficiency(name, policy, pair.as_float()).value
            assert rounded == pytest.approx(policy.depth + 1, abs=1e-12)


@given(pair=exact_pairs(kinds=("disjoint",)), policy=policies())
def test_disjoint_supports_emit_one_token(pair, policy) -> None:
    for verifier in NINE:
        if verifier.supports(policy):
            assert block_efficiency(verifier, policy, pair).value == 1
            assert block_efficiency(verifier, policy, pair.as_float()).value == pytest.approx(1, abs=1e-12)


def closed_form(pair: Pair, depth: int) -> Fraction:
    """E[tau] of block verification: over l and paths x of length l, min_i q(x_1..x_i) p(x_{i+1}..x_l | x_1..x_i)."""
    total = Fraction(0)
    for length in range(1, depth + 1):
        for path in product(range(pair.vocabulary_size), repeat=length):
            steps = [(pair.target_row(path[:i])[path[i]], pair.draft_row(path[:i])[path[i]]) for i in range(length)]
            total += min(
                prod(q for _, q in steps[:cut]) * prod(p for p, _ in steps[cut:]) for cut in range(length + 1)
            )
    return total


@given(pair=exact_pairs(), depth=DEPTHS)
def test_block_verification_has_its_closed_form_exactly(pair, depth) -> None:
    assert block_efficiency("block", Chain(depth), pair).acceptance_length == closed_form(pair, depth)


@pytest.mark.parametrize("name", ["traversal", "lifted_k_seq", "lifted_rrs"])
@given(pair=exact_pairs(), depth=DEPTHS)
def test_every_lifted_rejection_rule_is_block_verification_on_a_chain(name, pair, depth) -> None:
    assert same(masses(name, Chain(depth), pair), masses("block", Chain(depth), pair))


@pytest.mark.parametrize("name", ["naive_tree", "specinfer", "spectr"])
@given(pair=exact_pairs(), depth=DEPTHS)
def test_every_top_down_rejection_rule_is_speculative_sampling_on_a_chain(name, pair, depth) -> None:
    assert same(masses(name, Chain(depth), pair), masses("naive", Chain(depth), pair))


@given(pair=exact_pairs(), depth=DEPTHS)
def test_block_verification_is_never_worse_than_speculative_sampling(pair, depth) -> None:
    block, plain = (block_efficiency(name, Chain(depth), pair).value for name in ("block", "naive"))
    assert block >= plain
    assert depth > 1 or block == plain


@given(pair=exact_pairs(kinds=("full", "ties")), data=st.data())
def test_nss_on_a_given_tree_is_the_sum_of_path_probabilities(pair, data) -> None:
    token = st.integers(0, pair.vocabulary_size - 1)
    paths = data.draw(st.lists(st.lists(token, min_size=3, max_size=3), min_size=1, max_size=3))
    tree = DraftTree.from_paths(paths, pair.target_row, pair.draft_row)
    nodes = [tree.context(node) for node in range(1, tree.size)]
    reached = sum(prod(pair.target_row(c[:i])[c[i]] for i in range(len(c))) for c in nodes)
    assert VERIFIERS["nss"].law(tree).acceptance_length == reached
    assert bottom_up(VERIFIERS["nss"].solver).law(tree).acceptance_length == reached


@given(pair=exact_pairs(sizes=(2, 3)), policy=policies(most_trees=100, vocabulary_size=3))
def test_every_verifier_accepts_between_nothing_and_all(pair, policy) -> None:
    for verifier in NINE:
        if verifier.supports(policy):
            result = block_efficiency(verifier, policy, pair)
            assert 1 <= result.value <= policy.depth + 1
            assert result.by_depth.sum() == 1
            assert (result.by_depth >= 0).all()


@given(pair=exact_pairs(), paths=st.integers(1, 3))
def test_at_depth_one_both_lifts_are_the_solver(pair, paths) -> None:
    for lifted, plain in (("lifted_k_seq", "spectr"), ("lifted_rrs", "specinfer")):
        assert same(masses(lifted, Iid(paths, 1), pair), masses(plain, Iid(paths, 1), pair))


@pytest.mark.parametrize("name", TREE_NAMES)
def test_a_policy_of_depth_zero_is_plain_decoding(name) -> None:
    pair = ExactPair(3, "full", 5)
    for policy in (Chain(0), Iid(3, 0), Delayed(2, 0, 0)):
        law = emitted_law(VERIFIERS[name], policy, pair)
        assert law.trees == 1
        assert (law.masses[()] == pair.target_row(())).all()


def test_a_child_of_weight_zero_is_rejected_with_its_subtree() -> None:
    target = {(): [0, 1], (0,): [1, 0], (0, 0): [1, 0]}
    rows = {context: np.array([Fraction(value) for value in row]) for context, row in target.items()}
    draft = np.array([Fraction(1, 2)] * 2)
    tree = DraftTree.from_paths([[0, 0]], rows.__getitem__, lambda context: draft)
    for lift in (top_down, bottom_up):
        assert lift(naive).law(tree).stopping.tolist() == [1, 0, 0]


def test_where_nothing_is_off_the_list_and_nothing_is_none_the_node_does_not_stop() -> None:
    target = np.array([Fraction(1, 4), Fraction(3, 4)])
    draft = np.array([Fraction(1, 2), Fraction(1, 2)])
    tree = DraftTree.from_paths([[0], [1]], lambda context: target, lambda context: draft)
    for name in TREE_NAMES:
        law = VERIFIERS[name].law(tree, rows=True)
        assert law.stopping[0] == 0
        assert not law.next_token[0].any()
        assert law.stopping.sum() == 1
