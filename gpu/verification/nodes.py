"""Nodes that are solved: one that is looked at, in plain numbers, or many at once, of which nothing is read back.

A *number* belongs to a node: a float for one node, a tensor (M,) for many.  A *row* is (V,) for one and (M, V) for
many.  The rules are written once in these words, so that a device solves all nodes of a level together without waiting,
and a CPU only the nodes that the coins come to, without a kernel for every small number.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import expm1, inf, log1p
from typing import Any

from ..models import backend
from ..models.backend import torch

PAD = -1
"""Stands behind the end of a child list."""

Tensor = torch.Tensor

Number = Any
"""A float, or a tensor (M,)."""

Flag = Any
"""A bool, or a tensor (M,) of them."""

INTEGERS = {torch.float32: torch.int32, torch.float64: torch.int64}
"""Integers of the size of a float: those of numbers >= 0 stand in the same order."""


def pick(condition: Flag, yes: Number, no: Number) -> Number:
    """``yes`` where the condition holds, else ``no``."""
    if isinstance(condition, torch.Tensor):
        return torch.where(condition, yes, no)
    return yes if condition else no


def over(value: Number, divisor: Number) -> Number:
    """``value / divisor``, and ``value`` where the divisor is 0."""
    return value / pick(divisor > 0, divisor, 1)


def across(number: Number) -> Number:
    """The number in the shape in which rows are multiplied with it."""
    return number[:, None] if isinstance(number, torch.Tensor) else number


def capped(number: Number, most: float) -> Number:
    """The smaller of a number and a constant."""
    return number.clamp(max=most) if isinstance(number, torch.Tensor) else min(number, most)


def total(row: Tensor) -> Number:
    """The sum of each row."""
    return row.sum(dim=-1) if row.dim() > 1 else row.sum().item()


def largest(row: Tensor) -> Number:
    """The largest entry of each row."""
    return row.amax(dim=-1) if row.dim() > 1 else row.amax().item()


def smaller(one: Number, other: Number) -> Number:
    """The smaller of two numbers."""
    return torch.minimum(one, other) if isinstance(one, torch.Tensor) else min(one, other)


def peak(row: Tensor) -> Number:
    """The token where each row is largest."""
    return row.argmax(dim=-1) if row.dim() > 1 else int(row.argmax())


def at(row: Tensor, token: Number) -> Number:
    """What each row holds at a token; where the token is padding, anything that it holds."""
    return row.gather(1, token.clamp(min=0)[:, None])[:, 0] if row.dim() > 1 else row[token].item()


def find(order: Tensor, token: Number) -> Number:
    """The place of a token in each row of tokens."""
    if order.dim() > 1:
        return (order == token[:, None]).to(torch.int8).argmax(dim=-1)
    return int((order == token).nonzero())


def put(row: Tensor, token: Number, value: Number) -> Tensor:
    """The row itself, overwritten with a value at a token."""
    if row.dim() > 1:
        return row.scatter_(1, token[:, None], value[:, None])
    row[token] = value
    return row


def least_share(row: Tensor) -> float:
    """What counts as nothing: quotients by less, as of a draft row with no more left than this, would overflow."""
    return 1e8 * torch.finfo(row.dtype).tiny


def any_of(beta: Number, counts: Number) -> Number:
    """1 - (1 - beta)^count, without cancellation; 0 for a count of 0."""
    if isinstance(beta, torch.Tensor):
        return torch.where(counts > 0, -torch.expm1(counts * torch.log1p(-beta.clamp(max=1))), 0)
    return -expm1(counts * (log1p(-beta) if beta < 1 else -inf)) if counts else 0.0


def accept_ratio(mass: Number, bound: Number) -> Number:
    """``min(1, mass / bound)``, and where the bound is 0 whether there is mass at all."""
    if isinstance(mass, torch.Tensor):
        return torch.where(bound > 0, mass / torch.where(bound > 0, bound, 1), (mass > 0).to(mass.dtype)).clamp(max=1)
    return float(mass > 0) if mass >= bound else mass / bound


def excess(mass: Tensor, draft: Tensor, level: Number, out: Tensor | None = None) -> Tensor:
    """The positive part of ``mass - level draft``: a fresh row, or ``out`` overwritten, which may be the draft."""
    if isinstance(level, torch.Tensor):
        return torch.addcmul(mass, draft, level[:, None], value=-1, out=out).clamp_(min=0)
    return torch.sub(mass, draft, alpha=level, out=out).clamp_(min=0)


def normalised(rows: Tensor) -> Tensor:
    """Rows (..., V) in float64, those of another type over their own sums."""
    if rows.dtype == torch.float64:
        return rows
    wide = rows.double()
    whole = wide.sum(dim=-1, keepdim=True)
    return wide / torch.where(whole > 0, whole, 1)


def ascending(keys: Tensor) -> Tensor:
    """The places of the keys (..., V) in ascending order, of equal keys the first first; negative keys are all alike.

    Integers in one row sort ten times as fast as floats on a CPU, and those of floats >= 0 have the same order.
    """
    if backend.are_free(keys) and keys.dim() == 1:
        keys = keys.clamp(min=-1).view(INTEGERS[keys.dtype])
    return torch.sort(keys, dim=-1, stable=True).indices


class Nodes:
    """M nodes: their rows (M, V), child lists (M, K) as tokens padded with -1, and weights (M,) of the target.

    Lists are in draw order; an empty one is a leaf, whose token comes from the target.  The rest ``1 - weight`` lies
    on a symbol "none" that the draft never proposes.  For each place of the list, ``present`` says whether a token
    stands there, and ``distinct`` whether it does for the first time.
    """

    present: Sequence[Flag]
    distinct: Sequence[Flag]

    def __init__(self, target: Tensor, draft: Tensor, lists: Tensor, weight: Tensor) -> None:
        self.target, self.draft, self.weight = target, draft, weight
        self.lists, self.width = lists, lists.shape[1]
        equal = lists[:, :, None] == lists[:, None, :]
        self._firsts = equal.to(torch.int8).argmax(dim=2) if self.width else lists
        places = torch.arange(self.width, device=lists.device)
        self.present = (lists != PAD).unbind(1)
        self.distinct = ((lists != PAD) & (self._firsts == places)).unbind(1)

    @property
    def mass(self) -> Tensor:
        """The target's row times the weight."""
        return self.target * self.weight[:, None]

    @property
    def split(self) -> tuple[Tensor, Number, Number]:
        """The target's masses, what they and "none" sum to, and "none": all three in one unit."""
        return self.mass, self.number(1), 1 - self.weight

    def token(self, place: int) -> Number:
        """The token at a place of the list; -1 where it is padding."""
        return self.lists[:, place]

    def with_token(self, draft: Tensor, token: Number) -> Nodes:
        """The same nodes with another draft, and one token for a list."""
        return Nodes(self.target, draft, token[:, None], self.weight)

    @property
    def count(self) -> Number:
        """How many tokens the list has, copies included."""
        return (self.lists != PAD).sum(dim=1)

    def number(self, value: float) -> Number:
        """The same number for each node."""
        return torch.full_like(self.weight, value)

    def values(self, row: Tensor) -> list[Number]:
        """What a row holds at each place of the list; at padding anything that it holds."""
        return list(row.gather(1, self.lists.clamp(min=0)).unbind(1))

    def at_firsts(self, shares: Sequence[Number]) -> list[Number]:
        """Shares of the places, those of equal tokens summed at the first of them."""
        if not shares:
            return []
        stacked = torch.stack(list(shares), dim=1)
        return list(torch.zeros_like(stacked).scatter_add_(1, self._firsts, stacked).unbind(1))

    def erase(self, row: Tensor, marked: Sequence[Flag]) -> Tensor:
        """The row itself, overwritten: 0 at the tokens of the marked places."""
        if not self.width:
            return row
        marks = torch.stack(list(marked), dim=1)
        return erase(row, torch.where(marks & (self.lists != PAD), self.lists, PAD))

    def never(self, flag: Flag) -> bool:
        """True if the flag is seen to hold for no node."""
        return backend.are_free(flag) and not any(flag.tolist())

    def or_mass(self, residual: Tensor, mass: Tensor, none: Number) -> Tensor:
        """The residual, and the mass where neither it nor "none" holds anything."""
        return torch.where(((largest(residual) <= 0) & (none <= 0))[:, None], mass, residual)


