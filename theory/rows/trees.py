"""Draft trees: flat arrays, child lists with multiplicity, and the two rows at every node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import index

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..display.sheet import Sheet, Shown
from .distributions import NO_TOKEN, Row, check_count, check_entries, check_rows, check_sums, is_exact

NO_PARENT = -1
"""The parent of the root."""

MOST_LEAVES = 16
"""A broader tree is not drawn in a notebook."""

Context = tuple[int, ...]
"""A sequence of tokens."""

ChildList = tuple[int, ...]
"""Nodes drawn at one node, in draw order; a node drawn twice stands twice."""


@dataclass(frozen=True, eq=False)
class DraftTree(Shown):
    """A draft tree with the target's and the draft's next-token law at each of its N nodes.

    Fields
    ------
    tokens : (N,) int64, the token that leads to the node; ``NO_TOKEN`` at the root, node 0
    parents : (N,) int64, ``NO_PARENT`` at the root; a parent stands before its children
    child_lists : N tuples of nodes, in draw order, with multiplicity: two draws that agree put the same
        node in the list twice, one shared draw puts it there once
    target, draft : (N, V), float64 or Fractions, both in one arithmetic.  The draft row of a leaf is never
        read and may be all zeros.
    sampled : (N,) bool, whether the node was drawn from its parent's draft row (and not put there by rule)

    Everything is checked when the tree is built, so that no law needs to check again: ``ValueError``
    names the field, the row and the value.
    """

    tokens: NDArray[np.int64]
    parents: NDArray[np.int64]
    child_lists: tuple[ChildList, ...]
    target: Row
    draft: Row
    sampled: NDArray[np.bool_] | bool = True

    def __post_init__(self) -> None:
        _freeze(self, "tokens", np.asarray(self.tokens))
        _freeze(self, "parents", np.asarray(self.parents))
        _freeze(self, "child_lists", _as_lists(self.child_lists))
        _check_shape(self)
        _freeze(self, "sampled", _as_flags(self.sampled, len(self.child_lists)))
        _check_lists(self)
        _freeze(self, "target", check_rows("target", self.target, ndim=2))
        _freeze(self, "draft", check_entries("draft", self.draft, ndim=2))
        _check_row_fields(self)
        _check_tokens(self)

    @classmethod
    def from_paths(
        cls,
        paths: ArrayLike,
        target_row: Callable[[Context], Row],
        draft_row: Callable[[Context], Row],
        trunk: int = 0,
    ) -> DraftTree:
        """The tree of K paths (K, L) of tokens, merged where they agree.

        The first ``trunk`` tokens are one draw that all paths share: their child lists have length 1.
        Below them every path is a draw of its own, and paths that agree raise the multiplicity.
        ``target_row`` and ``draft_row`` give the (V,) row of a context below the root.
        """
        array = np.asarray(paths)
        if array.ndim != 2 or array.shape[0] == 0 or (array.size and array.dtype.kind not in "iu"):
            raise ValueError(
                f"paths must be integers of shape (K, L) with K >= 1, but have dtype {array.dtype} "
                f"and shape {array.shape}"
            )
        if check_count("trunk", trunk, 0) > array.shape[1]:
            raise ValueError(f"trunk is {trunk}, but the paths have {array.shape[1]} tokens")
        if (array[:, :trunk] != array[0, :trunk]).any():
            raise ValueError(f"paths must agree in their trunk of {trunk} tokens")
        return grow(_follow(array.tolist(), trunk), target_row, draft_row)

    @property
    def size(self) -> int:
        """N, the number of nodes, the root included."""
        return len(self.tokens)

    @property
    def vocabulary_size(self) -> int:
        """V, the length of a row."""
        return int(self.target.shape[1])

    @property
    def is_exact(self) -> bool:
        """True if the rows hold Fractions."""
        return is_exact(self.target)

    @property
    def is_path(self) -> bool:
        """True if no child list is longer than 1."""
        return all(len(nodes) <= 1 for nodes in self.child_lists)

    @cached_property
    def depths(self) -> NDArray[np.int64]:
        """(N,) the number of tokens below the root."""
        depths = np.zeros(self.size, dtype=np.int64)
        for node in range(1, self.size):
            depths[node] = depths[self.parents[node]] + 1
        return depths

    @cached_property
    def children(self) -> tuple[ChildList, ...]:
        """N tuples: the distinct children of each node, in order of first appearance in its list."""
        return tuple(tuple(dict.fromkeys(nodes)) for nodes in self.child_lists)

    def context(self, node: int) -> Context:
        """The tokens from the root to the node, the root's own context left out."""
        tokens = []
        while node != 0:
            tokens.append(int(self.tokens[node]))
            node = int(self.parents[node])
        return tuple(reversed(tokens))

    @property
    def leaves(self) -> int:
        """The number of nodes without children."""
        return sum(not nodes for nodes in self.child_lists)

    def svg(self, words: Sequence[str] | None = None) -> str:
        """The tree drawn, as SVG text; ``words`` (V,) are what tokens are called, else their numbers."""
        from .pictures import tree_svg

        return tree_svg(self, words)

    def sheet(self) -> Sheet:
        """The tree, drawn unless it is broad, and its nodes: in a notebook, and as a DataFrame."""
        drawn = Counter(node for nodes in self.child_lists for node in nodes)
        columns = {
            "node": range(self.size), "token": [None, *self.tokens[1:].tolist()],
            "parent": [None, *self.parents[1:].tolist()], "depth": self.depths.tolist(),
            "drawn": [None, *(drawn[node] for node in range(1, self.size))],
        }  # fmt: skip
        rows = "Fractions" if self.is_exact else "float64"
        title = f"Draft tree: {self.size - 1} drafted tokens, depth {self.depths.max()}"
        facts = (("rows", f"{rows}, {self.vocabulary_size:,} tokens"),)
        return Sheet(title, facts, picture=self.svg() if self.leaves <= MOST_LEAVES else "", columns=columns)

    def post_order(self) -> tuple[int, ...]:
        """All nodes, each after its whole subtree, subtrees in list order: the order of bottom-up decisions."""
        order, waiting = [], [0]
        while waiting:  # the mirror image of the order: a node, then its children from the last
            order.append(waiting.pop())
            waiting += self.children[order[-1]]
        return tuple(reversed(order))


