"""One-step solvers on tensors: each as its paper writes it, stage by stage, for one node or for many at once.

What a solver is given, :class:`.Nodes`, says which; a rule is the same for both, and on a device that computes beside
the host nothing here waits for it.  No law of ``veridraft.theory`` is used: the two meet in tests and in the
cross-check.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..models import backend
from ..models.backend import torch
from .nodes import (
    Flag,
    Nodes,
    Number,
    Tensor,
    accept_ratio,
    across,
    any_of,
    capped,
    excess,
    least_share,
    over,
    pick,
    total,
)

DEVICE_STEPS = 40
"""Steps to K-SEQ's rho off the CPU; Newton's method needs some ten, and bisection alone would reach 1e-12."""


@dataclass(frozen=True, eq=False)
class Branching:
    """Where the mass 1 goes at each node.

    listed : for each place of the list, the probability of emitting its token; 0 where it stood before
    off, none : probability of a token off the list, and of "none"
    residual : the row of masses proportional to the law of the token off the list
    """

    listed: Sequence[Number]
    off: Number
    none: Number
    residual: Tensor


Solver = Callable[[Nodes], Branching]
"""From nodes, whose weights scale the target, to their branching."""


def hazards(branching: Branching) -> list[Number]:
    """Each listed token's share of what is not yet given away, in list order; 0 where nothing is left.

    What is left is summed, never subtracted from 1.
    """
    left, shares = branching.off + branching.none, []
    for share in reversed(branching.listed):
        left = left + share
        shares.append(over(share, left))
    return shares[::-1]


def stop_chance(branching: Branching) -> Number:
    """The chance that a node itself emits once every child has passed; 0 where nothing is left."""
    return over(branching.off, branching.off + branching.none)


def nss(nodes: Nodes) -> Branching:
    """Emit a token of the target; the list plays no part (2305.09781)."""
    return _stages(nodes, [])


def naive(nodes: Nodes) -> Branching:
    """Test the first token of the list with min(1, p/q), else emit from (p - q)+ (2211.17192)."""
    return _stages(nodes, nodes.present[:1])


def rrs(nodes: Nodes) -> Branching:
    """Test every token of the list in turn; a rejection leaves (p - q)+ as the target (2305.09781, Alg. 2)."""
    return _stages(nodes, nodes.present)


def rrs_without_replacement(nodes: Nodes) -> Branching:
    """As :func:`rrs` over the distinct tokens, and a rejected token leaves the draft (2402.12374)."""
    return _stages(nodes, nodes.distinct, erases=True)


def _stages(nodes: Nodes, tested: Sequence[Flag], erases: bool = False) -> Branching:
    """Test the places of the list that are marked in turn, then emit from the last residual.

    After some rejections the residual is ``(mass - level draft)+``, of the sum ``whole`` with "none".  A rejection adds
    the whole to the level, over the draft's mass ``rest`` that is left if ``erases`` takes rejected tokens out of it.
    """
    draft, (mass, whole, none) = nodes.draft, nodes.split
    residual, kept, bounds = mass, None, nodes.values(draft) if tested else []
    left, rest, level = (nodes.number(value) for value in (1, 1, 0))
    shares = [nodes.number(0)] * nodes.width
    for place, asked in enumerate(tested):
        asked = asked & (whole > 0) & (rest > least_share(draft))
        ratio = accept_ratio(over(nodes.values(residual)[place], whole) * rest, bounds[place])
        accept = pick(asked, ratio, 0.0)
        shares[place] = left * accept
        left = left * (1 - accept)
        asked = asked & (left > 0)
        if nodes.never(asked):
            continue
        level = level + pick(asked, over(whole, rest), 0.0)
        residual = excess(mass, draft, level)
        if place + 1 == len(tested):
            break
        whole = pick(asked, total(residual) + none, whole)
        if erases:
            kept = nodes.erase(draft.clone() if kept is None else kept, _only(asked, place, nodes.width))
            rest = pick(asked, total(kept), rest)
    return emit(nodes, residual, mass, none, nodes.at_firsts(shares), left)


def _only(flag: Flag, place: int, width: int) -> list[Flag]:
    """The flag at one place, and false at the others."""
    return [flag if one == place else flag & False for one in range(width)]


def emit(
    nodes: Nodes, residual: Tensor, mass: Tensor, none: Number, listed: Sequence[Number], left: Number
) -> Branching:
    """The branching once the tests are over: ``left`` is shared between the residual and "none".

    A residual token may stand in the list: it is emitted there.  Where rounding has left nothing to emit from, the
    target's ``mass`` takes the residual's place, so that no token outside its support is emitted.  A share is formed
    before anything is multiplied with it: ``left`` over a tiny sum would overflow.  A residual that is not the mass is
    overwritten: it loses the tokens of the list.
    """
    if nodes.never(left > 0):
        return Branching(listed, left, left, mass)  # nothing comes to the residual
    residual = nodes.or_mass(residual, mass, none)
    hits = [pick(first, hit, 0.0) for first, hit in zip(nodes.distinct, nodes.values(residual), strict=True)]
    residual = nodes.erase(residual.clone() if residual is mass else residual, nodes.present)
    off = total(residual)
    whole = off + sum(hits) + none
    listed = [share + over(hit, whole) * left for share, hit in zip(listed, hits, strict=True)]
    return Branching(listed, over(off, whole) * left, over(none, whole) * left, residual)


def k_seq(nodes: Nodes) -> Branching:
    """Accept the first token that passes min(1, p / (rho q)), else emit from the residual (2310.15141, Alg. 3)."""
    if nodes.width == 1:
        return naive(nodes)  # rho is 1
    mass = nodes.mass
    accepts, residual = k_seq_parts(nodes, mass)
    left, shares = nodes.number(1), []
    for accept in accepts:
        shares.append(left * accept)
        left = left * (1 - accept)
    return emit(nodes, residual, mass, 1 - nodes.weight, nodes.at_firsts(shares), left)


def k_seq_parts(nodes: Nodes, mass: Tensor) -> tuple[list[Number], Tensor]:
    """With what each token of the list is accepted, 0 at padding, and K-SEQ's residual, a fresh row."""
    draft, count = nodes.draft, nodes.count
    rho = smallest_rho(mass, draft, count)
    overlap = torch.minimum(mass, draft * across(rho))
    beta = capped(total(overlap) / rho, 1)
    gamma = over(any_of(beta, count), beta)
    pairs = zip(nodes.present, nodes.values(mass), nodes.values(draft), strict=True)
    accepts = [pick(here, accept_ratio(wanted, rho * bound), 0.0) for here, wanted, bound in pairs]
    return accepts, torch.sub(mass, overlap.mul_(across(gamma / rho)), out=overlap).clamp_(min=0)


