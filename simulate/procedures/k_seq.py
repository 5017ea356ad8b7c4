"""K-SEQ's number rho, its acceptance probabilities and its residual, for many rows at once (2310.15141).

With ``beta(rho) = sum min(target / rho, draft)`` one draft is accepted; all k independent drafts fail with
probability ``(1 - beta) ** k``.  The rule emits token y too often unless ``1 - (1 - beta) ** k <= rho beta``,
so rho must not lie below the root of the difference.
"""

from __future__ import annotations

import numpy as np

from ..batches.rows import Floats, Ints, quotient, sums

MOST_BISECTIONS = 100
"""More than bisection alone needs to reach neighbouring floats."""

NOISE = 1e-15
"""A difference of probabilities, or a bracket, this small is rounding and ends the search."""


def smallest_rho(target: Floats, draft: Floats, drafts: Ints) -> Floats:
    """The smallest lossless rho (n,) of each row, in [1, max(1, k)].

    target : (n, V), nonnegative, sum at most 1 (a target scaled by a weight is allowed); draft : (n, V);
    drafts : (n,), k >= 1.  Float64, by Newton's method kept inside a bracket, until
    ``1 - (1 - beta) ** k`` and ``rho beta`` agree to 1e-15: the emitted law is as exact as that, rho itself
    less so where beta is tiny.  Where the supports are disjoint every rho does, and k is returned.
    """
    low, high = np.ones(len(drafts)), np.maximum(drafts, 1).astype(np.float64)
    rho, left = low.copy(), np.arange(len(drafts))
    for _ in range(MOST_BISECTIONS):
        value, slope = _surplus(target[left], draft[left], drafts[left], rho[left])
        above = value > 0
        low[left], high[left] = np.where(above, rho[left], low[left]), np.where(above, high[left], rho[left])
        unsure = (np.abs(value) > NOISE) & (high[left] - low[left] > NOISE)
        left, value, slope = left[unsure], value[unsure], slope[unsure]
        if len(left) == 0:
            break
        proposed = rho[left] + quotient(value, -slope)
        inside = (proposed > low[left]) & (proposed < high[left])
        rho[left] = np.where(inside, proposed, (low[left] + high[left]) / 2)
    return rho


def acceptance_probabilities(target: Floats, draft: Floats, rho: Floats) -> Floats:
    """The probability (n, V) to accept each token when it is drawn: ``target / (rho draft)``, at most 1."""
    return np.minimum(quotient(target, rho[:, None] * draft), 1.0)


def residual_weights(target: Floats, draft: Floats, rho: Floats, drafts: Ints) -> Floats:
    """The weights (n, V) of the token when all k drafts failed: ``(target - min(target/rho, draft) gamma)+``.

    gamma is the expected number of drafts looked at.  Unnormalised: at the smallest rho they sum to sum(target)
    minus the probability that a draft is accepted.
    """
    accepted = np.minimum(target / rho[:, None], draft)
    return np.maximum(target - accepted * _looked_at(sums(accepted), drafts)[:, None], 0.0)


def _looked_at(beta: Floats, drafts: Ints) -> Floats:
    """gamma = ``1 + (1 - beta) + ... + (1 - beta) ** (k - 1)``, one power at a time."""
    power, total = np.ones(len(beta)), np.zeros(len(beta))
    for index in range(int(drafts.max(initial=1))):
        total += np.where(index < drafts, power, 0.0)
        power *= np.maximum(1.0 - beta, 0.0)
    return total


def _surplus(target: Floats, draft: Floats, drafts: Ints, rho: Floats) -> tuple[Floats, Floats]:
    """``1 - (1 - beta)^k - rho beta`` and its slope in rho, each (n,); it falls as rho grows."""
    scaled = rho[:, None] * draft
    capped = scaled < target
    reached = sums(np.where(capped, scaled, target))
    beta = np.minimum(reached / rho, 1.0)
    none_left = (1.0 - beta) ** (drafts - 1)
    beta_slope = -sums(np.where(capped, 0.0, target)) / rho**2
    slope = drafts * none_left * beta_slope - sums(np.where(capped, draft, 0.0))
    return 1.0 - none_left * (1.0 - beta) - reached, slope