class Node(Nodes):
    """One node: rows (V,), the child list as tokens without padding, a weight that is a float."""

    def __init__(self, target: Tensor, draft: Tensor, tokens: list[int], weight: float) -> None:
        self.target, self.draft, self.weight = target, draft, weight  # type: ignore[assignment]
        self.tokens, self.width = tokens, len(tokens)
        self._places = [tokens.index(token) for token in tokens]  # the first at which each token stands
        self.present = [True] * self.width
        self.distinct = [place == first for place, first in enumerate(self._places)]

    @property
    def mass(self) -> Tensor:
        """The target's row times the weight; the row itself at weight 1."""
        return self.target if self.weight == 1 else self.target * self.weight

    @property
    def split(self) -> tuple[Tensor, Number, Number]:
        """The target's masses, what they and "none" sum to, and "none": in units of the weight, to spare a pass."""
        if self.weight <= least_share(self.target):
            return super().split
        return self.target, 1 / self.weight, (1 - self.weight) / self.weight

    def token(self, place: int) -> Number:
        """The token at a place of the list."""
        return self.tokens[place]

    def with_token(self, draft: Tensor, token: Number) -> Nodes:
        """The same node with another draft, and one token for a list."""
        return Node(self.target, draft, [token], float(self.weight))

    @cached_property
    def _index(self) -> Tensor:
        return torch.tensor(self.tokens, dtype=torch.long, device=self.target.device)

    @property
    def count(self) -> Number:
        """How many tokens the list has, copies included."""
        return self.width

    def number(self, value: float) -> Number:
        """The number."""
        return float(value)

    def values(self, row: Tensor) -> list[Number]:
        """What a row holds at each place of the list."""
        return row.gather(0, self._index).tolist() if self.width != 1 else [row[self.tokens[0]].item()]

    def at_firsts(self, shares: Sequence[Number]) -> list[Number]:
        """Shares of the places, those of equal tokens summed at the first of them."""
        if all(self.distinct):
            return list(shares)
        summed = [0.0] * len(shares)
        for first, share in zip(self._places, shares, strict=True):
            summed[first] += share
        return summed

    def erase(self, row: Tensor, marked: Sequence[Flag]) -> Tensor:
        """The row itself, overwritten: 0 at the tokens of the marked places."""
        if self.width == 1 and marked[0]:
            row[self.tokens[0]] = 0
            return row
        if all(marked):
            return row.scatter_(0, self._index, 0)
        kept = [token for token, mark in zip(self.tokens, marked, strict=True) if mark]
        return row.scatter_(0, self._index.new_tensor(kept), 0)

    def never(self, flag: Flag) -> bool:
        """True if the flag does not hold."""
        return not flag

    def or_mass(self, residual: Tensor, mass: Tensor, none: Number) -> Tensor:
        """The residual, and the mass where neither it nor "none" holds anything."""
        return mass if none <= 0 and largest(residual) <= 0 else residual


def erase(rows: Tensor, lists: Tensor) -> Tensor:
    """The rows (M, V) themselves, overwritten with 0 at the listed tokens (M, K); padding erases nothing."""
    keep = torch.where(lists != PAD, 0, torch.inf).to(rows.dtype)
    return rows.scatter_reduce_(1, lists.clamp(min=0), keep, "amin")
