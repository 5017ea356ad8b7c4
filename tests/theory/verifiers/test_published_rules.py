"""The rules beyond the sequential solvers: exact, and equal to each other where the theory says so."""

from fractions import Fraction
from itertools import combinations, pairwise, permutations, product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veridraft.theory import (
    VERIFIERS,
    Chain,
    Delayed,
    DySpec,
    Iid,
    MarkovPair,
    Static,
    Topology,
    block_efficiency,
    certify,
    dirichlet_pair,
)
from veridraft.theory.solvers.by_rule import greedy, hub
from veridraft.theory.solvers.canonical_lists import canonical, canonical_of, select
from veridraft.theory.solvers.sequential import k_seq, naive, nss, rrs, rrs_without_replacement
from veridraft.theory.solvers.symmetry import symmetrised
from veridraft.theory.verifiers.greedy_block import certify_greedy_block
from veridraft.theory.verifiers.path_rules import GreedyMultiPath, Hierarchical, best_of
from veridraft.theory.verifiers.table import Verifier

F = Fraction
TARGET = np.array([F(1, 2), F(3, 10), F(1, 5)])
DRAFT = np.array([F(1, 5), F(1, 4), F(11, 20)])


def row_of(weights):
    return np.array([F(weight, sum(weights)) for weight in weights])


rows = st.lists(st.integers(0, 6), min_size=3, max_size=4).filter(any)
row_pairs = st.integers(2, 4).flatmap(
    lambda size: st.tuples(*[st.lists(st.integers(0, 6), min_size=size, max_size=size).filter(any)] * 2)
)
weights = st.sampled_from([F(1), F(2, 5), F(1, 97)])


def iid_lists(draft, k):
    for tokens in product(np.flatnonzero(draft).tolist(), repeat=k):
        yield prod(draft[token] for token in tokens), tokens


def top_lists(draft, size):
    top = sorted(range(len(draft)), key=lambda token: (-draft[token], token))[: size - 1]
    rest = 1 - sum(draft[token] for token in top)
    if not rest:
        yield F(1), tuple(top)
    for token in set(range(len(draft))) - set(top):
        if draft[token]:
            yield draft[token] / rest, (*top, token)


def hub_lists(draft):
    center = int(np.argmax(draft))
    if draft[center] == 1:
        yield F(1), (center,)
    for token in range(len(draft)):
        if token != center and draft[token]:
            yield draft[token], (token, center)
            yield draft[center] * draft[token] / (1 - draft[center]), (center, token)


def mixture(solver, lists, target, draft, weight):
    """The mean row over lists, the mean of "none", and the acceptance rate."""
    row, none, acceptance = target * 0, F(0), F(0)
    for chance, tokens in lists:
        branching = solver(target, draft, tokens, weight)
        assert (branching.row() >= 0).all()
        assert branching.row().sum() + branching.none == 1
        row, none = row + branching.row() * chance, none + branching.none * chance
        acceptance += chance * sum(branching.listed)
    return row, none, acceptance


@settings(max_examples=80, deadline=None)
@given(row_pairs, weights, st.sampled_from(["greedy2", "greedy3", "hub", "canonical1", "canonical2", "canonical3"]))
def test_each_solver_mixes_to_the_scaled_target_exactly(pair, weight, which):
    target, draft = row_of(pair[0]), row_of(pair[1])
    size = int(which[-1]) if which != "hub" else 2
    solver, lists = {
        "greedy": (greedy, lambda: top_lists(draft, min(size, len(draft)))),
        "canonical": (canonical, lambda: iid_lists(draft, size)),
        "hub": (hub, lambda: hub_lists(draft)),
    }[which.rstrip("123")]
    row, none, _ = mixture(solver, lists(), target, draft, weight)
    assert (row == target * weight).all()
    assert none == 1 - weight


def test_published_acceptance_rates_come_out_as_fractions():
    assert mixture(greedy, top_lists(DRAFT, 2), TARGET, DRAFT, 1)[2] == F(17, 18)
    assert mixture(hub, hub_lists(DRAFT), TARGET, DRAFT, 1)[2] == F(17, 18)
    assert mixture(canonical, iid_lists(DRAFT, 2), TARGET, DRAFT, 1)[2] == F(43, 50)
    assert mixture(canonical, iid_lists(DRAFT, 3), TARGET, DRAFT, 1)[2] == F(247, 250)


