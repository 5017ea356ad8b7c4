"""What a step computes: the draft's passes one after another, and the target's single pass over the tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..policies.arguments import get_policy
from ..policies.base import Policy
from ..policies.best_first import TopK
from ..policies.dyspec import DySpec
from ..policies.paths import Delayed
from ..policies.static import Static
from ..policies.top_plus_one import HubPairs, TopPlusOne
from ..policies.topologies import Topology
from ..rows.distributions import check_count
from ..rows.trees import DraftTree


@dataclass(frozen=True)
class Schedule:
    """The passes of one step.

    draft : how many tokens each pass of the draft feeds, in order; the first is the root's pass
    nodes : N, the tokens that the target's pass feeds, the root included
    """

    draft: tuple[int, ...]
    nodes: int

    def __post_init__(self) -> None:
        for name, new in (("nodes", self.nodes), *((f"draft[{row}]", new) for row, new in enumerate(self.draft))):
            if check_count(name, new, 0) < 1:
                raise ValueError(f"every pass must feed at least one token, but {name} is {new}")

    @classmethod
    def of_policy(cls, policy: str | Policy) -> Schedule:
        """The passes that a policy plans, as if no two draws agreed: eq. 11 of 2602.16994 for delayed trees.

        Raises ``ValueError`` for a policy whose passes depend on what is drawn: take those of its trees.
        """
        policy = get_policy(policy)
        if isinstance(policy, TopK):
            inner = (1, *[policy.k] * policy.depth)[: policy.depth]
            drafted = sum(policy.k * expanded for expanded in inner)
            return cls(inner, 1 + min(policy.budget, drafted))
        return cls.of_levels(_planned_levels(policy))

    @classmethod
    def of_drawn(cls, policy: Policy, tree: DraftTree) -> Schedule:
        """The passes of one tree of a policy, or of one that is deeper: as it is grown, not only as it looks.

        DySpec with a budget asks for one row at a time.  EAGLE-2's tree is drafted whole and cut.  All others are
        grown level by level; OPT-Tree's search reads some rows more than those of the nodes that it keeps, which are
        not counted.
        """
        if isinstance(policy, DySpec) and policy.budget is not None:
            return cls((1,) * sum(bool(listed) for listed in tree.child_lists), tree.size)
        if isinstance(policy, TopK):
            return cls(cls.of_policy(policy).draft, tree.size)
        return cls.of_tree(tree, policy.depth)

    @classmethod
    def of_levels(cls, levels: Sequence[tuple[int, int]]) -> Schedule:
        """The passes of a tree with so many (nodes, nodes with children) at depths 0, 1, ...: one pass per level."""
        return cls(tuple(inner for _, inner in levels if inner), sum(size for size, _ in levels))

    @classmethod
    def of_tree(cls, tree: DraftTree, depth: int | None = None) -> Schedule:
        """The passes of one tree that is grown level by level, as far as a depth; draws that agreed are one node."""
        inner = np.array([bool(listed) for listed in tree.child_lists])
        sizes, expanded = np.bincount(tree.depths).tolist(), np.bincount(tree.depths[inner]).tolist()
        levels = list(zip(sizes, [*expanded, *[0] * len(sizes)], strict=False))
        if depth is not None and depth < len(levels) - 1:
            levels = [*levels[:depth], (levels[depth][0], 0)]
        return cls.of_levels(levels)


def _planned_levels(policy: Policy) -> list[tuple[int, int]]:
    """(nodes, nodes with children) at every depth that the policy plans."""
    if isinstance(policy, Delayed):
        trunk = [1] * (policy.L1 + 1)
        return _all_inner(trunk + [policy.K] * policy.L2)
    if isinstance(policy, TopPlusOne | HubPairs):
        width = policy.m if isinstance(policy, TopPlusOne) else 2
        return _all_inner([width**level for level in range(policy.depth + 1)])
    if isinstance(policy, Static):
        return _topology_levels(policy.topology)
    raise ValueError(f"the passes of {policy.name} depend on what is drawn: take the schedules of its trees")


def _all_inner(widths: Sequence[int]) -> list[tuple[int, int]]:
    """Levels of given widths, on all of which but the last every node has children."""
    return [(width, width) for width in widths[:-1]] + [(widths[-1], 0)]


def _topology_levels(topology: Topology) -> list[tuple[int, int]]:
    levels, level = [], [topology]
    while level:
        levels.append((len(level), sum(bool(node.children) for node in level)))
        level = [child for node in level for child in node.children]
    return levels
