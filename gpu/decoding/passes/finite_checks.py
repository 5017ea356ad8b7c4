"""Rows of logits, with a look at whether they are finite that is read with the step's result, not before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ...models.backend import torch
from ...models.heads.network import is_head
from ...models.pairs import ModelPair
from ...trees.sampling import Sampling
from .stopwatch import Stopwatch

Tensor = torch.Tensor

ToRows = Callable[[Tensor], Tensor]
"""Logits (..., V) to float64 rows (..., V)."""


@dataclass(frozen=True, eq=False)
class Columns:
    """Which tokens (M,), ascending, the entries of a short row stand for, out of a vocabulary of V."""

    tokens: Tensor
    vocabulary_size: int

    def widen(self, rows: Tensor) -> Tensor:
        """(..., V) the rows (..., M), with zeros for all other tokens."""
        wide = rows.new_zeros((*rows.shape[:-1], self.vocabulary_size))
        wide[..., self.tokens] = rows
        return wide


def columns_of(pair: ModelPair) -> dict[str, Columns]:
    """The columns of a pair's networks that do not give logits of all tokens: of a head."""
    return {"draft": Columns(pair.draft.tokens, pair.vocabulary_size)} if is_head(pair.draft) else {}


@dataclass
class FiniteRows:
    """Turns logits (..., V) into float64 rows, and remembers for each call which of them were finite.

    The time is part of the network's pass on the stopwatch.  ``step`` and ``requests``, the numbers of the running
    requests, are for the message.  Where a network gives logits of some tokens only, ``columns`` names them: all
    others have probability 0.
    """

    sampling: Sampling
    stopwatch: Stopwatch
    step: int = 0
    requests: Sequence[int] = ()
    columns: Mapping[str, Columns] = field(default_factory=dict)
    seen: list[tuple[str, Tensor]] = field(default_factory=list)

    def of(self, network: str) -> ToRows:
        """The function from logits (B, V) or (B, n, V) to rows, for the network of that name."""

        def rows(logits: Tensor) -> Tensor:
            self.seen.append((network, are_finite(logits)))
            return self._rows(network, logits)

        return rows

    def now(self, network: str, row: int) -> ToRows:
        """The function from one batch row's logits (n, V) to rows, which looks at once."""

        def rows(logits: Tensor) -> Tensor:
            self._check(network, row, are_finite(logits).tolist())
            return self._rows(network, logits)

        return rows

    def _rows(self, network: str, logits: Tensor) -> Tensor:
        with self.stopwatch.phase(pass_of(network), ("rows", logits[..., 0].numel())):
            rows = self.sampling.of(network).rows(logits)
            return self.columns[network].widen(rows) if network in self.columns else rows

    def read(self, report: Tensor) -> list[list[int]]:
        """The report (B, n) as lists, read together with all looks since the last time.

        Raises ``FloatingPointError`` that names the network, the step, the request and the row of the first logits
        that were not finite.
        """
        looks = [finite.flatten() for _, finite in self.seen]
        flat = torch.cat([report.flatten(), *looks]).tolist()
        seen, self.seen, place = self.seen, [], report.numel()
        for network, finite in seen:
            width = finite[0].numel()
            for row in range(len(finite)):
                self._check(network, row, flat[place : place + width])
                place += width
        width = report.shape[1]
        return [flat[row * width : (row + 1) * width] for row in range(len(report))]

    def _check(self, network: str, batch_row: int, finite: Sequence[int]) -> None:
        """Raise for the first logits of a batch row that were not finite."""
        if not all(finite):
            where = f"step {self.step}, request {self.requests[batch_row]}, row {finite.index(0)}"
            raise FloatingPointError(f"{network} logits of {where} are not finite")


def pass_of(network: str) -> str:
    """The phase of a network's passes, from tokens to rows."""
    return f"{network} pass"


def are_finite(logits: Tensor) -> Tensor:
    """(...) bool of logits (..., V): whether the largest of each is a number, which no ``NaN`` among them leaves."""
    return torch.isfinite(logits.amax(dim=-1))