@settings(max_examples=30, deadline=None)
@given(row_pairs)
def test_full_selection_over_two_drafts_attains_the_optimum_over_subsets(pair):
    target, draft = row_of(pair[0]), row_of(pair[1])
    subsets = [subset for size in range(len(target) + 1) for subset in combinations(range(len(target)), size)]
    bound = 1 + min(target[list(s)].sum() + F(0) - (draft[list(s)].sum() + F(0)) ** 2 for s in subsets)
    acceptance = mixture(canonical_of(len(target)), iid_lists(draft, 2), target, draft, 1)[2]
    assert acceptance <= bound
    assert float(bound - acceptance) < 1e-5  # weights are rounded to fractions of denominator 10^6


def test_a_selections_law_is_the_law_of_its_picks_below_and_at_the_truncation():
    for size in (1, 2, 5):
        chosen = select(TARGET, DRAFT, TARGET, size)
        law = TARGET * 0
        for (first, a), (second, b) in product(enumerate(DRAFT), enumerate(TARGET)):
            share = F(1) if first == second else chosen.first_wins(first, second)
            law[first] += a * b * share
            law[second] += a * b * (1 - share)
        assert (law == chosen.law).all()


@settings(max_examples=50, deadline=None)
@given(
    row_pairs,
    weights,
    st.sampled_from([nss, naive, rrs, rrs_without_replacement, k_seq]),
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
)
def test_symmetrised_is_the_mean_over_all_orders(pair, weight, solver, picks):
    target, draft = row_of(pair[0]), row_of(pair[1])
    support = np.flatnonzero(draft)
    tokens = [int(support[pick % len(support)]) for pick in picks]
    laws = [solver(target, draft, order, weight) for order in permutations(tokens)]
    mean = symmetrised(solver)(target, draft, tokens, weight)
    assert (mean.row() == sum(law.row() for law in laws) / len(laws)).all()
    assert mean.none == sum(law.none for law in laws) / len(laws)


def test_symmetrised_takes_eight_tokens_and_refuses_nine_and_other_solvers():
    rng = np.random.default_rng(5)
    target, draft = rng.dirichlet(np.ones(12)), rng.dirichlet(np.ones(12))
    for solver in (naive, rrs, k_seq):
        branching = symmetrised(solver)(target, draft, [0, 1, 2, 3, 4, 5, 6, 7], 0.7)
        assert abs(branching.row().sum() + branching.none - 1) < 1e-12
    with pytest.raises(ValueError, match="at most 8 tokens, but the list has 9"):
        symmetrised(rrs)(target, draft, [0] * 9)
    with pytest.raises(ValueError, match="sequential"):
        symmetrised(greedy)


POLICIES = (Chain(2), Iid(2, 2), Iid(3, 1), Delayed(2, 1, 1))


@settings(max_examples=4, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3).filter(any), min_size=8, max_size=8))
def test_every_row_of_the_table_is_lossless_exactly_with_zeros_ties_and_point_masses(table):
    found = [row_of(weights) for weights in table]
    pair = MarkovPair(found[:3], found[3:6], (found[6], found[7]))
    for verifier in VERIFIERS.values():
        for policy in (policy for policy in POLICIES if verifier.supports(policy)):
            assert certify(verifier, policy, pair).total_variation == 0, (verifier.name, policy)


@pytest.mark.parametrize("ascending", [True, False])
def test_gbv_is_lossless_with_either_tie_order_when_choice_and_law_share_it(ascending):
    target, draft = [F(1, 2), F(1, 4), F(1, 4)], [F(1, 5), F(2, 5), F(2, 5)]
    pair = MarkovPair([target] * 3, [draft] * 3, (target, draft))
    verifier = Verifier("gbv", "", "", GreedyMultiPath(ascending), VERIFIERS["gbv"].draft_laws)
    for policy in (Iid(2, 1), Iid(3, 2), Delayed(2, 2, 1)):
        assert certify(verifier, policy, pair).total_variation == 0


def test_the_law_of_the_best_path_is_that_of_its_enumeration():
    order = np.array([2, 0, 1])
    law, _ = best_of(DRAFT, order, 3, F(0), 0)
    counted = DRAFT * 0
    place = {int(token): index for index, token in enumerate(order)}
    for chance, tokens in iid_lists(DRAFT, 3):
        counted[max(tokens, key=place.__getitem__)] += chance
    assert (law == counted).all()


