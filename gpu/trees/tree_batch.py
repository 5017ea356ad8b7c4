"""Draft trees of several requests as tensors of one shape: the form in which the device verifies them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ..models.backend import torch
from .tensor_tree import TensorTree

NONE = -1
"""No parent, no token, no further entry of a child list."""

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class TreeBatch:
    """B trees, laid out level by level in the same N columns; column 0 is every root.

    tokens, parents : (B, N) integers; ``NONE`` at roots and at columns where a tree has no node
    lists : (B, M, K) the child list of each of the M columns above the last level, as columns, in draw order and
        with multiplicity, padded with ``NONE``; empty where a tree has no node, or a leaf
    starts : D + 2 column numbers: level d is ``starts[d]`` to ``starts[d + 1]``, and M is ``starts[D]``
    widths : D numbers, the longest child list at each level above the last
    target : (B, N, V); draft : (B, M, V); a row where there is no node is anything finite, or zeros
    sampled : (B, N) bool, whether the node was drawn and not put there by rule

    A loop over levels has D turns whatever the trees are, and nothing has to be read back to run it.
    """

    tokens: Tensor
    parents: Tensor
    lists: Tensor
    starts: tuple[int, ...]
    widths: tuple[int, ...]
    target: Tensor
    draft: Tensor
    sampled: Tensor

    @property
    def size(self) -> int:
        """B, the number of trees."""
        return self.tokens.shape[0]

    @property
    def columns(self) -> int:
        """N, the number of columns."""
        return self.tokens.shape[1]

    @property
    def depth(self) -> int:
        """D, the number of levels below the root."""
        return len(self.starts) - 2

    @cached_property
    def rows(self) -> Tensor:
        """(B, 1): 0, 1, ..., B - 1, to pick a column of each tree with."""
        return torch.arange(self.size, device=self.tokens.device)[:, None]

    def level(self, depth: int) -> slice:
        """The columns of a level."""
        return slice(self.starts[depth], self.starts[depth + 1])

    def level_lists(self, depth: int) -> Tensor:
        """(B, W, K) the child lists at a level above the last, as columns."""
        return self.lists[:, self.level(depth), : self.widths[depth]]

    def tokens_of(self, columns: Tensor) -> Tensor:
        """(B, ...) the tokens of columns (B, ...), ``NONE`` for ``NONE``."""
        flat = columns.flatten(1)
        found = torch.where(flat == NONE, NONE, self.tokens.gather(1, flat.clamp(min=0)))
        return found.view(columns.shape)

    def paths(self, columns: Tensor) -> Tensor:
        """(B, D) the columns on the way from below the root to a column (B,) of each tree, then ``NONE``."""
        up, node = [], columns
        for _ in range(self.depth):
            up.append(node)
            node = self.parents.gather(1, node[:, None])[:, 0].clamp(min=0)
        climbed = torch.stack(up, dim=1) if up else columns[:, None][:, :0]  # node, parent, ..., root, root
        depths = (climbed > 0).sum(dim=1, keepdim=True)
        places = torch.arange(self.depth, device=columns.device)[None]
        ordered = climbed.gather(1, (depths - 1 - places).clamp(min=0))
        return torch.where(places < depths, ordered, NONE)

    def ancestors(self) -> Tensor:
        """(B, N, N) bool: which columns each column descends from, itself included."""
        columns = torch.arange(self.columns, device=self.tokens.device)
        above = columns.expand_as(self.tokens)
        seen = above[..., None] == columns
        for _ in range(self.depth):
            above = torch.where(above == NONE, NONE, self.parents.gather(1, above.clamp(min=0)))
            seen = seen | (above[..., None] == columns)
        return seen

    def tree(self, number: int) -> TensorTree:
        """One of the trees, without the columns in which it has no node; its shape is read back."""
        return _narrowed(self, number, self.nodes(number))

    def nodes(self, number: int) -> list[int]:
        """The columns that are nodes of one of the trees, ascending."""
        return [0, *torch.nonzero(self.parents[number] != NONE)[:, 0].tolist()]


def _narrowed(batch: TreeBatch, number: int, columns: list[int]) -> TensorTree:
    """The tree in some columns."""
    place = {column: node for node, column in enumerate(columns)} | {NONE: NONE}
    tokens, parents = (tensor[number, columns].tolist() for tensor in (batch.tokens, batch.parents))
    inner = [column for column in columns if column < batch.starts[-2]]
    listed = batch.lists[number, inner].tolist() if inner else []
    lists = [tuple(place[child] for child in row if child != NONE) for row in listed]
    lists += [()] * (len(columns) - len(inner))
    draft = torch.zeros_like(batch.target[number, columns])
    for node, column in enumerate(inner):
        if lists[node]:
            draft[node] = batch.draft[number, column]
    rows = batch.target[number, columns], draft
    sampled = tuple(batch.sampled[number, columns].tolist())
    return TensorTree(tuple(tokens), tuple(place[parent] for parent in parents), tuple(lists), *rows, sampled)


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the nodes of trees of any shapes lie in a batch.

    ``columns`` holds, for each tree, the column of each of its nodes; ``starts`` as in :class:`TreeBatch`.
    """

    columns: tuple[tuple[int, ...], ...]
    starts: tuple[int, ...]

    @classmethod
    def of(cls, trees: Sequence[TensorTree]) -> Layout:
        """Levels as wide as the widest tree needs them; the nodes of a level keep their order."""
        depth = max(max(tree.depths) for tree in trees)
        widths = [max(tree.depths.count(level) for tree in trees) for level in range(depth + 1)]
        starts = tuple(sum(widths[:level]) for level in range(depth + 2))
        return cls(tuple(_columns(tree, starts) for tree in trees), starts)


