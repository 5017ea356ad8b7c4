"""The two lifts on tensors: a one-step solver turned into decisions about whole trees, level by level."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..models import backend
from ..models.backend import torch
from ..trees.tree_batch import NONE, TreeBatch
from .nodes import Nodes, Tensor
from .solvers import Branching, Solver, hazards, stop_chance
from .walks import from_the_leaves, from_the_root, solved_by, walk_all

Lift = Callable[[Solver], "TopDown | BottomUpSolver"]
"""What makes decisions about trees of a solver."""


@dataclass(frozen=True, eq=False)
class Decisions:
    """What was decided about B trees: the accepted columns (B,), and (B, V) the masses of the next tokens there."""

    columns: Tensor
    masses: Tensor


@dataclass(frozen=True, eq=False)
class Acceptance:
    """A bottom-up rule on a batch: what each node is accepted with, once everything below it has been rejected.

    chances : (B, N) in [0, 1]; 0 where there is no node
    places, residuals : for each level above the last, (B, W) where the column's residual stands among the R rows
        (R, V) of the level; ``NONE`` where the target's row is emitted from, or nothing ever is
    """

    chances: Tensor
    places: list[Tensor]
    residuals: list[Tensor]

    def masses(self, batch: TreeBatch, columns: Tensor) -> Tensor:
        """(B, V) the masses of the next token at a column (B,) of each tree.

        The target's row where the residual is empty: rounding alone can stop there.
        """
        masses = batch.target[batch.rows[:, 0], columns]
        for depth, (places, rows) in enumerate(zip(self.places, self.residuals, strict=True)):
            level = batch.level(depth)
            inside = (columns >= level.start) & (columns < level.stop)
            place = places.gather(1, (columns - level.start).clamp(0, places.shape[1] - 1)[:, None])[:, 0]
            if len(rows):
                found = rows[place.clamp(min=0)]
                taken = inside & (place != NONE) & ~_is_empty(found)
                masses = torch.where(taken[:, None], found, masses)
        return masses


def accept_levels(solver: Solver, batch: TreeBatch) -> Acceptance:
    """The bottom-up rule of a solver: weights handed down from the root, all nodes of a level solved together."""
    weights = torch.zeros_like(batch.tokens, dtype=batch.target.dtype)
    weights[:, 0] = 1
    chances, places, residuals = weights.clone(), [], []
    for depth in range(batch.depth):
        level, lists = batch.level(depth), batch.level_lists(depth)
        chosen = _worth_solving(weights[:, level])
        branching = _solve(solver, batch, depth, chosen, weights[:, level].flatten()[chosen])
        chances[:, level] = _scattered(stop_chance(branching), chosen, weights[:, level])
        shares = _in_lists(hazards(branching), lists.flatten(0, 1)[chosen], weights)
        shares = _scattered(shares, chosen, weights[:, level])
        weights.scatter_add_(1, lists.flatten(1).clamp(min=0), shares.flatten(1))
        order = torch.arange(len(chosen), device=chosen.device)
        places.append(_scattered(order - NONE, chosen, weights[:, level]) + NONE)
        residuals.append(branching.residual)
    last = batch.level(batch.depth)
    chances[:, last] = weights[:, last]
    return Acceptance(chances, places, residuals)


@dataclass(frozen=True)
class BottomUp(ABC):
    """Subtrees are decided before their node, each with the weight that its parent gave it."""

    @abstractmethod
    def acceptance(self, batch: TreeBatch) -> Acceptance:
        """What each node is accepted with, all nodes of a level together."""

    @abstractmethod
    def walked(self, batch: TreeBatch, coins: Tensor) -> Decisions:
        """As :meth:`decide`, of the nodes alone that the coins (B, N) come to."""

    def decide(self, batch: TreeBatch, coins: Tensor) -> Decisions:
        """The first node in depth-first order, children before their parent, whose coin (B, N) accepts it."""
        if backend.are_free(coins):
            return self.walked(batch, coins)
        acceptance = self.acceptance(batch)
        columns = torch.arange(batch.columns, device=coins.device)
        winner = torch.where(coins < acceptance.chances, columns, NONE)  # of the subtree below each node
        for depth in reversed(range(batch.depth)):
            level, lists = batch.level(depth), batch.level_lists(depth)
            below = _look_up(winner, lists)
            first = (below != NONE).to(torch.int8).argmax(dim=2, keepdim=True) if lists.shape[2] else None
            found = below.gather(2, first)[..., 0] if first is not None else torch.full_like(winner[:, level], NONE)
            winner[:, level] = torch.where(found != NONE, found, winner[:, level])
        accepted = winner[:, 0].clamp(min=0)  # the root is never rejected but by rounding
        return Decisions(accepted, acceptance.masses(batch, accepted))

    def stopping(self, batch: TreeBatch) -> Tensor:
        """(B, N) the probability of stopping at each column."""
        chances = self.acceptance(batch).chances
        missed = (1 - chances).clone()  # the whole subtree rejects
        for depth in reversed(range(batch.depth)):
            level, lists = batch.level(depth), batch.level_lists(depth)
            missed[:, level] *= _child_factors(missed, lists).prod(dim=2)
        return _reached(batch, missed, chances)


def _reached(batch: TreeBatch, missed: Tensor, chances: Tensor) -> Tensor:
    """Stopping probabilities from those of a subtree's rejection and of a node's acceptance."""
    come, stopping = torch.zeros_like(chances), chances.clone()
    come[:, 0] = 1
    for depth in range(batch.depth):
        level, lists = batch.level(depth), batch.level_lists(depth)
        factors = _child_factors(missed, lists)
        before = torch.cat([torch.ones_like(factors[..., :1]), factors], dim=2).cumprod(dim=2)
        arriving = come[:, level, None] * before[..., :-1] * _is_first(lists)
        come.scatter_add_(1, lists.flatten(1).clamp(min=0), arriving.flatten(1))
        stopping[:, level] = come[:, level] * before[..., -1] * chances[:, level]
    last = batch.level(batch.depth)
    stopping[:, last] = come[:, last] * chances[:, last]
    return stopping


def _child_factors(missed: Tensor, lists: Tensor) -> Tensor:
    """(B, W, K) the chance that a listed child's subtree rejects; 1 at padding and where it stands again."""
    return torch.where(_is_first(lists), _look_up(missed, lists), 1)