def test_the_law_of_the_best_of_eight_paths_keeps_its_digits_in_float32():
    rng = np.random.default_rng(11)
    draft = rng.dirichlet(np.full(50, 0.2))
    order = rng.permutation(50)
    for below in (0.0, 1e-4, 0.5, 0.999):
        token = int(order[25])
        reference, _ = best_of(draft, order, 8, below, token)
        law, _ = best_of(draft.astype(np.float32), order, 8, np.float32(below), token)
        assert np.isfinite(law).all()
        assert np.abs(law - reference).sum() < 50 * 8 * np.finfo(np.float32).eps * 8


def test_hierarchical_verification_with_capped_ratios_is_block_verification():
    for seed in range(6):
        pair = dirichlet_pair(3, seed=seed, closeness=0.3 * (seed % 3)).rationalised(9)
        for length in (1, 2, 3):
            tree_laws = [
                (VERIFIERS["hierarchical"].law(tree), VERIFIERS["block"].law(tree))
                for _, tree in Chain(length).enumerate(pair)
            ]
            for ours, theirs in tree_laws:
                assert (ours.stopping == theirs.stopping).all()
                assert (ours.next_token == theirs.next_token).all()


def test_hierarchical_verification_with_an_uncapped_end_is_lossy():
    pair = dirichlet_pair(3, seed=0, closeness=0.3).rationalised(9)
    public = Verifier("uncapped", "", "", Hierarchical(capped_end=False), VERIFIERS["block"].draft_laws)
    assert certify(public, Chain(1), pair).total_variation == 0  # one position has nothing to cap
    assert certify(public, Chain(2), pair).total_variation > F(1, 1000)


def test_capped_ratios_of_the_papers_example():
    rule, joint = Hierarchical(), [1.0, 0.8159, 1.0327, 1.5855, 6.1171, 0.0]
    mark, accepted = rule.start(1.0), []
    for before, after in pairwise(joint):
        target = after / before / 4
        mark = rule.decide(np.array([target, 1 - target]), np.array([0.25, 0.75]), (0,), mark).asks[0].mark
        accepted.append(rule.leaf(mark))
    assert accepted == pytest.approx([0.8159, 1.0, 1.0, 1.0, 0.0])


def test_greedy_block_verification_is_lossless_over_two_rounds_only_if_its_debt_is_carried():
    target, draft = (F(1, 3), F(2, 3)), (F(2, 3), F(1, 3))
    golden = MarkovPair([target] * 2, [draft] * 2, (target, draft))
    one = certify_greedy_block(golden, 2, rounds=1)
    assert one.total_variation == 0
    assert one.acceptance_lengths == (F(12, 9),)
    assert one.acceptance_lengths[0] > block_efficiency("block", Chain(2), golden).value - 1 == F(11, 9)
    for pair in (golden, dirichlet_pair(3, seed=1, closeness=0.2).rationalised(9)):
        assert certify_greedy_block(pair, 2).total_variation == 0
        assert certify_greedy_block(pair, 2, carry=False).total_variation > F(1, 100)


def test_the_optimal_rules_over_draws_without_replacement_are_lossless_but_not_where_their_number_adapts():
    pair = dirichlet_pair(3, seed=1, closeness=0.2).rationalised(9)
    shape = Static(Topology.k_ary(2, 2), replacement=False)
    for name in ("optimal_without_replacement", "lifted_optimal_without_replacement"):
        assert certify(name, shape, pair).total_variation == 0
        with pytest.raises(ValueError, match="not known to be lossless"):
            certify(name, DySpec(4), pair)
        assert certify(name, DySpec(4), pair, any_policy=True).total_variation > F(1, 10)
    assert certify("traversal", DySpec(4), pair).total_variation == 0


def test_hub_refuses_lists_that_spechub_cannot_draw():
    with pytest.raises(ValueError, match="top token 2"):
        hub(TARGET, DRAFT, (0, 1))
    with pytest.raises(ValueError, match="cannot have been drawn"):
        hub(TARGET, np.array([F(0), F(1, 4), F(3, 4)]), (0, 2))
