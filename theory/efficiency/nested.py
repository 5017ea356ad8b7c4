"""Every delayed tree at one root from one draw: nested trees, and what a verifier accepts of each given them.

The tree of an action ``Delayed(K, L1, L2)`` is the beginning of that of ``Delayed(K, L1, L)``, and of K paths the first
ones are those of fewer.  So one draw tells all actions, and its rows are asked for once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..pairs.base import Pair
from ..policies.paths import Delayed
from ..rows.distributions import Row, check_count, draw
from ..rows.trees import Context, DraftTree
from ..verifiers.table import Verifier, get_verifier
from .delayed import efficiencies_of

Shape = tuple[int, int]
"""How many paths a tree has, and how many tokens its trunk."""

ActionTrees = Mapping[Shape, DraftTree]
"""The deepest tree of every shape; of one path there is one."""


@dataclass(frozen=True, eq=False)
class NestedTrees:
    """Draws at one root, of which every tree of up to K paths and L levels, in the trunk and below it, is a part.

    trunk : (2 L,) tokens, one path from the root
    sides : (L + 1, K - 1, L) tokens: at each of the trunk's first places further paths that begin there

    The paths that branch behind L1 tokens are the trunk's own next L tokens and the sides there: given the trunk as
    far, they are independent, so that each tree is drawn by its policy's law.  Trees of different actions are not
    independent of one another.
    """

    trunk: NDArray[np.int64]
    sides: NDArray[np.int64]

    @property
    def levels(self) -> int:
        """L."""
        return self.sides.shape[2]

    @property
    def most_paths(self) -> int:
        """K."""
        return self.sides.shape[1] + 1

    def paths(self, count: int, trunk: int) -> NDArray[np.int64]:
        """(count, trunk + L) the paths of the tree that branches behind so many tokens."""
        first = self.trunk[: trunk + self.levels]
        above = np.broadcast_to(self.trunk[:trunk], (self.most_paths - 1, trunk))
        others = np.concatenate([above, self.sides[trunk]], axis=1)
        return np.concatenate([first[None], others])[:count]

    @cached_property
    def contexts(self) -> tuple[Context, ...]:
        """The contexts below the root that have a token drawn at them, the root first and parents before children."""
        whole = [self.trunk, *(path for trunk in range(self.levels + 1) for path in self.paths(self.most_paths, trunk))]
        found = {tuple(path[:end].tolist()) for path in whole for end in range(len(path))}
        return tuple(sorted(found, key=lambda context: (len(context), context)))

    def merged(self, target: Row, draft: Row) -> tuple[NestedTrees, Row, Row]:
        """The same trees in a smaller vocabulary, and the rows (N, V) of :attr:`contexts` in it.

        Tokens that no draft row proposes become one, the last: a solver meets them only in its residual, where their
        sum counts, so that what it accepts stays the same.  The canonical solver alone ranks them one by one, and must
        be asked for its values on the whole rows.
        """
        proposed = (draft > 0).any(axis=0)
        if proposed.all():
            return self, target, draft
        number = np.cumsum(proposed) - 1  # ascending, so that contexts keep their order
        smaller = replace(self, trunk=number[self.trunk], sides=number[self.sides])
        rest = target[:, ~proposed].sum(axis=1, keepdims=True)
        joined = np.concatenate([target[:, proposed], rest], axis=1)
        return smaller, joined, np.concatenate([draft[:, proposed], rest * 0], axis=1)

    def trees(self, target: Row, draft: Row) -> ActionTrees:
        """The deepest tree of every shape, from the rows (N, V) at :attr:`contexts`.

        What a leaf's rows are decides nothing that is accepted: in their place stand the root's target row, and none.
        """
        number = {context: row for row, context in enumerate(self.contexts)}

        def made(paths: NDArray[np.int64], trunk: int) -> DraftTree:
            return DraftTree.from_paths(paths, lambda context: target[number.get(context, 0)],
                                        lambda context: draft[number[context]], trunk)  # fmt: skip

        chain = made(self.trunk[None], len(self.trunk))
        return {(1, 0): chain} | {shape: made(self.paths(*shape), shape[1]) for shape in self._branching()}

    def _branching(self) -> Iterator[Shape]:
        """The shapes of several paths."""
        for paths, trunk in np.ndindex(self.most_paths - 1, self.levels + 1):
            yield paths + 2, trunk


def draw_nested(pair: Pair, rng: np.random.Generator, paths: int, levels: int, context: Context = ()) -> NestedTrees:
    """Nested trees drawn at a root with up to ``paths`` >= 1 paths, and ``levels`` >= 1.

    The pair's draft is asked for the rows of one depth together, and the target for nothing.
    """
    check_count("paths", paths, 1)
    check_count("levels", levels, 1)
    uniforms = rng.random((1 + (levels + 1) * (paths - 1), 2 * levels))
    trunk: list[int] = []
    sides: dict[Shape, list[int]] = {}
    for depth in range(2 * levels):
        if depth <= levels:
            sides |= {(depth, side): [] for side in range(paths - 1)}
        going = [(key, drawn) for key, drawn in sides.items() if len(drawn) < levels]
        below = [tuple(trunk), *((*trunk[: key[0]], *drawn) for key, drawn in going)]
        rows = pair.draft_rows([context + one for one in below])
        trunk.append(_drawn(rows[0], uniforms[0, depth]))
        for (key, drawn), row in zip(going, rows[1:], strict=True):
            drawn.append(_drawn(row, uniforms[1 + key[0] * (paths - 1) + key[1], depth]))
    shape = (levels + 1, paths - 1, levels)
    return NestedTrees(np.array(trunk), np.array(list(sides.values()), dtype=np.int64).reshape(shape))


def _drawn(row: Row, uniform: float) -> int:
    return int(draw(row, np.array([uniform]))[0])


def action_values(verifier: str | Verifier, trees: ActionTrees) -> Row:
    """(K, L + 1, L + 1) E[tau + 1] given the trees of every action, at [K - 1, L1, L2].

    One path, however it is parted, is a chain; so is a trunk without branches.  ``NaN`` where the verifier is lossless
    for chains alone.  All are read from the deepest trees.  A top-down rule reaches a depth whatever is drafted below
    it, so that a value is the one given the action's own tree; a bottom-up rule accepts a subtree with the weight that
    it was given in the mean over what is drafted in it, so that a value has the mean of the action's own.
    """
    entry = get_verifier(verifier)
    chain = entry.law(trees[1, 0]).reach
    levels = len(chain) // 2
    table = np.full((max(paths for paths, _ in trees), levels + 1, len(chain)), np.nan)
    table[0] = chain
    if entry.supports(Delayed(2, 0, 1)):
        for (paths, trunk), tree in trees.items():
            if paths > 1:
                table[paths - 1, trunk, : trunk + levels + 1] = entry.law(tree).reach
    return efficiencies_of(table, levels)


