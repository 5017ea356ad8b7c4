"""The solver with the largest acceptance for i.i.d. lists, in closed form: choose one token of the list, test that one.

What belongs to the vocabulary is sorted, pooled and weighted on the device; the few hundred groups are laid out on the
host (:mod:`.tickets`), so that each call waits for the device once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..models.backend import torch
from .nodes import PAD, Node, Nodes, Number, Tensor, accept_ratio, ascending, excess, normalised, pick
from .solvers import Branching, emit, naive
from .tickets import Floats, tickets_of

GROUPS = 512
"""Rows of more different ratios draft/target are pooled into about so many groups, as in the theory."""

UNDRAWN = 2.0
"""Stands for the ratio of a token that the draft never proposes, above all others."""


def optimal(nodes: Nodes) -> Branching:
    """Choose a token of the list by a law that covers the target best, and test it against that law.

    (2310.15141, 2410.18234, 2511.15898; the closed form is new.)  Lossless whatever the groups are; of more than
    ``GROUPS`` different ratios a little acceptance is lost.
    """
    if nodes.width < 2:
        return naive(nodes)  # nothing to choose
    mass, (law, chances) = nodes.mass, _choice(nodes)
    left, shares = nodes.number(0), []
    for chance, wanted, bound in zip(chances, nodes.values(mass), nodes.values(law), strict=True):
        accept = accept_ratio(wanted, bound)
        shares.append(chance * accept)
        left = left + chance * (1 - accept)
    left = pick(nodes.count > 0, left, nodes.number(1))
    drawn = pick(nodes.count > 0, nodes.number(1), nodes.number(0))
    return emit(nodes, excess(mass, law, drawn), mass, 1 - nodes.weight, nodes.at_firsts(shares), left)


def _choice(nodes: Nodes) -> tuple[Tensor, Sequence[Number]]:
    """The law of the chosen token, and for each place of the list the chance that its draw is the one."""
    target, draft = normalised(nodes.target), normalised(nodes.draft)
    places = _groups(target, draft)
    sums = torch.cat([_sums(places, target * (draft > 0)), _sums(places, draft)], dim=-1)
    held = nodes.values(places)
    if isinstance(nodes, Node):
        quotients, own = _laid_out(sums.cpu().numpy(), held)
        chances: Sequence[Number] = own
    else:
        marks = torch.stack([pick(here, group, PAD) for here, group in zip(nodes.present, held, strict=True)], dim=1)
        read = torch.cat([sums, marks.to(sums)], dim=1).cpu().numpy()
        laid = [_laid_out(row[: sums.shape[1]], row[sums.shape[1] :].astype(int).tolist()) for row in read]
        quotients = np.reshape([found for found, _ in laid], (len(read), sums.shape[1] // 2))
        chances = nodes.weight.new_tensor([found for _, found in laid]).view(marks.shape).unbind(1)
    scale = torch.as_tensor(quotients, device=draft.device).gather(-1, places)
    return (draft * scale).to(nodes.draft.dtype), chances


def _laid_out(sums: Floats, groups: list[int]) -> tuple[Floats, list[float]]:
    """(G,) the law over the draft by group, and the chance of each draw of the list, 0 at its padding.

    ``sums`` (2 G,) are the target's and the draft's masses by group; a list of one draw or none chooses nothing.
    """
    wanted, masses = np.split(sums, 2)
    drawn = [group for group in groups if group != PAD]
    if len(drawn) < 2:
        return np.ones_like(masses), [float(group != PAD) for group in groups]
    used = int(np.flatnonzero(masses)[-1]) + 1
    tickets = tickets_of(wanted[:used], masses[:used], len(drawn))
    quotients = np.concatenate([tickets.quotients, np.zeros(len(masses) - used)])
    return quotients, tickets.chosen(drawn) + [0.0] * (len(groups) - len(drawn))


def _groups(target: Tensor, draft: Tensor) -> Tensor:
    """The group of each token, numbered by target/draft upwards; tokens of draft 0 are in the last one.

    Equal ratios are one group.  If that leaves more than ``GROUPS``, a group also ends only where the cumulated mass or
    the ratio ``target / (target + draft)`` passes a multiple of 2 / ``GROUPS``.
    """
    sums = target + draft
    ratios = torch.where(draft > 0, target / sums, UNDRAWN)
    order = ascending(ratios)
    ratios, sums = ratios.gather(-1, order), sums.gather(-1, order)
    gaps = torch.where(ratios[..., 1:] == UNDRAWN, 0, ratios.diff(dim=-1))
    spans = ((sums[..., 1:] + sums[..., :-1]) * gaps).sqrt().cumsum(dim=-1)
    passed = (spans * (GROUPS / spans[..., -1:])).floor()
    pooled = passed.diff(dim=-1, prepend=torch.zeros_like(passed[..., :1])) > 0
    ends = torch.where((gaps > 0).sum(dim=-1, keepdim=True) >= GROUPS, pooled, gaps > 0)
    numbers = torch.cat([torch.zeros_like(order[..., :1]), ends.cumsum(dim=-1)], dim=-1)
    return torch.empty_like(order).scatter_(-1, order, numbers)


def _sums(places: Tensor, row: Tensor) -> Tensor:
    """(..., G) the sums of a row by group."""
    size = min(GROUPS + 1, row.shape[-1])
    return row.new_zeros((*row.shape[:-1], size)).scatter_add_(-1, places, row)