@dataclass(frozen=True)
class BottomUpSolver(BottomUp):
    """The bottom-up lift of a solver."""

    solver: Solver

    def acceptance(self, batch: TreeBatch) -> Acceptance:
        """Weights handed down from the root."""
        return accept_levels(self.solver, batch)

    def walked(self, batch: TreeBatch, coins: Tensor) -> Decisions:
        """As :meth:`decide`, of the nodes alone that the coins (B, N) come to."""
        return Decisions(*walk_all(from_the_leaves, solved_by(self.solver), batch, coins))


@dataclass(frozen=True)
class TopDown:
    """Walk from the root: the token that the solver emits is the child to go to, or the end."""

    solver: Solver

    def decide(self, batch: TreeBatch, coins: Tensor) -> Decisions:
        """Where the walk of each tree ends; coins (B, N) belong to the columns that may be entered."""
        if backend.are_free(coins):
            return Decisions(*walk_all(from_the_root, solved_by(self.solver), batch, coins))
        rows, node = batch.rows[:, 0], torch.zeros_like(batch.tokens[:, 0])
        walking = torch.ones_like(node, dtype=torch.bool)
        masses = batch.target[:, 0]
        for depth in range(batch.depth):
            place = node.clamp(max=batch.starts[-2] - 1)
            lists = batch.lists[rows, place, : batch.widths[depth]]
            branching = self._at(batch, node, place, lists)
            enters = coins.gather(1, lists.clamp(min=0)) < _in_lists(hazards(branching), lists, coins)
            masses = torch.where(walking[:, None], branching.residual, masses)
            walking = walking & enters.any(dim=1)
            if lists.shape[1]:
                child = lists.gather(1, enters.to(torch.int8).argmax(dim=1, keepdim=True))[:, 0]
                node = torch.where(walking, child, node)
        target = walking | _is_empty(masses)  # at a leaf, or where rounding alone could stop
        return Decisions(node, torch.where(target[:, None], batch.target[rows, node], masses))

    def _at(self, batch: TreeBatch, node: Tensor, place: Tensor, lists: Tensor) -> Branching:
        """The branching at a column (B,) of each tree, at weight 1."""
        rows = batch.rows[:, 0]
        one = torch.ones_like(batch.target[:, 0, 0])
        return self.solver(Nodes(batch.target[rows, node], batch.draft[rows, place], batch.tokens_of(lists), one))

    def stopping(self, batch: TreeBatch) -> Tensor:
        """(B, N) the probability of stopping at each column."""
        reach = torch.zeros_like(batch.tokens, dtype=batch.target.dtype)
        reach[:, 0] = 1
        stopping = reach.clone()
        for depth in range(batch.depth):
            level, lists = batch.level(depth), batch.level_lists(depth)
            here = reach[:, level]
            chosen = _worth_solving(here)
            branching = _solve(self.solver, batch, depth, chosen, torch.ones_like(here.flatten()[chosen]))
            listed = _in_lists(branching.listed, lists.flatten(0, 1)[chosen], here)
            listed = _scattered(listed, chosen, here)
            reach.scatter_add_(1, lists.flatten(1).clamp(min=0), (here[..., None] * listed).flatten(1))
            stopping[:, level] = here * _scattered(branching.off, chosen, here)
        last = batch.level(batch.depth)
        stopping[:, last] = reach[:, last]
        return stopping


