"""Coins thrown wrongly: one coin for two decisions, uniforms that are too coarse or reach 1, products of coins."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ...batches.batch import Outcome
from ...batches.rows import Bools, Floats, Ints, draw, draw_cumulative, or_else, residual, sums
from ..correct.engines import Drafting
from ..correct.token_wise import Chains, TokenWise, chains_of, longest_passing
from .chains import rounded_residual

STEPS = 256
"""Of a uniform of 8 bits."""


def below_ratio_by_the_drafts_coin(chains: Chains, rng: np.random.Generator) -> Bools:
    """A draft passes if the uniform by which it was drawn lies below the ratio (row 53)."""
    assert chains.uniforms is not None
    return chains.uniforms < chains.ratios()


one_seed_for_draft_and_test = Drafting(verify=TokenWise(passing=below_ratio_by_the_drafts_coin).verify)
"""Drafting and verification draw from generators of one seed, so that a draft and its test have one uniform (row 53).

ggml-org/llama.cpp, pull request #27694.
"""


def below_ratio_up_to_one(chains: Chains, rng: np.random.Generator) -> Bools:
    """A draft passes if a uniform lies below its ratio, at most 1; of 8 bits over 255, so that it may be 1 (row 54)."""
    uniforms = np.floor(rng.random(chains.tokens.shape) * STEPS) / (STEPS - 1)
    return uniforms < np.minimum(chains.ratios(), 1.0)


def last_token_where_nothing_is_left(
    chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator
) -> Ints:
    """A draw from the residual, and the last token where it has no mass, as a search past the end gives (row 54)."""
    weights = rounded_residual(chains, trials, positions)
    drawn = draw(or_else(weights, np.ones_like(weights)), rng)
    return np.where(sums(weights) > 0, drawn, weights.shape[1] - 1)


def _coarse(weights: Floats, rng: np.random.Generator) -> Ints:
    """A draw by a uniform of 8 bits: tokens between two steps are never drawn."""
    return draw_cumulative(np.cumsum(weights, axis=-1), np.floor(rng.random(len(weights)) * STEPS) / STEPS)


def from_residual_by_coarse_uniform(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """A correction by a uniform of 8 bits (row 55).

    In the engine uniforms had 24 bits, beside 129,280 tokens: vllm-project/vllm, pull request #51367.
    """
    return _coarse(residual(chains.target[trials, positions], chains.draft[trials, positions]), rng)


def from_target_by_coarse_uniform(chains: Chains, trials: Ints, rng: np.random.Generator) -> Ints:
    """A bonus token by a uniform of 8 bits (row 55)."""
    return _coarse(chains.target[trials, chains.depth], rng)


def generator_restored(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator
) -> Outcome:
    """Chains whose correction is drawn by the uniform that has just rejected (row 56).

    A checkpoint is restored behind a rejection, and the sampler's generator with it.  ggml-org/llama.cpp, drafts
    verified by probabilities beside a target that rolls back by checkpoints.
    """
    chains = chains_of(target, draft, tokens)
    coins = rng.random(chains.tokens.shape)

    def by_the_same_coin(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
        weights = residual(chains.target[trials, positions], chains.draft[trials, positions])
        return draw_cumulative(np.cumsum(weights, axis=1), coins[trials, positions])

    passing = TokenWise(passing=lambda here, rng: coins < here.ratios(), replacement=by_the_same_coin)
    return passing.verify(chains, rng)


def products_of_ratios_and_uniforms(chains: Chains, rng: np.random.Generator) -> Bools:
    """A position passes if the product of the uniforms up to it is no more than that of the ratios (row 57).

    A product of uniforms is no uniform.  The block is cut behind the last position that passes, and its residual is
    the token-wise one: vllm-project/vllm-ascend, version 0.23.
    """
    uniforms = np.cumprod(rng.random(chains.tokens.shape), axis=1)
    return uniforms <= np.cumprod(np.minimum(chains.ratios(), 1e100), axis=1)


products_in_block = TokenWise(passing=products_of_ratios_and_uniforms, scan=longest_passing)
