"""The tree-level optimum: against the programme over all strings, its two proofs, and every verifier."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import prod

import numpy as np
import pytest
from bounds_defects import accept_above, accept_always, lossy_k_seq
from drawn_policies import DRAWN
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from strategies import KINDS, ExactPair, P, Q, exact_pairs, one_step_pair, policies, random_pairs

from veridraft.theory import (
    VERIFIERS,
    Chain,
    Context,
    Delayed,
    DraftTree,
    Iid,
    MarkovPair,
    Pair,
    Policy,
    block_efficiency,
    certify,
    dirichlet_pair,
    get_verifier,
)
from veridraft.theory.bounds.node_laws import listed_trees, path_trees
from veridraft.theory.bounds.tree import deterministic_tree_bound, price_bound, tree_optimum
from veridraft.theory.policies.best_first import TopK
from veridraft.theory.policies.static import Static
from veridraft.theory.policies.top_plus_one import HubPairs, TopPlusOne
from veridraft.theory.policies.topologies import Topology

ROUNDING = 1e-11
"""What float64 may add to a block efficiency of at most 4: verifiers are certified to 1e-12 in variation."""

SMALL = [Chain(2), Iid(2, 1), Iid(2, 2), Iid(3, 1), Delayed(2, 1, 1), Static(Topology.k_ary(2, 1), replacement=False)]
SMALL += [TopPlusOne(2, 2), HubPairs(1), *DRAWN[:2]]


def naive_optimum(policy: Policy, pair: Pair) -> float:
    """The programme unreduced: a variable for every tree, node and token, a row for every string."""
    trees = list(policy.enumerate(pair))
    size, height = pair.vocabulary_size, policy.depth + 1
    strings = list(product(range(size), repeat=height))
    columns, cost = [], []
    for place, (_, tree) in enumerate(trees):
        for node, token in product(range(tree.size), range(size)):
            block = (*tree.context(node), token)
            column = np.zeros(len(trees) + len(strings))
            column[place] = 1
            for row, string in enumerate(strings):
                if string[: len(block)] == block:
                    column[len(trees) + row] = path_probability(pair, string, len(block))
            columns.append(column)
            cost.append(-float(tree.depths[node] + 1))
    limits = [float(chance) for chance, _ in trees] + [path_probability(pair, string, 0) for string in strings]
    result = linprog(cost, A_eq=np.array(columns).T, b_eq=limits, method="highs")
    assert result.status == 0
    return -float(result.fun)


def path_probability(pair: Pair, string: Context, start: int) -> float:
    return float(prod(pair.target_row(string[:place])[string[place]] for place in range(start, len(string))))


@pytest.mark.parametrize("policy", SMALL, ids=str)
@pytest.mark.parametrize("kind", ["full", "zeros", "ties", "point masses"])
def test_equals_the_programme_as_stated(policy: Policy, kind: str) -> None:
    """HiGHS is given both; its own tolerance is 1e-7 on every constraint, the sides are proven to 1e-9."""
    pair = ExactPair(3 if policy.tree_count(3) <= 81 else 2, kind, 7).as_float()
    found = tree_optimum(policy, pair)
    assert found.gap <= 1e-9
    assert found.value == pytest.approx(naive_optimum(policy, pair), abs=1e-5)


@given(pair=exact_pairs(sizes=(2, 3)), policy=policies(most_trees=81, vocabulary_size=3))
def test_two_programmes_agree(pair: ExactPair, policy: Policy) -> None:
    """Each brackets the optimum in exact arithmetic, so the brackets must meet."""
    listed, cut = tree_optimum(policy, pair, method="blocks"), tree_optimum(policy, pair, method="antichains")
    for found in (listed, cut):
        assert isinstance(found.lower + found.upper, Fraction)
        assert 0 <= found.gap <= Fraction(1, 10**9)
    assert max(listed.lower, cut.lower) <= min(listed.upper, cut.upper)


@pytest.mark.parametrize("policy", [*SMALL, *DRAWN], ids=str)
def test_merged_trees_have_the_law_of_the_listed_ones(policy: Policy) -> None:
    """Every node set has the probability that enumeration gives it, in Fractions."""
    pair = ExactPair(3, "full", 1)
    law = listed_trees(policy, pair)
    wanted: dict[frozenset[Context], Fraction] = {}
    trees = 0
    for chance, tree in policy.enumerate(pair):
        nodes = frozenset(tree.context(node) for node in range(1, tree.size))
        wanted[nodes] = wanted.get(nodes, Fraction(0)) + chance
        trees += 1
    found = {frozenset(law.trie.contexts[node] for node in nodes): chance for chance, nodes in law.blocks}
    assert found == wanted
    assert law.trees == trees


@given(pair=exact_pairs(), policy=policies(most_trees=256), seed=st.integers(0, 2**32))
def test_expected_maximum_needs_no_list(pair: ExactPair, policy: Policy, seed: int) -> None:
    """The law of independent paths gives the mean of the greatest price exactly as the list of all trees does."""
    listed, paths = listed_trees(policy, pair), path_trees(policy, pair)  # type: ignore[arg-type]
    weights = np.random.default_rng(seed).integers(-3, 9, paths.trie.size)
    prices = dict(zip(paths.trie.contexts, [Fraction(0), *map(Fraction, weights[1:].tolist())], strict=True))
    means = [law.expected_maximum([prices[node] for node in law.trie.contexts]) for law in (listed, paths)]
    assert means[0] == means[1]


@given(pair=exact_pairs(sizes=(2, 3)), policy=policies(most_trees=81, vocabulary_size=3), seed=st.integers(0, 2**32))
def test_any_prices_are_a_bound(pair: ExactPair, policy: Policy, seed: int) -> None:
    """Weak duality with random prices; the optimum's own prices give its upper side back."""
    optimum = tree_optimum(policy, pair)
    rng = np.random.default_rng(seed)
    prices = {node: price + Fraction(int(rng.integers(-4, 5)), 8) for node, price in optimum.prices.items()}
    assert price_bound(policy, pair, prices) >= optimum.lower
    assert price_bound(policy, pair, optimum.prices) == optimum.upper


