"""Certificates of the policies that draw: every verifier that claims them, and some that rightly do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from drawn_policies import DRAWN, UNEVEN
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import KINDS, ExactPair, P, Q, exact_pairs, one_step_pair

from veridraft.theory import VERIFIERS, Chain, Policy, Row, Verifier, certify
from veridraft.theory.policies.dyspec import DySpec
from veridraft.theory.policies.static import Static
from veridraft.theory.policies.top_plus_one import HubPairs, TopPlusOne
from veridraft.theory.policies.topologies import Topology
from veridraft.theory.rows.lists import TokenList
from veridraft.theory.verifiers import Losslessness, emitted_law

CLAIMED = [
    pytest.param(verifier, policy, id=f"{verifier.name}-{policy.name}")
    for policy in DRAWN
    for verifier in VERIFIERS.values()
    if verifier.supports(policy)
]




@pytest.mark.parametrize(("verifier", "policy"), CLAIMED)
def test_a_claimed_policy_is_exactly_lossless(verifier: Verifier, policy: Policy) -> None:
    for index, kind in enumerate(KINDS):
        certificate = certify(verifier, policy, ExactPair(3 - index % 2, kind, 11))
        assert certificate.total_variation == 0, (kind, certificate)


@settings(max_examples=40)
@given(pair=exact_pairs(sizes=(2, 3)), policy=st.sampled_from(DRAWN))
def test_merged_and_listed_trees_have_one_law_and_it_is_the_target_s(pair: ExactPair, policy: Policy) -> None:
    name = next(name for name in ("rrsw", "greedy", "spechub") if VERIFIERS[name].supports(policy))
    merged, listed = (emitted_law(VERIFIERS[name], policy, pair, merge=merge) for merge in (True, False))
    assert merged.trees == listed.trees
    assert merged.masses.keys() == listed.masses.keys()
    assert all((merged.masses[key] == listed.masses[key]).all() for key in merged.masses)
    assert certify(name, policy, pair, "float").total_variation <= 1e-12


def test_the_expected_verifiers_claim_each_policy() -> None:
    def claimed(policy: Policy) -> set[str]:
        return {name for name, verifier in VERIFIERS.items() if verifier.supports(policy)}

    assert {"nss", "naive_tree", "spectr", "specinfer", "traversal", "lifted_k_seq"} <= claimed(DRAWN[0])
    assert {"nss", "rrsw", "traversal"} == claimed(DySpec(3)) == claimed(DRAWN[-1]) < claimed(DRAWN[1])
    assert not {"naive", "block", "spectr", "specinfer", "gbv", "greedy", "lifted_rrs"} & claimed(DRAWN[1])
    assert {"nss", "greedy", "univer"} <= claimed(TopPlusOne(2, 1))
    assert {"nss", "spechub"} <= claimed(HubPairs(1))
    assert not {"rrsw", "traversal", "spectr", "naive", "block"} & (claimed(TopPlusOne(2, 1)) | claimed(HubPairs(1)))
    assert claimed(Chain(1)) < claimed(TopPlusOne(1, 1))


LOSSY = [
    ("specinfer", Static(Topology.k_ary(2, 1), replacement=False)),
    ("spectr", Static(Topology.k_ary(2, 1), replacement=False)),
    ("spectr", DySpec(3)),
    ("lifted_k_seq", DySpec(3)),
    ("gbv", Static(UNEVEN, replacement=True)),
    ("rrsw", TopPlusOne(2, 1)),
    ("traversal", TopPlusOne(2, 1)),
    ("naive", TopPlusOne(2, 1)),
    ("greedy", HubPairs(1)),
    ("spectr", HubPairs(1)),
    ("rrsw", HubPairs(1)),
]


@pytest.mark.parametrize(("name", "policy"), LOSSY, ids=lambda value: str(value))
def test_what_is_refused_really_is_lossy(name: str, policy: Policy) -> None:
    pairs = [one_step_pair(), one_step_pair(Q, P), *(ExactPair(4, "full", seed) for seed in range(3))]
    with pytest.raises(ValueError, match="not known to be lossless"):
        certify(name, policy, pairs[0])
    worst = max(certify(name, policy, pair, any_policy=True).total_variation for pair in pairs)
    assert worst > Fraction(1, 1000)


@pytest.mark.parametrize("policy", [DRAWN[1], HubPairs(2), DySpec(3)], ids=str)
@pytest.mark.parametrize("name", ["naive", "block"])
def test_a_rule_that_tests_the_first_token_alone_needs_no_more_than_that_it_is_a_draw(
    name: str, policy: Policy
) -> None:
    for kind in KINDS:
        assert certify(name, policy, ExactPair(3, kind, 12), any_policy=True).total_variation == 0


@pytest.mark.parametrize("name", ["rrsw", "traversal"])
def test_a_shape_that_hangs_on_other_branches_tokens_is_lossless(name: str) -> None:
    """Under a budget, what is drawn below one node can settle whether another gets one more child."""
    for kind in ("full", "zeros"):
        assert certify(name, DySpec(5), ExactPair(3, kind, 22)).total_variation == 0


class PrunedAfterDrawing(Static):
    """Mechanism 27: drawn children are dropped by their own value, which the rule takes for draws not made."""

    def list_law(self, state: Any, draft_row: Row) -> Iterator[tuple[Any, TokenList]]:
        for chance, tokens in super().list_law(state, draft_row):
            yield chance, self.kept(tokens, draft_row)

    @staticmethod
    def kept(tokens: Sequence[int], draft_row: Row) -> TokenList:
        return tuple(token for token in tokens if draft_row[token] >= Fraction(23, 100))


def test_pruning_after_drawing_is_lossy_and_nss_alone_survives_it() -> None:
    pruned = PrunedAfterDrawing(Topology.k_ary(2, 1), replacement=False)
    for name in ("rrsw", "traversal"):
        certificate = certify(name, pruned, one_step_pair())
        assert certificate.outcome is Losslessness.LOSSY
        assert certify(name, Static(Topology.k_ary(2, 1), replacement=False), one_step_pair()).total_variation == 0
    assert certify("nss", pruned, one_step_pair()).total_variation == 0


@pytest.mark.parametrize("policy", [TopPlusOne(2, 1), HubPairs(1)], ids=str)
def test_a_tree_with_tokens_by_rule_is_refused_by_a_verifier_of_draws(policy: Policy) -> None:
    tree = policy.sample(one_step_pair(), np.random.default_rng(0))
    with pytest.raises(ValueError, match="needs nodes sampled from the draft"):
        VERIFIERS["rrsw"].law(tree)
