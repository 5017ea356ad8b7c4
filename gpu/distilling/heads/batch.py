"""Some texts of kept features on a head's device, and the target's rows along them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...models.backend import torch
from ...models.heads.network import Head
from .features import Features

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """Some texts on the device: tokens (B, n), states (B, n, D), log totals (B, n), and whether the next is drawn."""

    tokens: Tensor
    states: Tensor
    log_totals: Tensor
    drawn: Tensor

    @classmethod
    def of(cls, features: Features, numbers: Any, device: torch.device) -> Batch:
        """The texts with these numbers."""
        return cls(
            torch.from_numpy(features.tokens[numbers, :-1].astype(np.int64)).to(device),
            torch.from_numpy(features.states[numbers].astype(np.float32)).to(device),
            torch.from_numpy(features.log_totals[numbers]).to(device),
            torch.from_numpy(features.drawn[numbers, 1:]).to(device),
        )

    def rows(self, head: Head) -> Tensor:
        """(B, n, M) the target's probabilities of the head's tokens."""
        return (logits_of(head.output, self.states) - self.log_totals[..., None]).exp_()


def logits_of(output: Any, states: Tensor) -> Tensor:
    """(..., M) in float32, the logits that an output layer of any type of weights makes of states (..., D)."""
    logits: Tensor = output(states.to(output.weight.dtype)).float()
    return logits
