"""Sequential solvers on tensors, averaged over the orders of their list."""

from __future__ import annotations

from itertools import permutations

from ..models.backend import torch
from .solvers import PAD, Branching, Solver, Tensor, first_places

LONGEST = 8
"""The longest list that is averaged over its orders, as in the theory; the work grows with its factorial."""


def symmetrised(solver: Solver) -> Solver:
    """The mean of a sequential solver over all orders of the list, order by order; lossless for i.i.d. lists.

    Raises ``ValueError``, when called, for lists longer than 8.
    """

    def symmetric(target: Tensor, draft: Tensor, lists: Tensor, weight: Tensor) -> Branching:
        width = lists.shape[1]
        if width > LONGEST:
            raise ValueError(f"a symmetrised solver takes at most {LONGEST} tokens, but a list has {width}")
        orders = list(permutations(range(width)))
        parts = [_in_order(solver, target, draft, lists, weight, order) for order in orders]
        listed, off, none, residual = (sum(part) / len(orders) for part in zip(*parts, strict=True))
        return Branching(listed, off, none, residual)

    return symmetric


def _in_order(
    solver: Solver, target: Tensor, draft: Tensor, lists: Tensor, weight: Tensor, order: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The branching of a permuted list, its shares put back to where the tokens stand in the list as it was."""
    source = torch.tensor(order, device=lists.device, dtype=torch.long).expand_as(lists)
    source = source.gather(1, torch.argsort((lists.gather(1, source) == PAD).to(torch.int8), dim=1, stable=True))
    branching = solver(target, draft, lists.gather(1, source), weight)
    home = first_places(lists).gather(1, source)
    listed = torch.zeros_like(branching.listed).scatter_add_(1, home, branching.listed)
    total = branching.residual.sum(dim=1, keepdim=True)
    law = branching.residual / torch.where(total > 0, total, 1)
    return listed, branching.off, branching.none, law * branching.off[:, None]
