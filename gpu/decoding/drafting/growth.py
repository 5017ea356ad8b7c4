"""Drafting for a batch: every level of all trees drawn on the device, and nothing read back until the step ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ...models.backend import torch
from ...trees.skeleton import Skeleton
from ...trees.tree_batch import NONE, TreeBatch
from .child_draws import DRAWS

Tensor = torch.Tensor

Feed = Callable[[Tensor, int, Tensor], Tensor]
"""Tokens (B, n), how many were fed before, what each sees (B, n, u): their rows (B, n, V)."""


@dataclass(frozen=True, eq=False)
class Drafted:
    """Trees as they were drafted: their target rows are still to come.

    batch : with an empty ``target``
    fed : (B, N) which of the tokens given to the draft after the root a column is; ``NONE`` if it was not given
    coin_of : (B, N) which of its request's coins decides a column; coin 0 is the next token's
    coins : how many coins a request needs, for each request
    """

    batch: TreeBatch
    fed: Tensor
    coin_of: Tensor
    coins: Sequence[int]


@dataclass
class _Growth:
    """A batch of trees while it grows, column by column of a skeleton."""

    skeleton: Skeleton
    tokens: Tensor
    sampled: Tensor
    node: Tensor
    rows: list[Tensor]

    @classmethod
    def at_root(cls, skeleton: Skeleton, root_rows: Tensor) -> _Growth:
        shape, device = (len(root_rows), skeleton.columns), root_rows.device
        tokens = torch.full(shape, NONE, device=device)
        node = torch.full(shape, NONE, device=device)
        node[:, 0] = 0
        return cls(skeleton, tokens, torch.ones(shape, dtype=torch.bool, device=device), node, [root_rows[:, None]])

    def parents(self, depth: int) -> Tensor:
        """(B, W) the node of the parent of each column of a level."""
        return self.node[:, _parents(self.skeleton, depth, self.node.device)]


def grow_batch(skeleton: Skeleton, root_rows: Tensor, uniforms: Tensor, feed: Feed) -> Drafted:
    """Trees drawn at B roots, whose draft rows are (B, V), with one uniform (B, N) for each column.

    Each token is drawn from the very row that the batch keeps for its parent.
    """
    growth = _Growth.at_root(skeleton, root_rows)
    for depth in range(skeleton.depth):
        _draw_level(growth, depth, uniforms)
        _join_level(growth, depth + 1)
        if depth + 1 < skeleton.depth:
            growth.rows.append(_rows_of_level(growth, depth + 1, feed))
    return _finished(growth)


def _draw_level(growth: _Growth, depth: int, uniforms: Tensor) -> None:
    """Draw the children of a level's columns; tokens stay ``NONE`` where there is nothing to draw."""
    skeleton, here, below = growth.skeleton, growth.skeleton.span(depth), growth.skeleton.span(depth + 1)
    table, places = _table(skeleton, depth, uniforms.device), _places(skeleton, depth, uniforms.device)
    rows, nodes = growth.rows[depth], growth.node[:, here]
    if skeleton.merges and depth:
        rows = rows.gather(1, (nodes - here.start).clamp(min=0)[..., None].expand_as(rows))
    chosen = uniforms[:, table.clamp(min=0)].flatten(0, 1).to(rows.dtype)
    tokens, drawn = DRAWS[skeleton.drawing](rows.flatten(0, 1), chosen)
    shape = len(nodes), *table.shape
    tokens = torch.where((nodes != NONE)[..., None], tokens.view(shape), NONE)
    growth.tokens[:, below] = tokens.flatten(1)[:, places]
    growth.sampled[:, below] = drawn.view(shape).flatten(1)[:, places]


def _join_level(growth: _Growth, depth: int) -> None:
    """Say for each column of a level which column its node is: the first with the same parent and token."""
    span = growth.skeleton.span(depth)
    own = torch.arange(span.start, span.stop, device=growth.node.device)
    if not growth.skeleton.can_be_short:
        growth.node[:, span] = own
        return
    parents, tokens = growth.parents(depth), growth.tokens[:, span]
    own = own.expand_as(tokens)
    if growth.skeleton.merges:
        same = (parents[:, :, None] == parents[:, None]) & (tokens[:, :, None] == tokens[:, None])
        own = same.to(torch.int8).argmax(dim=2) + span.start
    growth.node[:, span] = torch.where((parents != NONE) & (tokens != NONE), own, NONE)


