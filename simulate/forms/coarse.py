"""Rows for half floats: put on a grid that the type holds exactly, so that what is handed over is a law."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from veridraft.theory.pairs.base import Pair
from veridraft.theory.rows.distributions import Row
from veridraft.theory.rows.trees import Context

from .cases import Case

COARSE = {"bfloat16": 8, "float16": 11}
"""Significant bits of the types that are coarse enough for their rounding to be seen."""


class OnGrid(Pair):
    """A pair whose entries are multiples of 2 ** -bits that add up to 1, near those of another.

    Each lies below 1 and has ``bits`` significant bits at most.  Entries are rounded down, and what is missing goes to
    those that lost most, so that no entry moves by a step or more.
    """

    exact = False

    def __init__(self, pair: Pair, bits: int) -> None:
        self.pair, self.steps, self.vocabulary_size = pair.as_float(), 2**bits, pair.vocabulary_size

    def target_row(self, context: Context) -> Row:
        """The target's row (V,) on the grid."""
        return self._on_grid(self.pair.target_row(context))

    def draft_row(self, context: Context) -> Row:
        """The draft's row (V,) on the grid."""
        return self._on_grid(self.pair.draft_row(context))

    def _on_grid(self, row: Row) -> Row:
        scaled = np.asarray(row, dtype=np.float64) * self.steps
        steps = np.floor(scaled)
        missing = round(self.steps - steps.sum())
        steps[np.argsort(-(scaled - steps), kind="stable")[:missing]] += 1
        return steps / self.steps


def on_grid(case: Case, bits: int) -> Case:
    """The case with its rows on the grid of a type of so many significant bits."""
    return replace(case, pair=OnGrid(case.pair, bits))
