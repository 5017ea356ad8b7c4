"""One-step solvers on tensors, many nodes at once: each as its paper writes it, stage by stage.

M nodes are solved together.  Rows are (M, V); child lists are (M, K) tokens in draw order, padded with -1 (an
empty list is a leaf: its token comes from the target); ``weight`` (M,) scales the target, and the rest
``1 - weight`` lies on a symbol "none" that the draft never proposes.  On a device that computes beside the host
nothing here waits for it.  No law of ``veridraft.theory`` is used: the two meet in tests and in the cross-check.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..models import backend
from ..models.backend import torch

PAD = -1
"""Stands behind the end of a child list."""

DEVICE_STEPS = 40
"""Steps to K-SEQ's rho off the CPU; Newton's method needs some ten, and bisection alone would reach 1e-12."""

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class Branching:
    """Where the mass 1 goes at each of M nodes.

    listed : (M, K) probability of emitting the token at its first place in the list; 0 at later places
    off, none : (M,) probability of a token off the list, and of "none"
    residual : (M, V) masses proportional to the law of the token off the list
    """

    listed: Tensor
    off: Tensor
    none: Tensor
    residual: Tensor


Solver = Callable[[Tensor, Tensor, Tensor, Tensor], Branching]
"""``solver(target, draft, lists, weight)``."""


def nss(target: Tensor, draft: Tensor, lists: Tensor, weight: Tensor) -> Branching:
    """Emit a token of the target; the list plays no part (2305.09781)."""
    return _stages(target, draft, lists, weight, lists[:, :0] != PAD)


def naive(target: Tensor, draft: Tensor, lists: Tensor, weight: Tensor) -> Branching:
    """Test the first token of the list with min(1, p/q), else emit from (p - q)+ (2211.17192)."""
    return _stages(target, draft, lists, weight, lists[:, :1] != PAD)


def rrs(target: Tensor, draft: Tensor, lists: Tensor, weight: Tensor) -> Branching:
    """Test every token of the list in turn; a rejection leaves (p - q)+ as the target (2305.09781, Alg. 2)."""
    return _stages(target, draft, lists, weight, tested=lists != PAD)


def rrs_without_replacement(target: Tensor, draft: Tensor, lists: Tensor, weight: Tensor) -> Branching:
    """As :func:`rrs` over the distinct tokens, and a rejected token leaves the draft (2402.12374)."""
    return _stages(target, draft, lists, weight, distinct_places(lists), erase=True)


def k_seq(target: Tensor, draft: Tensor, lists: Tensor, weight: Tensor) -> Branching:
    """Accept the first token that passes min(1, p / (rho q)), else emit from the residual (2310.15141, Alg. 3)."""
    mass, none = target * weight[:, None], 1 - weight
    counts = (lists != PAD).sum(dim=1)
    rho = smallest_rho(mass, draft, counts)[:, None]
    overlap = torch.minimum(mass / rho, draft)
    beta = overlap.sum(dim=1, keepdim=True)
    gamma = torch.where(beta > 0, any_of(beta, counts[:, None]) / beta, 0)
    tokens = lists.clamp(min=0)
    accept = torch.where(lists != PAD, accept_ratio(mass.gather(1, tokens), rho * draft.gather(1, tokens)), 0)
    passed = torch.cumprod(1 - accept, dim=1)
    before = torch.cat([torch.ones_like(passed[:, :1]), passed[:, :-1]], dim=1)
    listed = torch.zeros_like(accept).scatter_add_(1, first_places(lists), before * accept)
    residual = (mass - gamma * overlap).clamp_(min=0)
    return emit(residual, mass, none, lists, listed, passed[:, -1])


def smallest_rho(mass: Tensor, draft: Tensor, counts: Tensor) -> Tensor:
    """(M,) the root in [1, count] of 1 - (1-beta)^count = rho beta, beta = sum min(mass/rho, draft).

    Newton's method kept inside a bracket, for all nodes at once, to the full precision of the type.  The
    difference of the two sides falls in rho, and its slope is known: with P the mass of the tokens where
    mass < rho draft and Q the draft's mass on the others, beta = P / rho + Q.  A difference of rounding size
    counts as 0, so that rho is 1 where target and draft agree (there 1 is a root of order ``count``, and
    rounding alone would move it by the count-th root of the precision).  Off the CPU the number of steps is fixed,
    since to look whether they are enough would be to wait.
    """
    rounding = 8 * torch.finfo(mass.dtype).eps
    low, high = torch.ones_like(mass[:, 0]), counts.to(mass.dtype).clamp(min=1)
    rho = low.clone()
    for _ in range(100 if backend.are_free(mass) else DEVICE_STEPS):
        below = mass < rho[:, None] * draft
        small = torch.where(below, mass, 0).sum(dim=1)
        large = torch.where(below, 0, draft).sum(dim=1)
        beta = (small / rho + large).clamp(max=1)
        excess = any_of(beta, counts) - rho * beta
        slope = -counts * (1 - beta) ** (counts - 1).clamp(min=0) * small / rho**2 - large
        low, high = torch.where(excess > 0, rho, low), torch.where(excess <= 0, rho, high)
        step = rho - excess / torch.where(slope == 0, -1, slope)
        inside = (step >= low) & (step <= high)
        new = torch.where(excess.abs() <= rounding, rho, torch.where(inside, step, (low + high) / 2))
        moved, rho = (new - rho).abs(), new
        if backend.are_free(mass) and bool((moved <= 2 * torch.finfo(mass.dtype).eps * rho).all()):
            break
    return rho


def any_of(beta: Tensor, counts: Tensor) -> Tensor:
    """1 - (1 - beta)^count, without cancellation; 0 for a count of 0."""
    return torch.where(counts > 0, -torch.expm1(counts * torch.log1p(-beta.clamp(max=1))), 0)


def accept_ratio(mass: Tensor, bound: Tensor) -> Tensor:
    """``min(1, mass / bound)``, and where the bound is 0 whether there is mass at all."""
    return torch.where(bound > 0, mass / torch.where(bound > 0, bound, 1), (mass > 0).to(mass.dtype)).clamp(max=1)


def _stages(
    target: Tensor, draft: Tensor, lists: Tensor, weight: Tensor, tested: Tensor, erase: bool = False
) -> Branching:
    """Test the places of the list marked in ``tested`` (M, J <= K) in turn, then emit from the last residual."""
    mass = running = target * weight[:, None]
    none, left = 1 - weight, torch.ones_like(weight)
    listed = torch.zeros(lists.shape, dtype=target.dtype, device=target.device)
    first = first_places(lists)
    for place in range(tested.shape[1]):
        token = lists[:, place : place + 1].clamp(min=0)
        ratio = accept_ratio(running.gather(1, token), draft.gather(1, token))[:, 0]
        accept = torch.where(tested[:, place], ratio, 0)
        listed.scatter_add_(1, first[:, place : place + 1], (left * accept)[:, None])
        left = left * (1 - accept)
        rejected = (tested[:, place] & (left > 0))[:, None]
        running, none = after_rejection(running, none, draft, rejected)
        if erase and place + 1 < tested.shape[1]:
            draft = _without(draft, token, rejected)
    return emit(running, mass, none, lists, listed, left)


def after_rejection(running: Tensor, none: Tensor, draft: Tensor, rejected: Tensor) -> tuple[Tensor, Tensor]:
    """The normalised (p - q)+ (M, V) and its "none" (M,), at the nodes ``rejected`` (M, 1) where a test failed."""
    excess = (running - draft).clamp_(min=0)
    total = excess.sum(dim=1, keepdim=True) + none[:, None]
    scale = torch.where(total > 0, total, 1)
    excess /= scale
    return torch.where(rejected, excess, running), torch.where(rejected[:, 0], none / scale[:, 0], none)


def _without(draft: Tensor, token: Tensor, rejected: Tensor) -> Tensor:
    """The draft rows without their rejected tokens (M, 1), normalised; 0 where nothing is left."""
    rest = draft.scatter(1, token, 0)
    total = rest.sum(dim=1, keepdim=True)
    return torch.where(rejected, rest / torch.where(total > 0, total, 1), draft)


def emit(residual: Tensor, mass: Tensor, none: Tensor, lists: Tensor, listed: Tensor, left: Tensor) -> Branching:
    """The branching once the tests are over: ``left`` (M,) is shared between the residual (M, V) and "none" (M,).

    A residual token may stand in the list: it is emitted there.  Where rounding has left nothing to emit from, the
    target's ``mass`` (M, V) takes the residual's place, so that no token outside its support is emitted.  A
    share is formed before anything is multiplied with it: ``left`` over a tiny total would overflow.
    """
    residual = _or_mass(residual, mass, none)
    hits = torch.where(distinct_places(lists), residual.gather(1, lists.clamp(min=0)), 0)
    residual = erased(residual, lists)
    off = residual.sum(dim=1)
    total = off + hits.sum(dim=1) + none
    safe = torch.where(total > 0, total, 1)
    listed = listed + hits / safe[:, None] * left[:, None]
    return Branching(listed, off / safe * left, none / safe * left, residual)


def _or_mass(residual: Tensor, mass: Tensor, none: Tensor) -> Tensor:
    """The residual, and the mass where neither it nor "none" holds anything."""
    empty = (residual.amax(dim=1) <= 0) & (none <= 0)
    if backend.are_free(residual) and not bool(empty.any()):
        return residual
    return torch.where(empty[:, None], mass, residual)


def erased(rows: Tensor, lists: Tensor) -> Tensor:
    """The rows (M, V) with 0 at the listed tokens (M, K), in a fresh tensor; the padding erases nothing."""
    keep = torch.where(lists != PAD, 0, torch.inf).to(rows.dtype)
    return rows.scatter_reduce(1, lists.clamp(min=0), keep, "amin")


def distinct_places(lists: Tensor) -> Tensor:
    """(M, K) bool: true where a token stands in its list for the first time."""
    places = torch.arange(lists.shape[1], device=lists.device)
    return (lists != PAD) & (first_places(lists) == places)


def first_places(lists: Tensor) -> Tensor:
    """(M, K): the first place at which the token of each place stands."""
    if not lists.shape[1]:
        return lists
    return (lists[:, :, None] == lists[:, None, :]).to(torch.int8).argmax(dim=2)
