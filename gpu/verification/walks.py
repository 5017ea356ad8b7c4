"""Decisions where reading is free: each tree's coins lead from node to node, and only nodes that they reach are solved.

A generator walks one tree and holds its coins against what the solver says.  The other way, all nodes of a level for
all trees without a look at any number, is in :mod:`.lifts`; solvers, hazards and coins are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..models.backend import torch
from ..trees.tree_batch import NONE, TreeBatch
from .nodes import Node, Number, Tensor, largest
from .solvers import Solver, hazards, stop_chance

Mark = tuple[Number, ...]
"""What a node is told by its parent: its weight first."""


class Solved(NamedTuple):
    """A node's branching: the hazard of each place of its list, the chance to stop after them, the residual (V,)."""

    hazards: list[float]
    chance: float
    residual: Tensor


Walk = Generator[tuple[int, Mark], Any, tuple[int, "Tensor | None"]]
"""A walk over one tree: asks what is decided at a column with a mark, and returns the accepted column and its residual,
``None`` for the target's row."""

Walker = Callable[[Sequence[Sequence[int]], Sequence[float]], Walk]
"""From the child lists of a tree, as columns, and its coins to a walk."""


def solved_by(solver: Solver) -> Callable[[Node, Mark], Solved]:
    """What a solver decides at a node."""

    def solved(node: Node, mark: Mark) -> Solved:
        branching = solver(node)
        return Solved(hazards(branching), stop_chance(branching), branching.residual)

    return solved


def from_the_root(lists: Sequence[Sequence[int]], coins: Sequence[float]) -> Walk:
    """Go to the first child whose coin is below its hazard, and end where there is none."""
    node, residual = 0, None
    while lists[node]:
        solved = yield node, (1.0,)
        places = zip(lists[node], solved.hazards, strict=True)
        entered = next((child for child, hazard in places if coins[child] < hazard), NONE)
        if entered == NONE:
            residual = solved.residual
            break
        node = entered
    return node, residual


def from_the_leaves(lists: Sequence[Sequence[int]], coins: Sequence[float]) -> Walk:
    """The first node that its coin accepts, depth first, children before their parent: a hazard is a child's weight.

    Of a subtree of weight 0 nothing is accepted.  The root is never rejected but by rounding.
    """
    node, weight, opened = 0, 1.0, []
    while True:
        if weight and lists[node]:
            solved = yield node, (weight,)
            opened.append((node, solved, zip(lists[node], solved.hazards, strict=True)))
        elif coins[node] < weight:
            return node, None
        while (below := next(opened[-1][2], None)) is None:  # the children have passed
            here, solved, _ = opened.pop()
            if coins[here] < solved.chance or not opened:
                return here, solved.residual
        node, weight = below


def walk_all(
    walker: Walker, decide: Callable[[Node, Mark], Any], batch: TreeBatch, coins: Tensor
) -> tuple[Tensor, Tensor]:
    """The accepted columns (B,) of all trees, and (B, V) the masses of the next tokens there; coins (B, N)."""
    columns, masses = [], []
    for number, own in enumerate(coins.tolist()):
        tree = _Tree.of(batch, number)
        column, residual = _end_of(walker(tree.lists, own), tree, decide)
        columns.append(column)
        masses.append(tree.target[column] if residual is None or largest(residual) <= 0 else residual)
    return torch.tensor(columns, device=coins.device), masses[0][None] if len(masses) == 1 else torch.stack(masses)


@dataclass(frozen=True, eq=False)
class _Tree:
    """One tree of a batch: child lists and tokens on the host, rows (N, V) and (M, V) as they are."""

    lists: list[list[int]]
    tokens: list[int]
    target: Tensor
    draft: Tensor

    @classmethod
    def of(cls, batch: TreeBatch, number: int) -> _Tree:
        lists = [[child for child in row if child != NONE] for row in batch.lists[number].tolist()]
        lists += [[]] * (batch.columns - len(lists))
        return cls(lists, batch.tokens[number].tolist(), batch.target[number], batch.draft[number])

    def node(self, column: int, weight: float) -> Node:
        """A node above the last level."""
        tokens = [self.tokens[child] for child in self.lists[column]]
        return Node(self.target[column], self.draft[column], tokens, weight)


def _end_of(walk: Walk, tree: _Tree, decide: Callable[[Node, Mark], Any]) -> tuple[int, Tensor | None]:
    """Where a walk ends that is told what it asks for."""
    decision = None
    while True:
        try:
            column, mark = walk.send(decision)
        except StopIteration as end:
            return end.value
        decision = decide(tree.node(column, mark[0]), mark)
