"""Nested trees: one draw tells the block efficiency of every action."""

from __future__ import annotations

import numpy as np
import pytest

from veridraft.theory.efficiency.efficiency import block_efficiency
from veridraft.theory.efficiency.nested import action_values, draw_nested
from veridraft.theory.pairs.base import MarkovPair
from veridraft.theory.pairs.families import dirichlet_pair
from veridraft.theory.policies.paths import Chain, Delayed, first_draws
from veridraft.theory.verifiers.table import get_verifier

PATHS, LEVELS = 3, 2


@pytest.fixture(scope="module")
def pair():
    return dirichlet_pair(5, seed=3).as_float()


def rows_of(pair, nested):
    target, draft = (np.stack([ask(context) for context in nested.contexts])
                     for ask in (pair.target_row, pair.draft_row))  # fmt: skip
    return target, draft


def values(verifier, pair, nested):
    return action_values(verifier, nested.trees(*rows_of(pair, nested)))


@pytest.mark.parametrize("verifier", ["specinfer", "traversal"])
def test_means_over_draws_are_the_exact_block_efficiencies(verifier):
    rng = np.random.default_rng(7)
    pair = MarkovPair(rng.dirichlet(np.ones(3), size=3), rng.dirichlet(np.ones(3), size=3))
    draws = [draw_nested(pair, np.random.default_rng(seed), 2, LEVELS) for seed in range(150)]
    found = np.array([values(verifier, pair, nested) for nested in draws])
    for paths, trunk, branch in [(1, 1, 1), (1, 2, 2), (2, 0, 1), (2, 0, 2), (2, 1, 1), (2, 2, 1)]:
        exact = block_efficiency(verifier, Delayed(paths, trunk, branch), pair).value
        drawn = found[:, paths - 1, trunk, branch]
        allowed = 4.5 * drawn.std(ddof=1) / len(drawn) ** 0.5 + 1e-12  # 7e-6 each, 6 of them
        assert abs(drawn.mean() - exact) <= allowed and drawn.std() > 0


def test_a_top_down_value_is_that_of_the_actions_own_tree(pair):
    nested = draw_nested(pair, np.random.default_rng(1), PATHS, LEVELS)
    trees = nested.trees(*rows_of(pair, nested))
    found = action_values("specinfer", trees)
    for paths, trunk, branch in np.ndindex(PATHS - 1, LEVELS + 1, LEVELS):
        own = first_draws(Delayed(paths + 2, trunk, branch + 1), trees[paths + 2, trunk])
        law = get_verifier("specinfer").law(own)
        assert law.block_efficiency == pytest.approx(found[paths + 1, trunk, branch + 1], abs=1e-12)
    chain = first_draws(Chain(3), trees[1, 0])
    assert get_verifier("specinfer").law(chain).block_efficiency == pytest.approx(found[0, 1, 2], abs=1e-12)


def test_a_rule_for_one_path_has_values_for_chains_alone(pair):
    nested = draw_nested(pair, np.random.default_rng(1), PATHS, LEVELS)
    block, traversal = values("block", pair, nested), values("traversal", pair, nested)
    assert np.isnan(block[1:, :, 1:]).all() and np.isfinite(block[0]).all() and np.isfinite(block[:, :, 0]).all()
    np.testing.assert_allclose(block[0], traversal[0], atol=1e-12)


@pytest.mark.parametrize(
    "verifier",
    ["nss", "naive_tree", "specinfer", "spectr", "optimal", "traversal", "lifted_k_seq", "lifted_optimal"],
)
def test_tokens_that_no_draft_proposes_may_be_one(verifier):
    """Half of the vocabulary is without draft probability, as with a head's few tokens."""
    rng = np.random.default_rng(5)
    target, draft = rng.dirichlet(np.ones(12), size=12), rng.dirichlet(np.ones(12), size=12)
    draft[:, 1::2] = 0
    pair = MarkovPair(target, draft / draft.sum(axis=1, keepdims=True))
    nested = draw_nested(pair, rng, PATHS, LEVELS)
    rows = rows_of(pair, nested)
    smaller, *merged = nested.merged(*rows)
    assert merged[0].shape[1] == 7 and merged[1][:, -1].max() == 0
    np.testing.assert_allclose(merged[0].sum(axis=1), 1)
    whole = action_values(verifier, nested.trees(*rows))
    np.testing.assert_allclose(action_values(verifier, smaller.trees(*merged)), whole, atol=1e-12)
    assert whole[PATHS - 1, 0, LEVELS] > 1.1


def test_rows_that_propose_every_token_stay_as_they_are(pair):
    nested = draw_nested(pair, np.random.default_rng(1), PATHS, LEVELS)
    target, draft = rows_of(pair, nested)
    smaller, merged, proposed = nested.merged(target, draft)
    assert smaller is nested and merged is target and proposed is draft


def test_one_path_is_a_chain_of_twice_the_levels(pair):
    nested = draw_nested(pair, np.random.default_rng(1), 1, LEVELS)
    assert nested.sides.size == 0 and set(nested.trees(*rows_of(pair, nested))) == {(1, 0)}
    assert nested.contexts == tuple(tuple(nested.trunk[:end].tolist()) for end in range(2 * LEVELS))


@pytest.mark.parametrize("paths, levels", [(0, 2), (2, 0)])
def test_numbers_out_of_range_are_refused(pair, paths, levels):
    with pytest.raises(ValueError, match="must be at least 1"):
        draw_nested(pair, np.random.default_rng(1), paths, levels)
