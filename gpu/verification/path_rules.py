"""Bottom-up rules that are not a solver under a lift: multi-path block verification, and hierarchical verification.

Both follow one path of each tree from the root, and reject every node beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..models.backend import torch
from ..trees.tree_batch import NONE, TreeBatch
from .lifts import Acceptance, hazards
from .solvers import Tensor, accept_ratio, naive

PathRule = Callable[[TreeBatch], Acceptance]
"""From a batch to what each of its nodes is accepted with."""


@dataclass
class _Path:
    """The path that a rule follows in each tree, and what it has decided on the way."""

    batch: TreeBatch
    node: Tensor
    alive: Tensor
    chances: Tensor
    places: list[Tensor] = field(default_factory=list)
    residuals: list[Tensor] = field(default_factory=list)

    @classmethod
    def at_root(cls, batch: TreeBatch) -> _Path:
        node = torch.zeros_like(batch.tokens[:, 0])
        return cls(batch, node, node == 0, torch.zeros_like(batch.tokens, dtype=batch.target.dtype))

    def rows(self) -> tuple[Tensor, Tensor]:
        """(B, V) the target's and the draft's rows at the node."""
        tree, place = self.batch.rows[:, 0], self.node.clamp(max=self.batch.starts[-2] - 1)
        return self.batch.target[tree, self.node], self.batch.draft[tree, place]

    def lists(self, depth: int) -> Tensor:
        """(B, K) the node's child list, as columns; empty once the path has ended."""
        place = self.node.clamp(max=self.batch.starts[-2] - 1)
        lists = self.batch.lists[self.batch.rows[:, 0], place, : self.batch.widths[depth]]
        return torch.where(self.alive[:, None], lists, NONE)

    def decide(self, depth: int, chance: Tensor, residual: Tensor) -> None:
        """Accept the node with the chance (B,), and emit from the residual (B, V)."""
        self.accept(chance)
        level = self.batch.level(depth)
        places = torch.full_like(self.batch.tokens[:, level], NONE)
        inside = (self.node - level.start).clamp(0, places.shape[1] - 1)[:, None]
        order = torch.where(self.alive[:, None], self.batch.rows, NONE)
        self.places.append(places.scatter(1, inside, order))
        self.residuals.append(residual)

    def accept(self, chance: Tensor) -> None:
        """Accept the node with the chance (B,), where the path has not ended."""
        here = self.node[:, None]
        kept = torch.where(self.alive, chance, self.chances.gather(1, here)[:, 0])
        self.chances.scatter_(1, here, kept[:, None])

    def go(self, lists: Tensor, place: Tensor) -> Tensor:
        """Move to the child at a place (B,) of the list (B, K); its token (B,), and ``NONE`` where there is none."""
        if not lists.shape[1]:
            self.alive = torch.zeros_like(self.alive)
            return torch.full_like(self.node, NONE)
        child = lists.gather(1, place[:, None])[:, 0]
        self.alive = child != NONE
        self.node = torch.where(self.alive, child, self.node)
        return self.batch.tokens_of(child[:, None])[:, 0]

    def acceptance(self) -> Acceptance:
        """What was decided."""
        return Acceptance(self.chances, self.places, self.residuals)


def hierarchical(batch: TreeBatch) -> Acceptance:
    """Hierarchical verification of one path, with capped ratios (HSD, 2601.05724, Algorithm 2).

    The capped ratio of a position is, cut to 1, that of the position before times the token's target/draft: where it
    was above 1 the greatest ratio is its own.  No joint ratio is formed, which could overflow.
    """
    path = _Path.at_root(batch)
    weight = torch.ones_like(batch.target[:, 0, 0])
    for depth in range(batch.depth):
        lists, (target, draft) = path.lists(depth), path.rows()
        empty = lists[:, 0] == NONE if lists.shape[1] else torch.ones_like(path.alive)
        capped = target * weight[:, None]
        residual, opposite = (capped - draft).clamp(min=0), (draft - capped).clamp(min=0).sum(dim=1)
        over = residual.sum(dim=1)
        chance = torch.where(over < opposite, over / torch.where(opposite > 0, opposite, 1), (over > 0).to(over.dtype))
        path.decide(depth, torch.where(empty, weight, chance), torch.where(empty[:, None], target, residual))
        token = path.go(lists, torch.zeros_like(path.node)).clamp(min=0)[:, None]
        ahead = accept_ratio(capped.gather(1, token), draft.gather(1, token))[:, 0]
        weight = torch.where(path.alive, ahead, weight)
    path.accept(weight)
    return path.acceptance()