Grower = Callable[[Context], tuple[Sequence[int], Sequence[bool]]]
"""At a context below the root: the child list, as tokens with multiplicity (empty at a leaf), and for each
distinct child whether it was drawn."""


def grow(
    child_list: Grower, target_row: Callable[[Context], Row], draft_row: Callable[[Context], Row]
) -> DraftTree:
    """The tree that ``child_list`` unfolds, breadth first, with the rows of every node's context."""
    contexts: list[Context] = [()]
    tokens, parents, lists, sampled = [NO_TOKEN], [NO_PARENT], [], [True]
    for node, context in enumerate(contexts):  # the list grows while it is read
        drawn, flags = child_list(context)
        found = {int(token): len(contexts) + index for index, token in enumerate(dict.fromkeys(drawn))}
        contexts += [(*context, token) for token in found]
        tokens += found
        parents += [node] * len(found)
        sampled += flags
        lists.append(tuple(found[int(token)] for token in drawn))
    target = _stacked("target", [target_row(context) for context in contexts])
    unread = target[0] * 0  # a leaf's draft row: the draft is not asked for it
    rows = [draft_row(context) if drawn else unread for context, drawn in zip(contexts, lists, strict=True)]
    draft = _stacked("draft", rows)
    return DraftTree(np.array(tokens), np.array(parents), tuple(lists), target, draft, np.array(sampled))


def _stacked(name: str, rows: Sequence[Row]) -> Row:
    """The rows as one array; raises for the first row of another length."""
    for node, row in enumerate(rows):
        if np.shape(row) != np.shape(rows[0]):
            raise ValueError(f"{name} row {node} has shape {np.shape(row)}, but row 0 has shape {np.shape(rows[0])}")
    return np.stack([np.asarray(row) for row in rows])


def _follow(paths: list[list[int]], trunk: int) -> Grower:
    """The child lists of the given paths: one draw in the trunk, below it one for each path."""

    def child_list(context: Context) -> tuple[list[int], list[bool]]:
        depth = len(context)
        drawn = [path[depth] for path in paths if tuple(path[:depth]) == context and len(path) > depth]
        drawn = drawn[:1] if depth < trunk else drawn
        return drawn, [True] * len(set(drawn))

    return child_list


