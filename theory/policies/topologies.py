"""Topologies: fixed tree shapes, as expansions, k-ary trees, parent lists, or a published default."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..rows.distributions import check_count
from ..rows.trees import NO_PARENT


@dataclass(frozen=True, repr=False)
class Topology:
    """A fixed tree shape, given by the sub-topologies of the root's children in draw order; hashable.

    ``Topology()`` is a single node.  The children of a node are told apart by their place alone, so two
    shapes are equal only if they agree child by child.
    """

    children: tuple[Topology, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.children, tuple) or not all(isinstance(child, Topology) for child in self.children):
            raise TypeError(f"children must be a tuple of topologies, but is {self.children!r}")
        for name in ("size", "depth", "width", "expansion", "_hash"):
            getattr(self, name)  # remembered now, from the children's: a deep shape needs no deep recursion

    @classmethod
    def from_expansion(cls, widths: Iterable[int]) -> Topology:
        """The shape in which every node of depth i has ``widths[i]`` children (SpecInfer's expansion, 2305.09781).

        Each width is at least 1; no widths at all give a single node.
        """
        shape = cls()
        for level, width in reversed(list(enumerate(widths))):
            shape = cls((shape,) * check_count(f"widths[{level}]", width, 1))
        return shape

    @classmethod
    def k_ary(cls, k: int, depth: int) -> Topology:
        """The shape in which every node above the given depth has k children; k >= 1, depth >= 0."""
        return cls.from_expansion((check_count("k", k, 1),) * check_count("depth", depth, 0))

    @classmethod
    def from_parents(cls, parents: Sequence[int]) -> Topology:
        """The shape of N nodes with the given parents, the children of a node in order of their numbers.

        ``parents[0]`` is -1, the root; every other entry is the number of an earlier node.  Raises
        ``ValueError`` that names the entry otherwise.
        """
        below: list[list[int]] = [[] for _ in parents]
        if not below or parents[0] != NO_PARENT:
            raise ValueError(f"parents must start with -1, the root, but are {list(parents)}")
        for node, parent in list(enumerate(parents))[1:]:
            if not 0 <= check_count(f"parents[{node}]", parent, 0) < node:
                raise ValueError(f"parents[{node}] is {parent}; it must lie in [0, {node})")
            below[parent].append(node)
        shapes: dict[int, Topology] = {}
        for node in reversed(range(len(below))):
            shapes[node] = cls(tuple(shapes[child] for child in below[node]))
        return shapes[0]

    @classmethod
    def from_ranks(cls, paths: Iterable[Sequence[int]]) -> Topology:
        """The shape whose nodes are the given paths of ranks: (1, 0) is the first child of the root's second.

        Raises ``ValueError`` for a path whose parent or whose earlier sibling is missing.
        """
        nodes = {tuple(path) for path in paths} - {()}
        for path in nodes:
            before = path[:-1] if path[-1] == 0 else (*path[:-1], path[-1] - 1)
            if before and before not in nodes:
                raise ValueError(f"paths holds {path}, but not {before}, which must stand before it")

        def shape(path: tuple[int, ...]) -> Topology:
            width = sum(len(other) == len(path) + 1 and other[:-1] == path for other in nodes)
            return cls(tuple(shape((*path, rank)) for rank in range(width)))

        return shape(())

    @cached_property
    def size(self) -> int:
        """N, the number of nodes, the root included."""
        return 1 + sum(child.size for child in self.children)

    @cached_property
    def depth(self) -> int:
        """L, the depth of the deepest node."""
        return max((child.depth + 1 for child in self.children), default=0)

    @cached_property
    def width(self) -> int:
        """The length of the longest child list."""
        return max(len(self.children), *(child.width for child in self.children), 0)

    @property
    def is_path(self) -> bool:
        """True if no node has more than one child."""
        return self.width <= 1

    @cached_property
    def expansion(self) -> tuple[int, ...] | None:
        """The widths that :meth:`from_expansion` makes the shape of, or None if nodes of one depth differ."""
        if not self.children:
            return ()
        if any(child != self.children[0] for child in self.children) or self.children[0].expansion is None:
            return None
        return (len(self.children), *self.children[0].expansion)

    @property
    def parents(self) -> tuple[int, ...]:
        """N entries, breadth first: each node's parent, -1 at the root."""
        parents, shapes = [NO_PARENT], [self]
        for node, shape in enumerate(shapes):  # the list grows while it is read
            shapes += shape.children
            parents += [node] * len(shape.children)
        return tuple(parents)

    @cached_property
    def _hash(self) -> int:
        return hash(self.children)

    def __hash__(self) -> int:
        """The hash of the children, computed once: shapes are keys of large tables."""
        return self._hash

    def __repr__(self) -> str:
        if self.expansion is not None:
            return f"Topology.from_expansion({self.expansion})"
        return f"Topology.from_parents({self.parents})"


EAGLE_TOPOLOGY = Topology.from_parents(
    (-1, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 5, 5, 6, 6, 7, 7, 8, 13, 13, 13, 21, 21)
)
"""EAGLE's default shape, 25 nodes below the root, depth 5 (2401.15077; ``mc_sim_7b_63`` in its public code)."""