def smallest_rho(mass: Tensor, draft: Tensor, counts: Number) -> Number:
    """The root in [1, count] of 1 - (1-beta)^count = rho beta, beta = sum min(mass/rho, draft), for each row.

    Newton's method kept inside a bracket, for all nodes at once, to the full precision of the type.  The
    difference of the two sides falls in rho, and its slope is known: with P the mass of the tokens where
    mass < rho draft and Q the draft's mass on the others, beta = P / rho + Q.  A difference of rounding size
    counts as 0, so that rho is 1 where target and draft agree (there 1 is a root of order ``count``, and
    rounding alone would move it by the count-th root of the precision).  Off the CPU the number of steps is fixed,
    since to look whether they are enough would be to wait.
    """
    eps, many = torch.finfo(mass.dtype).eps, mass.dim() > 1
    low = torch.ones_like(mass[:, 0]) if many else 1.0
    rho, high = low, pick(counts > 1, counts * low, low)
    for _ in range(100 if backend.are_free(mass) else DEVICE_STEPS):
        covered, large = _covered(mass, draft, rho)
        beta = capped(covered / rho, 1)
        missing = any_of(beta, counts) - rho * beta
        small = covered - rho * large
        slope = -counts * (1 - beta) ** pick(counts > 1, counts - 1, 0) * pick(small > 0, small, 0.0) / rho**2 - large
        low, high = pick(missing > 0, rho, low), pick(missing <= 0, rho, high)
        step = rho - missing / pick(slope == 0, -1.0, slope)
        new = pick((step >= low) & (step <= high), step, (low + high) / 2)
        new = pick(abs(missing) <= 8 * eps, rho, new)
        moved, rho = abs(new - rho) > 2 * eps * rho, new
        if backend.are_free(mass) and not (bool(moved.any()) if many else moved):
            break
    return rho


def _covered(mass: Tensor, draft: Tensor, rho: Number) -> tuple[Number, Number]:
    """``sum min(mass, rho draft)``, and Q, the draft's mass where ``mass >= rho draft``."""
    bound = draft * across(rho)
    above = torch.ge(mass, bound, out=torch.empty_like(bound))  # as 0 and 1: choosing by a mask takes many times longer
    return total(torch.minimum(mass, bound, out=bound)), total(above.mul_(draft))