def greedy_multi_path(batch: TreeBatch) -> Acceptance:
    """Block verification on the path greatest in the p/q order, against the law of that choice (GBV, 2602.16961).

    Equal ratios are ordered by token, in the choice and in the law alike.
    """
    path = _Path.at_root(batch)
    weight = torch.ones_like(batch.target[:, 0, 0])
    below, paths = torch.zeros_like(weight), torch.zeros_like(path.node)
    for depth in range(batch.depth):
        lists, (target, draft) = path.lists(depth), path.rows()
        drawn = (lists != NONE).sum(dim=1)
        paths = torch.where((paths == 0) & (drawn > 1), drawn, paths)
        order = torch.argsort(torch.where(draft > 0, target / torch.where(draft > 0, draft, 1), -1), stable=True)
        place = _best_place(order, batch.tokens_of(lists), lists)
        best = batch.tokens_of(lists.gather(1, place[:, None])) if lists.shape[1] else lists
        law, child_below = _law_of_best(draft, order, paths, below, best, max(batch.widths))
        branching = naive(target, law, best, weight)
        end = branching.off + branching.none
        path.decide(depth, branching.off / torch.where(end > 0, end, 1), branching.residual)
        path.go(lists, place)
        weight = hazards(branching)[:, 0] if best.shape[1] else weight * 0
        below = child_below
    path.accept(weight)
    return path.acceptance()


def _best_place(order: Tensor, tokens: Tensor, lists: Tensor) -> Tensor:
    """(B,) where in its list (B, K) the token ranked last in the order (B, V) stands."""
    if not lists.shape[1]:
        return torch.zeros_like(lists[:, :1].sum(dim=1))
    ranks = torch.arange(order.shape[1], device=order.device).expand_as(order)
    rank = torch.empty_like(order).scatter_(1, order, ranks)
    return torch.where(lists != NONE, rank.gather(1, tokens.clamp(min=0)), NONE).argmax(dim=1)


def _law_of_best(
    draft: Tensor, order: Tensor, paths: Tensor, below: Tensor, best: Tensor, most: int
) -> tuple[Tensor, Tensor]:
    """(B, V) the law of the best path's next token, and (B,) ``below`` after the chosen one; the draft at 0 paths.

    ``hi^K - lo^K`` is taken as ``(hi - lo) sum_i hi^i lo^(K-1-i)``, so that nothing cancels.
    """
    ordered = draft.gather(1, order)
    up_to = ordered.cumsum(dim=1)
    rest = (1 - below)[:, None]
    lows, highs = below[:, None] + rest * (up_to - ordered), below[:, None] + rest * up_to
    one = torch.ones_like(below)[:, None]
    scaled = ordered * _powers(highs, lows, paths, most) / _powers(one, below[:, None], paths, most)
    several = (paths > 0)[:, None]
    law = torch.where(several, torch.empty_like(draft).scatter_(1, order, scaled), draft)
    if not best.shape[1]:
        return law, below
    place = (order == best).to(torch.int8).argmax(dim=1, keepdim=True)
    low, high = lows.gather(1, place), highs.gather(1, place)
    after = torch.where(several, low / torch.where(high > 0, high, 1), below[:, None])
    return law, after[:, 0]


def _powers(high: Tensor, low: Tensor, counts: Tensor, most: int) -> Tensor:
    """sum over i < count of high^i low^(count - 1 - i), by Horner's scheme in both; 1 for a count of 0."""
    total, power = torch.ones_like(high), torch.ones_like(low)
    for turn in range(most - 1):
        goes_on = (counts - 1 > turn)[:, None]
        power = torch.where(goes_on, power * low, power)
        total = torch.where(goes_on, total * high + power, total)
    return total
