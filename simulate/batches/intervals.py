"""Bounds that hold at every number of trials: no normal approximation, no lucky seed."""

from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt

import numpy as np
import scipy

from .rows import Floats, Ints


def check_level(name: str, level: float) -> float:
    """The level as it is; ``ValueError`` unless it lies in (0, 1)."""
    if not 0 < level < 1:
        raise ValueError(f"{name} must lie in (0, 1), but is {level}")
    return level


def bernstein_half_width(variance: float, trials: int, span: float, level: float) -> float:
    """Half the width of an interval that covers a mean with probability at least ``level``.

    variance : the unbiased sample variance of T = ``trials`` >= 2 independent values in a range of length ``span``.
    Source: empirical Bernstein bound, 0907.3740, Theorem 4, for both sides at once.
    """
    logarithm = log(4.0 / (1.0 - level))
    return sqrt(2.0 * variance * logarithm / trials) + 7.0 * span * logarithm / (3.0 * (trials - 1))


def bernstein_error(deviation: float, variance: float, trials: int, span: float) -> float:
    """A bound on the probability that a mean of T values strays by ``deviation`` or more from its expectation.

    variance : the exact variance of one value; span : the most that a value can lie from its expectation.
    Bernstein's inequality, both sides; at most 1.
    """
    if deviation <= 0:
        return 1.0
    scale = 2.0 * (variance + span * deviation / 3.0)
    return min(1.0, 2.0 * float(np.exp(-trials * deviation**2 / scale))) if scale > 0 else 0.0


def bernstein_deviation(error: float, variance: float, trials: int, span: float) -> float:
    """The deviation at which :func:`bernstein_error` is ``error``: the root of its quadratic."""
    linear = span * log(2.0 / error) / (3.0 * trials)
    return linear + sqrt(linear**2 + 2.0 * variance * log(2.0 / error) / trials)


def binomial_errors(counts: Ints, trials: int, probabilities: Floats) -> Floats:
    """Two-sided exact binomial p-values (n,): twice the smaller tail, at most 1.

    A count of a string of probability 0 has p-value 0.  Exact up to the rounding of the tails.
    """
    below = scipy.stats.binom.cdf(counts, trials, probabilities)
    above = scipy.stats.binom.sf(counts - 1, trials, probabilities)
    return np.minimum(1.0, 2.0 * np.minimum(below, above))


def binomial_deviations(error: float, trials: int, probabilities: Floats) -> Floats:
    """How far (n,) a frequency can lie from its probability with a p-value of ``error`` or more."""
    low = scipy.stats.binom.ppf(error / 2, trials, probabilities)
    high = scipy.stats.binom.isf(error / 2, trials, probabilities)
    return np.maximum(probabilities - low / trials, high / trials - probabilities)


def total_variation_threshold(error: float, trials: int, probabilities: Floats) -> float:
    """What the total variation of T frequencies to their probabilities exceeds with probability <= ``error``.

    Its expectation is at most half the sum of the standard deviations (Jensen); a trial moves it by at most
    1 / T, so that McDiarmid's inequality bounds the rest.
    """
    spread = np.sqrt(np.maximum(probabilities * (1.0 - probabilities), 0.0) / trials).sum() / 2.0
    return float(spread) + chance_deviation(error, trials)


def total_variation_error(observed: float, trials: int, probabilities: Floats) -> float:
    """A bound on the probability of a total variation as large as the observed: the inverse of the threshold."""
    spread = np.sqrt(np.maximum(probabilities * (1.0 - probabilities), 0.0) / trials).sum() / 2.0
    return float(np.exp(-2.0 * trials * max(0.0, observed - spread) ** 2))


def chance_deviation(error: float, trials: int) -> float:
    """How far a frequency strays to one side with probability at most ``error`` (Hoeffding)."""
    return sqrt(log(1.0 / error) / (2.0 * trials))


MISS = 1e-3
"""The probability with which a run may miss what it is said to be able to see."""

Progress = Callable[[int, int], None]
"""Told after each chunk: trials done, trials asked for."""
