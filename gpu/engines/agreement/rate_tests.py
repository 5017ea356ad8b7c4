"""Intervals and tests for rates of positions that are accepted one after another."""

from __future__ import annotations

from math import inf, log, sqrt

import numpy as np
import scipy

from .clusters import Floats

LEAST_EXPECTED = 5.0
"""A cell of the distribution expects at least so many steps."""


def binomial_interval(count: float, steps: float, error: float) -> tuple[float, float]:
    """The exact interval of a rate that was seen ``count`` times in ``steps``: Clopper and Pearson, both sides."""
    low = float(scipy.stats.beta.ppf(error / 2, count, steps - count + 1)) if count else 0.0
    high = float(scipy.stats.beta.isf(error / 2, count + 1, steps - count)) if count < steps else 1.0
    return low, high


def two_sided_quantile(error: float, freedom: float) -> float:
    """The two-sided quantile of Student's law; the normal one for infinite freedom."""
    return float(scipy.stats.norm.isf(error / 2) if freedom == inf else scipy.stats.t.isf(error / 2, freedom))


def mean_half_width(variance: float, steps: float, span: float, error: float) -> float:
    """Half the width that a mean of ``steps`` values in a range of ``span`` keeps to, both sides."""
    logarithm = log(2 / error)
    return sqrt(2 * variance * logarithm / steps) + span * logarithm / (3 * steps)


def length_variance(rates: Floats) -> float:
    """Var[tau] from P(tau >= 1), ..., P(tau >= L)."""
    return max(0.0, float((rates * (2 * np.arange(len(rates)) + 1)).sum() - rates.sum() ** 2))


def telling_positions(rates: Floats, steps: float) -> list[int]:
    """The positions that cut the accepted lengths into cells which each expect steps enough, from the deepest up."""
    kept: list[int] = []
    above = 0.0
    for depth in reversed(range(len(rates))):
        if (rates[depth] - above) * steps >= LEAST_EXPECTED:
            kept.append(depth)
            above = float(rates[depth])
    while kept and (1 - rates[kept[-1]]) * steps < LEAST_EXPECTED:
        kept.pop()
    return kept[::-1]


def step_covariance(rates: Floats) -> Floats:
    """The covariance of one step's indicators of reaching each position."""
    return np.minimum.outer(rates, rates) - np.outer(rates, rates)


def quadratic_p_value(difference: Floats, covariance: Floats, freedom: float) -> float:
    """The p-value of a quadratic form: chi-square for a known covariance, else Hotelling's."""
    size = len(difference)
    form = float(difference @ np.linalg.lstsq(covariance, difference, rcond=None)[0])
    if freedom == inf:
        return float(scipy.stats.chi2.sf(form, size))
    scaled = form * (freedom - size + 1) / (freedom * size)
    return float(scipy.stats.f.sf(scaled, size, freedom - size + 1)) if freedom >= size else 1.0
