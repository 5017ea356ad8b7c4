"""Networks that learn, each with an optimiser of its own, and all of them that a checkpoint must hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..models.backend import torch


class Learners:
    """Networks by name with their optimisers; weights that take no gradient stay as they are."""

    def __init__(self, networks: Mapping[str, Any], learning_rate: float) -> None:
        self.networks = dict(networks)
        self.weights = {
            name: [one for one in network.parameters() if one.requires_grad] for name, network in networks.items()
        }
        self.optimizers = {
            name: torch.optim.AdamW(weights, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.01)
            for name, weights in self.weights.items()
        }

    def advance(self, rate: float) -> None:
        """One step of each optimiser at a learning rate, by gradients cut to norm 1, which are then forgotten."""
        for name, optimizer in self.optimizers.items():
            torch.nn.utils.clip_grad_norm_(self.weights[name], 1.0)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        """Everything that changes, as ``torch.save`` takes it."""
        parts = {"networks": self.networks, "optimizers": self.optimizers}
        return {part: {name: one.state_dict() for name, one in held.items()} for part, held in parts.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        for part, held in (("networks", self.networks), ("optimizers", self.optimizers)):
            for name, one in held.items():
                one.load_state_dict(state[part][name])