@settings(max_examples=15)
@given(pair=exact_pairs(sizes=(2, 3)), policy=st.sampled_from(SMALL))
def test_no_lossless_verifier_exceeds_the_optimum(pair: ExactPair, policy: Policy) -> None:
    bound, rounded = tree_optimum(policy, pair).upper, pair.as_float()
    for verifier in VERIFIERS.values():
        if verifier.supports(policy):
            assert float(block_efficiency(verifier, policy, rounded).value) <= float(bound) + ROUNDING, verifier


@settings(max_examples=8)
@given(seed=st.integers(0, 999), closeness=st.sampled_from([0.0, 0.5, 0.9]), peak=st.sampled_from([0.1, 1.0, 10.0]))
def test_no_lossless_verifier_exceeds_the_optimum_on_float_pairs(seed: int, closeness: float, peak: float) -> None:
    """Far and near, peaked and flat rows of three tokens."""
    pair = dirichlet_pair(3, seed, concentration=peak, closeness=closeness)
    for policy in (Iid(2, 2), Delayed(2, 1, 1), Chain(3)):
        bound = tree_optimum(policy, pair).upper
        for verifier in VERIFIERS.values():
            if verifier.supports(policy):
                assert block_efficiency(verifier, policy, pair).value <= bound + ROUNDING, verifier


@pytest.mark.parametrize("length", [1, 2, 3])
def test_block_verification_attains_the_optimum_on_a_chain(length: int) -> None:
    """Sun et al. (2403.10444) prove it; with K = 1 the antichain rows are w(x) <= draft(x)."""
    for pair in random_pairs(12):
        found = tree_optimum(Chain(length), pair)
        assert found.lower == found.upper == block_efficiency("block", Chain(length), pair).value


@pytest.mark.parametrize("count, rate", [(1, Fraction(13, 20)), (2, Fraction(43, 50)), (3, Fraction(247, 250))])
def test_one_level_is_the_optimal_acceptance(count: int, rate: Fraction) -> None:
    found = tree_optimum(Iid(count, 1), one_step_pair())
    assert found.lower == found.upper == 1 + rate