def _rows_of_level(growth: _Growth, depth: int, feed: Feed) -> Tensor:
    """(B, W, V) the draft's rows at a level, by one pass over its inner columns; zeros at leaves."""
    skeleton, span = growth.skeleton, growth.skeleton.span(depth)
    inner = _inner(skeleton, depth, growth.tokens.device)
    tokens = growth.tokens[:, inner].clamp(min=0)
    visible = _visible(skeleton, depth, tokens.device).expand(len(tokens), -1, -1)
    rows = feed(tokens, visible.shape[2] - visible.shape[1], visible)
    if rows.shape[1] == span.stop - span.start:
        return rows
    out = rows.new_zeros((len(rows), span.stop - span.start, rows.shape[2]))
    out[:, inner - span.start] = rows
    return out


@lru_cache(maxsize=256)
def _table(skeleton: Skeleton, depth: int, device: torch.device) -> Tensor:
    """(W, C) the children of a level's columns, padded with ``NONE``."""
    return torch.tensor(skeleton.table(depth), device=device)


@lru_cache(maxsize=256)
def _places(skeleton: Skeleton, depth: int, device: torch.device) -> Tensor:
    """Where in the flattened table the columns of the next level stand, in their order."""
    table = torch.tensor(skeleton.table(depth)).flatten()
    return torch.nonzero(table != NONE)[:, 0].to(device)


@lru_cache(maxsize=256)
def _parents(skeleton: Skeleton, depth: int, device: torch.device) -> Tensor:
    """(W,) the columns above those of a level."""
    return torch.tensor([skeleton.parents[column] for column in skeleton.level(depth)], device=device)


@lru_cache(maxsize=256)
def _inner(skeleton: Skeleton, depth: int, device: torch.device) -> Tensor:
    """The columns of a level that have children."""
    return torch.tensor([column for column in skeleton.level(depth) if skeleton.children[column]], device=device)


@lru_cache(maxsize=256)
def _fed(skeleton: Skeleton, device: torch.device) -> Tensor:
    """(N,) the skeleton's ``fed``."""
    return torch.tensor(skeleton.fed, device=device)


@lru_cache(maxsize=256)
def _visible(skeleton: Skeleton, depth: int, device: torch.device) -> Tensor:
    """(n, u) bool: which of the u columns fed so far each of a level's n inner columns descends from."""
    order = [column for column in range(1, skeleton.starts[depth + 1]) if skeleton.fed[column] != NONE]
    inner = [column for column in order if column >= skeleton.starts[depth]]
    return torch.tensor([[_descends(skeleton, column, other) for other in order] for column in inner], device=device)


def _descends(skeleton: Skeleton, column: int, other: int) -> bool:
    """True if a column is another, or below it."""
    while column > other:
        column = skeleton.parents[column]
    return column == other


def _finished(growth: _Growth) -> Drafted:
    """The trees, with the lists of the nodes and without what merged columns repeat."""
    skeleton, node = growth.skeleton, growth.node
    own = torch.arange(skeleton.columns, device=node.device).expand_as(node)
    draft = torch.cat(growth.rows, dim=1)[:, : skeleton.starts[-2]]
    batch = TreeBatch(
        *(_shaped(growth, own) if skeleton.can_be_short else _whole(growth)),
        skeleton.starts,
        skeleton.widths(),
        draft[:, :0],
        draft,
        growth.sampled,
    )
    return Drafted(batch, _fed(skeleton, node.device).expand_as(node), own + 1, [skeleton.columns + 1] * len(node))


def _whole(growth: _Growth) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, parents and lists where every column is a node: those of the skeleton."""
    skeleton, count = growth.skeleton, len(growth.node)
    parents, lists = _shape(skeleton, growth.node.device)
    return growth.tokens, parents.expand(count, -1), lists.expand(count, -1, -1)


@lru_cache(maxsize=256)
def _shape(skeleton: Skeleton, device: torch.device) -> tuple[Tensor, Tensor]:
    """(N,) parents and (M, K) lists of a skeleton all of whose columns are nodes."""
    width = max(skeleton.widths(), default=0)
    rows = [[*below, *[NONE] * (width - len(below))] for below in skeleton.children[: skeleton.starts[-2]]]
    lists = torch.tensor(rows, dtype=torch.long, device=device).view(len(rows), width)
    return torch.tensor(skeleton.parents, device=device), lists


def _shaped(growth: _Growth, own: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, parents and lists of the columns that are nodes of their own."""
    node, is_node = growth.node, growth.node == own
    above = [growth.parents(depth) for depth in range(1, growth.skeleton.depth + 1)]
    parents = torch.where(is_node, torch.cat([torch.full_like(node[:, :1], NONE), *above], dim=1), NONE)
    return torch.where(is_node, growth.tokens, NONE), parents, _lists(growth, is_node)


