"""Means over steps that depend on each other: units of steps that hardly do, and the covariance between them.

The steps of one request follow each other in one text, and are not independent; requests are, if their prompts are.
So where a file tells requests apart, their spread says how uncertain a mean is; where it holds one long sequence,
stretches of consecutive steps serve, which are nearly independent if they are longer than the memory of the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil

import numpy as np

from veridraft.theory.rows.distributions import Floats

from ..runs import EngineRun, RequestSteps

LEAST_UNITS = 10
"""Fewer units than this say nothing about their spread."""

BLOCKS, LEAST_BLOCK = 30, 10
"""A sequence is cut into about so many blocks, none shorter than so many steps."""


class Unit(Enum):
    """What is taken to be independent."""

    REQUESTS = "requests"
    BLOCKS = "blocks of consecutive steps"
    STEPS = "single steps"


@dataclass(frozen=True, eq=False)
class Units:
    """G units: ``sums`` (G, L) of what was counted, ``sizes`` (G, L) the steps that it was counted over."""

    kind: Unit
    sums: Floats
    sizes: Floats

    @property
    def count(self) -> int:
        """G."""
        return len(self.sums)

    @property
    def means(self) -> Floats:
        """(L,) the means over all steps."""
        return self.sums.sum(axis=0) / np.maximum(self.sizes.sum(axis=0), 1)

    @property
    def covariance(self) -> Floats:
        """(L, L) of the means, linearised: that of a ratio of sums over G independent units."""
        residuals = (self.sums - self.means * self.sizes) / np.maximum(self.sizes.sum(axis=0), 1)
        return residuals.T @ residuals * self.count / (self.count - 1)


def units(sequences: Sequence[tuple[Floats, Floats]]) -> Units | None:
    """Units of steps given in order: for each request values (n, L) and weights (n, L); ``None`` if too few."""
    filled = [one for one in sequences if len(one[0])]
    if len(filled) >= LEAST_UNITS:
        return _summed(Unit.REQUESTS, filled)
    steps = sum(len(values) for values, _ in filled)
    length = max(LEAST_BLOCK, ceil(steps / BLOCKS))
    blocks = [
        (values[start : start + length], weights[start : start + length])
        for values, weights in filled
        for start in range(0, len(values), length)
    ]
    return _summed(Unit.BLOCKS, blocks) if len(blocks) >= LEAST_UNITS else None


def _summed(kind: Unit, parts: Sequence[tuple[Floats, Floats]]) -> Units:
    sums = np.array([(values * weights).sum(axis=0) for values, weights in parts])
    return Units(kind, sums, np.array([weights.sum(axis=0) for _, weights in parts], dtype=float))


def units_of_run(run: EngineRun) -> Units | None:
    """The units of a run over the positions 1 to L; ``None`` for counters, and where there are too few."""
    if run.pooled:
        return None
    if run.ordered:
        return units([_sequence(request) for request in run.requests])
    filled = [request for request in run.requests if request.steps]
    if len(filled) < LEAST_UNITS:
        return None
    sizes = np.array([[request.steps] * run.spec_tokens for request in filled], dtype=float)
    return Units(Unit.REQUESTS, np.array([request.reached for request in filled], dtype=float), sizes)


def _sequence(request: RequestSteps) -> tuple[Floats, Floats]:
    """Whether each step accepted each position (n, L), and whether it drafted it."""
    positions = np.arange(1, len(request.histogram))
    values = np.array(request.accepted or (), dtype=int)[:, None] >= positions
    if request.drafted is None:
        return values.astype(float), np.ones_like(values, dtype=float)
    return values.astype(float), (np.array(request.drafted, dtype=int)[:, None] >= positions).astype(float)
