"""A drafted tree in the shapes that engines use: first child and next sibling, or one path for every leaf."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from veridraft.theory.rows.distributions import NO_TOKEN

from ..batches.rows import Floats, Ints

NO_NODE = -1


@dataclass(frozen=True, eq=False)
class Tree:
    """A tree without equal siblings, as linked nodes; node 0 is the root, parents stand before children.

    target : (N, V); parents, tokens, first_child, next_sibling, depths : (N,), ``NO_NODE`` where there is none
    """

    target: Floats
    parents: Ints
    tokens: Ints
    first_child: Ints
    next_sibling: Ints
    depths: Ints

    @property
    def size(self) -> int:
        """N."""
        return len(self.tokens)

    @property
    def depth(self) -> int:
        """The depth of the deepest node; the root's is 0."""
        return int(self.depths.max())


def merged_tree(target: Any, parents: Any, tokens: Any) -> Tree:
    """The tree with equal siblings made one node: the first keeps its row, the others' children become its own.

    target : (N, V); parents, tokens : (N,).  Siblings stay in draw order.
    """
    rows, above, drawn = np.asarray(target, dtype=np.float64), np.asarray(parents), np.asarray(tokens)
    place = np.zeros(len(drawn), dtype=np.int64)  # of each given node, among those kept
    kept, found = [0], {}
    for node in range(1, len(drawn)):
        key = int(place[above[node]]), int(drawn[node])
        if key not in found:
            found[key] = len(kept)
            kept.append(node)
        place[node] = found[key]
    linked = np.array([NO_NODE, *(place[above[node]] for node in kept[1:])], dtype=np.int64)
    return Tree(rows[kept], linked, drawn[kept], *_links(linked))


def _links(parents: Ints) -> tuple[Ints, Ints, Ints]:
    """First child, next sibling and depth of every node, (N,) each."""
    first, following = np.full((2, len(parents)), NO_NODE)
    last, depths = first.copy(), np.zeros_like(first)
    for node in range(1, len(parents)):
        parent = parents[node]
        depths[node] = depths[parent] + 1
        if last[parent] == NO_NODE:
            first[parent] = node
        else:
            following[last[parent]] = node
        last[parent] = node
    return first, following, depths


def leaf_paths(parents: Any) -> Ints:
    """The nodes from the root to every leaf, (leaves, depth + 1), padded with ``NO_TOKEN`` behind; leaves in order."""
    above = np.asarray(parents)
    inner = set(above.tolist())
    paths = [_path(above, leaf) for leaf in range(len(above)) if leaf not in inner]
    width = max(map(len, paths))
    return np.array([path + [NO_TOKEN] * (width - len(path)) for path in paths], dtype=np.int64)


def _path(parents: Ints, node: int) -> list[int]:
    """The nodes from the root to this one."""
    path = [node]
    while path[-1]:
        path.append(int(parents[path[-1]]))
    return path[::-1]
