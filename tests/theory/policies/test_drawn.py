"""Policies that draw: laws of their lists, enumeration, samples against laws, arguments."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from drawn_policies import DRAWN, POINT, TIED, key, lists_of
from scipy.stats import binom
from strategies import KINDS, ExactPair, P, Q, one_step_pair

from veridraft.theory import Chain, DraftLaw, Policy, block_efficiency, dirichlet_pair, parse_policy
from veridraft.theory.policies.dyspec import DySpec
from veridraft.theory.policies.top_plus_one import HubPairs, TopPlusOne, top_tokens

# Top tokens and one draw


def test_top_tokens_breaks_ties_toward_the_lower_token() -> None:
    assert top_tokens(TIED, 2) == [0, 2]
    assert top_tokens(np.array([0.2, 0.4, 0.4]), 1) == [1]
    assert top_tokens(P, 9) == [0, 1, 2]


def test_top_plus_one_lists() -> None:
    assert lists_of(TopPlusOne(1, 1), Q) == {(0,): Q[0], (1,): Q[1], (2,): Q[2]}
    assert lists_of(TopPlusOne(2, 1), Q) == {(2, 0): Fraction(4, 9), (2, 1): Fraction(5, 9)}
    assert lists_of(TopPlusOne(3, 1), TIED) == {(0, 2, 1): 1}
    assert lists_of(TopPlusOne(2, 1), POINT) == {(1,): 1}
    assert lists_of(TopPlusOne(3, 1), POINT) == {(1, 0): 1}
    assert lists_of(TopPlusOne(9, 1), Q) == {(2, 1, 0): 1}


def test_top_plus_one_marks_the_draw_alone() -> None:
    assert TopPlusOne(3, 1).is_drawn(1, Q, (2, 1, 0)) == (False, False, True)
    assert TopPlusOne(4, 1).is_drawn(1, Q, (2, 1, 0)) == (False, False, False)
    assert TopPlusOne(2, 1).is_drawn(1, POINT, (1,)) == (False,)
    assert TopPlusOne(1, 1).is_drawn(1, Q, (0,)) == (True,)


def test_top_plus_one_of_one_is_the_chain() -> None:
    pair = ExactPair(3, "full", 13)
    assert block_efficiency("block", TopPlusOne(1, 3), pair).value == block_efficiency("block", Chain(3), pair).value
    assert TopPlusOne(1, 3).draft_laws == Chain(3).draft_laws | {DraftLaw.TOP_PLUS_ONE}


def test_hub_pairs_lists() -> None:
    law = lists_of(HubPairs(1), Q)
    assert law[0, 2] == Fraction(1, 5)
    assert law[2, 0] == Fraction(11, 20) * Fraction(1, 5) / Fraction(9, 20)
    assert set(law) == {(0, 2), (1, 2), (2, 0), (2, 1)}
    assert sum(law.values()) == 1
    assert lists_of(HubPairs(1), POINT) == {(1,): 1}
    assert set(lists_of(HubPairs(1), TIED)) == {(0, 1), (1, 0), (0, 2), (2, 0)}


def test_the_hub_is_by_rule_in_either_place_and_its_place_tells_nothing_of_the_other() -> None:
    hub_pairs, law = HubPairs(1), lists_of(HubPairs(1), Q)
    assert hub_pairs.is_drawn(1, Q, (0, 2)) == (True, False)
    assert hub_pairs.is_drawn(1, Q, (2, 0)) == (False, True)
    for token in (0, 1):
        assert law[2, token] == Q[2] * (law[2, token] + law[token, 2])


# DySpec


def test_dyspec_by_hand() -> None:
    """Of (11/20, 1/4, 1/5) token 2 leaves 9/20 beside it, so that the second draw is below it; else it is beside."""
    trees = {key(tree)[:2]: chance for chance, tree in DySpec(2).enumerate(one_step_pair())}
    assert len(trees) == 3 + 4
    assert trees[(-1, 2, 0), ((1,), (2,), ())] == Fraction(11, 20) * Fraction(1, 5)
    assert trees[(-1, 0, 2), ((1, 2), (), ())] == Fraction(1, 5) * Fraction(11, 16)


def test_dyspec_s_threshold_by_hand() -> None:
    """Children are drawn at nodes of draft probability 9/20 or more, and beside siblings that leave so much."""
    policy = DySpec(threshold=Fraction(9, 20), depth=2)
    trees = [tree for _, tree in policy.enumerate(one_step_pair())]
    starts = {tuple(tree.tokens[list(tree.child_lists[0])].tolist()) for tree in trees}
    assert starts == {(2, 0), (2, 1), (0, 2), (0, 1, 2), (1, 2), (1, 0, 2)}
    for tree in trees:
        assert {int(tree.tokens[node]) for node in tree.parents[tree.depths == 2]} == {2}


def test_dyspec_grows_no_tree_past_the_budget_or_the_depth() -> None:
    pair = ExactPair(3, "full", 14)
    assert {tree.size for _, tree in DySpec(4).enumerate(pair)} == {5}
    flat = [tree for _, tree in DySpec(4, depth=1).enumerate(pair)]
    assert {tree.size for tree in flat} == {4}
    assert {int(tree.depths.max()) for tree in flat} == {1}
    assert [tree.size for _, tree in DySpec(0).enumerate(pair)] == [1]


def test_dyspec_follows_a_certain_draft_down() -> None:
    tree = DySpec(5).sample(one_step_pair(POINT, POINT), np.random.default_rng(0))
    assert tree.is_path
    assert tree.size == 6


@pytest.mark.parametrize("policy", [DySpec(3), DySpec(4, depth=2), DRAWN[-1]], ids=str)
def test_dyspec_s_count_is_an_upper_bound(policy: DySpec) -> None:
    for kind in KINDS:
        assert sum(1 for _ in policy.enumerate(ExactPair(3, kind, 15))) <= policy.tree_count(3)


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        (DySpec(6), "DySpec(6)"),
        (DySpec(6, depth=2), "DySpec(6, depth=2)"),
        (DySpec(threshold=0.1, depth=3), "DySpec(threshold=0.1, depth=3)"),
        (TopPlusOne(3, 2), "TopPlusOne(3, 2)"),
        (HubPairs(2), "HubPairs(2)"),
    ],
)
def test_the_name_is_the_call(policy: Policy, name: str) -> None:
    assert policy.name == name
    assert eval(name) == policy


def test_texts_are_read() -> None:
    assert parse_policy("topplusone(3, 2)") == TopPlusOne(3, 2)
    assert parse_policy("HubPairs(2)") == HubPairs(2)
    assert parse_policy("dyspec(6)") == DySpec(6)
    for text in ("topplusone(3)", "hubpairs(2, 2)", "dyspec(x)", "dyspec()", "static(2x)", "tree(3)"):
        with pytest.raises(ValueError, match=r"is none of Chain\(L\).*HubPairs\(depth\)"):
            parse_policy(text)


# Enumeration and sampling


@pytest.mark.parametrize("policy", DRAWN, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_sum_to_exactly_one_and_trees_differ(policy: Policy, kind: str) -> None:
    trees = list(policy.enumerate(ExactPair(3, kind, 16)))
    assert sum(chance for chance, _ in trees) == 1
    assert len({key(tree) for _, tree in trees}) == len(trees)
    assert all(chance > 0 for chance, _ in trees)
    assert max(int(tree.depths.max()) for _, tree in trees) <= policy.depth


@pytest.mark.parametrize("policy", [TopPlusOne(2, 2), TopPlusOne(3, 1), HubPairs(2)], ids=str)
@pytest.mark.parametrize("size", [2, 3, 4])
def test_tree_count_is_the_number_of_trees(policy: Policy, size: int) -> None:
    assert sum(1 for _ in policy.enumerate(ExactPair(size, "full", 17))) == policy.tree_count(size)


DRAWS, LEVEL = 800, 1e-9


@pytest.mark.parametrize("policy", DRAWN, ids=str)
def test_sampled_trees_follow_the_enumerated_law(policy: Policy) -> None:
    """Each tree's count lies within its binomial law, at level 1e-9 shared by the trees and the two sides."""
    pair = ExactPair(3, "full", 18)
    law = {key(tree): float(chance) for chance, tree in policy.enumerate(pair)}
    rng = np.random.default_rng(19)
    seen = Counter(key(policy.sample(pair.as_float(), rng)) for _ in range(DRAWS))
    assert set(seen) <= set(law)
    level = LEVEL / (2 * len(law) * len(DRAWN))
    for tree, chance in law.items():
        assert binom.cdf(seen[tree], DRAWS, chance) > level
        assert binom.sf(seen[tree] - 1, DRAWS, chance) > level