def _freeze(tree: DraftTree, name: str, value: object) -> None:
    """Set a field of the frozen tree; an array is made read-only without touching the caller's."""
    if isinstance(value, np.ndarray):
        value = value.view()
        value.flags.writeable = False
    object.__setattr__(tree, name, value)


def _as_lists(child_lists: Sequence[Sequence[int]]) -> tuple[ChildList, ...]:
    """The child lists with plain integers; raises for anything else in them."""
    try:
        return tuple(tuple(index(node) for node in nodes) for nodes in child_lists)
    except TypeError as error:
        raise TypeError(f"child_lists must be N sequences of node numbers: {error}") from None


def _as_flags(sampled: ArrayLike, count: int) -> NDArray[np.bool_]:
    """``sampled`` as (N,) booleans; one flag stands for all."""
    flags = np.asarray(sampled)
    if flags.shape not in ((), (count,)) or flags.dtype != bool:
        raise ValueError(
            f"sampled must be booleans of shape (N,) = ({count},), but has dtype {flags.dtype} and shape {flags.shape}"
        )
    return np.broadcast_to(flags, (count,))


def _check_shape(tree: DraftTree) -> None:
    """Raise unless tokens, parents and child lists speak of the same N nodes."""
    count = len(tree.child_lists)
    for name in ("tokens", "parents"):
        array = getattr(tree, name)
        if array.shape != (count,) or count == 0 or array.dtype.kind not in "iu":
            raise ValueError(
                f"{name} must be integers of shape (N,) = ({count},) with N >= 1, as many as child_lists; "
                f"they have dtype {array.dtype} and shape {array.shape}"
            )
    if tree.tokens[0] != NO_TOKEN or tree.parents[0] != NO_PARENT:
        raise ValueError(
            f"node 0 is the root: its token and parent must be -1, but are {tree.tokens[0]} and {tree.parents[0]}"
        )


def _check_lists(tree: DraftTree) -> None:
    """Raise unless parents stand before children and each node is in its parent's list, and no other."""
    for node in range(1, len(tree.tokens)):
        if not 0 <= tree.parents[node] < node:
            raise ValueError(f"parents row {node} is {tree.parents[node]}; it must lie in [0, {node})")
    for node, listed in enumerate(tree.child_lists):
        children = set(np.flatnonzero(tree.parents == node).tolist())
        if set(listed) != children:
            raise ValueError(f"child_lists row {node} is {listed}, but its children are {sorted(children)}")
        tokens = tree.tokens[sorted(children)]
        if len(set(tokens.tolist())) != len(children):
            raise ValueError(f"children of node {node} share a token: {tokens.tolist()}; equal tokens are one node")


def _check_row_fields(tree: DraftTree) -> None:
    """Raise unless both row fields are (N, V), in one arithmetic, and the draft rows that are read sum to 1."""
    if tree.target.shape != tree.draft.shape or len(tree.target) != tree.size:
        raise ValueError(
            f"target and draft must both be (N, V) with N = {tree.size}, "
            f"but have shapes {tree.target.shape} and {tree.draft.shape}"
        )
    if is_exact(tree.target) != is_exact(tree.draft):
        raise TypeError("target and draft must be in one arithmetic: both float64, or both Fractions")
    read = [bool(listed) or bool(row.any()) for listed, row in zip(tree.child_lists, tree.draft, strict=True)]
    check_sums("draft", tree.draft, np.array(read))


def _check_tokens(tree: DraftTree) -> None:
    """Raise for a token outside the vocabulary, or a sampled one that the draft cannot have drawn."""
    for node in range(1, tree.size):
        token, parent = int(tree.tokens[node]), int(tree.parents[node])
        if not 0 <= token < tree.vocabulary_size:
            raise ValueError(f"tokens row {node} is {token}; it must lie in [0, {tree.vocabulary_size})")
        if tree.sampled[node] and tree.draft[parent, token] == 0:  # type: ignore[index]
            raise ValueError(
                f"tokens row {node} is {token}, but the draft row {parent} gives that token probability 0: "
                "it cannot have been sampled"
            )
