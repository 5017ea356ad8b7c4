"""Certificates: every verifier is lossless where the table says so, and what is lossy is found."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from strategies import P, Q, as_row, exact_pairs, one_step_pair, policies, random_pairs, small_policies
from veridraft.simulate.defects import TrunkCountedKTimes
from veridraft.theory import (
    VERIFIERS,
    Chain,
    Delayed,
    Iid,
    Losslessness,
    MarkovPair,
    Policy,
    Verifier,
    certify,
    emitted_law,
)

CASES = [
    pytest.param(verifier, kind, id=f"{verifier.name}-{kind.__name__}")
    for verifier in VERIFIERS.values()
    for kind, example in {Chain: Chain(2), Iid: Iid(2, 2), Delayed: Delayed(2, 1, 1)}.items()
    if verifier.supports(example)
]
TREES = list(VERIFIERS.values())


@pytest.mark.parametrize(("verifier", "kind"), CASES)
def test_rational_certificate_is_exactly_zero_on_200_random_pairs(verifier: Verifier, kind: type[Policy]) -> None:
    for index, pair in enumerate(random_pairs(200)):
        choices = small_policies(kind, pair.vocabulary_size, most_trees=5000)
        certificate = certify(verifier, choices[index // 7 % len(choices)], pair)
        assert certificate.total_variation == 0, (pair, certificate)
        assert certificate.first_difference is None
        assert certificate.outcome is Losslessness.LOSSLESS


@pytest.mark.parametrize(("verifier", "kind"), CASES)
def test_float_certificate_is_zero_up_to_rounding(verifier: Verifier, kind: type[Policy]) -> None:
    for index, pair in enumerate(random_pairs(200)):
        choices = small_policies(kind, pair.vocabulary_size, most_trees=800)
        certificate = certify(verifier, choices[index // 7 % len(choices)], pair, arithmetic="float")
        assert certificate.total_variation <= 1e-12, (pair, certificate)
        assert certificate.outcome is Losslessness.LOSSLESS