def test_one_level_without_replacement_and_top_plus_one() -> None:
    pair = one_step_pair()
    certain = tree_optimum(Static(Topology.k_ary(2, 1), replacement=False), pair)
    assert 2 - Fraction(1, 10**12) < certain.lower <= 2 <= certain.upper < 2 + Fraction(1, 10**12)
    for policy in (TopPlusOne(2, 1), HubPairs(1)):
        assert tree_optimum(policy, pair).upper == 1 + Fraction(17, 18)


@given(size=st.integers(2, 4), count=st.integers(1, 4), kind=st.sampled_from(KINDS), seed=st.integers(0, 2**32))
def test_one_level_against_all_subsets(size: int, count: int, kind: str, seed: int) -> None:
    """1 + min over H of target(H) - draft(H)^k (2502.18779), all 2^V subsets H tried."""
    pair = ExactPair(size, kind, seed)
    target, draft = pair.target_row(()), pair.draft_row(())
    subsets = [np.array(subset, dtype=bool) for subset in product((False, True), repeat=size)]
    rate = 1 + min(target[subset].sum() - draft[subset].sum() ** count for subset in subsets)
    found = tree_optimum(Iid(count, 1), pair)
    assert found.lower <= 1 + rate <= found.upper
    assert found.gap <= Fraction(1, 10**9)


@pytest.mark.parametrize("policy", [Iid(2, 2), Iid(3, 2), Delayed(2, 1, 1), Delayed(2, 2, 1)], ids=str)
def test_best_acceptance_probabilities_are_lossless_and_met(policy: Policy) -> None:
    """w of the optimum: below its parent's share, and no set of siblings accepted more often than drafted."""
    pair = dirichlet_pair(3, 5)
    found = tree_optimum(policy, pair)
    law = path_trees(policy, pair)  # type: ignore[arg-type]
    assert found.value == pytest.approx(sum(found.acceptance.values()), abs=1e-12)
    for node, weight in found.acceptance.items():
        if node:
            assert 0 <= weight <= found.acceptance[node[:-1]] * pair.target_row(node[:-1])[node[-1]]
            price = {below: float(below[: len(node)] == node) for below in law.trie.contexts}
            assert weight <= law.expected_maximum(list(price.values())) + 1e-12


@pytest.mark.parametrize("policy", [Iid(2, 2), Delayed(2, 1, 1), Iid(3, 2), TopPlusOne(2, 2)], ids=str)
def test_a_lossless_verifier_attains_the_optimum(policy: Policy) -> None:
    """It is built: every node set is matched to the nodes to stop at, tokens follow from w, and both its block
    efficiency and the law of its completed strings are added up, block by block.
    """
    pair = dirichlet_pair(3, 5)
    found, law = tree_optimum(policy, pair), listed_trees(policy, pair)
    accept, nodes = found.acceptance, law.trie.contexts
    children = zip(nodes, law.trie.children, strict=True)
    stops = np.array([accept[node] - sum(accept[nodes[child]] for child in below) for node, below in children])
    shares = matched([(chance, (0, *block)) for chance, block in law.blocks], stops)
    lengths = np.array([len(node) + 1 for node in nodes])
    assert (shares.sum(axis=0) * lengths).sum() == pytest.approx(found.value, abs=1e-6)
    strings = dict.fromkeys(product(range(3), repeat=policy.depth + 1), 0.0)
    for place, node in enumerate(nodes):
        tokens = [accept[node] * p - accept.get((*node, token), 0.0) for token, p in enumerate(pair.target_row(node))]
        law_of_token = np.array(tokens) / max(stops[place], 1e-300)
        for string in strings:
            if string[: len(node)] == node:
                rest = path_probability(pair, string, len(node) + 1)
                strings[string] += shares[:, place].sum() * law_of_token[string[len(node)]] * rest
    for string, probability in strings.items():
        assert probability == pytest.approx(path_probability(pair, string, 0), abs=1e-7)


