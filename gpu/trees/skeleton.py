"""Shapes that are known before anything is drawn: how a batch of trees can be drafted without reading it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Delayed
from veridraft.theory.policies.static import Static
from veridraft.theory.policies.top_plus_one import HubPairs, TopPlusOne
from veridraft.theory.policies.topologies import Topology

from .tree_batch import NONE


class ChildDraw(Enum):
    """How the children of a node are drawn."""

    INDEPENDENT = "independent draws; equal ones are one node"
    SUCCESSIVE = "draws without replacement"
    TOP_PLUS_ONE = "the top tokens and one draw"
    HUB_PAIR = "the top token paired with one draw"


@dataclass(frozen=True)
class Skeleton:
    """The most nodes that a tree of a policy can have, level by level, one column for each draw.

    parents : N columns; ``NONE`` at the root; columns of a level in the order of their parents, siblings in draw order
    starts : D + 2 column numbers, as in :class:`.TreeBatch`
    """

    parents: tuple[int, ...]
    starts: tuple[int, ...]
    drawing: ChildDraw

    @property
    def columns(self) -> int:
        """N, the number of columns."""
        return len(self.parents)

    @property
    def depth(self) -> int:
        """D, the number of levels below the root."""
        return len(self.starts) - 2

    @property
    def merges(self) -> bool:
        """True if two columns can be one node."""
        return self.drawing is ChildDraw.INDEPENDENT and any(len(below) > 1 for below in self.children)

    @property
    def can_be_short(self) -> bool:
        """True if a column can be without a node: equal draws, or nothing left to draw."""
        return self.merges or self.drawing is not ChildDraw.INDEPENDENT

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """N tuples of columns."""
        below: list[list[int]] = [[] for _ in self.parents]
        for column, parent in enumerate(self.parents[1:], start=1):
            below[parent].append(column)
        return tuple(map(tuple, below))

    @cached_property
    def fed(self) -> tuple[int, ...]:
        """N places: which of the tokens given to the draft after the root a column is; ``NONE`` for leaves."""
        inner = [column for column in range(1, self.columns) if self.children[column]]
        place = {column: number for number, column in enumerate(inner)}
        return tuple(place.get(column, NONE) for column in range(self.columns))

    def level(self, depth: int) -> range:
        """The columns of a level."""
        return range(self.starts[depth], self.starts[depth + 1])

    def span(self, depth: int) -> slice:
        """The columns of a level, as a slice."""
        return slice(self.starts[depth], self.starts[depth + 1])

    def table(self, depth: int) -> list[list[int]]:
        """(W, C) the children of a level's columns, padded with ``NONE``."""
        rows = [self.children[column] for column in self.level(depth)]
        width = max(map(len, rows))
        return [[*row, *[NONE] * (width - len(row))] for row in rows]

    def widths(self) -> tuple[int, ...]:
        """D numbers: the longest child list that a level can have; merged columns pool their draws."""
        longest = [max(map(len, (self.children[column] for column in self.level(d)))) for d in range(self.depth)]
        return tuple(len(self.level(d + 1)) if self.merges else width for d, width in enumerate(longest))


def skeleton_of(policy: Policy, vocabulary_size: int) -> Skeleton | None:
    """The skeleton of a policy, or ``None`` for one whose shape follows from what is drawn."""
    if isinstance(policy, Delayed):
        return _delayed(policy)
    if isinstance(policy, Static):
        kind = ChildDraw.INDEPENDENT if policy.replacement else ChildDraw.SUCCESSIVE
        return _of_topology(policy.topology, kind)
    if isinstance(policy, TopPlusOne) and policy.m <= vocabulary_size:
        return _full(policy.m, policy.depth, ChildDraw.TOP_PLUS_ONE)
    if isinstance(policy, HubPairs) and vocabulary_size > 1:
        return _full(2, policy.depth, ChildDraw.HUB_PAIR)
    return None


def _delayed(policy: Delayed) -> Skeleton:
    """A trunk, then paths side by side."""
    if not policy.L2:
        return _of_widths([1] * (policy.L1 + 1), ChildDraw.INDEPENDENT)
    return _of_widths([1] * (policy.L1 + 1) + [policy.K] * policy.L2, ChildDraw.INDEPENDENT)


def _full(width: int, depth: int, drawing: ChildDraw) -> Skeleton:
    """Every node above the last level has the same number of children."""
    return _of_widths([width**level for level in range(depth + 1)], drawing)


def _of_widths(widths: Sequence[int], drawing: ChildDraw) -> Skeleton:
    """Levels of given widths, each spread evenly over the one above."""
    starts = tuple(sum(widths[:level]) for level in range(len(widths) + 1))
    parents = [NONE]
    for depth in range(1, len(widths)):
        each = widths[depth] // widths[depth - 1]
        parents += [starts[depth - 1] + place // each for place in range(widths[depth])]
    return Skeleton(tuple(parents), starts, drawing)


def _of_topology(topology: Topology, drawing: ChildDraw) -> Skeleton:
    """Breadth first."""
    parents, starts = [NONE], [0]
    level = [(0, topology)]
    while level:
        starts.append(starts[-1] + len(level))
        below = [(column, child) for column, node in level for child in node.children]
        parents += [column for column, _ in below]
        level = [(starts[-1] + place, child) for place, (_, child) in enumerate(below)]
    return Skeleton(tuple(parents), tuple(starts), drawing)
