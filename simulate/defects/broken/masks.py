"""Masks, ends, positions and sampling parameters that hold for some rows of a block and not for others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from veridraft.theory.pairs.base import Pair
from veridraft.theory.rows.trees import Context

from ...batches.batch import Outcome
from ...batches.rows import Floats, Ints, draw, quotient, residual, sums
from ..correct.engines import Drafting
from ..correct.token_wise import Chains, TokenWise, chains_of
from ..correct.tree_walk import RejectSiblings, Trees, certain, descend_tree
from .chains import first_zero, kept

CHILDREN = 2
"""Of every node in the tree of :class:`PositionedTree`."""


def _forbidden(chains: Chains, trials: Ints, positions: Ints) -> np.ndarray:
    """(n,) whether the target cannot emit the draft that was not accepted, as under a grammar that forbids it."""
    return chains.target[trials, positions, chains.tokens[trials, positions]] == 0


def from_row_without_mask(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """A draw from the residual; in place of a forbidden draft one from the row without its mask (row 58).

    Forbidden drafts become padding, at which the mask is switched off for all rows behind.  What the mask hid is here
    a quarter of the likeliest token for each.  vllm-project/vllm, issue #44006, pull requests #44292 and #44297.
    """
    rows = chains.target[trials, positions]
    unmasked = np.where(rows > 0, rows, 0.25 * rows.max(axis=1, keepdims=True))
    rest = residual(rows, chains.draft[trials, positions])
    return draw(np.where(_forbidden(chains, trials, positions)[:, None], unmasked, rest), rng)


def from_target_where_forbidden(chains: Chains, trials: Ints, positions: Ints, rng: np.random.Generator) -> Ints:
    """A draw from the residual; in place of a forbidden draft one from the target's row (row 59).

    The invalid draft is told as -1, nothing is known of what it was drawn from, and its place is sampled anew.
    vllm-project/vllm, version 0.33, the second model runner.
    """
    rows = chains.target[trials, positions]
    rest = residual(rows, chains.draft[trials, positions])
    return draw(np.where(_forbidden(chains, trials, positions)[:, None], rows, rest), rng)


def _stop_before_cap(chains: Chains, rng: np.random.Generator) -> Outcome:
    """The outcome cut behind its first token 0, the end of the text."""
    outcome = TokenWise().verify(chains, rng)
    return kept(outcome, first_zero(outcome.tokens, 0) + 1)


def _cap_before_stop(chains: Chains, rng: np.random.Generator) -> Outcome:
    """The outcome cut behind its first token 0, unless it fills the text's length."""
    outcome = TokenWise().verify(chains, rng)
    lengths = first_zero(outcome.tokens, 0) + 1
    return kept(outcome, np.where(outcome.accepted == chains.depth, chains.depth + 1, lengths))


cap_beats_stop = Drafting(verify=_cap_before_stop)
"""The length cap is looked at before the end of the text, so that what was accepted behind the end leaks (row 60).

sgl-project/sglang, issue #31599, pull request #33758.
"""
stop_beats_cap = Drafting(verify=_stop_before_cap)


def parameters_of_first_row(
    target: ArrayLike, draft: ArrayLike, tokens: ArrayLike, rng: np.random.Generator
) -> Outcome:
    """Chains whose sampling parameters are written for the first row alone (row 61).

    Here the others are left at twice the temperature.  vllm-project/vllm, the build for CPUs, whose expanded
    parameters were copied and the copies written.
    """
    chains = chains_of(target, draft, tokens)
    roots = np.sqrt(chains.target[:, 1:])
    others = quotient(roots, sums(roots)[..., None])
    return TokenWise().verify(replace(chains, target=np.concatenate([chains.target[:, :1], others], axis=1)), rng)


@dataclass(frozen=True)
class PositionedTree:
    """A builder: a tree of tokens 0 and 1 below every node, each child certain, whose rows depend on positions.

    by_index : a node is given the position of its number in the flattened tree, else that of its depth
    """

    by_index: bool = False

    def __call__(self, pair: Pair, depth: int, context: Context = ()) -> Callable[[np.random.Generator, int], Ints]:
        """``generate(rng, trials)``: tokens (T, depth + 1), -1 behind the emitted ones."""
        paths = _flattened(depth, min(CHILDREN, pair.vocabulary_size))
        rows = np.stack([self._row(pair, context, number, path) for number, path in enumerate(paths)])
        parents = np.array([paths.index(path[:-1]) if path else -1 for path in paths])
        tokens = np.array([path[-1] if path else -1 for path in paths])
        step = RejectSiblings(ratio=certain, taken=certain)

        def generate(rng: np.random.Generator, trials: int) -> Ints:
            target, at, below = (np.repeat(array[None], trials, axis=0) for array in (rows, parents, tokens))
            flat = np.full_like(target, 1.0 / pair.vocabulary_size)
            trees = Trees(target, flat, at, below, np.ones(below.shape, dtype=bool))
            return descend_tree(trees, rng, step).tokens

        return generate

    def _row(self, pair: Pair, context: Context, number: int, path: Context) -> Floats:
        """The target's row at a node; by its number, that of its token so many places behind the root."""
        read = (0,) * (number - 1) + path[-1:] if self.by_index else path
        return np.asarray(pair.as_float().target_row(context + read), dtype=np.float64)


def _flattened(depth: int, children: int) -> list[Context]:
    """The paths of all nodes, level by level."""
    paths: list[Context] = [()]
    for path in paths:  # grows while it is read
        paths += [(*path, token) for token in range(children)] if len(path) < depth else []
    return paths


positions_by_index = PositionedTree(by_index=True)
"""A flattened tree whose nodes stand at the position of their number, not of their depth (row 62).

lablup/mlxcel, pull request #1214.
"""
positions_by_depth = PositionedTree()
