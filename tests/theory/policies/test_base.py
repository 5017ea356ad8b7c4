"""Policies: enumeration, sampling, counting, names."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from strategies import ExactPair, exact_pairs, policies

from veridraft.theory import Chain, Delayed, DraftTree, Iid, Policy, TablePair, parse_policy
from veridraft.theory.policies.base import RecursivePolicy
from veridraft.theory.policies.paths import first_draws
from veridraft.theory.verifiers import emitted_law
from veridraft.theory.verifiers.table import VERIFIERS

LEVEL = 1e-6
"""The chance that any test of a random sample in this file fails though all is well, split over its tests."""

SAMPLED = [Chain(2), Iid(2, 2), Iid(3, 1), Delayed(2, 1, 1)]


def fingerprint(tree: DraftTree):
    """What tells two trees apart: the child lists as tokens, at every node's context."""
    lists = enumerate(tree.child_lists)
    return tuple((tree.context(node), tuple(tree.tokens[list(nodes)].tolist())) for node, nodes in lists if nodes)


@given(pair=exact_pairs(), policy=policies(most_trees=300))
def test_enumerated_probabilities_sum_to_one_and_no_tree_comes_twice(pair, policy) -> None:
    trees = list(policy.enumerate(pair))
    assert sum(probability for probability, _ in trees) == 1
    assert all(probability > 0 for probability, _ in trees)
    assert len({fingerprint(tree) for _, tree in trees}) == len(trees) <= policy.tree_count(pair.vocabulary_size)


@given(policy=policies(most_trees=300), size=st.integers(2, 4), seed=st.integers(0, 1000))
def test_full_supports_have_as_many_trees_as_counted(policy, size, seed) -> None:
    pair = ExactPair(size, "full", seed)
    count = policy.tree_count(size)
    assert emitted_law(VERIFIERS["nss"], policy, pair).trees == count
    assert RecursivePolicy.tree_count(policy, size) == count
    assert count == size ** (policy.L1 + policy.K * policy.L2)


def test_counting_trees_of_a_large_vocabulary_is_immediate_and_exact() -> None:
    assert Iid(64, 8).tree_count(49_152) == 49_152**512


@given(pair=exact_pairs(kinds=("zeros", "point masses")), policy=policies(most_trees=100))
def test_a_merged_count_leaves_out_trees_of_probability_zero(pair, policy) -> None:
    assert emitted_law(VERIFIERS["nss"], policy, pair).trees == len(list(policy.enumerate(pair)))


@pytest.mark.parametrize("policy", SAMPLED, ids=repr)
def test_sampled_trees_follow_the_enumerated_law(policy: Policy) -> None:
    pair, trials = ExactPair(3, "full", 11), 2000
    law = {fingerprint(tree): float(probability) for probability, tree in policy.enumerate(pair)}
    rng = np.random.default_rng(0)
    drawn = Counter(fingerprint(policy.sample(pair.as_float(), rng)) for _ in range(trials))
    assert set(drawn) <= set(law)
    for key, probability in law.items():  # an exact two-sided bound on every count
        tail = stats.binom(trials, probability)
        least = LEVEL / len(SAMPLED) / len(law) / 2
        assert min(tail.cdf(drawn[key]), tail.sf(drawn[key] - 1)) > least, (key, drawn[key], probability)


def test_the_sampling_test_sees_a_draft_law_that_is_off() -> None:
    trials, wrong, right = 2000, 0.25, 0.33
    least = LEVEL / len(SAMPLED) / 81 / 2
    assert stats.binom(trials, right).cdf(trials * wrong) < least


def test_a_sampled_tree_carries_the_rows_of_its_contexts() -> None:
    pair = ExactPair(3, "full", 2)
    tree = Delayed(3, 1, 2).sample(pair, np.random.default_rng(1), context=(2, 1))
    for node in range(tree.size):
        context = (2, 1, *tree.context(node))
        assert (tree.target[node] == pair.target_row(context)).all()
        assert not tree.child_lists[node] or (tree.draft[node] == pair.draft_row(context)).all()


def test_sampling_is_given_by_the_generator_alone() -> None:
    pair = ExactPair(4, "full", 2)
    one, two = (Iid(3, 3).sample(pair, np.random.default_rng(5)) for _ in range(2))
    assert fingerprint(one) == fingerprint(two)


def test_multiplicities_pass_down_a_branch_and_a_trunk_is_one_draw() -> None:
    pair = ExactPair(2, "full", 0)
    for _, tree in Delayed(3, 2, 1).enumerate(pair):
        assert [len(nodes) for nodes in tree.child_lists] == [1, 1, 3] + [0] * (tree.size - 3)
    for _, tree in Iid(3, 2).enumerate(pair):
        assert len(tree.child_lists[0]) == 3
        for child in tree.children[0]:
            assert len(tree.child_lists[child]) == tree.child_lists[0].count(child)


def test_a_table_needs_no_draft_rows_at_the_leaves() -> None:
    half = np.array([Fraction(1, 2)] * 2)
    pair = TablePair({(): half, (0,): half, (1,): half}, {(): half})
    assert sum(probability for probability, _ in Iid(2, 1).enumerate(pair)) == 1
    assert Iid(2, 1).sample(pair, np.random.default_rng(0)).size in (2, 3)


@given(policy=policies(most_trees=5000, vocabulary_size=2))
def test_a_name_reads_back_as_the_policy(policy: Policy) -> None:
    again = parse_policy(policy.name)
    assert again == policy and type(again) is type(policy) and hash(again) == hash(policy)
    assert parse_policy(f" {policy.name.lower().replace(' ', '')} ") == policy


def test_policies_that_draw_alike_are_still_told_apart() -> None:
    assert Iid(1, 2) != Chain(2)
    assert Delayed(2, 0, 2) != Iid(2, 2)


@pytest.mark.parametrize(
    ("drafted", "policy"), [(Iid(3, 2), Iid(2, 2)), (Iid(3, 2), Chain(1)), (Delayed(3, 1, 1), Delayed(2, 1, 1)),
                            (Delayed(2, 1, 2), Chain(3)), (Chain(3), Chain(2))],
)  # fmt: skip
def test_first_draws_of_a_larger_tree_have_exactly_the_law_of_the_smaller(drafted: Delayed, policy: Delayed) -> None:
    pair = ExactPair(2, "full", 0)

    def key(tree: DraftTree) -> tuple[tuple[object, ...], ...]:
        return tuple((tree.context(node), tree.tokens[list(tree.child_lists[node])].tolist().__repr__())
                     for node in range(tree.size))  # fmt: skip

    found: Counter[object] = Counter()
    for probability, tree in drafted.enumerate(pair):
        found[key(first_draws(policy, tree))] += probability
    expected: Counter[object] = Counter()
    for probability, tree in policy.enumerate(pair):
        expected[key(tree)] += probability
    assert found == expected


def test_first_draws_of_a_tree_that_has_fewer_are_refused() -> None:
    tree = Chain(2).sample(ExactPair(2, "full", 0), np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"Iid\(2, 1\) draws 2 tokens where the tree has 1"):
        first_draws(Iid(2, 1), tree)
