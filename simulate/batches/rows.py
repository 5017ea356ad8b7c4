"""Small operations on many rows at once: coins, draws, residuals.

Everything here is float64 and acts along the last axis.  Every coin is a uniform u in [0, 1), and an event
of probability a happens when ``u < a``, strictly: probability 0 never happens, probability 1 always does.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from veridraft.theory.rows.distributions import Floats

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Numbers = TypeVar("Numbers", np.float64, np.int64)

LARGEST = 1e300
"""The most that a quotient by a tiny mass counts for: finite, so that 0 times it is 0."""


def draw(weights: Floats, rng: np.random.Generator) -> Ints:
    """One token for each row of weights (n, V), with probability proportional to its weight: (n,).

    Weights are nonnegative and need not sum to 1; a token of weight 0 is never drawn.  Every row needs a
    positive sum.
    """
    return draw_cumulative(np.cumsum(weights, axis=-1), rng.random(len(weights)))


def draw_cumulative(cumulative: Floats, uniforms: Floats) -> Ints:
    """The tokens (...,) at which cumulative weights (..., V) first exceed the uniforms' share of the total.

    Inverse distribution function.  A token of weight 0 adds nothing to the cumulative sum, so that the sum
    never passes the threshold there; the threshold stays below the total.
    """
    total = cumulative[..., -1]
    threshold = np.minimum(uniforms * total, np.nextafter(total, 0.0))
    return (cumulative > threshold[..., None]).argmax(axis=-1)


def quotient(numerator: Floats, denominator: Floats) -> Floats:
    """The elementwise quotient of nonnegative arrays, 0 where the denominator is 0, and at most ``LARGEST``."""
    shape = np.broadcast(numerator, denominator).shape
    with np.errstate(over="ignore"):
        found = np.divide(numerator, denominator, out=np.zeros(shape), where=denominator > 0)
    return np.minimum(found, LARGEST, out=found)


def residual(target: Floats, draft: Floats) -> Floats:
    """``(target - draft)+`` divided by its sum, rows (n, V); the target's row where that sum is 0."""
    positive = np.maximum(target - draft, 0.0)
    return or_else(quotient(positive, sums(positive)[..., None]), target)


def or_else(weights: Floats, fallback: Floats) -> Floats:
    """The weights (n, V), and in rows where all of them are 0 the fallback's.

    Used where an event of probability 0 leads to a row of zeros: rounding may make it happen, about once in
    1e16 trials, and the target's row is then as good as any.
    """
    return np.where(sums(weights)[..., None] > 0, weights, fallback)


def sums(rows: Floats) -> Floats:
    """The sum of each row (..., V): (...,).  A product with ones, much faster than a reduction when V is small."""
    return rows @ np.ones(rows.shape[-1])


def at_token(rows: NDArray[Numbers], tokens: Ints) -> NDArray[Numbers]:
    """The entry of each row (n, V) at its token (n,)."""
    return rows[np.arange(len(rows)), tokens]


def rounded(values: Floats, bits: int) -> Floats:
    """The values rounded to ``bits`` significant binary digits, half to even, with the exponents of float64.

    8 bits are those of bfloat16, 11 of float16, 24 of float32, 53 of float64; infinities and NaN stay.
    """
    mantissas, exponents = np.frexp(values)
    return np.ldexp(np.rint(mantissas * 2.0**bits), exponents - bits)