@pytest.mark.parametrize("policy", [TopPlusOne(4, 3), HubPairs(4), DySpec(40), DySpec(threshold=0.1, depth=3)], ids=str)
def test_samples_at_a_real_size(policy: Policy) -> None:
    tree = policy.sample(dirichlet_pair(5_000, seed=20, concentration=0.001), np.random.default_rng(21))
    assert tree.size > 4


# Arguments


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: TopPlusOne(0, 1), "m must be at least 1, but is 0"),
        (lambda: TopPlusOne(2, -1), "depth must be at least 0"),
        (lambda: HubPairs(-1), "depth must be at least 0"),
        (lambda: DySpec(), "budget or threshold must be given"),
        (lambda: DySpec(3, threshold=0.5, depth=2), "budget or threshold must be given, and not both"),
        (lambda: DySpec(-1), "budget must be at least 0"),
        (lambda: DySpec(threshold=0.5), "depth must be given with a threshold"),
        (lambda: DySpec(threshold=0, depth=1), r"threshold must lie in \(0, 1\], but is 0"),
        (lambda: DySpec(threshold=1.5, depth=1), r"threshold must lie in \(0, 1\], but is 1.5"),
        (lambda: DySpec(threshold=float("nan"), depth=1), "threshold must be finite"),
        (lambda: DySpec(2).tree_count(0), "vocabulary_size must be at least 1"),
    ],
)
def test_a_bad_argument_is_named(build, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize("build", [lambda: TopPlusOne(2.0, 1), lambda: DySpec("3"), lambda: HubPairs(True)])
def test_a_bad_type_is_named(build) -> None:
    with pytest.raises(TypeError, match=r"m must be|budget must be|depth must be"):
        build()
