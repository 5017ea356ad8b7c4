"""The verifiers on tensors against the laws of veridraft.theory, and their coins against themselves."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import pytest
from scipy.stats import chi2

from veridraft.theory.bounds.one_step import optimal_acceptance
from veridraft.theory.pairs.base import Pair
from veridraft.theory.policies.arguments import parse_policy
from veridraft.theory.policies.dyspec import DySpec
from veridraft.theory.policies.paths import Chain, Delayed, Iid
from veridraft.theory.policies.top_plus_one import HubPairs, TopPlusOne
from veridraft.theory.rows.trees import DraftTree
from veridraft.theory.verifiers.table import VERIFIERS, get_verifier

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from veridraft.gpu.models import backend
from veridraft.gpu.trees.tensor_tree import TensorTree
from veridraft.gpu.trees.tree_batch import Layout, batched
from veridraft.gpu.verification import nodes, walks
from veridraft.gpu.verification.solvers import any_of, smallest_rho
from veridraft.gpu.verification.table import (
    DEVICE_VERIFIERS,
    stopping_in_batch,
    stopping_probabilities,
    verify,
    verify_batch,
)
from veridraft.gpu.verification.tickets import tickets_of

POLICIES = (Chain(3), Iid(3, 2), Iid(4, 3), Delayed(3, 1, 2), Delayed(4, 2, 1))
OTHERS = (TopPlusOne(3, 2), TopPlusOne(2, 3), HubPairs(2), parse_policy("Static(3x2)"), DySpec(6))


TOP = {"greedy", "univer", "spechub", "lifted_spechub"}
"""Verifiers of lists that hold more than draws, which are not accepted to their end by a target that is the draft."""


def policy_of(name, policy=None):
    """The policy if the verifier takes it, else one that it takes."""
    return next(one for one in (policy, Iid(3, 2), Chain(2), *OTHERS) if one and get_verifier(name).supports(one))


class RandomRows(Pair):
    """A pair of random rows for every context, with zeros, drawn when first asked for."""

    exact = False

    def __init__(self, vocabulary_size: int, rng: np.random.Generator, kind: str) -> None:
        self.vocabulary_size, self.rng, self.kind = vocabulary_size, rng, kind
        self.rows: dict[tuple[int, ...], tuple[np.ndarray, np.ndarray]] = {}

    def target_row(self, context):
        return self._rows(context)[0]

    def draft_row(self, context):
        return self._rows(context)[1]

    def _rows(self, context):
        if context not in self.rows:
            concentration = 0.3 if self.kind == "peaked" else 2.0
            target, draft = self.rng.dirichlet(np.full(self.vocabulary_size, concentration), size=2)
            if self.kind == "equal":
                target = draft
            if self.kind == "disjoint":
                half = np.arange(self.vocabulary_size) < self.vocabulary_size // 2
                target, draft = _cut(target, half), _cut(draft, ~half)
            if self.kind == "zeros":
                target, draft = (_cut(row, self.rng.random(row.size) < 0.6) for row in (target, draft))
            self.rows[context] = target, draft
        return self.rows[context]


def _cut(row, kept):
    kept = kept.copy()
    kept[np.argmax(row)] |= not kept.any()
    return row * kept / (row * kept).sum()


def random_trees(name: str, kinds=("plain", "peaked", "zeros", "equal", "disjoint")):
    """Trees of every policy that the verifier supports, over vocabularies from 3 to 300.

    Averages over orders cost 24 times as much: there one policy stands for all.
    """
    policies = (Iid(3, 2),) if name.startswith("symmetric") else POLICIES + OTHERS
    for seed, (size, kind, policy) in enumerate(product((3, 7, 40, 300), kinds, policies)):
        if get_verifier(name).supports(policy):
            yield random_tree(seed, size, kind, policy)


@cache
def random_tree(seed, size, kind, policy):
    """One tree, which every verifier is asked about."""
    rng = np.random.default_rng(seed)
    return policy.sample(RandomRows(size, rng, kind), rng)


@pytest.mark.parametrize("name", DEVICE_VERIFIERS)
def test_stopping_probabilities_equal_the_law_of_theory(name):
    kinds = ("plain", "peaked", "zeros", "disjoint", "equal")
    checked = 0
    for tree in random_trees(name, kinds[: -1 if "k_seq" in name or name == "spectr" else None]):
        expected = get_verifier(name).law(tree).stopping
        found = stopping_probabilities(name, TensorTree.from_theory(tree)).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-12, rtol=0)
        checked += 1
    assert checked >= 16


@pytest.mark.parametrize("name", sorted(set(DEVICE_VERIFIERS) - {"nss", "gbv"} - TOP))
def test_a_draft_that_equals_the_target_is_accepted_to_its_end(name):
    """For K-SEQ this is the case where its equation has a root of order k, at 1, which rounding must not move."""
    for tree in random_trees(name, kinds=("equal",)):
        if len({tree.depths[node] for node, below in enumerate(tree.child_lists) if not below}) > 1:
            continue  # the first child of a fixed shape may be a leaf above others
        stopping = stopping_probabilities(name, TensorTree.from_theory(tree))
        assert float(stopping[tree.depths == tree.depths.max()].sum()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", DEVICE_VERIFIERS)
def test_float32_gives_the_law_to_1e_5(name):
    for tree in random_trees(name, kinds=("plain", "zeros")):
        expected = get_verifier(name).law(tree).stopping
        found = stopping_probabilities(name, TensorTree.from_theory(tree, dtype=torch.float32)).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", DEVICE_VERIFIERS)
def test_coins_give_the_law_of_node_and_token(name):
    """A chi-square of (node, token) over 600 trials, at 1e-4 split over the verifiers."""
    rng = np.random.default_rng(11)
    policy = policy_of(name)
    tree = policy.sample(RandomRows(4, rng, "plain"), rng)
    device, trials = TensorTree.from_theory(tree), 600
    law = get_verifier(name).law(tree)
    expected = (law.stopping[:, None] * law.next_token).ravel()
    counts = np.zeros_like(expected)
    layout = Layout.of([device])
    found = verify_batch(name, batched([device] * trials), torch.from_numpy(rng.random((trials, tree.size + 1))))
    for column, token in zip(found.columns.tolist(), found.tokens.tolist(), strict=True):
        counts[layout.columns[0].index(column) * 4 + token] += 1
    assert counts[expected == 0].sum() == 0
    likely = expected * trials >= 5
    observed = np.append(counts[likely], counts[~likely].sum())
    wanted = np.append(expected[likely], expected[~likely].sum()) * trials
    observed, wanted = observed[wanted > 0], wanted[wanted > 0]
    statistic = ((observed - wanted) ** 2 / wanted).sum()
    assert chi2.sf(statistic, len(observed) - 1) > 1e-4 / len(DEVICE_VERIFIERS)


def test_verify_refuses_a_wrong_number_of_coins_and_an_unknown_name():
    tree = TensorTree.from_theory(one_node_tree())
    with pytest.raises(ValueError, match=r"coins must have shape \(N \+ 1,\) = \(2,\)"):
        verify("naive", tree, torch.zeros(5))
    with pytest.raises(ValueError, match="traversal"):
        stopping_probabilities("no_such_verifier", tree)


def one_node_tree():
    row = np.array([[0.25, 0.75]])
    return DraftTree(np.array([-1]), np.array([-1]), ((),), row, np.zeros_like(row))


def test_a_lone_root_emits_from_the_target():
    tree = TensorTree.from_theory(one_node_tree())
    assert verify("traversal", tree, torch.tensor([0.9, 0.2])).token == 0
    assert verify("spectr", tree, torch.tensor([0.9, 0.3])).token == 1


def test_smallest_rho_solves_its_equation_at_every_count():
    rng = np.random.default_rng(2)
    mass = torch.from_numpy(rng.dirichlet(np.full(50, 0.4), size=40)) * torch.linspace(0.01, 1, 40)[:, None]
    draft = torch.from_numpy(rng.dirichlet(np.full(50, 0.4), size=40))
    counts = torch.arange(40) % 5 + 1
    rho = smallest_rho(mass, draft, counts)
    beta = torch.minimum(mass / rho[:, None], draft).sum(dim=1)
    excess = any_of(beta, counts) - rho * beta
    assert bool(((rho >= 1) & (rho <= counts)).all())
    assert float(excess.abs().max()) < 1e-14


@pytest.mark.parametrize("name", DEVICE_VERIFIERS)
def test_trees_of_different_shapes_are_decided_together_as_each_alone(name):
    """Same law, and with the same coins the same outcome; trees are padded to one layout."""
    rng = np.random.default_rng(5)
    pair = RandomRows(7, rng, "zeros")
    most = 3 if name.startswith("symmetric") else 4
    policies = [policy_of(name, policy) for policy in (Iid(most, 2), Chain(0), Chain(3), Delayed(3, 1, 1))]
    trees = [TensorTree.from_theory(policy.sample(pair, rng)) for policy in policies]
    layout = Layout.of(trees)
    batch = batched(trees, layout)
    together = stopping_in_batch(name, batch)
    coins = torch.from_numpy(rng.random((8, len(trees), batch.columns + 1)))
    outcomes = [verify_batch(name, batch, some) for some in coins]
    for number, (tree, columns) in enumerate(zip(trees, layout.columns, strict=True)):
        torch.testing.assert_close(together[number, list(columns)], stopping_probabilities(name, tree))
        assert float(together[number].sum()) == pytest.approx(1)
        for some, found in zip(coins, outcomes, strict=True):
            alone = verify(name, tree, some[number, [*columns, -1]])
            assert (columns[alone.node], alone.token) == (int(found.columns[number]), int(found.tokens[number]))


@pytest.mark.parametrize("name", sorted(set(VERIFIERS) - set(DEVICE_VERIFIERS)))
def test_a_verifier_without_a_form_on_the_device_is_decided_by_its_exact_law(name):
    rng = np.random.default_rng(8)
    policies = [policy_of(name), policy_of(name, Delayed(2, 1, 1))]
    trees = [TensorTree.from_theory(policy.sample(RandomRows(4, rng, "plain"), rng)) for policy in policies]
    batch, trials = batched(trees), 100
    stopping = stopping_in_batch(name, batch)
    counts = torch.zeros_like(stopping)
    for coins in torch.from_numpy(rng.random((trials, 2, batch.columns + 1))):
        found = verify_batch(name, batch, coins)
        counts[[0, 1], found.columns] += 1
    spread = (stopping * (1 - stopping) / trials).sqrt()
    assert bool(((counts / trials - stopping).abs() <= 5 * spread + 1e-9).all()), "5 sigma, some 20 numbers"
    torch.testing.assert_close(
        stopping_probabilities(name, TensorTree.from_theory(trees[0].to_theory(), torch.float32)).double(),
        stopping[0, stopping_columns(trees, 0)],
        atol=1e-5,
        rtol=0,
    )


def stopping_columns(trees, number):
    return list(Layout.of(trees).columns[number])


@pytest.mark.parametrize("name", DEVICE_VERIFIERS)
def test_both_ways_of_walking_decide_the_same_with_the_same_coins(name, monkeypatch):
    """Node by node where reading is free, level by level where it is not."""
    rng = np.random.default_rng(12)
    pairs = [RandomRows(size, rng, kind) for size, kind in ((6, "zeros"), (30, "peaked"))]
    most = 3 if name.startswith("symmetric") else 4
    policies = [policy_of(name, policy) for policy in (Iid(most, 2), Chain(3), Delayed(3, 1, 1))]
    for pair in pairs:
        batch = batched([TensorTree.from_theory(policy.sample(pair, rng)) for policy in policies])
        coins = torch.from_numpy(rng.random((10, batch.size, batch.columns + 1)))
        found = []
        for free in (True, False):
            monkeypatch.setattr(backend, "are_free", lambda tensor, free=free: free)
            found.append([verify_batch(name, batch, some) for some in coins])
        for walked, by_level in zip(*found, strict=True):
            assert torch.equal(walked.columns, by_level.columns)
            assert torch.equal(walked.tokens, by_level.tokens)


def test_a_walk_solves_the_nodes_alone_that_its_coins_come_to(monkeypatch):
    solved = []
    monkeypatch.setattr(walks, "Node", lambda *given: solved.append(given[2]) or nodes.Node(*given))
    rng = np.random.default_rng(3)
    tree = Iid(3, 3).sample(RandomRows(40, rng, "disjoint"), rng)
    inner = sum(map(bool, tree.child_lists))
    verify("traversal", TensorTree.from_theory(tree), torch.from_numpy(rng.random(tree.size + 1)))
    assert len(solved) == 1 < inner, "nothing below weight 0"
    solved.clear()
    tree = Chain(6).sample(RandomRows(40, rng, "equal"), rng)
    verify("block", TensorTree.from_theory(tree), torch.from_numpy(rng.random(tree.size + 1)))
    assert len(solved) == 6


def test_rows_sorted_as_integers_are_in_the_order_of_the_numbers():
    rng = np.random.default_rng(4)
    for dtype in (torch.float32, torch.float64):
        keys = torch.from_numpy(rng.choice([-1.0, 0.0, 1e-40, 0.3, 0.30000001, 7.0, np.inf], 2_000)).to(dtype)
        assert torch.equal(nodes.ascending(keys), torch.sort(keys, stable=True).indices)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_tickets_choose_by_their_law_over_all_lists(count):
    """What each group is chosen with, summed over the lists of draws, is the law; it covers as much as can be."""
    rng = np.random.default_rng(count)
    wanted, masses = rng.dirichlet(np.full(5, 0.7), size=2)
    order = np.argsort(wanted / (wanted + masses))
    wanted, masses = wanted[order], masses[order]
    tickets, law = tickets_of(wanted, masses, count), np.zeros(5)
    for groups in product(range(5), repeat=count):
        for group, chance in zip(groups, tickets.chosen(groups), strict=True):
            law[group] += masses[list(groups)].prod() * chance
    np.testing.assert_allclose(law, tickets.quotients * masses, atol=1e-14)
    assert np.minimum(wanted, law).sum() == pytest.approx(float(optimal_acceptance(wanted, masses, count)), abs=1e-12)