def _is_empty(masses: Tensor) -> Tensor:
    """(B,) which rows of masses (B, V) hold nothing."""
    return masses.amax(dim=1) <= 0


def _worth_solving(weights: Tensor) -> Tensor:
    """Which of the (B, W) columns, flattened, are solved: all, but on the CPU only those of positive weight."""
    flat = weights.flatten()
    if backend.are_free(flat):
        return torch.nonzero(flat > 0)[:, 0]
    return torch.arange(len(flat), device=flat.device)


def _solve(solver: Solver, batch: TreeBatch, depth: int, chosen: Tensor, weights: Tensor) -> Branching:
    """The branching at some columns of a level, flattened, with the given weights."""
    level = batch.level(depth)
    width = level.stop - level.start
    tree, column = chosen // width, chosen % width + level.start
    lists = batch.tokens_of(batch.level_lists(depth)).flatten(0, 1)[chosen]
    return solver(Nodes(batch.target[tree, column], batch.draft[tree, column], lists, weights))


def _in_lists(shares: Sequence[Tensor], lists: Tensor, like: Tensor) -> Tensor:
    """(R, K) the shares of each place (R,), 0 at the padding of the lists (R, K)."""
    if not shares:
        return like.new_zeros(lists.shape)
    return torch.where(lists != NONE, torch.stack(list(shares), dim=1), 0)


def _scattered(values: Tensor, chosen: Tensor, like: Tensor) -> Tensor:
    """(B, W, ...) the values (R, ...) at the chosen columns, 0 at the others."""
    out = values.new_zeros((like.numel(), *values.shape[1:]))
    out[chosen] = values
    return out.view(*like.shape, *values.shape[1:])


def _look_up(values: Tensor, lists: Tensor) -> Tensor:
    """(B, W, K) what (B, N) values hold at the listed columns; ``NONE`` at padding."""
    found = values.gather(1, lists.flatten(1).clamp(min=0)).view(lists.shape)
    return torch.where(lists != NONE, found, NONE)


def _is_first(lists: Tensor) -> Tensor:
    """(B, W, K) bool: true where a column stands in its list for the first time."""
    if not lists.shape[2]:
        return lists != NONE
    first = (lists[..., :, None] == lists[..., None, :]).to(torch.int8).argmax(dim=-1)
    return (lists != NONE) & (first == torch.arange(lists.shape[2], device=lists.device))
