"""A draft tree on a device: the flat arrays of a tree with its rows as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from veridraft.theory.rows.trees import DraftTree

from ..models.backend import torch


@dataclass(frozen=True, eq=False)
class TensorTree:
    """A draft tree of N nodes whose rows are tensors on one device.

    tokens, parents : N integers; the root is node 0, with -1 for both; a parent stands before its children
    child_lists : N tuples of nodes in draw order, with multiplicity
    target, draft : (N, V) tensors of one floating type; the draft row of a leaf is never read
    sampled : N flags, whether the node was drawn (and not put there by rule); ``None`` if all were

    The shape is on the host, because the loop that grew it is; nothing is checked here, see ``DraftTree``.
    """

    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    child_lists: tuple[tuple[int, ...], ...]
    target: torch.Tensor
    draft: torch.Tensor
    sampled: tuple[bool, ...] | None = None

    @classmethod
    def from_theory(cls, tree: DraftTree, dtype: torch.dtype = torch.float64, device: str = "cpu") -> TensorTree:
        """The same tree on a device; its rows must not be Fractions."""
        target, draft = (torch.tensor(row, dtype=dtype, device=device) for row in (tree.target, tree.draft))
        tokens, parents = tuple(tree.tokens.tolist()), tuple(tree.parents.tolist())
        return cls(tokens, parents, tree.child_lists, target, draft, tuple(np.asarray(tree.sampled).tolist()))

    def to_theory(self) -> DraftTree:
        """The same tree in NumPy, float64, checked; on the CPU in float64 the rows are not copied."""
        target, draft = (rows.double().cpu().numpy() for rows in (self.target, self.draft))
        sampled = True if self.sampled is None else np.array(self.sampled)
        return DraftTree(np.array(self.tokens), np.array(self.parents), self.child_lists, target, draft, sampled)

    def is_sampled(self, node: int) -> bool:
        """Whether a node was drawn."""
        return self.sampled is None or self.sampled[node]

    @property
    def size(self) -> int:
        """N, the number of nodes, the root included."""
        return len(self.tokens)

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """N depths, 0 at the root."""
        depths = [0]
        for parent in self.parents[1:]:
            depths.append(depths[parent] + 1)
        return tuple(depths)

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """N tuples: the distinct children of a node, in order of first appearance in its list."""
        return tuple(tuple(dict.fromkeys(nodes)) for nodes in self.child_lists)

    def levels(self) -> tuple[tuple[int, ...], ...]:
        """The inner nodes (those with children), level by level from the root."""
        levels: list[list[int]] = [[] for _ in range(max(self.depths) + 1)]
        for node, listed in enumerate(self.child_lists):
            if listed:
                levels[self.depths[node]].append(node)
        return tuple(tuple(level) for level in levels if level)

    def post_order(self) -> tuple[int, ...]:
        """All nodes, each after its subtree, subtrees in list order."""
        order: list[int] = []
        stack = [0]
        while stack:  # the mirror image of the order wanted: a node, then its children from the last
            node = stack.pop()
            order.append(node)
            stack += self.children[node]
        return tuple(reversed(order))

    def path(self, node: int) -> tuple[int, ...]:
        """The nodes from below the root to ``node``."""
        nodes = []
        while node != 0:
            nodes.append(node)
            node = self.parents[node]
        return tuple(reversed(nodes))

    def tokens_at(self, nodes: Sequence[int]) -> tuple[int, ...]:
        """The tokens of some nodes."""
        return tuple(self.tokens[node] for node in nodes)
