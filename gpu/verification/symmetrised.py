"""Sequential solvers on tensors, averaged over the orders of their list; orders that leave the same are one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache

from ..models.backend import torch
from .nodes import Flag, Nodes, Number, Tensor, accept_ratio, across, excess, least_share, over, pick, total
from .solvers import Branching, Solver, emit, k_seq, k_seq_parts, naive, rrs, rrs_without_replacement

LONGEST = 8
"""The longest list that is averaged over its orders, as in the theory; the states grow with its factorial."""


def symmetrised(solver: Solver) -> Solver:
    """The mean of a sequential solver over all orders of the list; lossless for i.i.d. lists.

    Raises ``ValueError``, when called, for lists longer than 8.
    """
    mean = _MEANS[solver]

    def symmetric(nodes: Nodes) -> Branching:
        if nodes.width > LONGEST:
            raise ValueError(f"a symmetrised solver takes at most {LONGEST} tokens, but a list has {nodes.width}")
        return solver(nodes) if nodes.width < 2 else mean(nodes)

    return symmetric


def _mean_naive(nodes: Nodes) -> Branching:
    """Each place of the list is the first in as many orders."""
    mass, draft = nodes.mass, nodes.draft
    pairs = zip(nodes.present, nodes.values(mass), nodes.values(draft), strict=True)
    accepts = [pick(here, accept_ratio(wanted, bound), 0.0) for here, wanted, bound in pairs]
    first = 1 / pick(nodes.count > 0, nodes.count, 1)
    shares = [accept * first for accept in accepts]
    left = sum(pick(here, (1 - accept) * first, 0.0) for here, accept in zip(nodes.present, accepts, strict=True))
    left, any_drawn = pick(nodes.count > 0, left, nodes.number(1)), pick(nodes.count > 0, nodes.number(1), 0.0)
    return emit(nodes, excess(mass, draft, any_drawn), mass, 1 - nodes.weight, nodes.at_firsts(shares), left)


def _mean_k_seq(nodes: Nodes) -> Branching:
    """Every test is the same, whatever was rejected before."""
    mass = nodes.mass
    accepts, residual = k_seq_parts(nodes, mass)
    shares, left = _over_orders(nodes, [accepts] * nodes.width)
    return emit(nodes, residual, mass, 1 - nodes.weight, nodes.at_firsts(shares), left)


def _mean_rrs(nodes: Nodes) -> Branching:
    """What the tests so far leave depends on their number alone."""
    mass, draft, none = nodes.mass, nodes.draft, 1 - nodes.weight
    bounds, accepts, residual = nodes.values(draft), [], mass
    whole, level = nodes.number(1), nodes.number(0)
    for step, _ in enumerate(bounds):
        pairs = zip(nodes.present, nodes.values(residual), bounds, strict=True)
        accepts.append([pick(here & (whole > 0), accept_ratio(over(kept, whole), q), 0.0) for here, kept, q in pairs])
        level = level + pick(nodes.count > step, whole, 0.0)
        residual = excess(mass, draft, level)
        whole = pick(nodes.count > step, total(residual) + none, whole)
    shares, left = _over_orders(nodes, accepts)
    return emit(nodes, residual, mass, none, nodes.at_firsts(shares), left)


def _over_orders(nodes: Nodes, accepts: Sequence[Sequence[Number]]) -> tuple[list[Number], Number]:
    """For each place the chance that it is accepted, and the chance that none is; ``accepts`` by step and place.

    Sets of rejected places stand for all their orders.
    """
    shares: list[Number] = [nodes.number(0)] * nodes.width
    states, left = {frozenset[int](): nodes.number(1)}, nodes.number(0)
    for step in range(nodes.width + 1):
        after: dict[frozenset[int], Number] = defaultdict(lambda: nodes.number(0))
        for rejected, chance in states.items():
            left = left + pick(nodes.count == step, chance, 0.0)
            for place in {*range(nodes.width)} - rejected:
                share = pick(nodes.present[place], over(chance, nodes.count - step), 0.0)
                shares[place] = shares[place] + share * accepts[step][place]
                after[rejected | {place}] = after[rejected | {place}] + share * (1 - accepts[step][place])
        states = after
    return shares, left


def _mean_erasing(nodes: Nodes) -> Branching:
    """With its first test a token leaves the draft in all its copies, and the next level depends on their order."""
    orders = _ErasingOrders(nodes)
    orders.rejected((), nodes.number(1), nodes.number(0), nodes.number(1), nodes.mass)
    shares = nodes.at_firsts(orders.shares)
    return emit(nodes, orders.residual, nodes.mass, orders.none_left, shares, orders.left)


class _ErasingOrders:
    """Sums over the orders of the list without replacement, prefix by prefix.

    After a prefix was rejected the residual is ``(mass - level draft)+``, ``whole`` its sum with "none".
    """

    def __init__(self, nodes: Nodes) -> None:
        self.nodes, self.mass, self.none = nodes, nodes.mass, 1 - nodes.weight
        self.wanted, self.bounds = nodes.values(self.mass), nodes.values(nodes.draft)
        self.copies = nodes.at_firsts([pick(here, nodes.number(1), 0.0) for here in nodes.present])
        self.shares: list[Number] = [nodes.number(0)] * nodes.width
        self.left, self.none_left, self.residual = nodes.number(0), nodes.number(0), torch.zeros_like(self.mass)
        self.rest = cache(self._rest)

    def _rest(self, places: frozenset[int]) -> Number:
        """The draft's mass without the tokens of some places: summed, never subtracted from 1."""
        marked = [here if place in places else here & False for place, here in enumerate(self.nodes.present)]
        return total(self.nodes.erase(self.nodes.draft.clone(), marked)) if places else self.nodes.number(1)

    def rejected(
        self, prefix: tuple[int, ...], chance: Number, level: Number, whole: Number, residual: Tensor
    ) -> None:
        """What comes after a rejected prefix, at this chance: the end where no token is left, else the tests."""
        remaining = sum(self.copies) - sum(self.copies[place] for place in prefix)
        ends = pick(remaining > 0, 0.0, chance)
        if not self.nodes.never(ends > 0):
            divisor = pick(whole > 0, whole, 1)
            self.residual += residual / across(divisor) * across(ends)
            self.none_left, self.left = self.none_left + self.none / divisor * ends, self.left + ends
        if len(prefix) < self.nodes.width:
            self._test(prefix, pick(remaining > 0, over(chance, remaining), 0.0), level, whole)

    def _test(self, prefix: tuple[int, ...], chance: Number, level: Number, whole: Number) -> None:
        """Test each token that is left as the next one; ``chance`` is that of one draw."""
        nodes, rest, after = self.nodes, self.rest(frozenset(prefix)), None
        usable = (whole > 0) & (rest > least_share(self.mass))
        for place in sorted({*range(nodes.width)} - {*prefix}):
            kept = self.wanted[place] - level * self.bounds[place]
            ratio = accept_ratio(over(pick(kept > 0, kept, 0.0), whole) * rest, self.bounds[place])
            accept, share = pick(usable, ratio, 0.0), chance * self.copies[place]
            self.shares[place] = self.shares[place] + share * accept
            missed = share * (1 - accept)
            if not nodes.never(missed > 0):
                after = after or self._after(level, whole, rest, usable)
                self.rejected((*prefix, place), missed, *after)

    def _after(self, level: Number, whole: Number, rest: Number, usable: Flag) -> tuple[Number, Number, Tensor]:
        """The level, the whole and the residual after one more rejection, whatever token it was of."""
        level = level + pick(usable, over(whole, rest), 0.0)
        residual = excess(self.mass, self.nodes.draft, level)
        return level, pick(usable, total(residual) + self.none, whole), residual


_MEANS: dict[Solver, Solver] = {
    naive: _mean_naive,
    rrs: _mean_rrs,
    rrs_without_replacement: _mean_erasing,
    k_seq: _mean_k_seq,
}
