"""Rows of logits, with a look at whether they are finite that is read with the step's result, not before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...models.backend import torch
from ...trees.sampling import Sampling
from ...trees.tree_batch import NONE
from .stopwatch import Stopwatch
from .tree_attention import Rows

Tensor = torch.Tensor


@dataclass
class FiniteRows:
    """Turns logits (..., V) into float64 rows, and remembers for each call the first one that was not finite.

    The time is part of the network's pass on the stopwatch.  ``step`` and ``requests``, the numbers of the running
    requests, are for the message.
    """

    sampling: Sampling
    stopwatch: Stopwatch
    step: int = 0
    requests: Sequence[int] = ()
    seen: list[tuple[str, tuple[int, ...], Tensor]] = field(default_factory=list)

    def of(self, network: str) -> Rows:
        """The function from logits (B, V) or (B, n, V) to rows, for the network of that name."""

        def rows(logits: Tensor) -> Tensor:
            self.seen.append((network, tuple(logits.shape[:-1]), _first_broken(logits)))
            return self._rows(network, logits)

        return rows

    def now(self, network: str, row: int) -> Rows:
        """The function from one batch row's logits (n, V) to rows, which looks at once."""

        def rows(logits: Tensor) -> Tensor:
            first = int(_first_broken(logits))
            if first != NONE:
                raise self._error(network, row, first)
            return self._rows(network, logits)

        return rows

    def _rows(self, network: str, logits: Tensor) -> Tensor:
        with self.stopwatch.phase(pass_of(network), ("rows", logits[..., 0].numel())):
            return self.sampling.rows(logits)

    def read(self, report: Tensor) -> list[list[int]]:
        """The report (B, n) as lists, read together with all looks since the last time.

        Raises ``FloatingPointError`` that names the network, the step, the request and the row of the first logits
        that were not finite.
        """
        looks = torch.stack([first for _, _, first in self.seen])
        flat = torch.cat([report.flatten(), looks]).tolist()
        seen, self.seen = self.seen, []
        for (network, shape, _), first in zip(seen, flat[report.numel() :], strict=True):
            if first != NONE:
                width = shape[1] if len(shape) > 1 else 1
                raise self._error(network, first // width, first % width)
        width = report.shape[1]
        return [flat[row * width : (row + 1) * width] for row in range(len(report))]

    def _error(self, network: str, batch_row: int, row: int) -> FloatingPointError:
        where = f"step {self.step}, request {self.requests[batch_row]}, row {row}"
        return FloatingPointError(f"{network} logits of {where} are not finite")


def pass_of(network: str) -> str:
    """The phase of a network's passes, from tokens to rows."""
    return f"{network} pass"


def _first_broken(logits: Tensor) -> Tensor:
    """The number of the first logits, flattened, that are not all finite; ``NONE`` if all are."""
    broken = ~torch.isfinite(logits.amax(dim=-1)).flatten()
    return torch.where(broken.any(), broken.to(torch.int8).argmax(), NONE)
