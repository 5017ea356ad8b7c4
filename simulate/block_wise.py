"""Chains verified as a block, rightly and in two wrong ways."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .batch import Batch, Outcome, check_batch
from .block import block, prefix_weights, verify_by_weights
from .rows import Bools, Ints
from .token_wise import TokenWise


def block_of_chain(target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator) -> Outcome:
    """Block verification (2403.10444, Algorithm 2) as a batched verifier of the form chain.

    target (T, L + 1, V), draft (T, L, V), tokens (T, L); errors are those of :func:`veridraft.simulate.block`.
    """
    return block(*_as_paths(target, draft, tokens), rng)


def longest_passing(passed: Bools) -> Ints:
    """The longest passing position, counted from 1, 0 if none passes: block verification's scan."""
    return np.where(passed, np.arange(1, passed.shape[1] + 1), 0).max(axis=1, initial=0)


token_wise_in_block = TokenWise(scan=longest_passing)
"""The scan of block verification over the tests and the residual of token-wise verification (row 10).

A draft behind one that failed is then kept without what the failed one should have cost.  The code compared capped
products of ratios with products of uniforms, and drew from the token-wise residual: vllm-project/vllm-ascend, issue
#7807, mended by pull request #7808.
"""


def certain_draft_in_block(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator
) -> Outcome:
    """Block verification whose weights take the draft's probability for 1, the residuals its row (row 11).

    For drafts looked up, not drawn, no probability is at hand, and 1 was put into the product.
    vllm-project/vllm-ascend, pull request #7603.
    """
    batch = check_batch(*_as_paths(target, draft, tokens))
    return verify_by_weights(batch, prefix_weights(batch, _target_of_drafts(batch)), rng)


def _target_of_drafts(batch: Batch) -> np.ndarray:
    """(T, L) the target's probability of each draft."""
    return np.take_along_axis(batch.target[:, 0, :-1], batch.paths[:, 0, :, None], axis=2)[..., 0]


def _as_paths(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chain's arrays with an axis K = 1."""
    return np.asarray(target)[:, None], np.asarray(draft)[:, None], np.asarray(tokens)[:, None]
