"""The selector's network (arXiv 2602.16994): a projection for each state, then a perceptron over actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..models.backend import torch
from .data.examples import Examples
from .schema import BLOCKS, SAMPLING

Tensor = torch.Tensor

PROJECTED, HIDDEN = 128, (512, 32)
"""The width of a projected state, and of the hidden layers."""

LEAD = 6.0
"""How far ahead of all others the baseline stands before anything is learnt: with about half of the probability."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a network reads of R roots: states, each (R, W), and numbers (R, S)."""

    states: Mapping[str, Tensor]
    scalars: Tensor

    @classmethod
    def of(cls, examples: Examples) -> Inputs:
        """Those of examples, in float32."""
        states = {name: torch.from_numpy(rows).float() for name, rows in examples.states.items()}
        return cls(states, torch.from_numpy(examples.scalars).float())

    def some(self, rows: Tensor) -> Inputs:
        """Some of the roots."""
        return Inputs({name: states[rows] for name, states in self.states.items()}, self.scalars[rows])


class SelectorNetwork(torch.nn.Module):
    """Logits of actions; those that are not allowed have none.

    widths : of the three states;  scalars : how many numbers, which are brought to mean 0 and deviation 1
    allowed : (A,) bool;  samplings : (S, 2) temperatures and top-p, each of which has an action that leads
    """

    mean: Tensor
    deviation: Tensor
    allowed: Tensor
    samplings: Tensor
    lead: Tensor

    def __init__(
        self, widths: Sequence[int], scalars: int, allowed: Sequence[bool], samplings: Sequence[tuple[float, float]],
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        nn = torch.nn
        self.projections = nn.ModuleList(
            [nn.Sequential(nn.Linear(width, PROJECTED), nn.LayerNorm(PROJECTED)) for width in widths]
        )
        sizes = [len(widths) * PROJECTED + scalars, *HIDDEN]
        layers: list[torch.nn.Module] = []
        for here, there in zip(sizes, HIDDEN, strict=False):
            layers += [nn.Linear(here, there), nn.GELU(), nn.Dropout(dropout)]
        self.hidden, self.output = nn.Sequential(*layers), nn.Linear(HIDDEN[-1], len(allowed))
        self.register_buffer("mean", torch.zeros(scalars))
        self.register_buffer("deviation", torch.ones(scalars))
        self.register_buffer("allowed", torch.tensor(list(allowed)))
        self.register_buffer("samplings", torch.tensor(list(samplings)))
        self.register_buffer("lead", torch.zeros(len(samplings), len(allowed)))

    def begin(self, inputs: Inputs, baselines: Mapping[int, int]) -> None:
        """Take the scale of the numbers from roots to learn from; let each sampling's baseline lead at its roots."""
        self.mean.copy_(inputs.scalars.mean(dim=0))
        self.deviation.copy_(inputs.scalars.std(dim=0).clamp(min=1e-6))
        with torch.no_grad():
            self.output.weight.zero_()
            self.output.bias.zero_()
        for sampling, action in baselines.items():
            self.lead[sampling, action] = LEAD

    def forward(self, inputs: Inputs) -> Tensor:
        """(R, A) logits, minus infinity for actions that are not allowed."""
        parts = [project(inputs.states[name]) for name, project in zip(BLOCKS, self.projections, strict=True)]
        joined = torch.cat([*parts, (inputs.scalars - self.mean) / self.deviation], dim=1)
        own = (inputs.scalars[:, None, SAMPLING] - self.samplings).abs().sum(dim=2).argmin(dim=1)
        return (self.output(self.hidden(joined)) + self.lead[own]).masked_fill(~self.allowed, -np.inf)