def matched(blocks: list[tuple[float, tuple[int, ...]]], stops: np.ndarray) -> np.ndarray:
    """(blocks, nodes) probabilities with these sums, each block stopping at its own nodes; one must exist."""
    pairs = [(row, node) for row, (_, block) in enumerate(blocks) for node in block]
    equal = np.zeros((len(blocks) + len(stops), len(pairs)))
    for column, (row, node) in enumerate(pairs):
        equal[row, column] = equal[len(blocks) + node, column] = 1
    limits = [chance for chance, _ in blocks] + stops.tolist()
    result = linprog(np.zeros(len(pairs)), A_eq=equal, b_eq=limits, method="highs")
    assert result.status == 0
    shares = np.zeros((len(blocks), len(stops)))
    shares[tuple(np.array(pairs).T)] = result.x
    return shares


@given(pair=exact_pairs(), policy=policies())
def test_naive_speculative_sampling_attains_the_bound_of_a_fixed_tree(pair: ExactPair, policy: Policy) -> None:
    """On every tree that can be drawn, exactly; no verifier that ignores what was drawn can do better."""
    tree = policy.sample(pair.as_float(), np.random.default_rng(0))
    exact_tree = rows_of(tree, pair)
    assert get_verifier("nss").law(exact_tree).block_efficiency == deterministic_tree_bound(exact_tree)


def rows_of(tree: DraftTree, pair: Pair) -> DraftTree:
    """The same tree with a pair's rows."""
    contexts = [tree.context(node) for node in range(tree.size)]
    rows = (np.stack([row(context) for context in contexts]) for row in (pair.target_row, pair.draft_row))
    return DraftTree(tree.tokens, tree.parents, tree.child_lists, *rows)


@given(pair=exact_pairs(sizes=(2, 3)))
def test_deterministic_policy_has_the_bound_of_its_tree(pair: ExactPair) -> None:
    policy = TopK(2, 3, 2)
    ((_, tree),) = policy.enumerate(pair)
    found = tree_optimum(policy, pair)
    assert found.lower <= deterministic_tree_bound(tree) <= found.upper
    assert found.gap <= Fraction(1, 10**9)


def test_defects_above_the_optimum_are_thereby_proven_lossy() -> None:
    """Exact numbers on a pair whose optimum with two drafts is 1 + 43/50: K-SEQ with rho = 1, which is too small,
    accepts 351/400 of the time, and taking the first draft as it is always.
    """
    pair, policy = one_step_pair(), Iid(2, 1)
    bound = tree_optimum(policy, pair).upper
    assert bound == 1 + Fraction(43, 50)
    for verifier, rate in ((lossy_k_seq(Fraction(1)), Fraction(351, 400)), (accept_always(), Fraction(1))):
        assert block_efficiency(verifier, policy, pair).value == 1 + rate > bound
        assert certify(verifier, policy, pair).total_variation > 0


def test_staying_below_the_optimum_proves_nothing() -> None:
    """Accepting what the target holds half as likely as the draft, or more, is lossy, and accepts less often."""
    pair, policy = one_step_pair(), Iid(1, 1)
    verifier = accept_above(Fraction(1, 2))
    assert block_efficiency(verifier, policy, pair).value < tree_optimum(policy, pair).lower
    assert certify(verifier, policy, pair).total_variation > 0


def test_sizes_without_a_list() -> None:
    """Four of 81 paths make 1.7 million node sets, 120 strings are all there is to look at."""
    found = tree_optimum(Iid(4, 4), dirichlet_pair(3, 2))
    assert (found.trees, found.blocks, found.method) == (0, 0, "antichains")
    assert found.gap <= 1e-9


def test_at_a_context() -> None:
    pair = MarkovPair([P, P[::-1], P], [Q, P, P])
    assert tree_optimum(Iid(2, 1), pair, (1,)).value == block_efficiency("optimal", Iid(2, 1), pair, context=(1,)).value


@pytest.mark.parametrize(
    "policy, options, message",
    [
        (Iid(2, 2), {"method": "simplex"}, 'must be "blocks" or "antichains"'),
        (TopPlusOne(2, 1), {"method": "antichains"}, "needs Chain, Iid or Delayed"),
        (Iid(2, 10), {}, "59049 strings"),
        (Iid(3, 3), {"method": "blocks", "most_trees": 1000}, "19683 trees"),
    ],
)
def test_bad_input(policy: Policy, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tree_optimum(policy, one_step_pair(), **options)  # type: ignore[arg-type]
