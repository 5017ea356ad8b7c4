"""Pairs whose draft errs in its logits, so that neither row bounds the other."""

from __future__ import annotations

import numpy as np

from ..rows.distributions import check_count
from .families import softmax
from .layered import LayeredPair, one_target_by_depth


def noisy_pair(
    vocabulary_size: int, depth: int, seed: int = 0, *, noise: float = 1.0, growth: float = 0.0, spread: float = 3.0
) -> LayeredPair:
    """A Markov pair whose draft's logits are the target's with normal errors, as a smaller network's might be.

    At depth d = 0 .. ``depth`` (the last layer serves deeper contexts) the errors have the deviation ``noise + growth
    d``, both >= 0.  The target's logits are normal with deviation ``spread`` >= 0 (0: flat; 3: most mass on a few
    tokens), the same matrix at every depth >= 1; so are the errors, but for their deviation.
    """
    for name, value in (("noise", noise), ("growth", growth), ("spread", spread)):
        if not 0 <= value < np.inf:
            raise ValueError(f"{name} must be finite and at least 0, but is {value}")
    rng = np.random.default_rng(check_count("seed", seed, 0))
    shape = (2, check_count("vocabulary_size", vocabulary_size, 1) + 1, vocabulary_size)
    logits, errors = rng.standard_normal(shape)
    target = softmax(spread * logits)
    levels = range(check_count("depth", depth, 0) + 1)
    drafts = [softmax(spread * logits + (noise + growth * level) * errors) for level in levels]
    return one_target_by_depth(target, drafts)
