"""A pair's rows, tabulated once for every context down to the depth that a simulation needs.

A context of d tokens is a number below V ** d, its tokens read as digits; a row is then looked up for a
million contexts by one indexing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from veridraft.theory.pairs.base import Pair
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Delayed
from veridraft.theory.rows.distributions import Row, check_rows
from veridraft.theory.rows.trees import Context

from .batch import Batch
from .rows import Bools, Floats, Ints, draw_cumulative

MOST_COUNTED = 1_000_000
"""The most completed strings that a simulation counts."""


@dataclass(frozen=True, eq=False)
class RowTables:
    """Rows by depth and context number, float64.

    target : L + 1 arrays (V ** d, V); draft : L arrays (V ** d, V); target_sums, draft_sums : their cumulative
    sums along the last axis, from which tokens are drawn
    """

    target: tuple[Floats, ...]
    draft: tuple[Floats, ...]
    target_sums: tuple[Floats, ...]
    draft_sums: tuple[Floats, ...]

    @property
    def depth(self) -> int:
        """L."""
        return len(self.draft)

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.target[0].shape[1]

    def string_probabilities(self) -> Floats:
        """The target's probability of every string of L + 1 tokens, (V ** (L + 1),), in context order.

        A product that rounding puts above 1 is 1.
        """
        law = np.ones(1)
        for rows in self.target:
            law = (law[:, None] * rows).ravel()
        return np.minimum(law, 1.0)


def tabulate(pair: Pair, depth: int, context: Context = (), most: int = MOST_COUNTED) -> RowTables:
    """The tables of a pair for draft paths of ``depth`` tokens below the context; Fractions become floats.

    A context below the root is looked up if the target or the draft alone can reach it.  Any other has
    probability 0 under the target and is never drafted; its rows are uniform, so that a broken procedure's
    string can be completed too.  Raises ``ValueError`` if V ** (depth + 1) exceeds ``most`` or a row is bad.
    """
    size = pair.vocabulary_size
    if size ** (depth + 1) > most:
        raise ValueError(
            f"strings of {depth + 1} tokens over a vocabulary of {size} are {float(size) ** (depth + 1):.3g}, more "
            f"than the {most} that are counted: simulate a smaller vocabulary or depth"
        )
    floats, target, draft = pair.as_float(), [], []
    by_target, by_draft = np.ones(1, dtype=bool), np.ones(1, dtype=bool)
    for level in range(depth + 1):
        target.append(_level("target", floats.target_row, size, level, context, by_target | by_draft))
        by_target = (by_target[:, None] & (target[-1] > 0)).ravel()
        if level < depth:
            draft.append(_level("draft", floats.draft_row, size, level, context, by_draft))
            by_draft = (by_draft[:, None] & (draft[-1] > 0)).ravel()
    sums = tuple(tuple(np.cumsum(rows, axis=1) for rows in tables) for tables in (target, draft))
    return RowTables(tuple(target), tuple(draft), *sums)


def _level(
    name: str, row: Callable[[Context], Row], size: int, level: int, context: Context, reached: Bools
) -> Floats:
    """The rows (V ** level, V) of one depth."""
    rows = np.full((size**level, size), 1.0 / size)
    for number, below in enumerate(product(range(size), repeat=level)):
        if reached[number]:
            rows[number] = row(context + below)
    return check_rows(name, rows, ndim=2)


def check_policy(policy: Policy) -> Delayed:
    """The policy, if its trees are independent paths below a trunk; ``TypeError`` otherwise."""
    if not isinstance(policy, Delayed):
        raise TypeError(f"policy must be Chain, Iid or Delayed, drawn as paths, but is {policy!r}")
    return policy


def draw_batch(tables: RowTables, policy: Delayed, trials: int, rng: np.random.Generator) -> Batch:
    """Trees drawn as paths: K independent draws at each level of each trial, one shared by all in the trunk.

    The batch's trunk is the policy's if its child lists there have length 1 (a broken policy's have not).
    """
    numbers = np.zeros((trials, policy.K), dtype=np.int64)
    target, draft, paths = [], [], []
    for level in range(tables.depth):
        target.append(tables.target[level][numbers])
        draft.append(tables.draft[level][numbers])
        uniforms = rng.random((trials, 1 if level < policy.L1 else policy.K))
        drawn = draw_cumulative(tables.draft_sums[level][numbers], np.broadcast_to(uniforms, numbers.shape))
        paths.append(drawn)
        numbers = numbers * tables.vocabulary_size + drawn
    target.append(tables.target[tables.depth][numbers])
    trunk = policy.L1 if policy.draws(policy.root_state) == 1 else 0
    return Batch(np.stack(target, axis=2), _stacked(draft, target[0].shape), _stacked(paths, numbers.shape), trunk)


def complete(tables: RowTables, accepted: Ints, tokens: Ints, rng: np.random.Generator) -> Ints:
    """The number (T,) of each trial's string of L + 1 tokens: what was emitted, then draws from the target.

    accepted : (T,); tokens : (T, L + 1), of which the first accepted + 1 count
    """
    numbers = np.zeros(len(accepted), dtype=np.int64)
    for level in range(tables.depth + 1):
        missing = np.flatnonzero(accepted < level)
        token = tokens[:, level].copy()
        token[missing] = draw_cumulative(tables.target_sums[level][numbers[missing]], rng.random(len(missing)))
        numbers = numbers * tables.vocabulary_size + token
    return numbers


def _stacked(levels: list, shape: tuple[int, ...]) -> np.ndarray:
    """The levels along axis 2, also when there is none: (T, K, 0, ...)."""
    return np.stack(levels, axis=2) if levels else np.zeros((*shape[:2], 0, *shape[2:]), dtype=np.int64)
