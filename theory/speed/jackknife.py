"""Errors of a statistic of independent units, such as a ratio of sums, from leaving out one unit after the other."""

from __future__ import annotations

import numpy as np
import scipy

from ..rows.distributions import Row


def jackknife_error(left_out: Row) -> float:
    """The standard error of a statistic, from its values (n,) with each of n >= 2 units left out."""
    count = len(left_out)
    return float(np.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum()))


def jackknife_half(left_out: Row, level: float = 0.95) -> float:
    """Half of Student's interval of a statistic, from its values (n,) with each of n >= 2 units left out."""
    return float(scipy.special.stdtrit(len(left_out) - 1, (1 + level) / 2)) * jackknife_error(left_out)
