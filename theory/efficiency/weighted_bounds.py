"""Certified bounds for block verification on long paths over large vocabularies, by a grid of weights.

On one path the weight moves as ``w' = min(1, w p(x)/q(x))`` with x drawn from the draft, and

    B(c, d, w) = sum_x q(x|c) [ w' + B(x, d - 1, w') ],    B(c, 0, w) = 0

is the mean number of tokens accepted below a node of weight w with d levels left.  By induction B(c, d, .) is
nondecreasing and concave on [0, 1] with B(c, d, 0) = 0: w' is concave in w, and a nondecreasing concave function
of a concave one is concave.  Hence chords between grid points lie below B and tangents above it; both are
carried up from the leaves, where a lower (upper) function for d - 1 levels gives one for d.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..display import Sheet, Shown
from ..pairs.base import Pair, check_pair
from ..pairs.layered import Layer, layer_below, require_layers
from ..policies.arguments import get_policy
from ..policies.base import Policy
from ..policies.paths import Delayed
from ..rows.distributions import Row, check_count
from ..rows.trees import Context
from ..verifiers.lifts import bottom_up
from ..verifiers.table import Verifier, get_verifier
from .weighted import ONE_DRAW, STATE_ENTRIES, is_one_path


@dataclass(frozen=True)
class BoundedBlockEfficiency(Shown):
    """A certified interval for a block efficiency: ``lower`` <= E[tau + 1] <= ``upper``, both in [1, L + 1].

    Proven up to the rounding of float64, about 1e-13.  ``points`` is the number of weights on the grid; the width
    shrinks about as its inverse square.
    """

    lower: float
    upper: float
    points: int
    method: str = "bounds"

    @property
    def width(self) -> float:
        """``upper - lower``."""
        return self.upper - self.lower

    def sheet(self) -> Sheet:
        """The interval."""
        facts = (("E[τ + 1]", f"{self.lower!r} to {self.upper!r}"), ("width", self.width))
        return Sheet("Block efficiency, proven from both sides", facts)


@dataclass(frozen=True, eq=False)
class _Envelope:
    """Functions of the weight below and above B, for every class: values on the grid, and the tangents' slopes."""

    grid: Row  # [G] from 0 to 1, quadratic, so that small weights are told apart
    low: Row  # [C, G] values whose chords lie below B
    high: Row  # [C, G] values of the tangents
    slope: Row  # [C, G] slopes of the tangents

    @staticmethod
    def zero(classes: int, points: int) -> _Envelope:
        """No level left: B = 0."""
        nothing = np.zeros((classes, points))
        return _Envelope(np.linspace(0.0, 1.0, points) ** 2, nothing, nothing, nothing)

    def at(self, kind: Row, weight: Row) -> tuple[Row, Row, Row]:
        """Lower value, upper value and the upper one's slope at weights in [0, 1], shapes broadcast."""
        last = len(self.grid) - 1
        cell = np.minimum((np.sqrt(weight) * last).astype(np.intp), last - 1)
        place = kind * (last + 1) + cell
        start, width = self.grid[cell], np.diff(self.grid)[cell]
        share = (weight - start) / width
        low = self.low.ravel()
        chord = low[place] + share * (low[place + 1] - low[place])
        high, slope = self.high.ravel(), self.slope.ravel()
        left = high[place] + slope[place] * (weight - start)
        right = high[place + 1] + slope[place + 1] * (weight - start - width)
        return chord, np.minimum(left, right), np.where(left < right, slope[place], slope[place + 1])


def bounded_block_efficiency(
    verifier: str | Verifier, policy: str | Policy, pair: Pair, context: Context = (), points: int = 65
) -> BoundedBlockEfficiency:
    """A certified interval for the block efficiency of block verification (2403.10444) on one path.

    For a bottom-up verifier whose solver is speculative sampling on one draw, over a policy of one path, on a
    ``MarkovPair`` or ``LayeredPair``; float64.  Cost O(C V G) per level, G = ``points`` >= 2.
    Raises ``ValueError`` for another verifier, policy or pair: under lifted RRS over several paths the value is
    neither monotone nor concave in the weight, and no bounds that close are known here.
    """
    entry, policy = get_verifier(verifier), get_policy(policy)
    entry.require(policy)
    require_layers(check_pair(pair))
    one_path = isinstance(policy, Delayed) and is_one_path(policy)
    if entry.lift is not bottom_up or entry.solver not in ONE_DRAW or not one_path:
        raise ValueError(
            f'method "bounds" is for bottom-up verifiers over one path, not {entry.name!r} with {policy!r}: '
            'use method="dp" or "enumerate" where they are small enough, or "sample"'
        )
    check_count("points", points, 2)
    source = pair.as_float()
    envelope = _Envelope.zero(layer_below(source, context, policy.depth).classes, points)
    for depth in range(policy.depth - 1, -1, -1):
        envelope = _lifted(envelope, layer_below(source, context, depth))
    return BoundedBlockEfficiency(1 + float(envelope.low[0, -1]), 1 + float(envelope.high[0, -1]), points)


def _lifted(deeper: _Envelope, layer: Layer) -> _Envelope:
    """The envelope one level up, block by block."""
    size, points = layer.target.shape[1], len(deeper.grid)
    block = max(1, STATE_ENTRIES // (size * points))
    parts = [
        _lifted_block(deeper, layer.target[start : start + block], layer.draft[start : start + block])
        for start in range(0, layer.classes, block)
    ]
    low, high, slope = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _Envelope(deeper.grid, low, high, slope)


def _lifted_block(deeper: _Envelope, target: Row, draft: Row) -> tuple[Row, Row, Row]:
    """Values below, above, and slopes above, each (B, G), at some rows (B, V).

    The slope is that of a tangent: to the right of the weight, where w' has a kink or has reached 1.
    """
    tokens = np.flatnonzero(draft.any(axis=0))
    p, q = target[:, tokens, None], draft[:, tokens, None]
    mass = p * deeper.grid
    rising = mass < q
    weight = np.where(rising, np.divide(mass, q, out=np.zeros_like(mass), where=rising), 1.0)
    kind = tokens[:, None] if len(deeper.low) > 1 else np.zeros((1, 1), dtype=np.intp)
    low, high, slope = deeper.at(kind, weight)
    lower = (q * (weight + low)).sum(axis=1)
    upper = (q * (weight + high)).sum(axis=1)
    return lower, upper, (np.where(rising, p, 0.0) * (1 + slope)).sum(axis=1)
