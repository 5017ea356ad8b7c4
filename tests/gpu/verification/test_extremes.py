"""Extreme rows on the device: laws are finite and sum to 1, and no token outside the target's support is emitted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import SHAPES, extreme_pairs

from veridraft.gpu.trees import TensorTree
from veridraft.gpu.trees.sampling import Sampling
from veridraft.gpu.trees.tree_batch import batched
from veridraft.gpu.verification import DEVICE_VERIFIERS, stopping_probabilities, verify, verify_batch
from veridraft.theory import VERIFIERS, MarkovPair, Policy

ROUNDING = {torch.float64: 1e-11, torch.float32: 1e-5, torch.bfloat16: 1e-5}
"""How far a law may lie from one that sums to 1, by the type of the rows."""


@given(pair=extreme_pairs(), policy=st.sampled_from(SHAPES), seed=st.integers(0, 2**32))
@settings(max_examples=15)
def test_every_device_verifier_has_a_law_on_extreme_rows(pair: MarkovPair, policy: Policy, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tree = policy.sample(pair, rng)
    coins = torch.from_numpy(np.vstack([rng.random((3, tree.size + 1)), np.full(tree.size + 1, 1 - 2.0**-53)]))
    for name in DEVICE_VERIFIERS:
        if not VERIFIERS[name].supports(policy):
            continue
        for dtype, rounding in ROUNDING.items():
            device = TensorTree.from_theory(tree, dtype)
            stopping = stopping_probabilities(name, device).double().numpy()
            assert stopping.min() >= 0 and abs(stopping.sum() - 1) < rounding, (name, dtype)
            if dtype == torch.float64:
                np.testing.assert_allclose(stopping, VERIFIERS[name].law(tree).stopping, atol=1e-10, rtol=0)
            batch = batched([device] * len(coins))
            found = verify_batch(name, batch, coins)
            emitted = batch.target[torch.arange(len(coins)), found.columns, found.tokens]
            assert (emitted > 0).all(), (name, dtype)


@pytest.mark.parametrize(("dtype", "tiny"), [(torch.float64, 1e-310), (torch.float32, 1e-40)])
@pytest.mark.parametrize("name", ["spechub", "lifted_spechub"])
def test_the_hub_with_almost_all_of_the_draft_emits_what_the_target_allows(name, dtype, tiny) -> None:
    target = torch.tensor([[1.0, 0.0, 0.0]] * 3, dtype=dtype)
    draft = torch.tensor([[1.0, tiny, 0.0]] + [[0.0] * 3] * 2, dtype=dtype)
    tree = TensorTree((-1, 0, 1), (-1, 0, 0), ((1, 2), (), ()), target, draft, (True, False, True))
    assert stopping_probabilities(name, tree).tolist() == [0.0, 1.0, 0.0]
    outcome = verify(name, tree, torch.full((4,), 0.5, dtype=dtype))
    assert (outcome.node, outcome.token) == (1, 0)


def test_a_coin_that_rounds_to_one_accepts_no_token_of_probability_0() -> None:
    """In float32 a coin of 1 - 2^-53 is 1, which no hazard exceeds: the walk would stop at an empty residual."""
    rows = torch.tensor([[0.0, 1.0]] * 2, dtype=torch.float32)
    tree = TensorTree((-1, 1), (-1, 0), ((1,), ()), rows, torch.tensor([[0.0, 1.0], [0.0, 0.0]]), (True, True))
    for name in ("naive", "block", "specinfer", "traversal", "hierarchical"):
        outcome = verify(name, tree, torch.full((3,), 1 - 2.0**-53, dtype=torch.float64))
        assert (outcome.node, outcome.token) == (1, 1), name


def test_rows_stay_rows_at_the_smallest_temperatures() -> None:
    logits = torch.tensor([[3.0, 1.0, 3.0], [-1e4, 2e4, 0.0]])
    for temperature in (0.005, 1e-300, 5e-324):
        rows = Sampling(temperature).rows(logits)
        torch.testing.assert_close(rows, torch.tensor([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]], dtype=torch.float64))
