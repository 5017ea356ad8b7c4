"""A defective engine round by round: blocks behind what was emitted, until a text is long enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from veridraft.theory.pairs.base import Pair
from veridraft.theory.rows.distributions import NO_TOKEN
from veridraft.theory.rows.trees import Context

from ...batches.rows import Ints

Build = Callable[[Pair, int, Context], Callable[[np.random.Generator, int], Ints]]
"""``build(pair, depth, context) -> generate(rng, trials)``, the tokens (T, depth + 1) of one round."""


def in_rounds(
    build: Build, pair: Pair, depth: int, context: Context, length: int = 0
) -> Callable[[np.random.Generator, int], Ints]:
    """``generate(rng, trials)``: at least ``length`` tokens of each trial, by rounds of ``depth`` drafts.

    A length of 0 is one round.  Errors are those of the builder.
    """
    rounds: dict[Context, Any] = {}

    def one_round(below: Context, rng: np.random.Generator, trials: int) -> Ints:
        if below not in rounds:
            rounds[below] = build(pair, depth, context + below)
        return rounds[below](rng, trials)

    def generate(rng: np.random.Generator, trials: int) -> Ints:
        tokens = np.full((trials, length + depth + 1), NO_TOKEN, dtype=np.int64)
        tokens[:, : depth + 1] = one_round((), rng, trials)
        while (unfinished := np.flatnonzero(_lengths(tokens) < length)).size:
            prefixes, group = np.unique(tokens[unfinished], axis=0, return_inverse=True)
            for number, prefix in enumerate(prefixes):
                mine, below = unfinished[group.ravel() == number], tuple(int(t) for t in prefix if t != NO_TOKEN)
                tokens[mine, len(below) : len(below) + depth + 1] = one_round(below, rng, len(mine))
        return tokens

    return generate


def _lengths(tokens: Ints) -> Ints:
    """(T,) how many tokens there are of each trial."""
    return (tokens != NO_TOKEN).sum(axis=1)
