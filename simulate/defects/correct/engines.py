"""Engines that draft chains by themselves and verify them: builders for the form ``generate``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from veridraft.theory.pairs.base import Pair
from veridraft.theory.rows.trees import Context

from ...batches.batch import Outcome
from ...batches.row_tables import RowTables, tabulate
from ...batches.rows import Floats, Ints, draw_cumulative
from .token_wise import Chains, TokenWise, exponential, winners

RowChange = Callable[[Floats], Floats]
"""Rows (n, V) from rows (n, V)."""


def as_given(rows: Floats) -> Floats:
    """The rows as they are."""
    return rows


@dataclass(frozen=True)
class Drafting:
    """A builder: ``build(pair, depth, context) -> generate(rng, trials)``, which returns tokens (T, depth + 1).

    Fields
    ------
    drawn : the draft's rows, as those that tokens are drawn from
    told : the draft's rows, as those that the verifier is told
    verified : the target's rows, as those that drafts are verified with; the bonus token's row stays as given
    verify : the outcome of chains at hand
    race : tokens are drawn as the winners of ``row / noise``, and the verifier is told the noise too
    """

    drawn: RowChange = as_given
    told: RowChange = as_given
    verified: RowChange = as_given
    verify: Callable[[Chains, np.random.Generator], Outcome] = TokenWise().verify
    race: bool = False

    def __call__(self, pair: Pair, depth: int, context: Context = ()) -> Generator:
        """The generator of blocks below a context; errors are those of :func:`.tabulate`."""
        tables = tabulate(pair, depth, context)
        drawn, told = self.rows(tables)
        target = (*(self.verified(rows) for rows in tables.target[:-1]), tables.target[-1])
        return Generator(self, target, drawn, told)

    def rows(self, tables: RowTables) -> tuple[tuple[Floats, ...], tuple[Floats, ...]]:
        """L tables (V ** d, V) each: those that tokens are drawn from, and those that the verifier is told."""
        drawn, told = (tuple(law(rows) for rows in tables.draft) for law in (self.drawn, self.told))
        return drawn, told


def loop_of(verifier: Callable[..., Outcome]) -> Drafting:
    """The builder of an engine that drafts from the draft's rows and verifies by a batched verifier of chains."""
    return Drafting(verify=lambda chains, rng: verifier(chains.target, chains.draft, chains.tokens, rng))


@dataclass(frozen=True, eq=False)
class Generator:
    """``generate(rng, trials)``: tokens (T, L + 1), -1 behind the emitted ones.

    target : L + 1 tables (V ** d, V), the last one the bonus token's; drawn, told : L tables; all by context number,
    as in :class:`veridraft.simulate.batches.row_tables.RowTables`
    """

    engine: Drafting
    target: tuple[Floats, ...]
    drawn: tuple[Floats, ...]
    told: tuple[Floats, ...]

    def __call__(self, rng: np.random.Generator, trials: int) -> Ints:
        """The emitted tokens of so many trials."""
        return self.engine.verify(self.draft(rng, trials), rng).tokens

    def draft(self, rng: np.random.Generator, trials: int) -> Chains:
        """Drafted chains, with the rows that the verifier is told."""
        depth, size = len(self.drawn), self.target[0].shape[1]
        target, told = np.empty((trials, depth + 1, size)), np.empty((trials, depth, size))
        tokens, numbers = np.empty((trials, depth), dtype=np.int64), np.zeros(trials, dtype=np.int64)
        noise = exponential(rng, told.shape) if self.engine.race else None
        uniforms = None if self.engine.race else rng.random((depth, trials))
        for level, (drawn, sums) in enumerate(zip(self.drawn, self._sums, strict=True)):
            target[:, level], told[:, level] = self.target[level][numbers], self.told[level][numbers]
            if uniforms is not None:
                tokens[:, level] = draw_cumulative(sums[numbers], uniforms[level])
            elif noise is not None:
                tokens[:, level] = winners(drawn[numbers], noise[:, level])
            numbers = numbers * size + tokens[:, level]
        target[:, depth] = self.target[depth][numbers]
        return Chains(target, told, tokens, noise, None if uniforms is None else uniforms.T)

    @cached_property
    def _sums(self) -> tuple[Floats, ...]:
        return tuple(np.cumsum(rows, axis=1) for rows in self.drawn)
