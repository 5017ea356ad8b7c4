"""Chains corrected, relaxed or handed out wrongly: further pieces of token-wise speculative sampling."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from veridraft.theory.rows.distributions import NO_TOKEN

from ...batches.batch import Outcome
from ...batches.rows import Bools, Floats, Ints, draw, or_else
from ..correct.token_wise import Chains, TokenWise

TOLERANCE = 0.1
"""How far a test is relaxed for a target that is unsure of everything."""

MIN_P = 0.3
"""The share of the likeliest token's probability below which min-p drops a token."""


def from_target_row(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """A draw from the target's row, as if nothing had been drafted there (row 45).

    The commonest mistake of all.  ShopeeLLM/Spec-RL, issue #14.
    """
    return draw(chains.target[trials, positions], rng)


def from_row_less_drafted_entry(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """A draw from the target's row with the draft's probability taken off at the drafted token alone (row 46).

    Right for a draft that could draw nothing else.  xLLM-AI/xllm, pull request #2175.
    """
    weights, drafted = chains.target[trials, positions].copy(), chains.tokens[trials, positions]
    here = np.arange(len(trials))
    weights[here, drafted] -= chains.draft[trials, positions, drafted]
    return draw(or_else(np.maximum(weights, 0.0), chains.target[trials, positions]), rng)


def from_row_without_drafted(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """A draw from the target's row without the drafted token, though the test was that of a drawn one."""
    weights = chains.target[trials, positions].copy()
    weights[np.arange(len(trials)), chains.tokens[trials, positions]] = 0.0
    return draw(or_else(weights, chains.target[trials, positions]), rng)


def relaxed_by_uncertainty(chains: Chains, rng: np.random.Generator, tolerance: float = TOLERANCE) -> Bools:
    """A draft passes if its uniform, less a share of the target's uncertainty, lies below the ratio (row 47).

    The share is ``tolerance (1 - max target)``.  Documented to cost no accuracy.  vllm-project/vllm-ascend, pull
    request #7845.
    """
    unsure = 1.0 - chains.target[:, : chains.depth].max(axis=2)
    return rng.random(chains.tokens.shape) - tolerance * unsure < chains.ratios()


def padded_width_escapes(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator
) -> Outcome:
    """Chains whose whole padded block is handed out, placeholders behind the last token having become 0 (row 48).

    vllm-project/vllm, pull request #54893.
    """
    outcome = TokenWise()(target, draft, tokens, rng)
    whole = np.full(len(outcome.tokens), outcome.tokens.shape[1] - 1)
    return Outcome(whole, np.where(outcome.tokens == NO_TOKEN, 0, outcome.tokens))


def min_p(rows: Floats, share: float = MIN_P) -> Floats:
    """Rows (n, V) without the tokens below a share of the likeliest one's probability, not normalised."""
    return np.where(rows >= share * rows.max(axis=-1, keepdims=True), rows, 0.0)


def from_min_p_target(chains: Chains, trials: Ints, rng: np.random.Generator) -> Ints:
    """A bonus token from the row after min-p, where the other rows were not cut (row 49).

    vllm-project/vllm, issue #42744.
    """
    return draw(min_p(chains.target[trials, chains.depth]), rng)
