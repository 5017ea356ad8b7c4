"""What a dynamic programme finds along the accepted path, depth by depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .distributions import Row


@dataclass(frozen=True, eq=False)
class WalkProfile:
    """Stopping and divergence along the accepted path.

    ``by_depth`` (L + 1,) is the probability that tau is 0, ..., L; ``variation`` (L,) the mean of the total
    variation at the accepted path's node of depth d times the indicator of tau >= d, for d = 0 .. L - 1.
    """

    by_depth: Row
    variation: Row

    @staticmethod
    def of(by_depth: Sequence[Any], variation: Sequence[Any], exact: bool) -> WalkProfile:
        """The profile of two sequences of numbers, in the arithmetic named."""
        kind: Any = object if exact else np.float64
        return WalkProfile(np.array(by_depth, dtype=kind), np.array(variation, dtype=kind))

    def mean_variation(self) -> Row:
        """(D,) the mean total variation at depth d given tau >= d, for the depths d < L that are reached."""
        reach = self.by_depth[::-1].cumsum()[::-1][:-1]
        reached = int(np.count_nonzero(reach != 0))
        return self.variation[:reached] / reach[:reached]
