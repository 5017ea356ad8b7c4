"""Single draws from short rows, in the time that verifiers of one call one request leave for them."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

import numpy as np


def pick(row, uniform):
    """The token at a uniform of [0, sum of the row), never one of probability 0."""
    masses = np.asarray(row, dtype=np.float64).tolist()
    last = len(masses) - 1
    while not masses[last]:
        last -= 1
    return min(bisect_right(list(accumulate(masses)), uniform), last)


def choice(row, rng):
    """The token that ``rng.choice(len(row), p=row)`` draws, of the same coin, in a fifth of its time.

    Generators of another kind, whose outcomes are followed or chosen, and rows of another sum are left to ``choice``.
    """
    sums = list(accumulate(row.tolist()))
    if type(rng) is not np.random.Generator or not abs(sums[-1] - 1.0) < 1e-8:
        return int(rng.choice(len(row), p=row))
    return bisect_right([share / sums[-1] for share in sums], rng.random())
