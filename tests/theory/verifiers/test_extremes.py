"""Rows whose masses underflow, are subnormal, tie or vanish: every law is one, and every verifier lossless on them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import SHAPES, extreme_pairs

from veridraft.theory import VERIFIERS, Chain, Iid, MarkovPair, Policy, Static, Topology, block_efficiency, certify
from veridraft.theory.pairs import LayeredPair, iid_pair
from veridraft.theory.policies import HubPairs
from veridraft.theory.verifiers import Certificate, Hierarchical, Losslessness, Verifier, certify_greedy_block
from veridraft.theory.verifiers.certificates import certificate_of
from veridraft.theory.verifiers.emission import emitted_law


@given(pair=extreme_pairs(), policy=st.sampled_from(SHAPES))
@settings(max_examples=60)
def test_every_verifier_of_the_table_is_lossless_on_extreme_rows(pair: MarkovPair, policy: Policy) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an overflow or an invalid value on the way is a defect too
        for verifier in VERIFIERS.values():
            if not verifier.supports(policy):
                continue
            law = emitted_law(verifier, policy, pair)
            certificate = certificate_of(verifier.name, policy.name, law)
            assert certificate.outcome is Losslessness.LOSSLESS, (verifier.name, policy, certificate)
            assert abs(law.by_depth.sum() - 1) < 1e-12
            for accepted, row in law.masses.items():
                assert row.min() >= 0
                assert row[pair.target_row(accepted) == 0].sum() == 0, (verifier.name, policy, accepted)


@pytest.mark.parametrize("name", ["spechub", "lifted_spechub"])
@pytest.mark.parametrize("tiny", [1e-310, 5e-324])
def test_the_hub_with_almost_all_of_the_draft_is_right(name: str, tiny: float) -> None:
    pair = iid_pair([0.9, 0.05, 0.05], [1.0, tiny, 0.0])
    assert block_efficiency(name, HubPairs(1), pair).value == pytest.approx(1.95, abs=1e-12)
    assert certify(name, HubPairs(1), pair, "float").outcome is Losslessness.LOSSLESS


def test_hierarchical_verification_is_block_verification_where_a_joint_ratio_would_overflow() -> None:
    pair = iid_pair([0.5, 0.5], [1e-155, 1.0])
    for length in (2, 3):
        values = [block_efficiency(name, Chain(length), pair).value for name in ("hierarchical", "block")]
        assert values[0] == pytest.approx(values[1], abs=1e-12)
    assert block_efficiency("hierarchical", Chain(2), pair).value == pytest.approx(1.75, abs=1e-12)


def test_an_uncapped_end_and_debts_over_rounds_stay_finite() -> None:
    pair = iid_pair([0.5, 0.5], [1e-155, 1.0])
    uncapped = Verifier("uncapped", "", "", Hierarchical(capped_end=False), VERIFIERS["block"].draft_laws)
    assert 1 <= block_efficiency(uncapped, Chain(3), pair).value <= 4
    assert certify_greedy_block(pair, 2).total_variation < 1e-12


def test_lists_whose_probability_underflows_are_not_listed() -> None:
    peaked = iid_pair([0.5, 0.5], [1.0, 1e-120])
    for policy in (Iid(3, 1), Static(Topology.k_ary(2, 1), replacement=False), HubPairs(1)):
        chances = [chance for chance, _ in policy.enumerate(peaked)]
        assert min(chances) > 0 and sum(chances) == pytest.approx(1, abs=1e-14)
    assert len(list(Iid(3, 1).enumerate(peaked))) == 7  # all but three draws of the token of 1e-120


def test_the_symmetric_verifiers_at_subnormal_residuals() -> None:
    pair = iid_pair([5e-324, 1.0, 1e-310], [1e-310, 1.0, 5e-324])
    for name in ("symmetric_rrs", "symmetric_traversal", "symmetric_k_seq", "symmetric_naive"):
        assert block_efficiency(name, Chain(2), pair).value == pytest.approx(3, abs=1e-12)


@given(pair=extreme_pairs(), name=st.sampled_from(["nss", "specinfer", "spectr", "block", "lifted_rrs", "traversal"]))
@settings(max_examples=25)
def test_the_dynamic_programmes_agree_with_enumeration_on_extreme_rows(pair: MarkovPair, name: str) -> None:
    policy = Chain(3) if name == "block" else Iid(2, 2)
    found = block_efficiency(name, policy, pair, method="dp")
    assert found.value == pytest.approx(block_efficiency(name, policy, pair, method="enumerate").value, abs=1e-11)
    layers = LayeredPair([pair.start, (pair.target, pair.draft)])
    assert block_efficiency(name, policy, layers, method="dp").value == pytest.approx(found.value, abs=1e-11)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_certificate_of_a_number_that_is_none_is_an_error_not_a_verdict(value: float) -> None:
    with pytest.raises(FloatingPointError, match=r"verifier 'spechub' with HubPairs\(1\): the total variation came"):
        Certificate("spechub", "HubPairs(1)", "float", value, 1, 1, None, 1e-12)


def test_a_verifier_that_computes_nan_has_no_certificate() -> None:
    class Broken(Hierarchical):
        def leaf(self, mark):
            return mark * np.nan

    broken = Verifier("broken", "", "", Broken(), VERIFIERS["block"].draft_laws)
    with pytest.raises(FloatingPointError, match="broken"):
        certify(broken, Chain(1), iid_pair([0.5, 0.5], [0.25, 0.75]), "float")
