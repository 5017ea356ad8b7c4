"""Extreme rows: every procedure ends with tokens that the target allows, and no overflow on the way."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import extreme_pairs

from veridraft.simulate.batches.batch import check_outcome
from veridraft.simulate.batches.row_tables import draw_batch, tabulate
from veridraft.simulate.batches.rows import quotient
from veridraft.simulate.procedures import PROCEDURES
from veridraft.theory import VERIFIERS, Chain, Delayed, Iid, MarkovPair, Policy


@given(pair=extreme_pairs(), policy=st.sampled_from([Chain(3), Iid(2, 2), Iid(3, 1), Delayed(2, 1, 1)]))
@settings(max_examples=40)
def test_procedures_emit_what_the_target_allows_on_extreme_rows(pair: MarkovPair, policy: Policy) -> None:
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = draw_batch(tabulate(pair, policy.depth), policy, 100, rng)
        for name, procedure in PROCEDURES.items():
            if not VERIFIERS[name].supports(policy):
                continue
            outcome = procedure(batch.target, batch.draft, batch.paths, rng, batch.trunk)
            check_outcome(outcome, batch)
            for accepted, tokens in zip(outcome.accepted.tolist(), outcome.tokens.tolist(), strict=True):
                emitted = tuple(tokens[: accepted + 1])
                assert all(pair.target_row(emitted[:end])[token] > 0 for end, token in enumerate(emitted)), name


def test_a_quotient_by_a_tiny_mass_is_finite() -> None:
    found = quotient(np.array([0.5, 0.0, 1e-320, 0.0]), np.array([5e-324, 5e-324, 1e-320, 0.0]))
    assert found.tolist() == [1e300, 0.0, 1.0, 0.0]