def _columns(tree: TensorTree, starts: Sequence[int]) -> tuple[int, ...]:
    """The column of each node, the levels filled from their start."""
    used, columns = list(starts), []
    for depth in tree.depths:
        columns.append(used[depth])
        used[depth] += 1
    return tuple(columns)


def batched(trees: Sequence[TensorTree], layout: Layout | None = None) -> TreeBatch:
    """The trees as one batch, on their device and in their type; all must have the same V."""
    layout = layout or Layout.of(trees)
    count, inner = layout.starts[-1], layout.starts[-2]
    width = max((len(listed) for tree in trees for listed in tree.child_lists), default=0)
    tokens, parents, sampled = ([[fill] * count for _ in trees] for fill in (NONE, NONE, True))
    lists = [[[NONE] * width for _ in range(inner)] for _ in trees]
    for number, (tree, columns) in enumerate(zip(trees, layout.columns, strict=True)):
        for node, column in enumerate(columns):
            tokens[number][column] = tree.tokens[node]
            parents[number][column] = columns[tree.parents[node]] if node else NONE
            sampled[number][column] = tree.is_sampled(node)
            for place, child in enumerate(tree.child_lists[node]):
                lists[number][column][place] = columns[child]
    device = trees[0].target.device
    shape = (len(trees), inner, width)
    return TreeBatch(
        torch.tensor(tokens, device=device),
        torch.tensor(parents, device=device),
        torch.tensor(lists, device=device, dtype=torch.long).view(shape),
        layout.starts,
        _widths(trees, layout),
        _spread([tree.target for tree in trees], layout, count),
        _spread([tree.draft for tree in trees], layout, inner),
        torch.tensor(sampled, device=device),
    )


def _widths(trees: Sequence[TensorTree], layout: Layout) -> tuple[int, ...]:
    """The longest child list at each level above the last."""
    widths = [0] * (len(layout.starts) - 2)
    for tree in trees:
        for node, listed in enumerate(tree.child_lists):
            if listed:
                widths[tree.depths[node]] = max(widths[tree.depths[node]], len(listed))
    return tuple(widths)


def _spread(rows: Sequence[Tensor], layout: Layout, count: int) -> Tensor:
    """(B, count, V) the rows of each tree in their columns, those beyond ``count`` left out; one tree is not copied."""
    if len(rows) == 1 and layout.columns[0] == tuple(range(len(rows[0]))):
        return rows[0][None, :count]
    out = rows[0].new_zeros((len(rows), count, rows[0].shape[1]))
    for number, columns in enumerate(layout.columns):
        kept = [node for node, column in enumerate(columns) if column < count]
        out[number, [columns[node] for node in kept]] = rows[number][kept]
    return out
