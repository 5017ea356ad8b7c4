"""Bottom-up rules that are not a solver under a lift: multi-path block verification, and hierarchical verification.

Both follow one path of each tree from the root, and reject every node beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ..models.backend import torch
from ..trees.tree_batch import NONE, TreeBatch
from .lifts import Acceptance, BottomUp, Decisions
from .nodes import Nodes, Number, Tensor, accept_ratio, across, ascending, at, excess, find, over, pick, total
from .solvers import hazards, naive, stop_chance
from .walks import Mark, Walk, Walker, walk_all


@dataclass(frozen=True, eq=False)
class Step:
    """What a rule decides at a node: which place of the list the path goes to, with which mark; the chance to be
    accepted once everything below is rejected, and the row that is then emitted from."""

    place: Number
    mark: Mark
    chance: Number
    residual: Tensor


@dataclass(frozen=True)
class PathRule:
    """A rule: the mark of the root, 1 and then ``rest``; and the step at nodes with marks, of trees whose longest child
    list has so many tokens."""

    rest: tuple[float, ...]
    step: Callable[[Nodes, Mark, int], Step]


@dataclass
class _Paths:
    """The path that a rule follows in each tree of a batch, and what it has decided on the way."""

    batch: TreeBatch
    node: Tensor
    alive: Tensor
    chances: Tensor
    places: list[Tensor] = field(default_factory=list)
    residuals: list[Tensor] = field(default_factory=list)

    @classmethod
    def at_root(cls, batch: TreeBatch) -> _Paths:
        node = torch.zeros_like(batch.tokens[:, 0])
        return cls(batch, node, node == 0, torch.zeros_like(batch.tokens, dtype=batch.target.dtype))

    def nodes(self, lists: Tensor, weight: Tensor) -> Nodes:
        """The nodes that the paths have come to, with their child lists (B, K) as columns."""
        tree, place = self.batch.rows[:, 0], self.node.clamp(max=self.batch.starts[-2] - 1)
        rows = self.batch.target[tree, self.node], self.batch.draft[tree, place]
        return Nodes(*rows, self.batch.tokens_of(lists), weight)

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

    def go(self, child: Tensor) -> None:
        """Move to the child, a column (B,) or ``NONE``."""
        self.alive = child != NONE
        self.node = torch.where(self.alive, child, self.node)


def accept_path(rule: PathRule, batch: TreeBatch) -> Acceptance:
    """What each node of a batch is accepted with: the nodes of all paths at one depth together."""
    paths = _Paths.at_root(batch)
    mark = tuple(torch.full_like(paths.chances[:, 0], value) for value in (1.0, *rule.rest))
    for depth in range(batch.depth):
        weight, lists = mark[0], paths.lists(depth)
        nodes = paths.nodes(lists, weight)
        if not nodes.width:
            paths.decide(depth, weight, nodes.target)
            paths.go(torch.full_like(paths.node, NONE))
            continue
        leaf, step = lists[:, 0] == NONE, rule.step(nodes, mark, max(batch.widths))
        paths.decide(
            depth, torch.where(leaf, weight, step.chance), torch.where(leaf[:, None], nodes.target, step.residual)
        )
        paths.go(lists.gather(1, step.place[:, None])[:, 0])
        mark = tuple(
            torch.where(paths.alive, after, before) for after, before in zip(step.mark, mark, strict=True)
        )
    paths.accept(mark[0])
    return Acceptance(paths.chances, paths.places, paths.residuals)


def _hierarchical(nodes: Nodes, mark: Mark, most: int) -> Step:
    """Capped ratios.

    The capped ratio of a position is, cut to 1, that of the position before times the token's target/draft: where it
    was above 1 the greatest ratio is its own.  No joint ratio is formed, which could overflow.
    """
    draft, mass, one = nodes.draft, nodes.mass, nodes.number(1)
    residual, opposite = excess(mass, draft, one), total(excess(draft, mass, one))
    above = total(residual)
    chance = pick(above < opposite, over(above, opposite), pick(above > 0, one, nodes.number(0)))
    ahead = accept_ratio(nodes.values(mass)[0], nodes.values(draft)[0])
    return Step(nodes.token(0) * 0, (ahead,), chance, residual)


def _greedy_multi_path(nodes: Nodes, mark: Mark, most: int) -> Step:
    """Block verification on the path greatest in the p/q order, against the law of that choice.

    A mark is the weight, K, and ``below``, the chance that a path ranks under the prefix given that it does not rank
    over it; K is 0 until the first list of two or more.  Equal ratios are ordered by token, in choice and law alike.
    """
    _, paths, below = mark
    draft, count = nodes.draft, nodes.count
    paths = pick((paths == 0) & (count > 1), count * nodes.number(1), paths)
    if nodes.never(paths > 0):
        place, best, law = nodes.token(0) * 0, nodes.token(0), draft
    else:
        ratios = torch.where(draft > 0, nodes.target / draft, -1)
        place, best = _best(nodes, ratios)
        law, below = _law_of_best(draft, ascending(ratios), (paths, most), below, best)
    branching = naive(nodes.with_token(law, best))
    return Step(place, (hazards(branching)[0], paths, below), stop_chance(branching), branching.residual)


def _best(nodes: Nodes, ratios: Tensor) -> tuple[Number, Number]:
    """The place and the token of the list with the greatest ratio; of equal ratios the greater token."""
    held = nodes.values(ratios)
    place, best, most = nodes.token(0) * 0, nodes.token(0), held[0]
    for other in range(1, nodes.width):
        token = nodes.token(other)
        better = nodes.present[other] & ((held[other] > most) | ((held[other] == most) & (token > best)))
        place, best, most = pick(better, other, place), pick(better, token, best), pick(better, held[other], most)
    return place, best


def _law_of_best(
    draft: Tensor, order: Tensor, paths: tuple[Number, int], below: Number, best: Number
) -> tuple[Tensor, Number]:
    """The law of the best path's next token, and ``below`` after the best; the draft at 0 paths.

    ``hi^K - lo^K`` is taken as ``(hi - lo) sum_i hi^i lo^(K-1-i)``, so that nothing cancels.
    """
    ordered = draft.gather(-1, order)
    up_to = ordered.cumsum(dim=-1)
    start, rest = across(below), across(1 - below)
    lows, highs = (up_to - ordered).mul_(rest).add_(start), up_to.mul_(rest).add_(start)
    place = find(order, best)
    after = over(at(lows, place), at(highs, place))
    scaled = ordered.mul_(_powers(highs, lows, paths)).div_(across(_powers(below * 0 + 1, below, paths)))
    law = torch.empty_like(draft).scatter_(-1, order, scaled)
    if draft.dim() == 1:
        return law, after
    several = paths[0] > 0
    return torch.where(several[:, None], law, draft), torch.where(several, after, below)


def _powers(high: Number, low: Number, paths: tuple[Number, int]) -> Number:
    """sum over i < K of high^i low^(K - 1 - i), by Horner's scheme in both, for rows or numbers; 1 for 0 paths.

    ``paths`` are K and the largest K that there is.
    """
    result, power = high * 0 + 1, low * 0 + 1
    for turn in range(1, paths[1]):
        goes_on = paths[0] > turn
        if isinstance(high, torch.Tensor) and high.dim() > 1:
            goes_on = across(goes_on)
        power = pick(goes_on, power * low, power)
        result = pick(goes_on, result * high + power, result)
    return result


def along_a_path(rest: tuple[float, ...]) -> Walker:
    """The walk of a rule over one tree: down the path that it chooses, then up to the first node whose coin accepts."""

    def walk(lists: Sequence[Sequence[int]], coins: Sequence[float]) -> Walk:
        node, mark, passed = 0, (1.0, *rest), []
        while lists[node] and mark[0] > 0:
            step = yield node, mark
            passed.append((node, step))
            node, mark = lists[node][step.place], step.mark
        if coins[node] < mark[0]:
            return node, None
        for here, step in reversed(passed):
            if coins[here] < step.chance or not here:  # the root is never rejected but by rounding
                return here, step.residual
        return node, None

    return walk


hierarchical = PathRule((), _hierarchical)
"""Hierarchical verification of one path, with capped ratios (HSD, 2601.05724, Algorithm 2)."""

greedy_multi_path = PathRule((0.0, 0.0), _greedy_multi_path)
"""Greedy multi-path block verification (GBV, 2602.16961)."""


@dataclass(frozen=True)
class AlongPaths(BottomUp):
    """A rule that follows one path of each tree, decided like every bottom-up rule."""

    rule: PathRule

    def acceptance(self, batch: TreeBatch) -> Acceptance:
        """What each node is accepted with."""
        return accept_path(self.rule, batch)

    def walked(self, batch: TreeBatch, coins: Tensor) -> Decisions:
        """The decisions where reading is free."""
        most = max(batch.widths, default=0)
        steps = partial(walk_all, along_a_path(self.rule.rest), lambda node, mark: self.rule.step(node, mark, most))
        return Decisions(*steps(batch, coins))
