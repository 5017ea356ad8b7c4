"""Traversal verification: from the leaves up, a rejected child changing its parent's laws (2505.12398)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..batches.batch import Batch, Outcome, check_batch
from ..batches.rows import Floats, Ints, quotient, residual, sums
from .depth_first import verify_depth_first


def traversal(
    target: ArrayLike, draft: ArrayLike, paths: ArrayLike, rng: np.random.Generator, trunk: int = 0
) -> Outcome:
    """The outcome of traversal verification; duplicate draws are dropped, in order of first appearance.

    Shapes and errors: :data:`veridraft.simulate.batches.batch.Procedure`; a trunk changes nothing, its copies being
    duplicates.  Source: 2505.12398, Algorithm 3.
    """
    batch = check_batch(target, draft, paths, trunk)
    return verify_depth_first(batch, rng, _Traversal(batch))


class _Traversal:
    """The weights and the changed laws along the path where the walk stands.

    weights : (L + 1, T), the acceptance weight of the node at each depth
    target, draft : (L + 1, T, V), its laws, as changed by the children rejected so far
    """

    def __init__(self, batch: Batch) -> None:
        shape = (batch.depth + 1, batch.trials)
        self.batch = batch
        self.weights = np.ones(shape)
        self.target = np.zeros((*shape, batch.vocabulary_size))
        self.draft = np.zeros((*shape, batch.vocabulary_size))

    def enter(self, depth: int, trials: Ints, path: Ints) -> None:
        """Fresh laws, and ``min(1, w target / draft)`` of the parent at the node's token; 1 at the root."""
        batch = self.batch
        self.target[depth, trials] = batch.target[trials, path, depth]
        if depth < batch.depth:
            self.draft[depth, trials] = batch.draft[trials, path, depth]
        if depth > 0:
            token = batch.paths[trials, path, depth - 1]
            above = (depth - 1, trials, token)
            ratio = quotient(self.weights[depth - 1, trials] * self.target[above], self.draft[above])
            self.weights[depth, trials] = np.minimum(1.0, ratio)

    def stop_probability(self, depth: int, trials: Ints) -> Floats:
        """The node's weight."""
        return self.weights[depth, trials]

    def reject(self, depth: int, trials: Ints, path: Ints) -> None:
        """At the parent: the target becomes its residual, the draft loses the token, the weight sinks."""
        above = depth - 1
        scaled = self.weights[above, trials][:, None] * self.target[above, trials]
        draft = self.draft[above, trials]
        positive = sums(np.maximum(scaled - draft, 0.0))
        self.target[above, trials] = residual(scaled, draft)
        self.weights[above, trials] = quotient(positive, positive + 1.0 - self.weights[above, trials])
        draft[np.arange(len(trials)), self.batch.paths[trials, path, above]] = 0.0
        self.draft[above, trials] = quotient(draft, sums(draft)[:, None])

    def last_token_weights(self, depth: int, trials: Ints) -> Floats:
        """The node's target as it now stands."""
        return self.target[depth, trials]
