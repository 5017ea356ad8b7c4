"""One-step solvers on tensors for lists that are partly put there by rule: top tokens and one draw, hub pairs."""

from __future__ import annotations

from ..models.backend import torch
from .solvers import PAD, Branching, Tensor, accept_ratio, after_rejection, emit, erased


def greedy(target: Tensor, draft: Tensor, lists: Tensor, weight: Tensor) -> Branching:
    """Test the last token of the list against the draft without the others, normalised (2502.18779).

    Where the draft has no mass off the others nothing was drawn, and the list plays no part.
    """
    count = (lists != PAD).sum(dim=1, keepdim=True)
    last = (count - 1).clamp(min=0)
    drawn = torch.arange(lists.shape[1], device=lists.device) == count - 1
    rest = erased(draft, torch.where(drawn, PAD, lists))
    total = rest.sum(dim=1, keepdim=True)
    rest = rest / torch.where(total > 0, total, 1)
    mass, token = target * weight[:, None], lists.gather(1, last).clamp(min=0)
    tested = (count > 0) & (total > 0)
    accept = torch.where(tested, accept_ratio(mass.gather(1, token), rest.gather(1, token)), 0)
    listed = torch.zeros(lists.shape, dtype=target.dtype, device=target.device).scatter_(1, last, accept)
    left = 1 - accept[:, 0]
    residual, none = after_rejection(mass, 1 - weight, rest, tested & (left > 0)[:, None])
    return emit(residual, mass, none, lists, listed, left)


def hub(target: Tensor, draft: Tensor, lists: Tensor, weight: Tensor) -> Branching:
    """Spend the target's mass on pairs of the draft's top token a and another i, as SpecHub does (2411.05289).

    In this order: on i in (i, a), on i in (a, i), on a in (a, i), on a in (i, a).  A list (a,) plays no part.
    """
    mass, none = target * weight[:, None], 1 - weight
    center = draft.argmax(dim=1, keepdim=True)
    other_first = draft.scatter(1, center, 0)
    rest = other_first.sum(dim=1, keepdim=True)
    hub_first = other_first / torch.where(rest > 0, rest, 1) * draft.gather(1, center)
    taken_first = torch.minimum(mass, other_first)
    taken_second = torch.minimum(mass - taken_first, hub_first)
    hub_mass = mass.gather(1, center)
    hub_second = torch.minimum(hub_mass, (hub_first - taken_second).sum(dim=1, keepdim=True))
    hub_last = torch.minimum(hub_mass - hub_second, (other_first - taken_first).sum(dim=1, keepdim=True))
    residual = (mass - taken_first - taken_second).scatter_add_(1, center, -(hub_second + hub_last))
    leads = lists[:, :1] == center
    offered = torch.where(leads, hub_first, other_first)
    taken = torch.where(leads, taken_second, taken_first)
    pair = (lists[:, 1:2] != PAD) if lists.shape[1] > 1 else torch.zeros_like(leads)
    listed, left = _pair_shares(lists, leads & pair, pair, offered, taken, torch.where(leads, hub_second, hub_last))
    return emit(torch.where(pair, residual.clamp(min=0), mass), mass, none, lists, listed, left)


def _pair_shares(
    lists: Tensor, leads: Tensor, pair: Tensor, offered: Tensor, taken: Tensor, on_hub: Tensor
) -> tuple[Tensor, Tensor]:
    """(M, K) the shares of the two tokens of a pair, the other before the hub, and (M,) what is left."""
    width = lists.shape[1]
    listed = torch.zeros(lists.shape, dtype=offered.dtype, device=offered.device)
    place = torch.where(leads, 1, 0)
    token = lists.gather(1, place.clamp(max=max(width - 1, 0))).clamp(min=0)
    accept = torch.where(pair, accept_ratio(taken.gather(1, token), offered.gather(1, token)), 0)
    kept = (offered - taken).sum(dim=1, keepdim=True)
    enters = torch.where(pair & (kept > 0), on_hub / torch.where(kept > 0, kept, 1), 0).clamp(max=1)
    if width > 1:
        listed.scatter_(1, place, accept).scatter_(1, 1 - place, (1 - accept) * enters)
    return listed, ((1 - accept) * (1 - enters))[:, 0]
