"""Block verification: all positions of one path are tested at once, and the last that passes is kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..batches.batch import Batch, Outcome, check_batch, no_tokens, one_path
from ..batches.rows import Floats, draw, quotient, residual


def block(
    target: ArrayLike, draft: ArrayLike, paths: ArrayLike, rng: np.random.Generator, trunk: int = 0
) -> Outcome:
    """The outcome of block verification on a single path, K = 1.

    Shapes and errors: :data:`veridraft.simulate.batches.batch.Procedure`.  Every position has a uniform of its own; tau
    is the largest position whose uniform lies below its ``h``, 0 if none does.  Source: 2403.10444, Algorithm 2.
    """
    batch = one_path(check_batch(target, draft, paths, trunk), "block")
    return verify_by_weights(batch, prefix_weights(batch, drawn_ratios(batch)), rng)


def verify_by_weights(batch: Batch, weights: Floats, rng: np.random.Generator) -> Outcome:
    """The outcome on single paths when the prefixes have the given weights w (T, L + 1)."""
    passed = rng.random((batch.trials, batch.depth)) < _pass_probabilities(batch, weights)
    positions = np.arange(1, batch.depth + 1)
    accepted = np.where(passed, positions, 0).max(axis=1, initial=0)
    tokens, trials = no_tokens(batch), np.arange(batch.trials)
    tokens[:, :-1] = np.where(positions <= accepted[:, None], batch.paths[:, 0], tokens[:, :-1])
    tokens[trials, accepted] = draw(_correction(batch, weights, accepted), rng)
    return Outcome(accepted, tokens)


def drawn_ratios(batch: Batch) -> Floats:
    """(T, L) target / draft at the drawn tokens of single paths."""
    drawn = batch.paths[:, 0, :, None]
    return quotient(
        np.take_along_axis(batch.target[:, 0, :-1], drawn, axis=2),
        np.take_along_axis(batch.draft[:, 0], drawn, axis=2),
    )[..., 0]


def prefix_weights(batch: Batch, ratios: Floats) -> Floats:
    """w (T, L + 1) from ratios (T, L): ``w_0 = 1``, then ``w_i = min(1, w_{i-1} ratio_i)``."""
    weights = np.ones((batch.trials, batch.depth + 1))
    for position in range(batch.depth):
        weights[:, position + 1] = np.minimum(1.0, weights[:, position] * ratios[:, position])
    return weights


def _pass_probabilities(batch: Batch, weights: Floats) -> Floats:
    """h (T, L): ``S_i / (S_i + 1 - w_i)`` with ``S_i = sum (w_i target - draft)+`` for i < L, and ``h_L = w_L``."""
    inner = weights[:, 1:-1]
    positive = np.maximum(inner[..., None] * batch.target[:, 0, 1:-1] - batch.draft[:, 0, 1:], 0.0).sum(axis=2)
    return np.concatenate([quotient(positive, positive + 1.0 - inner), weights[:, 1:][:, -1:]], axis=1)


def _correction(batch: Batch, weights: Floats, accepted: np.ndarray) -> Floats:
    """The law (T, V) of the last token: the target's row at the path's end, the weighted residual before it."""
    trials = np.arange(batch.trials)
    rows = batch.target[trials, 0, accepted]
    early = accepted < batch.depth
    at = (trials[early], accepted[early])
    scaled = weights[at][:, None] * rows[early]
    rows[early] = residual(scaled, batch.draft[:, 0][at])
    return rows
