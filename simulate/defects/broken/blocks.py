"""Engines that draft a block as a whole, and tell the verifier that each token followed the one before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...batches.row_tables import RowTables
from ...batches.rows import Floats
from ..correct.engines import Drafting

BEAMS = 2
"""The width of a beam search."""


@dataclass(frozen=True)
class BeamDrafting(Drafting):
    """Drafts the likeliest block that a beam search finds.

    told_as_sampled : whether the verifier is told the draft's rows, as if the block had been drawn; else that each
        token of it was certain
    """

    told_as_sampled: bool = False

    def rows(self, tables: RowTables) -> tuple[tuple[Floats, ...], tuple[Floats, ...]]:
        """Drawn: all mass on the block; told: the same, or the draft's rows."""
        block = best_block(tables)
        drawn = tuple(_certain(rows, token) for rows, token in zip(tables.draft, block, strict=True))
        return drawn, tables.draft if self.told_as_sampled else drawn


@dataclass(frozen=True)
class MarginalDrafting(Drafting):
    """Draws every token of a block by itself, from the draft's law of that place whatever stands before it.

    told_as_conditional : whether the verifier is told the draft's rows behind the tokens before; else what was drawn
        from
    """

    told_as_conditional: bool = False

    def rows(self, tables: RowTables) -> tuple[tuple[Floats, ...], tuple[Floats, ...]]:
        """Drawn: the marginal of each place, behind every context; told: the same, or the draft's rows."""
        drawn, reached = [], np.ones(1)
        for rows in tables.draft:
            drawn.append(np.broadcast_to(reached @ rows, rows.shape).copy())
            reached = (reached[:, None] * rows).ravel()
        return tuple(drawn), tables.draft if self.told_as_conditional else tuple(drawn)


def best_block(tables: RowTables) -> tuple[int, ...]:
    """The likeliest block under the draft among those that a beam search of width ``BEAMS`` keeps."""
    beams: list[tuple[float, int, tuple[int, ...]]] = [(1.0, 0, ())]  # best first, of equals the one found first
    size = tables.vocabulary_size
    for rows in tables.draft:
        grown = [
            (mass * float(rows[number, token]), number * size + token, (*block, token))
            for mass, number, block in beams for token in range(size)
        ]  # fmt: skip
        beams = sorted(grown, key=lambda beam: -beam[0])[:BEAMS]
    return beams[0][2]


def _certain(rows: Floats, token: int) -> Floats:
    """Rows of the same shape with all mass on one token."""
    certain = np.zeros_like(rows)
    certain[:, token] = 1.0
    return certain


beam_told_as_sampled = BeamDrafting(told_as_sampled=True)
"""The best block of a beam search, verified by ratios as if it had been drawn (row 50).

apple/ml-recurrent-drafter, issue #6.
"""
beam_told_as_certain = BeamDrafting()

marginals_told_as_conditionals = MarginalDrafting(told_as_conditional=True)
"""A block whose places are drawn each by itself, told as if each had followed the one before (row 51).

Told as it was drawn it is exact: z-lab/dflash, pull request #169.
"""
marginals_told = MarginalDrafting()
