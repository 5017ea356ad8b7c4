"""Certificates: every verifier is lossless where the table says so, and what is lossy is found."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from strategies import NINE, P, Q, as_row, exact_pairs, one_step_pair, policies, random_pairs, small_policies

from veridraft.simulate.defects.broken.planted import TrunkCountedKTimes
from veridraft.theory import (
    VERIFIERS,
    Chain,
    Delayed,
    Iid,
    MarkovPair,
    Policy,
    Verifier,
    block_efficiency,
    certify,
    top_down,
)
from veridraft.theory.pairs import iid_pair
from veridraft.theory.rows.distributions import over_own_sums
from veridraft.theory.solvers import nss
from veridraft.theory.verifiers import Losslessness, emitted_law

KINDS = {Chain: Chain(2), Iid: Iid(2, 2), Delayed: Delayed(2, 1, 1)}


def on_200_random_pairs(verifier: Verifier) -> Iterator[tuple[Policy, Any]]:
    """Random pairs, each with a policy: the kinds that the verifier takes in turn, the shapes of each in turn."""
    kinds = [kind for kind, example in KINDS.items() if verifier.supports(example)]
    for index, pair in enumerate(random_pairs(200)):
        choices = small_policies(kinds[index % len(kinds)], pair.vocabulary_size, most_trees=1000)
        yield choices[index // 7 % len(choices)], pair


@pytest.mark.parametrize("verifier", NINE, ids=lambda verifier: verifier.name)
def test_rational_certificate_is_exactly_zero_on_200_random_pairs(verifier: Verifier) -> None:
    for policy, pair in on_200_random_pairs(verifier):
        certificate = certify(verifier, policy, pair)
        assert certificate.total_variation == 0, (pair, certificate)
        assert certificate.first_difference is None
        assert certificate.outcome is Losslessness.LOSSLESS


@pytest.mark.parametrize("verifier", NINE, ids=lambda verifier: verifier.name)
def test_float_certificate_is_zero_up_to_rounding(verifier: Verifier) -> None:
    for policy, pair in on_200_random_pairs(verifier):
        certificate = certify(verifier, policy, pair, arithmetic="float")
        assert certificate.total_variation <= 1e-12, (pair, certificate)
        assert certificate.outcome is Losslessness.LOSSLESS


@given(pair=exact_pairs(sizes=(2, 3)), policy=policies(most_trees=90, vocabulary_size=3))
def test_merging_equal_subtrees_changes_nothing(pair, policy) -> None:
    for verifier in NINE:
        if verifier.supports(policy):
            merged, listed = (emitted_law(verifier, policy, pair, merge=merge) for merge in (True, False))
            assert merged.trees == listed.trees
            assert set(merged.masses) == set(listed.masses)
            assert all((merged.masses[key] == row).all() for key, row in listed.masses.items())


def test_certificate_counts_trees_and_strings() -> None:
    certificate = certify("spectr", Iid(2, 2), one_step_pair())
    assert (certificate.trees, certificate.strings) == (81, 27)
    assert (certificate.verifier, certificate.policy, certificate.arithmetic) == ("spectr", "Iid(2, 2)", "rational")


def test_certificate_holds_at_a_context_of_its_own() -> None:
    pair = MarkovPair([P, Q, P], [Q, P, P], (P, Q))
    value = certify("traversal", Iid(2, 2), pair, context=(1,))
    assert value.total_variation == 0
    start = MarkovPair([P, Q, P], [Q, P, P], (Q, P))
    here, there = (emitted_law(VERIFIERS["traversal"], Iid(2, 2), p, c) for p, c in ((pair, (1,)), (start, ())))
    assert all((here.masses[key] == row).all() for key, row in there.masses.items())


TRUNK = TrunkCountedKTimes(2, 1, 1)
FOUR = one_step_pair(as_row([1, 3, 3, 3]), as_row([5, 1, 2, 2]))
"""Target (1, 3, 3, 3)/10, draft (5, 1, 2, 2)/10: three tokens survive the first residual."""


def test_a_trunk_counted_k_times_is_lossy_for_spectr() -> None:
    certificate = certify("spectr", TRUNK, one_step_pair(), any_policy=True)
    assert certificate.outcome is Losslessness.LOSSY
    first = certificate.first_difference
    assert first is not None and first.expected != first.observed
    assert first.expected == P[first.string[0]] * P[first.string[1]] * P[first.string[2]]


def test_a_trunk_counted_k_times_is_lossy_for_lifted_k_seq() -> None:
    assert certify("lifted_k_seq", TRUNK, one_step_pair(), any_policy=True).total_variation > 0


def test_a_trunk_counted_k_times_is_lossy_for_specinfer_on_four_tokens() -> None:
    assert certify("specinfer", TRUNK, FOUR, any_policy=True).total_variation == Fraction(3, 25)


def test_a_trunk_counted_k_times_is_harmless_to_specinfer_on_two_tokens() -> None:
    pair = one_step_pair(as_row([1, 2]), as_row([4, 1]))
    assert certify("specinfer", TRUNK, pair, any_policy=True).total_variation == 0


@pytest.mark.parametrize("name", ["nss", "naive_tree", "traversal"])
def test_a_trunk_counted_k_times_is_harmless_where_repeats_do_not_count(name: str) -> None:
    for pair in (FOUR, one_step_pair(), *random_pairs(30)):
        assert certify(name, TRUNK, pair, any_policy=True).total_variation == 0


def test_the_right_trunk_is_lossless_where_the_wrong_one_is_not() -> None:
    for name in ("spectr", "specinfer", "lifted_k_seq"):
        assert certify(name, Delayed(2, 1, 1), FOUR).total_variation == 0


def test_float_certificate_sees_the_same_loss_as_the_rational_one() -> None:
    exact, rounded = (certify("specinfer", TRUNK, FOUR, kind, any_policy=True) for kind in ("rational", "float"))
    assert abs(float(exact.total_variation) - rounded.total_variation) < 1e-14
    assert rounded.outcome is Losslessness.LOSSY
    assert rounded.first_difference.string == exact.first_difference.string


def test_rows_far_apart_in_size_keep_the_float_certificate() -> None:
    target = np.array([1e-300, 0.25, 0.75])
    draft = np.array([0.5, 1e-12, 0.5 - 1e-12])
    for name in ("spectr", "specinfer", "traversal", "lifted_k_seq", "lifted_rrs", "naive_tree"):
        assert certify(name, Iid(3, 2), one_step_pair(target, draft), "float").total_variation <= 1e-12


THIRDS = MarkovPair([[0.3333333333] * 3] * 3, [[0.3333333333] * 3] * 3)
MISSED = iid_pair([0.5, 0.5000000009], [0.5, 0.4999999991])
"""Rows that miss 1 by 1e-10, and by nearly as much as a row may."""


@pytest.mark.parametrize("pair", [THIRDS, MISSED], ids=["thirds", "missed"])
@pytest.mark.parametrize("name", sorted(name for name in VERIFIERS if VERIFIERS[name].supports(Iid(2, 2))))
def test_rows_that_are_taken_are_not_condemned(name: str, pair) -> None:
    """A row that misses 1 within the tolerance stands for itself over its own sum, for every verifier."""
    certificate = certify(name, Iid(2, 2), pair, "float")
    assert certificate.outcome is Losslessness.LOSSLESS, certificate
    assert 1 < block_efficiency(name, Iid(2, 2), pair).value <= 3 + 1e-12


@pytest.mark.parametrize("pair", [THIRDS, MISSED], ids=["thirds", "missed"])
def test_a_verifier_wrong_by_1e_10_is_told_on_rows_that_miss_1_by_as_much(pair) -> None:
    def shifted(target, draft, tokens, weight=1):
        wrong = target + np.array([1e-10, -1e-10, 0.0])[: len(target)]
        return nss(wrong, draft, tokens, weight)

    broken = Verifier("shifted", "", "", top_down(shifted), VERIFIERS["nss"].draft_laws)
    certificate = certify(broken, Iid(2, 1), pair, "float")
    assert certificate.outcome is Losslessness.LOSSY
    assert certificate.total_variation == pytest.approx(1e-10, rel=1e-3)


def test_rows_that_sum_to_1_up_to_rounding_are_left_as_they_are() -> None:
    row = np.full(7, 1 / 7)
    assert over_own_sums(row) is row
    assert over_own_sums(np.array([0.5, 0.4999999991])).sum() == pytest.approx(1, abs=1e-15)