def _lists(growth: _Growth, is_node: Tensor) -> Tensor:
    """(B, M, K) the child list of each node, in draw order; merged columns pool theirs."""
    skeleton, node = growth.skeleton, growth.node
    width = max(skeleton.widths(), default=0)
    levels = [node[:, :0, None].expand(-1, -1, width)]
    for depth in range(skeleton.depth):
        here, below = skeleton.span(depth), node[:, skeleton.span(depth + 1)]
        if skeleton.merges:
            columns = torch.arange(here.start, here.stop, device=node.device)
            listed = (growth.parents(depth + 1)[:, None] == columns[:, None]) & (below != NONE)[:, None]
            first = torch.argsort((~listed).to(torch.int8), dim=2, stable=True)
            lists = torch.where(listed, below[:, None], NONE).gather(2, first)
        else:
            table = _table(skeleton, depth, node.device)
            lists = torch.where(table != NONE, node[:, table.clamp(min=0)], NONE)
        lists = torch.where(is_node[:, here, None], lists, NONE)
        levels.append(torch.nn.functional.pad(lists, (0, width - lists.shape[2]), value=NONE))
    return torch.cat(levels, dim=1)


def compressed(drafted: Drafted) -> Drafted:
    """The same trees without columns in which none of them has a node, and lists no longer than they are.

    Reads the shapes back: for the CPU, where that costs nothing and each column costs a share of the target's pass.
    """
    batch = drafted.batch
    is_node = batch.parents != NONE
    is_node[:, 0] = True
    levels = [is_node[:, batch.level(depth)].numpy() for depth in range(batch.depth + 1)]
    widths = [int(level.sum(axis=1).max()) for level in levels]
    while len(widths) > 1 and not widths[-1]:
        widths.pop()
    starts = tuple(sum(widths[:depth]) for depth in range(len(widths) + 1))
    orders = [
        np.argsort(~level, axis=1, kind="stable")[:, :width] + batch.starts[depth]
        for depth, (level, width) in enumerate(zip(levels, widths, strict=False))
    ]
    old = torch.from_numpy(np.concatenate(orders, axis=1))
    new = torch.full_like(batch.tokens, NONE).scatter_(
        1, old, torch.where(is_node.gather(1, old), torch.arange(starts[-1]), NONE)
    )
    inner = old[:, : starts[-2]]
    lists = batch.lists.gather(1, inner[..., None].expand(-1, -1, batch.lists.shape[2]))
    counts = (lists != NONE).sum(dim=2).numpy()
    longest = [int(counts[:, starts[d] : starts[d + 1]].max()) for d in range(len(widths) - 1)]
    return Drafted(
        replace(
            batch,
            tokens=batch.tokens.gather(1, old),
            parents=_renamed(batch.parents.gather(1, old), new),
            lists=_renamed(lists.flatten(1), new).view(lists.shape)[..., : max(longest, default=0)],
            starts=starts,
            widths=tuple(longest),
            target=batch.target,
            draft=_picked(batch.draft, inner),
            sampled=batch.sampled.gather(1, old),
        ),
        drafted.fed.gather(1, old),
        drafted.coin_of.gather(1, old),
        drafted.coins,
    )


def _renamed(columns: Tensor, new: Tensor) -> Tensor:
    """Columns (B, n) by their new numbers."""
    return torch.where(columns == NONE, NONE, new.gather(1, columns.clamp(min=0)))


def _picked(rows: Tensor, columns: Tensor) -> Tensor:
    """The rows (B, M, V) of some columns (B, m); not copied if they are the first ones in order."""
    count = columns.shape[1]
    if bool((columns == torch.arange(count)).all()):
        return rows[:, :count]
    return rows[torch.arange(len(rows))[:, None], columns]
