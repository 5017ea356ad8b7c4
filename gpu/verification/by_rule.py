"""One-step solvers on tensors for lists that are partly put there by rule: top tokens and one draw, hub pairs."""

from __future__ import annotations

from ..models.backend import torch
from .nodes import Nodes, accept_ratio, across, at, capped, excess, over, peak, pick, put, smaller, total
from .solvers import Branching, emit, nss


def greedy(nodes: Nodes) -> Branching:
    """Test the last token of the list against the draft without the others, normalised (2502.18779).

    Where the draft has no mass off the others nothing was drawn, and the list plays no part.
    """
    (mass, unit, none), count = nodes.split, nodes.count
    rest = nodes.erase(nodes.draft.clone(), [place + 1 < count for place in range(nodes.width)])
    whole = total(rest)
    rest.div_(across(pick(whole > 0, whole, 1)))
    left, shares = nodes.number(1), []
    for place, (wanted, bound) in enumerate(zip(nodes.values(mass), nodes.values(rest), strict=True)):
        tested = (count == place + 1) & (whole > 0)
        shares.append(pick(tested, accept_ratio(wanted / unit, bound), 0.0))
        left = left * (1 - shares[-1])
    level = pick((whole > 0) & (count > 0) & (left > 0), unit, nodes.number(0))
    residual = mass if nodes.never(left > 0) else excess(mass, rest, level, out=rest)
    return emit(nodes, residual, mass, none, shares, left)


def hub(nodes: Nodes) -> Branching:
    """Spend the target's mass on pairs of the draft's top token a and another i, as SpecHub does (2411.05289).

    In this order: on i in (i, a), on i in (a, i), on a in (a, i), on a in (i, a).  A list (a,) plays no part.
    """
    if nodes.width < 2:
        return nss(nodes)
    mass, draft = nodes.mass, nodes.draft
    center = peak(draft)
    other_first = put(draft.clone(), center, nodes.number(0))
    rest = total(other_first)
    hub_first = other_first / across(pick(rest > 0, rest, 1)) * across(at(draft, center))
    taken_first = torch.minimum(mass, other_first)
    taken_second = torch.minimum(mass - taken_first, hub_first)
    kept_first, kept_second = total(other_first - taken_first), total(hub_first - taken_second)
    hub_mass = at(mass, center)
    hub_second = smaller(hub_mass, kept_second)
    hub_last = smaller(hub_mass - hub_second, kept_first)
    first, second, pair = nodes.token(0), nodes.token(1), nodes.count > 1
    leads = first == center
    other = pick(leads & pair, second, first)
    offered, taken = pick(leads, at(hub_first, other), at(other_first, other)), at(taken_first, other)
    accept = pick(pair, accept_ratio(pick(leads, at(taken_second, other), taken), offered), 0.0)
    kept, on_hub = pick(leads, kept_second, kept_first), pick(leads, hub_second, hub_last)
    enters = pick(pair, capped(over(on_hub, kept) * pick(kept > 0, nodes.number(1), nodes.number(0)), 1), 0.0)
    on_center = (1 - accept) * enters
    shares = [pick(leads, on_center, accept), pick(leads, accept, on_center)]
    left, residual = (1 - accept) * (1 - enters), mass
    if not nodes.never(left > 0):
        residual = torch.sub(mass, taken_first, out=taken_first).sub_(taken_second)
        residual = put(residual, center, hub_mass - hub_second - hub_last).clamp_(min=0)
        residual = torch.where(across(pair), residual, mass) if mass.dim() > 1 else residual
    return emit(nodes, residual, mass, 1 - nodes.weight, shares, left)
